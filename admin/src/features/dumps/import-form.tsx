import { Button, Stack, Switch, Text, Title } from '@mantine/core'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { ApiProblem } from '#api/client.ts'
import { useIsUnscoped } from '#app/session.ts'
import { useDatasource } from '#features/datasources/queries.ts'
import { ChooseDatasource } from '#features/dumps/choose-datasource.tsx'
import { DumpField, FileFields } from '#features/dumps/file-fields.tsx'
import { requestOf, type ImportDraft } from '#features/dumps/import-draft.ts'
import { importMeans } from '#features/dumps/means.ts'
import { choiceQuery, startImport, type Dump } from '#features/dumps/queries.ts'
import { UploadFile } from '#features/dumps/upload-file.tsx'
import { CopyAs } from '#ui/copy.tsx'
import { Page } from '#ui/page.tsx'
import { Problem } from '#ui/problem.tsx'
import classes from './dumps.module.css'

interface ImportFormProps {
  readonly first: ImportDraft
  readonly onPlanned: (job: string) => void
}

/** What is imported, and where; nothing is written by it, because a plan comes first. */
export function ImportForm({ first, onPlanned }: ImportFormProps) {
  const client = useQueryClient()
  const [draft, setDraft] = useState(first)
  const { data: dumps = [] } = useQuery(choiceQuery)
  const target = useDatasource(draft.datasource)
  const dump = dumps.find(({ id }) => id === draft.dump)
  const request =
    dump === undefined || target === undefined ? null : { ...requestOf(draft, dump.id, target.name), dry_run: true }
  const plan = useMutation({
    meta: { shown: true },
    mutationFn: (wanted: NonNullable<typeof request>) => startImport(wanted, crypto.randomUUID()),
    onSuccess: async ({ job_id: job }) => {
      await client.invalidateQueries({ queryKey: ['jobs'] })
      onPlanned(job)
    },
  })
  const problem = plan.error instanceof ApiProblem ? plan.error : null
  const set = (change: Partial<ImportDraft>): void => {
    plan.reset()
    setDraft((old) => ({ ...old, ...change }))
  }
  const needsPassphrase = dump?.sealed === true && draft.passphrase === ''
  const mayGo = request !== null && !needsPassphrase
  return (
    <Page
      title="Import a dump"
      state="The plan comes first: it checks the whole file, shows what would be made and replaced, and writes nothing."
      action={
        <>
          {mayGo && <CopyAs {...importMeans(request)} />}
          <Button type="submit" form="import" disabled={!mayGo} loading={plan.isPending}>
            Show the plan
          </Button>
        </>
      }
    >
      <form
        id="import"
        onSubmit={(event) => {
          event.preventDefault()
          if (mayGo) plan.mutate(request)
        }}
      >
        <Stack gap="lg">
          {plan.error !== null && <Problem error={plan.error} />}
          <div className={classes['split']}>
            <Stack gap="lg">
              <ChooseDump draft={draft} dumps={dumps} set={set} problem={problem} />
              <ChooseDatasource
                label="Target"
                description="The database that it is imported into, in one transaction."
                value={draft.datasource}
                error={problem?.of('datasource')}
                onChange={(datasource) => set({ datasource })}
              />
            </Stack>
            <How draft={draft} isSealed={dump?.sealed === true} set={set} problem={problem} />
          </div>
        </Stack>
      </form>
    </Page>
  )
}

interface DraftProps {
  readonly draft: ImportDraft
  readonly set: (change: Partial<ImportDraft>) => void
  readonly problem: ApiProblem | null
}

function ChooseDump({ draft, dumps, set, problem }: DraftProps & { readonly dumps: readonly Dump[] }) {
  const isUnscoped = useIsUnscoped()
  return (
    <Stack gap="sm">
      <DumpField dumps={dumps} value={draft.dump} error={problem?.of('dump')} onChange={(dump) => set({ dump })} />
      {isUnscoped && (
        <div>
          <Text size="sm" fw={700} mb={4}>
            Or a file of yours
          </Text>
          <UploadFile onUploaded={({ id }) => set({ dump: id })} />
        </div>
      )}
    </Stack>
  )
}

function How({ draft, isSealed, set, problem }: DraftProps & { readonly isSealed: boolean }) {
  const flip = (name: 'replace' | 'backup' | 'swap') => ({
    size: 'xs',
    checked: draft[name],
    onChange: (event: { currentTarget: { checked: boolean } }) => set({ [name]: event.currentTarget.checked }),
  })
  return (
    <Stack gap="md">
      <Title order={2}>How</Title>
      <Switch
        {...flip('replace')}
        label="Replace what is there already"
        description="Otherwise an import that would replace anything is refused."
      />
      {draft.replace && (
        <>
          <Switch
            {...flip('backup')}
            label="Keep what is replaced as a backup"
            description="Before anything is written it is exported, read back and checked. Importing it brings everything back."
          />
          <Switch
            {...flip('swap')}
            label="Let others read until the end"
            description="What is replaced is exchanged at the last moment; otherwise who reads it waits. Refused where the schemas hold what the dump does not bring."
          />
        </>
      )}
      <FileFields draft={draft} isSealed={isSealed} set={set} problem={problem} />
    </Stack>
  )
}
