import { Button, Group, SimpleGrid, Stack, Text, Title } from '@mantine/core'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { useMemo, useState } from 'react'
import { stringify } from 'yaml'
import { api } from '#api/client.ts'
import { isActive, type Job } from '#features/jobs/queries.ts'
import { useDraft } from '#features/sync-configs/draft.tsx'
import { ChoiceField, Fact, TextField } from '#features/sync-configs/fields.tsx'
import { kindInWords, LiveRun } from '#features/sync-configs/live-run.tsx'
import { configsQuery, jobsOfQuery } from '#features/sync-configs/queries.ts'
import { isInStep } from '#features/sync-configs/last-runs.ts'
import { RemoveDialog } from '#features/sync-configs/remove-dialog.tsx'
import { tablesInWords } from '#features/sync-configs/tables.ts'
import { CONFLICTS, DELETES, DETECTION, DIRECTIONS, wordOf } from '#features/sync-configs/words.ts'
import { formatCount } from '#lib/format.ts'
import { CopyAs, curlOf, quote } from '#ui/copy.tsx'
import { DataTable, type DataColumn } from '#ui/data-table.tsx'
import { TextLink } from '#ui/link.tsx'
import { JobStatus } from '#ui/mark.tsx'
import { Answer } from '#ui/page.tsx'
import { say } from '#ui/say.ts'
import { Duration, Time } from '#ui/time.tsx'

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
  const columns = useMemo(() => jobColumns(), [])
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
        columns={columns}
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

function jobColumns(): readonly DataColumn<Job>[] {
  return [
    {
      id: 'status',
      header: 'Status',
      value: ({ status }) => status,
      cell: ({ status }) => <JobStatus status={status} />,
    },
    {
      id: 'kind',
      header: 'What',
      value: kindInWords,
      cell: (job) => (
        <TextLink to="/jobs/$id" params={{ id: job.id }} size="sm">
          {kindInWords(job)}
        </TextLink>
      ),
    },
    {
      id: 'version',
      header: 'Version',
      align: 'right',
      value: ({ config_version: version }) => version,
      cell: ({ config_version: version }) => version,
    },
    {
      id: 'at',
      header: 'Asked for',
      value: ({ created_at: at }) => at,
      cell: ({ created_at: at }) => <Time at={at} />,
    },
    {
      id: 'took',
      header: 'Took',
      align: 'right',
      cell: ({ started_at: from, finished_at: to }) => <Duration from={from} to={to} />,
    },
    {
      id: 'written',
      header: 'Rows written',
      align: 'right',
      value: ({ counts }) => writtenOf(counts),
      cell: ({ counts }) => <Written counts={counts} />,
    },
    { id: 'error', header: 'What went wrong', cell: ({ error }) => error?.message ?? '' },
  ]
}

function writtenOf(counts: Job['counts']): number | null {
  return counts === null ? null : counts.inserted + counts.updated + counts.deleted
}

function Written({ counts }: Pick<Job, 'counts'>) {
  const written = writtenOf(counts)
  return written === null ? <span className="quiet">–</span> : <>{formatCount(written)}</>
}

function Removal() {
  const { base, document, changes } = useDraft()
  const [asked, setAsked] = useState(false)
  const navigate = useNavigate()
  const client = useQueryClient()
  const copy = useMutation({
    mutationFn: async () => {
      const { data } = await api.POST('/api/v1/sync-configs', {
        body: { ...document, name: `${document.name} copy`.slice(0, 100) },
      })
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
        curl={curlOf('GET', `/api/v1/sync-configs/${base.id}`)}
        cli={`syncline configs show ${quote(base.name)}`}
        yaml={stringify({ sync_configs: [document] })}
      />
      {asked && <RemoveDialog onClose={() => setAsked(false)} />}
    </Group>
  )
}
