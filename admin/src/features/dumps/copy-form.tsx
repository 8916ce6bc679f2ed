import { Group, Stack, Switch, Text, Title } from '@mantine/core'
import type { ApiProblem } from '#api/client.ts'
import { useMay } from '#app/session.ts'
import { useDatasource, type Datasource } from '#features/datasources/queries.ts'
import { ChooseDatasource } from '#features/dumps/choose-datasource.tsx'
import { copyRequestOf, type CopyDraft } from '#features/dumps/copy-draft.ts'
import { Filters, Masks } from '#features/dumps/copy-rules.tsx'
import { flips } from '#features/dumps/flips.ts'
import { JobForm, useAsking } from '#features/dumps/job-form.tsx'
import { KeepFields } from '#features/dumps/keep-fields.tsx'
import { copyMeans } from '#features/dumps/means.ts'
import { startCopy } from '#features/dumps/queries.ts'
import { isChosen, NO_NAMES } from '#features/dumps/reading-draft.ts'
import { ContentField, PartFields, ReadersField, RightsFields } from '#features/dumps/reading-fields.tsx'
import { Environment, Mark } from '#ui/mark.tsx'
import classes from './dumps.module.css'

interface CopyFormProps {
  readonly first: CopyDraft
  readonly onPlanned: (job: string) => void
}

/** What is copied, and into what; nothing is written by it, because a plan comes first. */
export function CopyForm({ first, onPlanned }: CopyFormProps) {
  const { draft, set, problem, ...asking } = useAsking(first, startCopy, onPlanned)
  const [source, target] = [useDatasource(draft.source), useDatasource(draft.target)]
  const isSame = draft.source !== null && draft.source === draft.target
  const mayGo = source !== undefined && target !== undefined && isChosen(draft) && !isSame
  return (
    <JobForm
      title="Copy a database"
      state="Into another one, with no file between. The plan comes first: it shows what would be made and replaced, and writes nothing."
      verb="Show the plan"
      asking={asking}
      request={mayGo ? { ...copyRequestOf(draft, { source: source.name, target: target.name }), dry_run: true } : null}
      means={copyMeans}
    >
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
          {draft.source !== null && <PartFields datasource={draft.source} draft={draft} set={set} problem={problem} />}
        </Stack>
        <How draft={draft} set={set} problem={problem} source={source} />
      </div>
      {draft.source !== null && draft.content !== 'schema' && (
        <div className={classes['split']}>
          <Filters source={draft.source} draft={draft} set={set} problem={problem} />
          <Masks source={draft.source} draft={draft} set={set} problem={problem} />
        </div>
      )}
    </JobForm>
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

function How({ draft, set, problem, source }: HowProps & { readonly source: Datasource | undefined }) {
  const isAdmin = useMay('admin')
  return (
    <Stack gap="md">
      <Title order={2}>How</Title>
      <KeepFields what="a copy" draft={draft} set={set} />
      <RightsFields draft={draft} set={set} source={source} />
      {isAdmin && (
        <Switch
          {...flips(draft, set)('trust')}
          label="Trust the source"
          description="What it brings may do whatever the login of the target may. Only a login that is a superuser needs it, or a source with event triggers, foreign tables or untrusted languages."
        />
      )}
      <ReadersField draft={draft} set={set} problem={problem} />
    </Stack>
  )
}
