import { Stack, Table, Text } from '@mantine/core'
import type { Difference } from '#features/sync-configs/document.ts'
import { Diff } from '#ui/diff.tsx'

/** What is different between two documents, place by place. */
export function Differences({ differences }: { readonly differences: readonly Difference[] }) {
  if (differences.length === 0) return <Text size="sm">Nothing is different.</Text>
  return (
    <Stack gap={0}>
      <Table aria-label="Differences" fz="sm">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Place</Table.Th>
            <Table.Th>Before → after</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {differences.map(({ path, before, after }) => (
            <Table.Tr key={path}>
              <Table.Td className="mono">{path.slice(1).replaceAll('/', ' › ')}</Table.Td>
              <Table.Td>
                <Diff before={textOf(before)} after={textOf(after)} />
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Stack>
  )
}

/** A field that is not there is told from one that is null: documents hold no null but in constants. */
function textOf(value: unknown): string | undefined {
  if (value === null || value === undefined) return undefined
  return typeof value === 'string' ? value : JSON.stringify(value)
}
