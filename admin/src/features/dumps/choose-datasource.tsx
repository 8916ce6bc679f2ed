import { Group, Select } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { datasourcesQuery, type Datasource } from '#features/datasources/queries.ts'
import { hasDumps } from '#features/dumps/queries.ts'
import { Environment } from '#ui/mark.tsx'

interface ChooseDatasourceProps {
  readonly label: string
  readonly description: string
  readonly value: string | null
  readonly error: string | undefined
  readonly onChange: (id: string | null) => void
}

/** One of the databases that can be dumped and restored. */
export function ChooseDatasource({ label, description, value, error, onChange }: ChooseDatasourceProps) {
  const { data, error: unread } = useQuery(datasourcesQuery)
  const offered = (data ?? []).filter(hasDumps)
  return (
    <Select
      label={label}
      description={description}
      placeholder="Choose a datasource"
      searchable
      nothingFoundMessage={
        data === undefined ? 'The datasources are not read yet.' : 'No PostgreSQL database has that in its name.'
      }
      value={value}
      error={error ?? unread?.message}
      data={offered.map((one) => ({ value: one.id, label: wordsOf(one) }))}
      renderOption={({ option }) => <Offered one={offered.find(({ id }) => id === option.value)} />}
      onChange={onChange}
    />
  )
}

function Offered({ one }: { readonly one: Datasource | undefined }) {
  if (one === undefined) return null
  return (
    <Group justify="space-between" gap="xs" w="100%">
      {one.name} <Environment name={one.effective_environment} />
    </Group>
  )
}

function wordsOf({ name, effective_environment: environment }: Datasource): string {
  return environment === 'local' ? name : `${name} (${environment})`
}
