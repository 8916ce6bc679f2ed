import { Stack, Table, Text } from '@mantine/core'
import { useDebouncedValue } from '@mantine/hooks'
import { useQuery } from '@tanstack/react-query'
import { useDraft } from '#features/sync-configs/draft.tsx'
import { SETTLED_MS, useMappedTable } from '#features/sync-configs/mapped-table.tsx'
import { previewQuery, type MappingPreview } from '#features/sync-configs/queries.ts'
import { RowState } from '#features/sync-configs/row-state.tsx'
import { Diff } from '#ui/diff.tsx'
import { Lines } from '#ui/page.tsx'
import { Problem } from '#ui/problem.tsx'
import { Value } from '#ui/value.tsx'

const ROWS = 8

/** What becomes of one field in some rows of the source, as it is being edited. */
export function FieldPreview({ target }: { readonly target: string }) {
  const { name } = useMappedTable()
  const { document } = useDraft()
  const [settled] = useDebouncedValue(document, SETTLED_MS)
  const preview = useQuery(previewQuery({ document: settled, table: name, limit: ROWS, enabled: true }))
  if (preview.error !== null) return <Problem error={preview.error} retry={() => void preview.refetch()} />
  if (preview.data === undefined) return <Lines count={4} />
  return <Rows preview={preview.data} target={target} isOld={preview.isPlaceholderData} />
}

interface RowsProps {
  readonly preview: MappingPreview
  readonly target: string
  /** Of the mapping before the last change. */
  readonly isOld: boolean
}

function Rows({ preview, target, isOld }: RowsProps) {
  const at = preview.fields.findIndex((field) => field.target === target)
  const field = preview.fields[at]
  if (field === undefined) return <Text size="sm">The mapping does not feed {target} yet.</Text>
  if (preview.rows.length === 0) return <Text size="sm">The source has no rows to try it on.</Text>
  const reads = field.columns.map((column) => ({ column, place: preview.columns.indexOf(column) }))
  return (
    <Stack gap={4} aria-busy={isOld} aria-live="polite">
      <Table aria-label={`${target} on live rows`} fz="sm" verticalSpacing={4} opacity={isOld ? 0.6 : 1}>
        <Table.Thead>
          <Table.Tr>
            {reads.map(({ column }) => (
              <Table.Th key={column} className="mono">
                {column}
              </Table.Th>
            ))}
            <Table.Th>In the target: now, then</Table.Th>
            <Table.Th ta="right">µs a row</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {preview.rows.map((row, i) => (
            <Table.Tr key={i}>
              {reads.map(({ column, place }) => (
                <Table.Td key={column}>
                  <Value text={row.source[place]} />
                </Table.Td>
              ))}
              <Table.Td>
                {row.after === null ? <RowState row={row} /> : <Diff before={row.before?.[at]} after={row.after[at]} />}
              </Table.Td>
              <Table.Td ta="right">{row.micros}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
      {field.losses.map((loss) => (
        <Text key={loss} size="xs" className="quiet">
          Lost for good: {loss}.
        </Text>
      ))}
      {field.one_way !== null && (
        <Text size="xs" className="quiet">
          One way only: {field.one_way}.
        </Text>
      )}
    </Stack>
  )
}
