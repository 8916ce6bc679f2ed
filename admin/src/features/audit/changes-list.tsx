import { IconMinus, IconPencil, IconPlus, IconQuestionMark, type Icon } from '@tabler/icons-react'
import { Fragment, type ReactNode } from 'react'
import type { Schemas } from '#api/client.ts'
import { formatCount } from '#lib/format.ts'
import { formatTableName } from '#lib/table-name.ts'
import { Diff } from '#ui/diff.tsx'
import { Mark, type Tone } from '#ui/mark.tsx'
import { Time } from '#ui/time.tsx'
import classes from './changes-list.module.css'

type Written = Schemas['WrittenChange']

const OPERATIONS: Readonly<Record<string, readonly [Tone, string, Icon]>> = {
  insert: ['done', 'Inserted', IconPlus],
  update: ['running', 'Updated', IconPencil],
  delete: ['failed', 'Deleted', IconMinus],
}

interface ChangesListProps {
  readonly label: string
  readonly changes: readonly { readonly id: string; readonly change: Written; readonly beside?: ReactNode }[]
  /** Whether one looks at one key alone, which then need not be said each time. */
  readonly isOneRow?: boolean
}

/** Rows as they were written: when, what, and of an update only what changed. */
export function ChangesList({ label, changes, isOneRow = false }: ChangesListProps) {
  return (
    <ol className={classes['list']} aria-label={label}>
      {changes.map(({ id, change, beside }) => (
        <li key={id}>
          <div className={classes['head']}>
            <Operation change={change} />
            {!isOneRow && (
              <span className="mono">
                {formatTableName(change.table)} {change.key === null ? '' : keyOf(change)}
              </span>
            )}
            <span className="quiet">
              <Time at={change.at} />
            </span>
            {beside}
          </div>
          {change.note !== null && <p className="quiet">{change.note}</p>}
          <Cells change={change} />
        </li>
      ))}
    </ol>
  )
}

function Operation({ change: { op, kind, rows } }: { readonly change: Written }) {
  const [tone, word, icon] = OPERATIONS[op ?? ''] ?? ['resting', 'Cannot be read', IconQuestionMark]
  return (
    <Mark tone={tone} icon={icon}>
      {kind === 'load' ? `Loaded ${formatCount(rows)} rows` : word}
    </Mark>
  )
}

function keyOf({ key_columns: names, key }: Written): string {
  return names.map((name, i) => `${name} ${key?.[i] ?? 'NULL'}`).join(', ')
}

/** What changed: columns that are the same before and after are left out. */
function Cells({ change: { before, after } }: { readonly change: Written }) {
  if (before === null && after === null) return null
  const names = (after ?? before ?? []).map(({ column }) => column)
  const of = (cells: Written['before'], column: string): string | null | undefined =>
    cells?.find((cell) => cell.column === column)?.value
  const changed = names.filter((name) => before === null || after === null || of(before, name) !== of(after, name))
  if (changed.length === 0) return <p className="quiet">Nothing but what completes the row changed.</p>
  return (
    <dl className={classes['cells']}>
      {changed.map((name) => (
        <Fragment key={name}>
          <dt className="mono">{name}</dt>
          <dd>
            <Diff before={of(before, name)} after={of(after, name)} />
          </dd>
        </Fragment>
      ))}
    </dl>
  )
}
