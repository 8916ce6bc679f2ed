import { Group, Stack, Title } from '@mantine/core'
import type { Schemas } from '#api/client.ts'
import { DataTable, type DataColumn } from '#ui/data-table.tsx'
import { TextLink } from '#ui/link.tsx'
import { JobStatus, Mark, type Tone } from '#ui/mark.tsx'
import { Time } from '#ui/time.tsx'

type Tick = Schemas['ScheduleTick']

const OUTCOMES: Readonly<Record<Tick['outcome'], readonly [Tone, string]>> = {
  started: ['done', 'Started'],
  skipped: ['resting', 'Left out'],
  refused: ['failed', 'Refused'],
}

const COLUMNS: readonly DataColumn<Tick>[] = [
  { id: 'tick', header: 'Time', value: ({ tick }) => tick, cell: ({ tick }) => <Time at={tick} /> },
  {
    id: 'outcome',
    header: 'What became of it',
    value: ({ outcome }) => outcome,
    cell: (tick) => <Outcome tick={tick} />,
  },
  {
    id: 'job',
    header: 'Job',
    cell: ({ job_id: id, job_status: status, outcome }) =>
      id === null || status === null ? (
        <span className="quiet">–</span>
      ) : (
        <Group gap="xs" wrap="nowrap">
          <TextLink to="/jobs/$id" params={{ id }} size="sm">
            {outcome === 'started' ? 'Its job' : 'The job in its way'}
          </TextLink>
          <JobStatus status={status} />
        </Group>
      ),
  },
  { id: 'about', header: 'About it', cell: (tick) => aboutTick(tick) },
]

function Outcome({ tick: { outcome, late } }: { readonly tick: Tick }) {
  const [tone, word] = OUTCOMES[outcome]
  return <Mark tone={late && outcome === 'started' ? 'person' : tone}>{late ? `${word}, late` : word}</Mark>
}

function aboutTick({ missed, outcome, reason }: Tick): string {
  const before =
    missed === 0 ? [] : [`stands for ${missed >= MOST_MISSED ? `${missed} or more` : missed} missed before`]
  return [
    ...(outcome === 'skipped' ? ['a job was still open'] : []),
    ...(reason === null ? [] : [reason]),
    ...before,
  ].join('; ')
}

/** Beyond it nobody counted. */
const MOST_MISSED = 100

/** What became of the last times of a schedule, by the name of what it is of. */
export function LastTicks({ of, ticks }: { readonly of: string; readonly ticks: readonly Tick[] }) {
  if (ticks.length === 0) return null
  return (
    <Stack gap="xs">
      <Title order={2}>Last times</Title>
      <DataTable
        name="schedule-ticks"
        label={`Last times of ${of}`}
        columns={COLUMNS}
        rows={ticks}
        keyOf={({ tick }) => tick}
      />
    </Stack>
  )
}
