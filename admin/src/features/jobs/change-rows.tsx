import { Anchor, Button, Checkbox, Group } from '@mantine/core'
import { useWindowVirtualizer } from '@tanstack/react-virtual'
import { useLayoutEffect, useRef, useState, type Ref } from 'react'
import { ChangeMark, OpMark } from '#features/jobs/change-marks.tsx'
import { useDecide, type Ticking } from '#features/jobs/decide.ts'
import { keyWords, tableWords } from '#features/jobs/job-words.ts'
import type { Change, ChangedTable, ChangeSummary, Job } from '#features/jobs/queries.ts'
import { Gap } from '#ui/data-table.tsx'
import tables from '#ui/data-table.module.css'
import { Diff } from '#ui/diff.tsx'
import { Value } from '#ui/value.tsx'
import classes from './jobs.module.css'

interface ChangeRowsProps {
  readonly job: Job
  readonly summary: ChangeSummary
  readonly rows: readonly Change[]
  readonly ticking: Ticking
}

/** About as tall as an update of one column; rows are measured once they are drawn. */
const ROW_PX = 38

/** Changes row by row: of an update only what it changes, of a new or a removed row all of it. Only those in sight are drawn. */
export function ChangeRows({ job, summary, rows, ticking }: ChangeRowsProps) {
  const box = useRef<HTMLDivElement>(null)
  const [margin, setMargin] = useState(0)
  // What stands above comes and goes.
  useLayoutEffect(
    () => setMargin(Math.round((box.current?.getBoundingClientRect().top ?? 0) + window.scrollY)),
    [summary, rows, ticking],
  )
  const virtual = useWindowVirtualizer({
    count: rows.length,
    estimateSize: () => ROW_PX,
    overscan: 20,
    scrollMargin: margin,
    getItemKey: (i) => rows[i]?.seq ?? i,
  })
  const items = virtual.getVirtualItems()
  const above = (items[0]?.start ?? margin) - margin
  const below = virtual.getTotalSize() - ((items.at(-1)?.end ?? margin) - margin)
  const showsTable = summary.tables.length > 1
  const width = showsTable ? 5 : 4
  return (
    <div ref={box} className={classes['wide']}>
      <table
        className={`${tables['table']} ${classes['changes']}`}
        aria-label="Changes"
        aria-rowcount={rows.length + 1}
      >
        <thead>
          <tr>
            {ticking === 'plan' && (
              <th className={tables['tick']}>
                <span className="sr-only">Apply</span>
              </th>
            )}
            <th>Change</th>
            {showsTable && <th>Table</th>}
            <th>Row</th>
            <th className={classes['what']}>What changes</th>
            {ticking !== 'plan' && <th>Decision</th>}
          </tr>
        </thead>
        <tbody>
          <Gap width={width} px={above} />
          {items.map(({ index }) => {
            const change = rows[index]
            if (change === undefined) return null
            return (
              <ChangeRow
                key={change.seq}
                ref={virtual.measureElement}
                index={index}
                jobId={job.id}
                summary={summary}
                change={change}
                ticking={ticking}
              />
            )
          })}
          <Gap width={width} px={below} />
        </tbody>
      </table>
    </div>
  )
}

interface ChangeRowProps {
  readonly ref: Ref<HTMLTableRowElement>
  readonly index: number
  readonly jobId: string
  readonly summary: ChangeSummary
  readonly change: Change
  readonly ticking: Ticking
}

function ChangeRow({ ref, index, jobId, summary, change, ticking }: ChangeRowProps) {
  const decide = useDecide(jobId)
  const table = tableOf(summary, change)
  const key = keyWords(table?.key ?? [], change.key)
  const say = (verdict: 'apply' | 'leave'): void => decide.mutate({ verdict, seqs: [change.seq] })
  return (
    <tr ref={ref} data-index={index} aria-rowindex={index + 2} data-left={change.mark === 'left' || undefined}>
      {ticking === 'plan' && (
        <td className={tables['tick']}>
          <Checkbox
            size="xs"
            aria-label={`Apply the ${change.op} of ${key} in ${tableWords(change.table)}`}
            checked={isApplied(change)}
            onChange={() => say(isApplied(change) ? 'leave' : 'apply')}
          />
        </td>
      )}
      <td>
        <OpMark op={change.op} />
        {ticking === 'plan' && change.moved && (
          <div>
            <ChangeMark change={change} />
          </div>
        )}
      </td>
      {summary.tables.length > 1 && <td className="mono">{tableWords(change.table)}</td>}
      <td className="mono">{key}</td>
      <td>
        <Cells change={change} keyColumns={table?.key ?? []} shown={summary.values_shown} />
      </td>
      {ticking !== 'plan' && (
        <td>
          <ChangeMark change={change} />
          {ticking === 'moved' && change.mark === 'moved' && (
            <Group gap={4} wrap="nowrap" mt={4}>
              <Button
                size="compact-xs"
                variant="default"
                aria-label={`Apply the change of ${key}`}
                onClick={() => say('apply')}
              >
                Apply
              </Button>
              <Button
                size="compact-xs"
                variant="default"
                aria-label={`Leave the row ${key}`}
                onClick={() => say('leave')}
              >
                Leave
              </Button>
            </Group>
          )}
        </td>
      )}
    </tr>
  )
}

/** An approval would apply it. */
function isApplied({ mark }: Change): boolean {
  return mark === 'planned' || mark === 'again'
}

function tableOf(summary: ChangeSummary, { table }: Change): ChangedTable | undefined {
  return summary.tables.find(({ target }) => target.schema === table.schema && target.name === table.name)
}

interface CellsProps {
  readonly change: Change
  readonly keyColumns: readonly string[]
  readonly shown: boolean
}

function Cells({ change, keyColumns, shown }: CellsProps) {
  if (change.large)
    return <span className="quiet">The row is too large to be shown; it is read again when it is applied.</span>
  if (!shown) {
    return (
      <span className="quiet">
        {change.changed === null
          ? 'Values of rows are for operators.'
          : `${change.changed.join(', ')}; values are for operators.`}
      </span>
    )
  }
  if (change.op === 'update') return <Updated change={change} />
  return <Whole change={change} keyColumns={keyColumns} />
}

type CellList = NonNullable<Change['before']>

function cellOf(cells: CellList | null, column: string): string | null | undefined {
  return cells?.find((cell) => cell.column === column)?.value
}

/** Of a row that had moved, what is replaced is the row as it is now. */
function Updated({ change }: { readonly change: Change }) {
  const before = change.mark === 'moved' || change.mark === 'again' ? (change.now ?? change.before) : change.before
  const columns = change.changed ?? []
  if (change.moved && change.now === null) return <span className="quiet">The target has no such row any more.</span>
  return (
    <dl className={classes['cells']}>
      {columns.map((column) => (
        <div key={column}>
          <dt>{column}</dt>
          <dd>
            <Diff before={cellOf(before, column)} after={cellOf(change.after, column)} />
          </dd>
        </div>
      ))}
    </dl>
  )
}

/** Cells that are shown of a row before it is unfolded. */
const FEW = 6

function Whole({ change, keyColumns }: { readonly change: Change; readonly keyColumns: readonly string[] }) {
  const [open, setOpen] = useState(false)
  const cells = (change.op === 'insert' ? change.after : (change.now ?? change.before)) ?? []
  const others = cells.filter(({ column }) => !keyColumns.includes(column))
  const shown = open ? others : others.slice(0, FEW)
  return (
    <dl className={classes['cells']} data-inline={!open || undefined}>
      {shown.map(({ column, value }) => (
        <div key={column}>
          <dt>{column}</dt>
          <dd>
            {change.op === 'insert' ? (
              <Diff before={undefined} after={value} />
            ) : value === null ? (
              <Value text={value} />
            ) : (
              <Diff before={value} after={undefined} />
            )}
          </dd>
        </div>
      ))}
      {others.length > FEW && (
        <Anchor component="button" type="button" size="xs" aria-expanded={open} onClick={() => setOpen(!open)}>
          {open ? 'Fewer columns' : `${others.length - FEW} more columns`}
        </Anchor>
      )}
    </dl>
  )
}
