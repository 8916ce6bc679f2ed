import { Anchor, Checkbox } from '@mantine/core'
import { useSearch } from '@tanstack/react-router'
import { useDecide, type Ticking } from '#features/jobs/decide.ts'
import { tableWords } from '#features/jobs/job-words.ts'
import type { ChangedTable, ChangeSummary, Job } from '#features/jobs/queries.ts'
import { useSetFilters } from '#lib/filters.ts'
import { formatCount } from '#lib/format.ts'
import tables from '#ui/data-table.module.css'
import { Mark } from '#ui/mark.tsx'
import classes from './jobs.module.css'

interface ChangeTablesProps {
  readonly job: Job
  readonly summary: ChangeSummary
  readonly ticking: Ticking
}

/** What the changes come to, table by table; a number narrows the rows below to those that it counts. */
export function ChangeTables({ job, summary, ticking }: ChangeTablesProps) {
  return (
    <div className={classes['wide']}>
      <table className={tables['table']} aria-label="Changes by table">
        <thead>
          <tr>
            {ticking === 'plan' && (
              <th className={tables['tick']}>
                <span className="sr-only">Apply</span>
              </th>
            )}
            <th>Table</th>
            <th data-align="right">Insert</th>
            <th data-align="right">Update</th>
            <th>Columns that change</th>
            <th data-align="right">Delete</th>
            <th data-align="right">Unchanged</th>
            <th>Set aside</th>
            <th>State</th>
          </tr>
        </thead>
        <tbody>
          {summary.tables.map((table) => (
            <TableRow key={tableWords(table.target)} job={job} table={table} ticking={ticking} />
          ))}
        </tbody>
      </table>
    </div>
  )
}

interface TableRowProps {
  readonly job: Job
  readonly table: ChangedTable
  readonly ticking: Ticking
}

function TableRow({ job, table, ticking }: TableRowProps) {
  const decide = useDecide(job.id)
  const set = useSetFilters()
  const search = useSearch({ from: '/shell/jobs/$id' })
  const { source, target, inserts, updates, deletes, marks } = table
  const [from, to] = [tableWords(source), tableWords(target)]
  const name = `${target.schema}.${target.name}`
  const all = inserts + updates + deletes
  const show = (op: string | null, column: string | null): void =>
    set({ table: name, op, column, key: null, mark: null })
  const count = (op: string, rows: number) =>
    rows === 0 ? (
      <span className="quiet">0</span>
    ) : (
      <Anchor
        component="button"
        type="button"
        size="sm"
        onClick={() => show(op, null)}
        aria-label={`${formatCount(rows)} ${op} of ${to}`}
      >
        {formatCount(rows)}
      </Anchor>
    )
  return (
    <tr data-chosen={search.table === name || undefined}>
      {ticking === 'plan' && (
        <td className={tables['tick']}>
          <Checkbox
            size="xs"
            aria-label={`Apply the changes of ${to}`}
            disabled={all === 0 || decide.isPending}
            checked={all > 0 && marks.left < all}
            indeterminate={marks.left > 0 && marks.left < all}
            onChange={() => decide.mutate({ verdict: marks.left === 0 ? 'leave' : 'apply', filter: { table: name } })}
          />
        </td>
      )}
      <td className="mono">
        {from === to || job.kind === 'revert' ? to : `${from} → ${to}`}
        {table.created && <span className="quiet"> new table</span>}
        {table.added.length > 0 && <span className="quiet"> adds {table.added.join(', ')}</span>}
      </td>
      <td data-align="right">{count('insert', inserts)}</td>
      <td data-align="right">{count('update', updates)}</td>
      <td>
        {table.changed_columns.map(({ column, rows }, i) => (
          <span key={column}>
            {i > 0 && ', '}
            <Anchor component="button" type="button" size="sm" onClick={() => show('update', column)}>
              <span className="mono">{column}</span> {formatCount(rows)}
            </Anchor>
          </span>
        ))}
      </td>
      <td data-align="right">{count('delete', deletes)}</td>
      <td data-align="right">{formatCount(table.unchanged)}</td>
      <td>{asideOf(table)}</td>
      <td>
        <TableState table={table} />
      </td>
    </tr>
  )
}

/** Rows that are no changes, and why. */
function asideOf({ rejected, conflicts, kept }: ChangedTable): string {
  const parts = [
    ...(rejected > 0 ? [`${formatCount(rejected)} rejected`] : []),
    ...(conflicts > 0 ? [`${formatCount(conflicts)} in conflict`] : []),
    ...(kept > 0 ? [`${formatCount(kept)} only in the target`] : []),
  ]
  return parts.length === 0 ? '–' : parts.join(', ')
}

function TableState({ table: { marks, inserts, updates, deletes } }: { readonly table: ChangedTable }) {
  if (marks.moved > 0) return <Mark tone="person">{`${formatCount(marks.moved)} moved`}</Mark>
  if (marks.refused > 0) return <Mark tone="failed">{`${formatCount(marks.refused)} refused`}</Mark>
  const all = inserts + updates + deletes
  if (all > 0 && marks.left === all) return <Mark tone="resting">All left out</Mark>
  if (marks.left > 0) return <Mark tone="resting">{`${formatCount(marks.left)} left out`}</Mark>
  return null
}
