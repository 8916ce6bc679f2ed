import { Button, Group, Select, TextInput } from '@mantine/core'
import { IconPlus, IconSearch } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { useNavigate, useSearch } from '@tanstack/react-router'
import { useMemo } from 'react'
import type { Schemas } from '#api/client.ts'
import { useMay } from '#app/session.ts'
import { DemoOffer, DemoOfferText } from '#features/demo/demo-offer.tsx'
import { isActive } from '#features/jobs/queries.ts'
import { datasourcesQuery } from '#features/datasources/queries.ts'
import { Ends } from '#features/sync-configs/ends.tsx'
import { useLastRuns, type LastRun } from '#features/sync-configs/last-runs.ts'
import { NextRun } from '#features/sync-configs/next-run.tsx'
import { configsQuery, overviewQuery, type SyncConfig } from '#features/sync-configs/queries.ts'
import { tablesInWords } from '#features/sync-configs/tables.ts'
import { DETECTION, DIRECTIONS, wordOf } from '#features/sync-configs/words.ts'
import { plural } from '#lib/format.ts'
import { DataTable, type DataColumn } from '#ui/data-table.tsx'
import { ButtonLink, TextLink } from '#ui/link.tsx'
import { JobStatus, Mark } from '#ui/mark.tsx'
import { Answer, Empty, Page } from '#ui/page.tsx'
import { Time } from '#ui/time.tsx'

export function ListPage() {
  const configs = useQuery(configsQuery)
  const runs = useLastRuns()
  const mayEdit = useMay('operator')
  return (
    <Page
      title="Sync configs"
      state={configs.data !== undefined && runs !== undefined ? <State configs={configs.data} runs={runs} /> : '\u00a0'}
      action={mayEdit && configs.data?.length !== 0 && <NewButton />}
      filters={(configs.data?.length ?? 0) > 0 && <Filters />}
    >
      <Answer query={configs}>
        {(all) =>
          all.length === 0 ? (
            <Empty
              title="Nothing is kept in step yet"
              action={
                <>
                  {mayEdit && <NewButton />}
                  <DemoOffer />
                </>
              }
            >
              A sync config says which tables flow from one database to another, how columns map, and what becomes of
              deletes and conflicts. Its first run is a dry run: it shows every change and writes nothing.
              <DemoOfferText />
            </Empty>
          ) : (
            <List configs={all} runs={runs} mayRun={mayEdit} />
          )
        }
      </Answer>
    </Page>
  )
}

function NewButton() {
  return (
    <ButtonLink to="/sync-configs/new" leftSection={<IconPlus size={14} aria-hidden />}>
      New sync config
    </ButtonLink>
  )
}

interface StateProps {
  readonly configs: readonly SyncConfig[]
  readonly runs: ReadonlyMap<string, LastRun>
}

function State({ configs, runs }: StateProps) {
  if (configs.length === 0) return <>There is none yet.</>
  const last = configs.flatMap(({ id }) => runs.get(id) ?? [])
  const running = last.filter(({ job }) => isActive(job)).length
  const failed = last.filter(({ job }) => job.status === 'failed').length
  const parts = [
    plural(configs.length, 'sync config'),
    ...(running > 0 ? [`${running} under way`] : []),
    ...(failed > 0 ? [`the last run of ${failed} failed`] : []),
  ]
  return <>{parts.join(', ')}.</>
}

function Filters() {
  const { search, datasource } = useSearch({ from: '/shell/sync-configs' })
  const navigate = useNavigate({ from: '/sync-configs' })
  const { data: datasources = [] } = useQuery(datasourcesQuery)
  const set = (name: 'search' | 'datasource', value: string | null): void =>
    void navigate({
      search: (now) => ({ ...now, [name]: value === null || value === '' ? undefined : value }),
      replace: true,
    })
  return (
    <Group gap="xs">
      <TextInput
        aria-label="Search by name"
        placeholder="Search by name"
        leftSection={<IconSearch size={14} aria-hidden />}
        value={search ?? ''}
        onChange={(event) => set('search', event.currentTarget.value)}
        w={240}
      />
      <Select
        aria-label="Datasource"
        placeholder="Any datasource"
        clearable
        clearButtonProps={{ 'aria-label': 'Any datasource' }}
        searchable
        data={datasources.map(({ id, name }) => ({ value: id, label: name }))}
        value={datasource ?? null}
        onChange={(value) => set('datasource', value)}
        w={220}
      />
    </Group>
  )
}

interface ListProps {
  readonly configs: readonly SyncConfig[]
  readonly runs: ReadonlyMap<string, LastRun> | undefined
  readonly mayRun: boolean
}

function List({ configs, runs, mayRun }: ListProps) {
  const { search = '', datasource } = useSearch({ from: '/shell/sync-configs' })
  const navigate = useNavigate()
  const { data: overview } = useQuery(overviewQuery)
  const columns = useMemo(() => {
    const schedules = overview && new Map(overview.configs.map(({ config_id: id, schedule }) => [id, schedule]))
    return columnsOf({ runs, schedules, mayRun })
  }, [runs, overview, mayRun])
  const rows = configs.filter(
    ({ name, source_datasource_id: from, target_datasource_id: to }) =>
      name.toLowerCase().includes(search.toLowerCase()) &&
      (datasource === undefined || [from, to].includes(datasource)),
  )
  if (rows.length === 0) {
    return (
      <Empty
        title="No sync config is like that"
        action={
          <Button variant="default" onClick={() => void navigate({ to: '/sync-configs', search: {} })}>
            Show all {configs.length}
          </Button>
        }
      >
        None has the name or the datasource that the filters ask for.
      </Empty>
    )
  }
  return (
    <DataTable
      name="sync-configs"
      label="Sync configs"
      columns={columns}
      rows={rows}
      keyOf={({ id }) => id}
      onOpen={({ id }) => void navigate({ to: '/sync-configs/$id', params: { id } })}
    />
  )
}

interface Known {
  readonly runs: ReadonlyMap<string, LastRun> | undefined
  /** By the id of the config; null: it does not run by itself. Undefined until it is known. */
  readonly schedules: ReadonlyMap<string, Schemas['ScheduleSummary'] | null> | undefined
  readonly mayRun: boolean
}

function columnsOf({ runs, schedules, mayRun }: Known): readonly DataColumn<SyncConfig>[] {
  return [
    {
      id: 'name',
      header: 'Name',
      value: ({ name }) => name,
      cell: ({ id, name }) => (
        <TextLink size="sm" fw={500} c="inherit" to="/sync-configs/$id" params={{ id }}>
          {name}
        </TextLink>
      ),
    },
    { id: 'ends', header: 'Source → target', cell: (config) => <Ends {...config} /> },
    { id: 'tables', header: 'Tables', value: tablesInWords, cell: tablesInWords },
    {
      id: 'strategy',
      header: 'Strategy',
      hidden: true,
      value: ({ detection_strategy: how }) => wordOf(DETECTION, how),
      cell: ({ detection_strategy: how }) => wordOf(DETECTION, how),
    },
    {
      id: 'direction',
      header: 'Direction',
      hidden: true,
      value: ({ direction }) => wordOf(DIRECTIONS, direction),
      cell: ({ direction }) => wordOf(DIRECTIONS, direction),
    },
    {
      id: 'last',
      header: 'Last job',
      value: ({ id }) => runs?.get(id)?.job.status ?? '',
      cell: ({ id }) => <LastJob run={runs?.get(id)} known={runs !== undefined} />,
    },
    {
      id: 'fresh',
      header: 'In step as of',
      value: ({ id }) => runs?.get(id)?.freshAt ?? '',
      cell: ({ id }) => <Time at={runs?.get(id)?.freshAt ?? null} />,
    },
    {
      id: 'schedule',
      header: 'Schedule',
      value: ({ id }) => wordsOf(schedules?.get(id)),
      cell: ({ id }) => <Schedule of={schedules?.get(id)} />,
    },
    {
      id: 'next',
      header: 'Next run',
      hidden: true,
      value: ({ id }) => schedules?.get(id)?.next_run_at ?? '',
      cell: ({ id }) =>
        schedules === undefined ? <span className="quiet">…</span> : <NextRun schedule={schedules.get(id) ?? null} />,
    },
    ...(mayRun ? [{ id: 'act', header: 'Run', cell: ({ id }: SyncConfig) => <RunLinks id={id} /> }] : []),
  ]
}

function wordsOf(schedule: Schemas['ScheduleSummary'] | null | undefined): string {
  return schedule === null ? 'By hand' : (schedule?.words ?? '')
}

function Schedule({ of }: { readonly of: Schemas['ScheduleSummary'] | null | undefined }) {
  if (of === undefined) return <span className="quiet">…</span>
  if (of === null) return <span className="quiet">by hand</span>
  if (of.paused)
    return (
      <Mark tone="resting" about={of.words}>
        paused
      </Mark>
    )
  return (
    <span className="cut" style={{ maxWidth: 200 }} title={of.words}>
      {of.words}
    </span>
  )
}

function LastJob({ run, known }: { readonly run: LastRun | undefined; readonly known: boolean }) {
  if (run === undefined) return <span className="quiet">{known ? 'never ran' : '…'}</span>
  return <JobStatus status={run.job.status} />
}

function RunLinks({ id }: { readonly id: string }) {
  return (
    <Group gap={4} wrap="nowrap">
      <ButtonLink to="/sync-configs/$id" params={{ id }} search={{ run: 'dry' }} variant="default" size="compact-xs">
        Dry run
      </ButtonLink>
      <ButtonLink to="/sync-configs/$id" params={{ id }} search={{ run: 'sync' }} variant="default" size="compact-xs">
        Run sync
      </ButtonLink>
    </Group>
  )
}
