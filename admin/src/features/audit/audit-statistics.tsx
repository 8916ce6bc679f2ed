import { Stack, Text, Title } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import type { Schemas } from '#api/client.ts'
import { labelOf } from '#features/audit/actions.ts'
import { statsQuery, type AuditSearch } from '#features/audit/queries.ts'
import { useDatasource } from '#features/datasources/queries.ts'
import { formatCount, plural } from '#lib/format.ts'
import { formatTableName } from '#lib/table-name.ts'
import { DataTable, type DataColumn } from '#ui/data-table.tsx'
import { Answer, Lines } from '#ui/page.tsx'
import classes from './audit-statistics.module.css'

type Written = Schemas['AuditStats']['written'][number]

/** How many events there are of each kind, and how many rows were written where. */
export function AuditStatistics({ search }: { readonly search: AuditSearch }) {
  const query = useQuery(statsQuery(search))
  return (
    <Answer query={query} skeleton={<Lines count={12} />}>
      {({ events, actions, actors, days, written }) => (
        <Stack gap="xl">
          <Text size="sm" className="quiet numbers">
            {plural(events, 'event')} on {plural(days.length, 'day')}.
          </Text>
          <div className={classes['grid']}>
            <Bars
              title="By action"
              lines={actions.map(({ action, events: n }) => ({ id: action, name: labelOf(action), count: n }))}
            />
            <Stack gap="xl">
              <Bars
                title="By who did it"
                lines={actors.map(({ actor, name, events: n }) => ({ id: actor, name, count: n }))}
              />
              <Bars
                title="By day, in UTC"
                lines={days.map(({ day, events: n }) => ({ id: day, name: day, count: n }))}
              />
            </Stack>
          </div>
          <Stack gap="xs">
            <Title order={2}>Rows that jobs wrote</Title>
            {written.length === 0 ? (
              <Text size="sm" className="quiet">
                No job wrote rows here, as far as the history is kept.
              </Text>
            ) : (
              <DataTable
                name="audit-written"
                label="Rows that jobs wrote"
                columns={COLUMNS}
                rows={written}
                keyOf={(each) => `${each.datasource_id} ${formatTableName(each.table)}`}
              />
            )}
          </Stack>
        </Stack>
      )}
    </Answer>
  )
}

interface BarsProps {
  readonly title: string
  readonly lines: readonly { readonly id: string; readonly name: string; readonly count: number }[]
}

function Bars({ title, lines }: BarsProps) {
  const most = Math.max(1, ...lines.map(({ count }) => count))
  return (
    <Stack gap="xs">
      <Title order={2}>{title}</Title>
      <ul className={classes['bars']} aria-label={title}>
        {lines.map(({ id, name, count }) => (
          <li key={id}>
            <span className="cut" title={name}>
              {name}
            </span>
            <span className={classes['track']} aria-hidden>
              <span className={classes['bar']} style={{ display: 'block', width: `${(100 * count) / most}%` }} />
            </span>
            <span className={`${classes['count']} numbers`}>{formatCount(count)}</span>
          </li>
        ))}
      </ul>
    </Stack>
  )
}

function DatasourceName({ id }: { readonly id: string }) {
  return useDatasource(id)?.name ?? id
}

const counted = (id: 'inserted' | 'updated' | 'deleted' | 'loaded', header: string): DataColumn<Written> => ({
  id,
  header,
  align: 'right',
  value: (each) => each[id],
  cell: (each) => formatCount(each[id]),
})

const COLUMNS: readonly DataColumn<Written>[] = [
  { id: 'datasource', header: 'Into', cell: (each) => <DatasourceName id={each.datasource_id} /> },
  {
    id: 'table',
    header: 'Table',
    value: ({ table }) => formatTableName(table),
    cell: ({ table }) => <span className="mono">{formatTableName(table)}</span>,
  },
  counted('inserted', 'Inserted'),
  counted('updated', 'Updated'),
  counted('deleted', 'Deleted'),
  counted('loaded', 'Of these by loads'),
]
