import { Select } from '@mantine/core'
import type { TabProps } from '#features/audit/audit-page.tsx'
import { SearchField } from '#ui/search-field.tsx'

/** Which rows are meant: of a table, by an operation, or the one of a key. */
export function KeyFields({ search, change }: TabProps) {
  return (
    <>
      <SearchField
        label="Table of the target"
        value={search.table ?? ''}
        width={170}
        onChange={(table) => change({ table })}
      />
      <Select
        size="xs"
        w={140}
        aria-label="Operation"
        value={search.op ?? ''}
        data={[
          { value: '', label: 'Any operation' },
          { value: 'insert', label: 'Inserted' },
          { value: 'update', label: 'Updated' },
          { value: 'delete', label: 'Deleted' },
        ]}
        onChange={(op) => change({ op: op ?? '' })}
      />
      <SearchField label="Key of a row" value={search.key ?? ''} width={170} onChange={(key) => change({ key })} />
    </>
  )
}
