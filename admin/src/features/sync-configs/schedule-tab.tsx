import { Group, Stack, Table as Grid, Text, Title } from '@mantine/core'
import { useDebouncedValue } from '@mantine/hooks'
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { ApiProblem, api, body, type Schemas } from '#api/client.ts'
import { isSame } from '#features/sync-configs/document.ts'
import { useDraft } from '#features/sync-configs/draft.tsx'
import { scheduleQuery } from '#features/sync-configs/queries.ts'
import { inZone, kindOf, VIEWER_ZONE } from '#features/sync-configs/schedule.ts'
import { ScheduleFields } from '#features/sync-configs/schedule-fields.tsx'
import { LastTicks, ScheduleActions, ScheduleNotices } from '#features/sync-configs/schedule-state.tsx'
import { Mark } from '#ui/mark.tsx'
import { Answer, Lines } from '#ui/page.tsx'
import { Problem } from '#ui/problem.tsx'
import { Time } from '#ui/time.tsx'

const TYPING_MS = 200

/** When the config runs by itself: the document's part, what that comes to, and what became of the last times. */
export function ScheduleTab() {
  const { base, document } = useDraft()
  const saved = { sync_interval: base.sync_interval, schedule: base.schedule }
  const fields = { sync_interval: document.sync_interval, schedule: document.schedule }
  const isSaved = isSame(saved, fields)
  const [asked] = useDebouncedValue(JSON.stringify(fields), TYPING_MS)
  const preview = useQuery({
    queryKey: ['schedules', 'preview', asked],
    queryFn: () =>
      body(api.POST('/api/v1/schedules/preview', { body: JSON.parse(asked) as Schemas['SchedulePreviewRequest'] })),
    enabled: kindOf(document) !== 'none' && !isSaved,
    placeholderData: keepPreviousData,
    retry: false,
    meta: { shown: true },
  })
  const state = useQuery(scheduleQuery(base.id))
  const problem = preview.error instanceof ApiProblem && !isSaved ? preview.error : null
  return (
    <Stack gap="lg">
      {isSaved && state.data !== undefined && state.data.words !== null && <ScheduleNotices state={state.data} />}
      <ScheduleFields problem={problem} />
      {kindOf(document) === 'none' ? (
        <Text size="sm" className="quiet">
          Nothing runs by itself: somebody runs it here, on the command line, or by the API.
        </Text>
      ) : isSaved ? (
        <Answer query={state} skeleton={<Lines count={6} />}>
          {(known) => <Runs schedule={known} />}
        </Answer>
      ) : problem === null ? (
        preview.data === undefined ? (
          <Lines count={6} />
        ) : (
          <Runs schedule={preview.data} />
        )
      ) : problem.places.length === 0 ? (
        <Problem error={problem} />
      ) : (
        <Text size="sm" className="quiet">
          Its next runs are told once this can be read.
        </Text>
      )}
      {kindOf(document) !== 'none' && (
        <Text size="sm" className="quiet" maw={720}>
          A run whose time comes while a job of the config is still open is left out, and that is told. What was missed
          while no service was there runs once.
        </Text>
      )}
      {isSaved && state.data !== undefined && state.data.words !== null && <ScheduleActions state={state.data} />}
      {isSaved && state.data !== undefined && <LastTicks ticks={state.data.ticks} />}
    </Stack>
  )
}

/** A schedule in words, and its next runs by the clocks of its zone and of whoever looks. */
function Runs({ schedule }: { readonly schedule: Schemas['SchedulePreview'] }) {
  const zone = schedule.time_zone
  const isOther = zone !== null && zone !== VIEWER_ZONE
  return (
    <Stack gap="xs" aria-live="polite">
      <Title order={2}>{schedule.words}</Title>
      {schedule.note !== null && (
        <Group gap={6}>
          <Mark tone="resting">{schedule.note}</Mark>
        </Group>
      )}
      {schedule.next_runs.length > 0 && (
        <Grid aria-label="Next runs" fz="sm" verticalSpacing={6} maw={720} className="numbers">
          <Grid.Thead>
            <Grid.Tr>
              {isOther && <Grid.Th>In {zone}</Grid.Th>}
              <Grid.Th>Here ({VIEWER_ZONE})</Grid.Th>
              <Grid.Th>From now</Grid.Th>
            </Grid.Tr>
          </Grid.Thead>
          <Grid.Tbody>
            {schedule.next_runs.map(({ at }) => (
              <Grid.Tr key={at}>
                {isOther && <Grid.Td>{inZone(at, zone)}</Grid.Td>}
                <Grid.Td>{inZone(at, VIEWER_ZONE)}</Grid.Td>
                <Grid.Td>
                  <Time at={at} />
                </Grid.Td>
              </Grid.Tr>
            ))}
          </Grid.Tbody>
        </Grid>
      )}
    </Stack>
  )
}
