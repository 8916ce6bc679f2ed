import { Stack } from '@mantine/core'
import { tableWords } from '#features/jobs/job-words.ts'
import type { Comparison } from '#features/jobs/receipt.ts'
import { Notes } from '#features/jobs/receipt-view.tsx'
import { formatCount, plural } from '#lib/format.ts'
import tables from '#ui/data-table.module.css'
import { Mark } from '#ui/mark.tsx'
import classes from './jobs.module.css'

type Table = Comparison['tables'][number]

const differs = (table: Table): number => table.only_in_source + table.only_in_target + table.different

/** Whether both sides agree, and where they do not. */
export function ComparisonView({ comparison }: { readonly comparison: Comparison }) {
  const rows = comparison.tables.reduce((sum, table) => sum + table.source_rows, 0)
  const different = comparison.tables.reduce((sum, table) => sum + differs(table), 0)
  return (
    <Stack gap="md">
      {comparison.equal ? (
        <Mark tone="done">{`Both sides are proved equal: ${plural(rows, 'row')} in ${plural(comparison.tables.length, 'table')}.`}</Mark>
      ) : (
        <Mark tone="person">{`The sides differ in ${plural(different, 'row')}.`}</Mark>
      )}
      <div className={classes['wide']}>
        <table className={tables['table']} aria-label="Comparison by table">
          <thead>
            <tr>
              <th>Table</th>
              <th data-align="right">Source rows</th>
              <th data-align="right">Target rows</th>
              <th data-align="right">Only in source</th>
              <th data-align="right">Only in target</th>
              <th data-align="right">Different</th>
              <th data-align="right">In motion</th>
              <th>State</th>
            </tr>
          </thead>
          <tbody>
            {comparison.tables.map((table) => (
              <tr key={tableWords(table.target)}>
                <td className="mono">{tableWords(table.target)}</td>
                <td data-align="right">{formatCount(table.source_rows)}</td>
                <td data-align="right">{formatCount(table.target_rows)}</td>
                <td data-align="right">{formatCount(table.only_in_source)}</td>
                <td data-align="right">{formatCount(table.only_in_target)}</td>
                <td data-align="right">{formatCount(table.different)}</td>
                <td data-align="right">{formatCount(table.in_motion)}</td>
                <td>
                  {differs(table) > 0 ? (
                    <Mark tone="person">Different</Mark>
                  ) : table.generated_differs ? (
                    <Mark tone="person">Generated columns differ</Mark>
                  ) : (
                    <Mark tone="done">Equal</Mark>
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <Notes notes={comparison.notes} />
    </Stack>
  )
}
