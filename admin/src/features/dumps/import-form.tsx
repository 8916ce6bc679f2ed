import { Stack, Switch, Text, Title } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import type { ApiProblem } from '#api/client.ts'
import { useIsUnscoped } from '#app/session.ts'
import { useDatasource } from '#features/datasources/queries.ts'
import { ChooseDatasource } from '#features/dumps/choose-datasource.tsx'
import { DumpField, FileFields } from '#features/dumps/file-fields.tsx'
import { flips } from '#features/dumps/flips.ts'
import { requestOf, type ImportDraft } from '#features/dumps/import-draft.ts'
import { JobForm, useAsking } from '#features/dumps/job-form.tsx'
import { KeepFields } from '#features/dumps/keep-fields.tsx'
import { importMeans } from '#features/dumps/means.ts'
import { choiceQuery, startImport, type Dump } from '#features/dumps/queries.ts'
import { UploadFile } from '#features/dumps/upload-file.tsx'
import classes from './dumps.module.css'

interface ImportFormProps {
  readonly first: ImportDraft
  readonly onPlanned: (job: string) => void
}

/** What is imported, and where; nothing is written by it, because a plan comes first. */
export function ImportForm({ first, onPlanned }: ImportFormProps) {
  const { draft, set, problem, ...asking } = useAsking(first, startImport, onPlanned)
  const { data: dumps = [], error: unread } = useQuery(choiceQuery)
  const target = useDatasource(draft.datasource)
  const dump = dumps.find(({ id }) => id === draft.dump)
  const needsPassphrase = dump?.sealed === true && draft.passphrase === ''
  const mayGo = dump !== undefined && target !== undefined && !needsPassphrase
  return (
    <JobForm
      title="Import a dump"
      state="The plan comes first: it checks the whole file, shows what would be made and replaced, and writes nothing."
      verb="Show the plan"
      asking={asking}
      request={mayGo ? { ...requestOf(draft, dump.id, target.name), dry_run: true } : null}
      means={importMeans}
    >
      <div className={classes['split']}>
        <Stack gap="lg">
          <ChooseDump draft={draft} dumps={dumps} set={set} error={problem?.of('dump') ?? unread?.message} />
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
    </JobForm>
  )
}

interface DraftProps {
  readonly draft: ImportDraft
  readonly set: (change: Partial<ImportDraft>) => void
  readonly problem: ApiProblem | null
}

interface ChooseDumpProps extends Omit<DraftProps, 'problem'> {
  readonly dumps: readonly Dump[]
  readonly error: string | undefined
}

function ChooseDump({ draft, dumps, set, error }: ChooseDumpProps) {
  const isUnscoped = useIsUnscoped()
  return (
    <Stack gap="sm">
      <DumpField dumps={dumps} value={draft.dump} error={error} onChange={(dump) => set({ dump })} />
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
  return (
    <Stack gap="md">
      <Title order={2}>How</Title>
      <KeepFields what="an import" draft={draft} set={set} />
      {draft.replace && (
        <Switch
          {...flips(draft, set)('swap')}
          label="Let others read until the end"
          description="What is replaced is exchanged at the last moment; otherwise who reads it waits. Refused where the schemas hold what the dump does not bring."
        />
      )}
      <FileFields draft={draft} isSealed={isSealed} set={set} problem={problem} />
    </Stack>
  )
}
