import { Box, Text } from '@mantine/core'
import { tableWords } from '#features/jobs/job-words.ts'
import type { RestoreReceipt } from '#features/jobs/receipt.ts'
import { formatBytes, formatCount } from '#lib/format.ts'
import tables from '#ui/data-table.module.css'
import classes from './dumps.module.css'

interface Column {
  readonly head: string
  readonly kind: 'word' | 'name' | 'number'
}

interface ListedProps {
  readonly label: string
  readonly columns: readonly Column[]
  /** A text for each column. */
  readonly rows: readonly (readonly string[])[]
}

/** More than anybody looks through. */
const MOST = 1_000

/** A list that may be long, in a box of its own. */
export function Listed({ label, columns, rows }: ListedProps) {
  const alignOf = ({ kind }: Column): 'right' | undefined => (kind === 'number' ? 'right' : undefined)
  return (
    <Box component="section" className={classes['scroll']} aria-label={label} tabIndex={0}>
      <table className={tables['table']} aria-label={label}>
        <thead>
          <tr>
            {columns.map((column) => (
              <th key={column.head} data-align={alignOf(column)}>
                {column.head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.slice(0, MOST).map((cells, i) => (
            <tr key={`${i} ${cells.join(' ')}`}>
              {columns.map((column, at) => (
                <td
                  key={column.head}
                  data-align={alignOf(column)}
                  className={column.kind === 'name' ? 'mono' : undefined}
                >
                  {cells[at]}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {rows.length > MOST && (
        <Text size="xs" className="quiet" p="xs">
          The first {formatCount(MOST)} of {formatCount(rows.length)}. The receipt of the job has all.
        </Text>
      )}
    </Box>
  )
}

const WHAT: Column = { head: 'What', kind: 'word' }
const NAME: Column = { head: 'Name', kind: 'name' }

interface RowsByTableProps {
  readonly label: string
  readonly tables: RestoreReceipt['tables']
  /** The counts are by the statistics of a server. */
  readonly isEstimated?: boolean
}

export function RowsByTable({ label, tables: all, isEstimated = false }: RowsByTableProps) {
  const countOf = (rows: number | null): string =>
    rows === null ? 'not known' : `${isEstimated ? 'about ' : ''}${formatCount(rows)}`
  return (
    <Listed
      label={label}
      columns={[
        { head: 'Table', kind: 'name' },
        { head: 'Rows', kind: 'number' },
      ]}
      rows={all.map(({ table, rows }) => [tableWords(table), countOf(rows)])}
    />
  )
}

interface ReplacedListProps {
  readonly label: string
  readonly replaced: NonNullable<RestoreReceipt['replaced']>
}

export function ReplacedList({ label, replaced }: ReplacedListProps) {
  return (
    <Listed
      label={label}
      columns={[WHAT, NAME, { head: 'Size', kind: 'number' }]}
      rows={replaced.map(({ what, name, bytes }) => [what, name, bytes === null ? '–' : formatBytes(bytes)])}
    />
  )
}

interface MadeListProps {
  readonly label: string
  readonly makes: RestoreReceipt['makes']
}

export function MadeList({ label, makes }: MadeListProps) {
  return <Listed label={label} columns={[WHAT, NAME]} rows={makes.map(({ what, name }) => [what, name])} />
}
