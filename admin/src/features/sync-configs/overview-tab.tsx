import { Button, Group, SimpleGrid, Stack, Text, Title } from '@mantine/core'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { useState } from 'react'
import { api } from '#api/client.ts'
import { DemoNote } from '#features/demo/demo-note.tsx'
import { jobColumns } from '#features/jobs/job-columns.tsx'
import { isActive, type Job } from '#features/jobs/queries.ts'
import { useDraft } from '#features/sync-configs/draft.tsx'
import { ChoiceField, Fact, TextField } from '#features/sync-configs/fields.tsx'
import { LiveRun } from '#features/sync-configs/live-run.tsx'
import { configsQuery, jobsOfQuery } from '#features/sync-configs/queries.ts'
import { isInStep } from '#features/sync-configs/last-runs.ts'
import { RemoveDialog } from '#features/sync-configs/remove-dialog.tsx'
import { tablesInWords } from '#features/sync-configs/tables.ts'
import { CONFLICTS, DELETES, DETECTION, DIRECTIONS, wordOf } from '#features/sync-configs/words.ts'
import { fileMeans } from '#lib/config-file.ts'
import { cliOf, CopyAs, curlOf } from '#ui/copy.tsx'
import { DataTable } from '#ui/data-table.tsx'
import { TextLink } from '#ui/link.tsx'
import { Answer } from '#ui/page.tsx'
import { say } from '#ui/say.ts'
import { Time } from '#ui/time.tsx'

const JOBS = 10

/** A list need not be told of each second of a run. */
const WHILE_RUNNING_MS = 2_000

/** How the config stands: what it does in a few words, its last job as it goes, and those before. */
export function OverviewTab() {
  const { base, document, mayEdit } = useDraft()
  const jobs = useQuery({
    ...jobsOfQuery(base.id, JOBS),
    refetchInterval: ({ state }) => (state.data?.some(isActive) ? WHILE_RUNNING_MS : false),
  })
  const [last] = jobs.data ?? []
  return (
    <Stack gap="lg">
      <DemoNote of={[base.source_datasource_id, base.target_datasource_id]} />
      {last !== undefined && <LiveRun id={last.id} key={last.id} />}
      <SimpleGrid cols={{ base: 2, sm: 3, md: 5 }} spacing="md">
        <Fact label="In step as of" value={<Time at={freshAtOf(jobs.data ?? [])} />} />
        <Fact label="Tables" value={tablesInWords(document)} />
        <Fact label="Changes are found by" value={wordOf(DETECTION, document.detection_strategy)} />
        <Fact label="Rows that both sides changed" value={wordOf(CONFLICTS, document.conflict_strategy)} />
        <Fact label="Rows that the source lost" value={wordOf(DELETES, document.delete_policy)} />
      </SimpleGrid>
      <SimpleGrid cols={{ base: 1, sm: 2 }} spacing="md" maw={920}>
        <TextField name="name" label="Name" about="Commands and paths call it by this." isRequired />
        <ChoiceField name="direction" label="Direction" choices={DIRECTIONS} />
      </SimpleGrid>
      <Stack gap="xs">
        <Title order={2}>Last jobs</Title>
        <Answer query={jobs}>{(all) => <Jobs jobs={all} mayRun={mayEdit} />}</Answer>
      </Stack>
      {mayEdit && <Removal />}
    </Stack>
  )
}

/** Among the jobs that are shown. */
function freshAtOf(jobs: readonly Job[]): string | null {
  return jobs.find(isInStep)?.started_at ?? null
}

function Jobs({ jobs, mayRun }: { readonly jobs: readonly Job[]; readonly mayRun: boolean }) {
  const { base } = useDraft()
  if (jobs.length === 0) {
    return (
      <Text size="sm" className="quiet">
        It never ran. {mayRun && 'A dry run shows every change that the first run would make, and writes nothing.'}
      </Text>
    )
  }
  return (
    <>
      <DataTable
        name="jobs-of-config"
        label={`Last jobs of ${base.name}`}
        columns={COLUMNS}
        rows={jobs}
        keyOf={({ id }) => id}
      />
      {jobs.length === JOBS && (
        <TextLink to="/jobs" search={{ config: base.id }} size="sm">
          All jobs of this config
        </TextLink>
      )}
    </>
  )
}

const COLUMNS = jobColumns('status', 'linkedKind', 'version', 'when', 'took', 'written', 'error')

function Removal() {
  const { base, document, changes } = useDraft()
  const [asked, setAsked] = useState(false)
  const navigate = useNavigate()
  const client = useQueryClient()
  const twin = { ...document, name: `${document.name} copy`.slice(0, 100) }
  const copy = useMutation({
    mutationFn: async () => {
      const { data } = await api.POST('/api/v1/sync-configs', { body: twin })
      return data
    },
    onSuccess: async (made) => {
      await client.invalidateQueries({ queryKey: configsQuery.queryKey, exact: true })
      if (made === undefined) return
      say(`${made.name} is made.`)
      await navigate({ to: '/sync-configs/$id', params: { id: made.id } })
    },
  })
  return (
    <Group gap="xs">
      {changes === 0 && (
        <Button variant="default" loading={copy.isPending} onClick={() => copy.mutate()}>
          Make a copy
        </Button>
      )}
      <Button variant="default" c="var(--tone-failed)" onClick={() => setAsked(true)}>
        Remove {base.name}
      </Button>
      <CopyAs
        of={[
          [
            'Make a copy',
            { curl: curlOf('POST', '/api/v1/sync-configs', twin), ...fileMeans({ sync_configs: [twin] }) },
          ],
          [
            'As it is',
            {
              curl: curlOf('GET', `/api/v1/sync-configs/${base.id}`),
              cli: cliOf('configs', 'show', base.name),
              yaml: fileMeans({ sync_configs: [document] }).yaml,
            },
          ],
        ]}
      />
      {asked && <RemoveDialog onClose={() => setAsked(false)} />}
    </Group>
  )
}
