import type { Schemas } from '#api/client.ts'
import { formatCount } from '#lib/format.ts'
import classes from './jobs.module.css'

const NAMES = ['inserted', 'updated', 'deleted', 'unchanged', 'skipped', 'conflicted', 'rejected'] as const

interface CountsTableProps {
  readonly counts: Schemas['Counts']
  /** The job came to its end: what was examined adds up. */
  readonly complete: boolean
}

/** What became of the rows: the sum, and its parts. */
export function CountsTable({ counts, complete }: CountsTableProps) {
  return (
    <dl className={classes['figures']} aria-label="Rows">
      <div>
        <dt>{complete ? 'Rows examined' : 'Rows known to be written'}</dt>
        <dd>{formatCount(counts.read)}</dd>
      </div>
      {NAMES.map((name) => (
        <div key={name} data-nothing={counts[name] === 0 || undefined}>
          <dt>{name}</dt>
          <dd>{formatCount(counts[name])}</dd>
        </div>
      ))}
    </dl>
  )
}
