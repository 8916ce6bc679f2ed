import { Anchor, Group, Stack, Table, Tabs, Text, Title } from '@mantine/core'
import { IconKey } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { useMay } from '#app/session.ts'
import { RowPreview } from '#features/datasources/row-preview.tsx'
import { tableQuery, type TableDescription } from '#features/datasources/queries.ts'
import { formatCount, plural } from '#lib/format.ts'
import { formatTableName } from '#lib/table-name.ts'
import { CopyButton } from '#ui/copy.tsx'
import { Mark } from '#ui/mark.tsx'
import { Lines } from '#ui/page.tsx'
import { Problem } from '#ui/problem.tsx'

interface TableDetailsProps {
  readonly id: string
  readonly name: string
  /** As the list has it; without it the table is asked for by its name. */
  readonly known: TableDescription | undefined
  readonly view: 'columns' | 'rows'
  readonly onView: (view: string | null) => void
  /** Goes to another table, as a foreign key does. */
  readonly onTable: (name: string) => void
}

/** One table: its columns and keys, and its first rows. */
export function TableDetails({ id, name, known, view, onView, onTable }: TableDetailsProps) {
  const mayRead = useMay('operator')
  const query = useQuery({ ...tableQuery(id, name), enabled: known === undefined })
  const table = known ?? query.data
  if (query.error !== null) return <Problem error={query.error} retry={() => void query.refetch()} />
  if (table === undefined) return <Lines count={8} />
  if (table === null) return <Text size="sm">There is no table {name}, or this login does not see it.</Text>
  return (
    <Stack gap="sm">
      <Group gap="xs" justify="space-between" wrap="nowrap">
        <Title order={2} className="cut" style={{ fontFamily: 'var(--mantine-font-family-monospace)' }}>
          {name}
        </Title>
        <CopyButton text={name}>Copy the name</CopyButton>
      </Group>
      <Text size="sm" className="quiet">
        {sentenceOf(table)}
      </Text>
      {table.hides_rows && (
        <Mark tone="person">Row-level security hides rows from this login: a sync would not see them</Mark>
      )}
      <Tabs value={mayRead ? view : 'columns'} onChange={onView} keepMounted={false}>
        <Tabs.List mb="sm">
          <Tabs.Tab value="columns">Columns and keys</Tabs.Tab>
          {mayRead && <Tabs.Tab value="rows">First rows</Tabs.Tab>}
        </Tabs.List>
        <Tabs.Panel value="columns">
          <Stack gap="lg">
            <Columns table={table} />
            <Keys table={table} onTable={onTable} />
          </Stack>
        </Tabs.Panel>
        {mayRead && (
          <Tabs.Panel value="rows">
            <RowPreview id={id} table={name} />
          </Tabs.Panel>
        )}
      </Tabs>
    </Stack>
  )
}

function sentenceOf({ kind, columns, primary_key: key, estimated_rows: rows }: TableDescription): string {
  const what = kind.replaceAll('_', ' ')
  const size = rows === null ? 'an unknown number of rows' : `about ${formatCount(rows)} rows`
  const keyed = key.length > 0 ? `primary key ${key.join(', ')}` : 'no primary key'
  return `A ${what} of ${plural(columns.length, 'column')}, ${size}, ${keyed}.`
}

function Columns({ table }: { readonly table: TableDescription }) {
  return (
    <Table verticalSpacing={4} fz="sm" aria-label={`Columns of ${formatTableName(table.table)}`}>
      <Table.Thead>
        <Table.Tr>
          <Table.Th>Column</Table.Th>
          <Table.Th>Type</Table.Th>
          <Table.Th>NULL</Table.Th>
          <Table.Th>Default</Table.Th>
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {table.columns.map(({ name, type, nullable, default: byDefault, generated }) => (
          <Table.Tr key={name}>
            <Table.Td className="mono">
              {name}
              {table.primary_key.includes(name) && (
                <>
                  {' '}
                  <IconKey size={13} aria-hidden style={{ verticalAlign: -2 }} />
                  <span className="sr-only">part of the primary key</span>
                </>
              )}
            </Table.Td>
            <Table.Td className="mono">{type}</Table.Td>
            <Table.Td className={nullable ? '' : 'quiet'}>{nullable ? 'may be' : 'never'}</Table.Td>
            <Table.Td className="mono quiet" style={{ overflowWrap: 'anywhere' }}>
              {generated ? 'generated' : (byDefault ?? '')}
            </Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  )
}

function Keys({ table, onTable }: Pick<TableDetailsProps, 'onTable'> & { readonly table: TableDescription }) {
  const unique = table.unique_keys.map((columns): readonly [string, ReactNode] => [
    `u${columns.join()}`,
    <>
      Unique: <span className="mono">{columns.join(', ')}</span>
    </>,
  ])
  const foreign = table.foreign_keys.map(({ columns, references, referenced_columns: others }): [string, ReactNode] => [
    `f${columns.join()}${formatTableName(references)}`,
    <>
      <span className="mono">{columns.join(', ')}</span> refers to{' '}
      <Anchor component="button" size="sm" className="mono" onClick={() => onTable(formatTableName(references))}>
        {formatTableName(references)}
      </Anchor>{' '}
      <span className="mono">({others.join(', ')})</span>
    </>,
  ])
  const all = [...unique, ...foreign]
  if (all.length === 0) {
    return (
      <Text size="sm" className="quiet">
        {table.primary_key.length === 0 && table.kind !== 'view'
          ? 'It has no key: a sync config has to name columns that tell its rows apart.'
          : 'No other unique keys, and no foreign keys.'}
      </Text>
    )
  }
  return (
    <Stack gap={4}>
      <Title order={3}>Other keys</Title>
      <ul className="plain-list">
        {all.map(([key, line]) => (
          <li key={key}>{line}</li>
        ))}
      </ul>
    </Stack>
  )
}
