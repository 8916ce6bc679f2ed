import { Group, Stack, Text } from '@mantine/core'
import type { Schemas } from '#api/client.ts'
import { formatCount, plural } from '#lib/format.ts'
import classes from './days-chart.module.css'

type Day = Schemas['Overview']['days'][number]

/** Rows written day by day, as bars; how many syncs succeeded beside it. The same as a table for those who hear it. */
export function DaysChart({ days }: { readonly days: readonly Day[] }) {
  const most = Math.max(1, ...days.map(rowsOf))
  const succeeded = days.reduce((sum, day) => sum + day.succeeded, 0)
  const failed = days.reduce((sum, day) => sum + day.failed, 0)
  const rows = days.reduce((sum, day) => sum + rowsOf(day), 0)
  return (
    <Stack gap="xs">
      <Group gap="xl">
        <Figure label="rows written" value={formatCount(rows)} />
        <Figure label="syncs" value={formatCount(succeeded + failed)} />
        <Figure
          label="succeeded"
          value={succeeded + failed === 0 ? '–' : `${Math.floor((succeeded / (succeeded + failed)) * 100)} %`}
        />
      </Group>
      <div className={classes['bars']} aria-hidden>
        {days.map((day) => (
          <div key={day.day} className={classes['day']} title={titleOf(day)}>
            <div
              className={classes['bar']}
              style={{ height: `${barOf(day, most)}%` }}
              data-failed={day.failed > 0 || undefined}
            />
          </div>
        ))}
      </div>
      <Group justify="space-between" aria-hidden>
        <Text size="xs" className="quiet numbers">
          {days[0]?.day}
        </Text>
        <Text size="xs" className="quiet">
          today
        </Text>
      </Group>
      <div className="sr-only">
        <table>
          <caption>Rows written day by day</caption>
          <tbody>
            {days.map((day) => (
              <tr key={day.day}>
                <th scope="row">{day.day}</th>
                <td>{titleOf(day)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Stack>
  )
}

function Figure({ label, value }: { readonly label: string; readonly value: string }) {
  return (
    <div>
      <Text size="lg" fw={600} className="numbers">
        {value}
      </Text>
      <Text size="xs" className="quiet">
        {label}
      </Text>
    </div>
  )
}

function rowsOf({ inserted, updated, deleted }: Day): number {
  return inserted + updated + deleted
}

/** A day on which anything was written can be seen, however little it was beside the others. */
function barOf(day: Day, most: number): number {
  const rows = rowsOf(day)
  return rows === 0 ? 0 : Math.max(3, (rows / most) * 100)
}

function titleOf(day: Day): string {
  return `${day.day}: ${plural(rowsOf(day), 'row')} written, ${day.succeeded} succeeded, ${day.failed} failed`
}
