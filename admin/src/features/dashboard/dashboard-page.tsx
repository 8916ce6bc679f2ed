import { Group, Progress, Stack, Text, Title } from '@mantine/core'
import { useQueries, useQuery } from '@tanstack/react-query'
import { useMemo } from 'react'
import { api, body, type Schemas } from '#api/client.ts'
import { useMay } from '#app/session.ts'
import { DaysChart } from '#features/dashboard/days-chart.tsx'
import { needsOf, sentenceOf, type Need } from '#features/dashboard/needs.ts'
import { datasourcesQuery } from '#features/datasources/queries.ts'
import { DemoNote } from '#features/demo/demo-note.tsx'
import { DemoOffer, DemoOfferText } from '#features/demo/demo-offer.tsx'
import { jobColumns } from '#features/jobs/job-columns.tsx'
import { JobName } from '#features/jobs/job-name.tsx'
import { progressWords } from '#features/jobs/job-words.ts'
import { isActive, type Job } from '#features/jobs/queries.ts'
import { Ends } from '#features/sync-configs/ends.tsx'
import { NextRun } from '#features/sync-configs/next-run.tsx'
import { configsQuery, overviewQuery, type SyncConfig } from '#features/sync-configs/queries.ts'
import { formatAbsolute, plural } from '#lib/format.ts'
import { DataTable, type DataColumn } from '#ui/data-table.tsx'
import { JobStatus, Mark } from '#ui/mark.tsx'
import { Answer, Empty, Page } from '#ui/page.tsx'
import { Time } from '#ui/time.tsx'
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
  const overview = useQuery(overviewQuery)
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
      <Page title="Dashboard" state="Nothing is set up yet: here is what comes first.">
        <DemoNote />
        <FirstSteps datasources={datasources.data?.length ?? 0} />
      </Page>
    )
  }
  return (
    <Page
      title="Dashboard"
      state={waiting.data === undefined ? undefined : sentenceOf(running.length, needs)}
      action={mayAdd && configs.data?.length !== 0 && <ButtonLink to="/sync-configs/new">New sync config</ButtonLink>}
    >
      <DemoNote />
      {needs.length > 0 && <Needs needs={needs} />}
      {running.length > 0 && <Running jobs={running} />}
      <div className={classes['halves']}>
        <Section title="Sync configs">
          {configs.data?.length === 0 ? (
            <FirstSteps datasources={datasources.data?.length ?? 0} />
          ) : (
            <Answer query={overview}>
              {(data) => <Freshness states={data.configs} configs={configs.data ?? []} />}
            </Answer>
          )}
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

const CONNECT = ['Connect two databases first', 'Connect a second database'] as const

function FirstSteps({ datasources }: { readonly datasources: number }) {
  const hasDatasources = datasources > 1
  return (
    <Empty
      title={CONNECT[datasources] ?? 'Say what flows where'}
      action={
        <>
          {hasDatasources ? (
            <ButtonLink to="/sync-configs/new">New sync config</ButtonLink>
          ) : (
            <ButtonLink to="/datasources/new">Add a datasource</ButtonLink>
          )}
          <DemoOffer />
        </>
      }
    >
      {hasDatasources
        ? 'A sync config names a source, a target and their tables. Its first run is offered as a dry run, which shows every change and writes nothing.'
        : 'It takes a source, which is only read, and a target that may be written. Nothing is written before you have seen what would be.'}
      <DemoOfferText />
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
  if (need.to === 'config') {
    return (
      <TextLink to="/sync-configs/$id" params={{ id: need.id }} size="sm">
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
    <div className={classes['running']}>
      <TextLink to="/jobs/$id" params={{ id: job.id }} size="sm" truncate>
        <JobName job={job} />
      </TextLink>
      <JobStatus status={job.status} />
      <Progress
        value={progress?.percent ?? 0}
        aria-label={`Progress of ${job.id}`}
        striped={progress?.percent === null}
        animated={progress?.percent === null}
      />
      <Text size="sm" className="numbers">
        {progress === null ? 'Starting' : progressWords(progress)}
      </Text>
    </div>
  )
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
  { id: 'ends', header: 'From, to', hidden: true, cell: ({ config }) => <Ends {...config} /> },
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
    cell: ({ state }) => <InStep state={state} />,
  },
  {
    id: 'next',
    header: 'Next run',
    value: ({ state }) => state.schedule?.next_run_at ?? null,
    cell: ({ state }) => <NextRun schedule={state.schedule} />,
  },
  {
    id: 'open',
    header: 'Open',
    align: 'right',
    value: ({ state }) => state.open_conflicts + state.open_rejections,
    cell: ({ state }) => <Open state={state} />,
  },
]

/** How fresh the target is, and whether that is as fresh as the schedule wants it. */
function InStep({ state: { last_succeeded_at: at, schedule } }: { readonly state: ConfigState }) {
  if (schedule === null || schedule.overdue_since === null) return <Time at={at} />
  return (
    <Group gap={6} wrap="nowrap">
      <Time at={at} />
      <Mark tone="person" about={`It was to be in step again ${formatAbsolute(Date.parse(schedule.overdue_since))}.`}>
        overdue
      </Mark>
    </Group>
  )
}

function Open({ state: { open_conflicts: conflicts, open_rejections: rejections } }: { readonly state: ConfigState }) {
  const words = [
    ...(conflicts > 0 ? [plural(conflicts, 'conflict')] : []),
    ...(rejections > 0 ? [plural(rejections, 'rejected row')] : []),
  ]
  return words.length === 0 ? <span className="quiet">none</span> : <>{words.join(', ')}</>
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

const RECENT_COLUMNS = jobColumns('status', 'job', 'kind', 'when', 'took', 'written')

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
