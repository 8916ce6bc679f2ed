import { Stack, Text } from '@mantine/core'
import { tableWords } from '#features/jobs/job-words.ts'
import { COMPLETENESS, proofOf, type Receipt, type TableReceipt } from '#features/jobs/receipt.ts'
import { formatCount, plural } from '#lib/format.ts'
import tables from '#ui/data-table.module.css'
import { Mark } from '#ui/mark.tsx'
import { Notice } from '#ui/notice.tsx'
import classes from './jobs.module.css'

/** What a run wrote and proved. */
export function ReceiptView({ receipt }: { readonly receipt: Receipt }) {
  const { source, target, completeness, stopped, sequences_advanced: sequences, notes } = receipt
  return (
    <Stack gap="md">
      <div>
        <Mark tone={stopped.length === 0 ? 'done' : 'failed'}>{proofOf(receipt)}</Mark>
        <Text size="sm">
          Completeness is {COMPLETENESS[completeness] ?? completeness}.
          {sequences > 0 && ` ${plural(sequences, 'sequence')} advanced.`}
        </Text>
        <Text size="sm" className="quiet">
          From <span className="mono">{source.address}</span> ({source.product}) to{' '}
          <span className="mono">{target.address}</span> ({target.product}).
        </Text>
      </div>
      {stopped.map((table) => (
        <Notice
          key={tableWords(table.target)}
          tone="failed"
          title={`${tableWords(table.target)} stopped: ${table.reason}`}
        >
          <Text size="sm">{table.hint}</Text>
        </Notice>
      ))}
      <ByTable receipt={receipt} />
      <Notes notes={notes} />
    </Stack>
  )
}

const COUNTED = ['inserted', 'updated', 'deleted', 'unchanged', 'skipped', 'conflicted', 'rejected'] as const

function ByTable({ receipt }: { readonly receipt: Receipt }) {
  return (
    <div className={classes['wide']}>
      <table className={tables['table']} aria-label="Receipt by table">
        <thead>
          <tr>
            <th>Table</th>
            <th data-align="right">Read</th>
            {COUNTED.map((name) => (
              <th key={name} data-align="right" className={classes['word']}>
                {name}
              </th>
            ))}
            <th>Verified</th>
            <th>Digest</th>
          </tr>
        </thead>
        <tbody>
          {receipt.tables.map((table) => {
            const [from, to] = [tableWords(table.source), tableWords(table.target)]
            return (
              <tr key={to}>
                <td className="mono" title={table.sight.text ?? undefined}>
                  {from === to ? to : `${from} → ${to}`}
                </td>
                <td data-align="right">{formatCount(table.counts.read)}</td>
                {COUNTED.map((name) => (
                  <td key={name} data-align="right" className={table.counts[name] === 0 ? 'quiet' : undefined}>
                    {formatCount(table.counts[name])}
                  </td>
                ))}
                <td>
                  <Verified table={table} />
                </td>
                <td>
                  <Digest table={table} />
                </td>
              </tr>
            )
          })}
        </tbody>
      </table>
    </div>
  )
}

function Verified({ table: { verification } }: { readonly table: TableReceipt }) {
  const { mode, rows, changed_since: since } = verification
  if (mode === 'changed' && rows === 0) return <span className="quiet">nothing changed</span>
  if (mode === 'off') return <Mark tone="resting">Not verified</Mark>
  if (since > 0) return <Mark tone="person">{`${plural(since, 'row')} changed since`}</Mark>
  return <Mark tone="done">{mode === 'full' ? 'All rows' : `${plural(rows, 'changed row')}`}</Mark>
}

function Digest({ table: { verification } }: { readonly table: TableReceipt }) {
  const { source_digest: source, target_digest: target, rows } = verification
  if (target === '' || rows === 0) return <span className="quiet">–</span>
  return (
    <span className="mono" title={`source ${source}\ntarget ${target}`}>
      {target.slice(0, 12)}…
    </span>
  )
}

export function Notes({ notes }: { readonly notes: readonly string[] }) {
  if (notes.length === 0) return null
  return (
    <div>
      {notes.map((note) => (
        <Text size="sm" key={note}>
          Note: {note}
        </Text>
      ))}
    </div>
  )
}
