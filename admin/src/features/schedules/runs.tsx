import { Group, Stack, Table as Grid, Title } from '@mantine/core'
import type { Schemas } from '#api/client.ts'
import { inZone, VIEWER_ZONE } from '#features/schedules/zones.ts'
import { Mark } from '#ui/mark.tsx'
import { Time } from '#ui/time.tsx'

/** A schedule in words, and its next runs by the clocks of its zone and of whoever looks. */
export function Runs({
  schedule,
}: {
  readonly schedule: Pick<Schemas['SchedulePreview'], 'words' | 'time_zone' | 'note' | 'next_runs'>
}) {
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
