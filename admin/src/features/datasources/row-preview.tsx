import { Box, Group, Stack, Text } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import type { Schemas } from '#api/client.ts'
import { previewQuery } from '#features/datasources/queries.ts'
import { plural } from '#lib/format.ts'
import { CopyButton } from '#ui/copy.tsx'
import { Answer, Lines } from '#ui/page.tsx'
import { Value } from '#ui/value.tsx'
import classes from './schema-browser.module.css'

/** The first rows of a table, each value as the server writes it. */
export function RowPreview({ id, table }: { readonly id: string; readonly table: string }) {
  const query = useQuery(previewQuery(id, table))
  return (
    <Answer query={query} skeleton={<Lines count={8} />}>
      {(preview) => <Rows preview={preview} table={table} />}
    </Answer>
  )
}

function Rows({ preview, table }: { readonly preview: Schemas['RowsPreview']; readonly table: string }) {
  const { columns, rows, cuts } = preview
  if (rows.length === 0) {
    return (
      <Text size="sm" className="quiet">
        {table} is empty.
      </Text>
    )
  }
  const cutAt = (row: number, column: string): number | undefined =>
    cuts.find((each) => each.row === row && each.column === column)?.characters
  const asJson = JSON.stringify(
    rows.map((row) => Object.fromEntries(columns.map(({ name }, i) => [name, row[i] ?? null]))),
    null,
    2,
  )
  return (
    <Stack gap="xs">
      <Group justify="space-between">
        <Text size="xs" className="quiet">
          The first {plural(rows.length, 'row')}, in no particular order
          {cuts.length === 0 ? '' : `; ${plural(cuts.length, 'value')} cut short`}.
        </Text>
        <CopyButton text={asJson}>Copy as JSON</CopyButton>
      </Group>
      <Box component="section" className={classes['rows']} aria-label={`First rows of ${table}`} tabIndex={0}>
        <table>
          <thead>
            <tr>
              {columns.map(({ name, type }) => (
                <th key={name} className="mono">
                  {name}
                  <small>{type}</small>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map((row, at) => (
              <tr key={at}>
                {columns.map(({ name }, i) => {
                  const length = cutAt(at, name)
                  return (
                    <td key={name} title={row[i] ?? undefined}>
                      <Value text={row[i] ?? null} />
                      {length !== undefined && <span className="quiet"> … {plural(length, 'character')}</span>}
                    </td>
                  )
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </Box>
    </Stack>
  )
}
