import { Button, Group, Stack, Switch, Text, Title } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { ApiProblem } from '#api/client.ts'
import { useMay } from '#app/session.ts'
import { useDatasource, type Datasource } from '#features/datasources/queries.ts'
import { ChooseDatasource } from '#features/dumps/choose-datasource.tsx'
import { copyRequestOf, type CopyDraft } from '#features/dumps/copy-draft.ts'
import { Filters, Masks } from '#features/dumps/copy-rules.tsx'
import { copyMeans } from '#features/dumps/means.ts'
import { startCopy } from '#features/dumps/queries.ts'
import { isChosen, NO_NAMES } from '#features/dumps/reading-draft.ts'
import { ContentField, PartFields, ReadersField, RightsFields } from '#features/dumps/reading-fields.tsx'
import { CopyAs } from '#ui/copy.tsx'
import { Environment, Mark } from '#ui/mark.tsx'
import { Page } from '#ui/page.tsx'
import { Problem } from '#ui/problem.tsx'
import classes from './dumps.module.css'

interface CopyFormProps {
  readonly first: CopyDraft
  readonly onPlanned: (job: string) => void
}

/** What is copied, and into what; nothing is written by it, because a plan comes first. */
export function CopyForm({ first, onPlanned }: CopyFormProps) {
  const client = useQueryClient()
  const [draft, setDraft] = useState(first)
  const [source, target] = [useDatasource(draft.source), useDatasource(draft.target)]
  const isSame = draft.source !== null && draft.source === draft.target
  const mayGo = isChosen(draft) && !isSame
  const request =
    !mayGo || source === undefined || target === undefined
      ? null
      : { ...copyRequestOf(draft, { source: source.name, target: target.name }), dry_run: true }
  const plan = useMutation({
    meta: { shown: true },
    mutationFn: (wanted: NonNullable<typeof request>) => startCopy(wanted, crypto.randomUUID()),
    onSuccess: async ({ job_id: job }) => {
      await client.invalidateQueries({ queryKey: ['jobs'] })
      onPlanned(job)
    },
  })
  const problem = plan.error instanceof ApiProblem ? plan.error : null
  const set = (change: Partial<CopyDraft>): void => {
    plan.reset()
    setDraft((old) => ({ ...old, ...change }))
  }
  return (
    <Page
      title="Copy a database"
      state="Into another one, with no file between. The plan comes first: it shows what would be made and replaced, and writes nothing."
      action={
        <>
          {request !== null && <CopyAs {...copyMeans(request)} />}
          <Button type="submit" form="copy" disabled={request === null} loading={plan.isPending}>
            Show the plan
          </Button>
        </>
      }
    >
      <form
        id="copy"
        onSubmit={(event) => {
          event.preventDefault()
          if (request !== null) plan.mutate(request)
        }}
      >
        <Stack gap="lg">
          {plan.error !== null && <Problem error={plan.error} />}
          <div className={classes['split']}>
            <Stack gap={6}>
              <ChooseDatasource
                label="Source"
                description="What is copied. It is only read."
                value={draft.source}
                error={problem?.of('source')}
                // Names of tables and columns are those of one database.
                onChange={(id) => set({ source: id, ...NO_NAMES, filters: [], masks: [] })}
              />
              {source !== undefined && <About one={source} />}
            </Stack>
            <Stack gap={6}>
              <ChooseDatasource
                label="Target"
                description="Where it goes, in one transaction."
                value={draft.target}
                error={isSame ? 'A database is not copied into itself.' : problem?.of('target')}
                onChange={(id) => set({ target: id })}
              />
              {target !== undefined && <About one={target} isTarget />}
            </Stack>
          </div>
          <div className={classes['split']}>
            <Stack gap="lg">
              <Title order={2}>What</Title>
              <ContentField draft={draft} set={set} />
              {draft.source !== null && (
                <PartFields datasource={draft.source} draft={draft} set={set} problem={problem} />
              )}
            </Stack>
            <How draft={draft} set={set} problem={problem} />
          </div>
          {draft.source !== null && draft.content !== 'schema' && (
            <div className={classes['split']}>
              <Filters source={draft.source} draft={draft} set={set} problem={problem} />
              <Masks source={draft.source} draft={draft} set={set} problem={problem} />
            </div>
          )}
        </Stack>
      </form>
    </Page>
  )
}

/** Where a database is in the life of its data, and what may be done with it. */
function About({ one, isTarget = false }: { readonly one: Datasource; readonly isTarget?: boolean }) {
  return (
    <Group gap="xs">
      <Environment name={one.effective_environment} />
      {isTarget && !one.writable && <Mark tone="person">Read-only: it can be planned, and not copied into yet</Mark>}
      {isTarget && one.writable && one.protected && (
        <Text size="sm">Protected against writes: its name has to be typed.</Text>
      )}
    </Group>
  )
}

interface HowProps {
  readonly draft: CopyDraft
  readonly set: (change: Partial<CopyDraft>) => void
  readonly problem: ApiProblem | null
}

function How({ draft, set, problem }: HowProps) {
  const isAdmin = useMay('admin')
  const flip = (name: 'replace' | 'backup' | 'trust') => ({
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
        description="Otherwise a copy that would replace anything is refused."
      />
      {draft.replace && (
        <Switch
          {...flip('backup')}
          label="Keep what is replaced as a backup"
          description="Before anything is written it is exported, read back and checked. Importing it brings everything back."
        />
      )}
      <RightsFields draft={draft} set={set} />
      {isAdmin && (
        <Switch
          {...flip('trust')}
          label="Trust the source"
          description="What it brings may do whatever the login of the target may. Only a login that is a superuser needs it, or a source with event triggers, foreign tables or untrusted languages."
        />
      )}
      <ReadersField draft={draft} set={set} problem={problem} />
    </Stack>
  )
}
