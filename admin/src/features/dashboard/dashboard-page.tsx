import { Code, Group, Progress, Stack, Text, Title } from '@mantine/core'
import { useQueries, useQuery } from '@tanstack/react-query'
import { useMemo } from 'react'
import { api, body, type Schemas } from '#api/client.ts'
import { useMay } from '#app/session.ts'
import { DaysChart } from '#features/dashboard/days-chart.tsx'
import { needsOf, sentenceOf, type Need } from '#features/dashboard/needs.ts'
import { datasourcesQuery, useDatasource } from '#features/datasources/queries.ts'
import { isActive, type Job } from '#features/jobs/queries.ts'
import { configsQuery, useConfig, type SyncConfig } from '#features/sync-configs/queries.ts'
import { formatCount, plural } from '#lib/format.ts'
import { DataTable, type DataColumn } from '#ui/data-table.tsx'
import { Environment, JobStatus, Mark } from '#ui/mark.tsx'
import { Answer, Empty, Page } from '#ui/page.tsx'
import { Duration, Time } from '#ui/time.tsx'
import { ButtonLink, TextLink } from '#ui/link.tsx'
import classes from './dashboard-page.module.css'

type ConfigState = Schemas['Overview']['configs'][number]

/** While something runs the page is asked for this often; else now and then. */
const BUSY_MS = 2_000
const QUIET_MS = 15_000

const RECENT = 12

/** What runs, what needs a person, how fresh each target is, and what the last days brought. */
export function DashboardPage() {
  const recent = useQuery({
    queryKey: ['jobs', 'recent'],
    queryFn: async () => (await body(api.GET('/api/v1/jobs', { params: { query: { limit: String(RECENT) } } }))).items,
    refetchInterval: ({ state }) => (state.data?.some(isActive) ? BUSY_MS : QUIET_MS),
  })
  const waiting = useQuery({
    queryKey: ['jobs', 'waiting'],
    queryFn: async () => {
      const status = 'queued,running,stopping,awaiting_resolution,awaiting_approval'
      return (await body(api.GET('/api/v1/jobs', { params: { query: { status, limit: '50' } } }))).items
    },
    refetchInterval: ({ state }) => (state.data?.some(isActive) ? BUSY_MS : QUIET_MS),
  })
  const overview = useQuery({
    queryKey: ['overview'],
    queryFn: () => body(api.GET('/api/v1/overview')),
    refetchInterval: QUIET_MS,
  })
  const configs = useQuery(configsQuery)
  const datasources = useQuery(datasourcesQuery)
  const mayAdd = useMay('operator')
  const needs = useMemo(
    () => needsOf(waiting.data ?? [], overview.data?.configs ?? [], configs.data ?? []),
    [waiting.data, overview.data, configs.data],
  )
  const running = (waiting.data ?? []).filter(({ status }) => !status.startsWith('awaiting_'))
  if (configs.data?.length === 0 && recent.data?.length === 0) {
    return (
      <Page title="Dashboard">
        <FirstSteps hasDatasources={(datasources.data?.length ?? 0) > 1} />
      </Page>
    )
  }
  return (
    <Page
      title="Dashboard"
      state={waiting.data === undefined ? undefined : sentenceOf(running.length, needs)}
      action={mayAdd && <ButtonLink to="/sync-configs/new">Add a sync config</ButtonLink>}
    >
      {needs.length > 0 && <Needs needs={needs} />}
      {running.length > 0 && <Running jobs={running} />}
      <div className={classes['halves']}>
        <Section title="Sync configs">
          <Answer query={overview}>{(data) => <Freshness states={data.configs} configs={configs.data ?? []} />}</Answer>
        </Section>
        <Section title="Last 14 days">
          <Answer query={overview}>{(data) => <DaysChart days={data.days} />}</Answer>
        </Section>
      </div>
      <Section title="Recent jobs">
        <Answer query={recent}>{(jobs) => <RecentJobs jobs={jobs} />}</Answer>
      </Section>
    </Page>
  )
}

function Section({ title, children }: { readonly title: string; readonly children: React.ReactNode }) {
  return (
    <Stack gap={4} component="section" aria-label={title}>
      <Title order={2}>{title}</Title>
      {children}
    </Stack>
  )
}

function FirstSteps({ hasDatasources }: { readonly hasDatasources: boolean }) {
  return (
    <Empty
      title={hasDatasources ? 'Say what flows where' : 'Connect two databases first'}
      action={
        hasDatasources ? (
          <ButtonLink to="/sync-configs/new">Add a sync config</ButtonLink>
        ) : (
          <ButtonLink to="/datasources/new">Add a datasource</ButtonLink>
        )
      }
    >
      {hasDatasources
        ? 'A sync config names a source, a target and their tables. Its first run is offered as a dry run, which shows every change and writes nothing.'
        : 'A source, which is only read, and a target that may be written. Nothing is written before you have seen what would be.'}
      <Text size="sm" mt="xs">
        To look around with sample data: <Code>syncline demo</Code>, or <Code>npm run demo</Code> in a checkout, starts
        two databases of its own and a service on both.
      </Text>
    </Empty>
  )
}

function Needs({ needs }: { readonly needs: readonly Need[] }) {
  return (
    <Section title="Needs a person">
      <Stack gap={0} className="lines" component="ul" m={0} p={0}>
        {needs.map((need) => (
          <Group key={need.key} component="li" gap="sm" py={6} wrap="nowrap">
            <Mark tone={need.tone}>{need.word}</Mark>
            <NeedLink need={need} />
            <Text size="sm" className="quiet">
              {need.about}
            </Text>
          </Group>
        ))}
      </Stack>
    </Section>
  )
}

function NeedLink({ need }: { readonly need: Need }) {
  if (need.to === 'conflicts') {
    return (
      <TextLink to="/conflicts" search={{ config: need.id }} size="sm">
        {need.name}
      </TextLink>
    )
  }
  return (
    <TextLink to="/jobs/$id" params={{ id: need.id }} size="sm">
      {need.name}
    </TextLink>
  )
}

/** Each is asked for by itself: the list of jobs is looked at less often than their progress moves. */
function Running({ jobs }: { readonly jobs: readonly Job[] }) {
  const live = useQueries({
    queries: jobs.map(({ id }) => ({
      queryKey: ['jobs', 'one', id],
      queryFn: () => body(api.GET('/api/v1/jobs/{id}', { params: { path: { id } } })),
      refetchInterval: 1_000,
    })),
  })
  return (
    <Section title="Running now">
      <Stack gap="xs" aria-live="polite">
        {jobs.map((job, i) => (
          <RunningJob key={job.id} job={live[i]?.data ?? job} />
        ))}
      </Stack>
    </Section>
  )
}

function RunningJob({ job }: { readonly job: Job }) {
  const { progress } = job
  return (
    <Group gap="md" wrap="nowrap">
      <TextLink to="/jobs/$id" params={{ id: job.id }} size="sm" w={220} truncate>
        <JobName job={job} />
      </TextLink>
      <JobStatus status={job.status} />
      <Progress
        value={progress?.percent ?? 0}
        flex={1}
        aria-label={`Progress of ${job.id}`}
        striped={progress?.percent === null}
        animated={progress?.percent === null}
      />
      <Text size="sm" className="numbers" w={180} ta="right">
        {progress === null ? 'starting' : `${formatCount(progress.rows)} rows, ${progress.phase}`}
      </Text>
    </Group>
  )
}

function JobName({ job }: { readonly job: Job }) {
  const config = useConfig(job.config_id)
  const source = useDatasource(job.source_datasource_id)
  const target = useDatasource(job.target_datasource_id)
  return <>{config?.name ?? `${source?.name ?? 'a connection'} → ${target?.name ?? 'a connection'}`}</>
}

interface FreshnessRow {
  readonly state: ConfigState
  readonly config: SyncConfig
}

const FRESHNESS: readonly DataColumn<FreshnessRow>[] = [
  {
    id: 'name',
    header: 'Sync config',
    value: ({ config }) => config.name,
    cell: ({ config }) => (
      <TextLink to="/sync-configs/$id" params={{ id: config.id }} size="sm">
        {config.name}
      </TextLink>
    ),
  },
  { id: 'ends', header: 'From, to', cell: ({ config }) => <Ends config={config} /> },
  {
    id: 'last',
    header: 'Last job',
    value: ({ state }) => state.last_job?.status ?? '',
    cell: ({ state }) =>
      state.last_job === null ? <span className="quiet">never run</span> : <JobStatus status={state.last_job.status} />,
  },
  {
    id: 'fresh',
    header: 'In step',
    value: ({ state }) => state.last_succeeded_at,
    cell: ({ state }) => <Time at={state.last_succeeded_at} />,
  },
  {
    id: 'open',
    header: 'Open',
    align: 'right',
    value: ({ state }) => state.open_conflicts + state.open_rejections,
    cell: ({ state }) => <Open state={state} />,
  },
]

function Open({ state: { open_conflicts: conflicts, open_rejections: rejections } }: { readonly state: ConfigState }) {
  const words = [
    ...(conflicts > 0 ? [plural(conflicts, 'conflict')] : []),
    ...(rejections > 0 ? [plural(rejections, 'rejected row')] : []),
  ]
  return words.length === 0 ? <span className="quiet">none</span> : <>{words.join(', ')}</>
}

function Ends({ config }: { readonly config: SyncConfig }) {
  const source = useDatasource(config.source_datasource_id)
  const target = useDatasource(config.target_datasource_id)
  return (
    <Group gap={6} wrap="nowrap">
      <span>{source?.name}</span>
      <span aria-label="to">→</span>
      <span>{target?.name}</span>
      {target !== undefined && <Environment name={target.effective_environment} />}
    </Group>
  )
}

function Freshness({
  states,
  configs,
}: {
  readonly states: readonly ConfigState[]
  readonly configs: readonly SyncConfig[]
}) {
  const rows = useMemo(() => {
    const of = new Map(configs.map((config) => [config.id, config]))
    return states.flatMap((state) => {
      const config = of.get(state.config_id)
      return config === undefined ? [] : [{ state, config }]
    })
  }, [states, configs])
  return (
    <DataTable
      name="dashboard.configs"
      label="Sync configs"
      columns={FRESHNESS}
      rows={rows}
      keyOf={({ config }) => config.id}
    />
  )
}

const RECENT_COLUMNS: readonly DataColumn<Job>[] = [
  {
    id: 'status',
    header: 'Status',
    value: ({ status }) => status,
    cell: ({ status }) => <JobStatus status={status} />,
  },
  {
    id: 'job',
    header: 'Job',
    cell: (job) => (
      <TextLink to="/jobs/$id" params={{ id: job.id }} size="sm">
        <JobName job={job} />
      </TextLink>
    ),
  },
  {
    id: 'kind',
    header: 'Kind',
    value: ({ kind, dry_run: dry }) => (dry ? 'dry run' : kind),
    cell: ({ kind, dry_run: dry }) => (dry ? 'dry run' : kind),
  },
  {
    id: 'when',
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
    value: (job) => writtenBy(job),
    cell: (job) => {
      const rows = writtenBy(job)
      return rows === null ? <span className="quiet">–</span> : formatCount(rows)
    },
  },
]

function writtenBy({ counts, dry_run: dry }: Job): number | null {
  return counts === null || dry ? null : counts.inserted + counts.updated + counts.deleted
}

function RecentJobs({ jobs }: { readonly jobs: readonly Job[] }) {
  return (
    <Stack gap="xs">
      <DataTable
        name="dashboard.jobs"
        label="Recent jobs"
        columns={RECENT_COLUMNS}
        rows={jobs}
        keyOf={({ id }) => id}
      />
      <TextLink to="/jobs" size="sm">
        All jobs
      </TextLink>
    </Stack>
  )
}
