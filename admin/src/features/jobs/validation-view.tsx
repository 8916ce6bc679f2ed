import { Stack, Text } from '@mantine/core'
import { tableWords } from '#features/jobs/job-words.ts'
import type { Validation } from '#features/jobs/receipt.ts'
import { Notes } from '#features/jobs/receipt-view.tsx'
import { formatCount, plural } from '#lib/format.ts'
import tables from '#ui/data-table.module.css'
import { Mark, type Tone } from '#ui/mark.tsx'
import classes from './jobs.module.css'

type Table = Validation['tables'][number]

const VERDICTS: Readonly<Record<Table['fields'][number]['verdict'], readonly [Tone, string]>> = {
  lossless: ['done', 'Lossless'],
  checked: ['person', 'Checked value by value'],
  impossible: ['failed', 'Impossible'],
}

/** Whether a run would begin, and what stands in its way: first what is impossible. */
export function ValidationView({ validation }: { readonly validation: Validation }) {
  const ready = validation.tables.filter((table) => table.ready).length
  return (
    <Stack gap="md">
      <Mark tone={validation.ready ? 'done' : 'failed'}>
        {`${formatCount(ready)} of ${plural(validation.tables.length, 'table')} can be carried.`}
      </Mark>
      {validation.tables.map((table) => (
        <OneTable key={tableWords(table.target)} table={table} />
      ))}
      <Notes notes={validation.notes} />
    </Stack>
  )
}

function OneTable({ table }: { readonly table: Table }) {
  const { source, target, problems, fields, counted } = table
  const telling = fields.filter(({ verdict }) => verdict !== 'lossless')
  const name = `${tableWords(source)} → ${tableWords(target)}`
  return (
    <Stack gap={4}>
      <Text size="sm">
        <span className="mono">{name}</span>: {formatCount(fields.length - telling.length)} of{' '}
        {plural(fields.length, 'column')} lossless
        {counted !== null && `; ${formatCount(counted.rows)} rows looked at${counted.partial ? ', not all' : ''}`}.
      </Text>
      {problems.map(({ message }) => (
        <Mark key={message} tone="failed">
          {message}
        </Mark>
      ))}
      {telling.length > 0 && (
        <div className={classes['wide']}>
          <table className={tables['table']} aria-label={`Columns of ${name}`}>
            <thead>
              <tr>
                <th>Column</th>
                <th>Types</th>
                <th>Verdict</th>
                <th data-align="right">Rows that do not fit</th>
                <th>Why, and what next</th>
              </tr>
            </thead>
            <tbody>
              {telling.map((field) => (
                <tr key={field.target}>
                  <td className="mono">{field.target}</td>
                  <td className="mono">
                    {field.source_type} → {field.target_type}
                  </td>
                  <td>
                    <Mark tone={VERDICTS[field.verdict][0]}>{VERDICTS[field.verdict][1]}</Mark>
                  </td>
                  <td data-align="right">{field.misfits === null ? '–' : formatCount(field.misfits.rows)}</td>
                  <td>
                    {field.reason} {field.next_step}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Stack>
  )
}
