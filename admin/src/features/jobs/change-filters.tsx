import { Button, Select, TextInput } from '@mantine/core'
import { useDebouncedCallback } from '@mantine/hooks'
import { useSearch } from '@tanstack/react-router'
import { useState } from 'react'
import type { ChangeSummary } from '#features/jobs/queries.ts'
import { useSetFilters } from '#lib/filters.ts'
import { MARKS, OPS } from '#features/jobs/change-marks.tsx'
import { FilterBar } from '#ui/filter-bar.tsx'

const TYPING_MS = 300

/** In the query of the page: changes whatever was decided, also where others would be shown first. */
export const ALL = 'all'

interface ChangeFilterBarProps {
  readonly summary: ChangeSummary
  /** What is shown now: the choice of somebody, or what comes first. */
  readonly mark: string
}

/** Narrows the rows of a change set. */
export function ChangeFilterBar({ summary, mark }: ChangeFilterBarProps) {
  const search = useSearch({ from: '/shell/jobs/$id' })
  const set = useSetFilters()
  const names = summary.tables.map(({ target }) => `${target.schema}.${target.name}`)
  const of = summary.tables.filter(({ target }) => !search.table || `${target.schema}.${target.name}` === search.table)
  const columns = [...new Set(of.flatMap((table) => table.changed_columns.map(({ column }) => column)))]
  const isNarrowed = [search.table, search.op, search.column, search.key, search.mark].some((one) => one !== undefined)
  const choice = (name: 'table' | 'op' | 'column' | 'mark') => ({
    w: 170,
    size: 'xs',
    clearable: true,
    value: search[name] ?? null,
    onChange: (value: string | null) => set({ [name]: value }),
  })
  return (
    <FilterBar label="Filters of changes">
      <Select {...choice('table')} searchable aria-label="Table" placeholder="Any table" data={names} />
      <Select
        {...choice('op')}
        aria-label="Operation"
        placeholder="Any operation"
        data={OPS.map(([value, label]) => ({ value, label }))}
      />
      <Select {...choice('column')} searchable aria-label="Column" placeholder="Any column" data={columns} />
      <Select
        {...choice('mark')}
        value={mark === ALL ? null : mark}
        onChange={(value) => set({ mark: value ?? ALL })}
        aria-label="Decision"
        placeholder="Any decision"
        data={MARKS.map(([value, label]) => ({ value, label }))}
      />
      <KeyFilter key={search.key ?? ''} value={search.key ?? ''} onChange={(key) => set({ key })} />
      {isNarrowed && (
        <Button
          variant="subtle"
          color="gray"
          onClick={() => set({ table: null, op: null, column: null, key: null, mark: null })}
        >
          Clear the filters
        </Button>
      )}
    </FilterBar>
  )
}

interface KeyFilterProps {
  readonly value: string
  readonly onChange: (value: string) => void
}

function KeyFilter({ value, onChange }: KeyFilterProps) {
  const [text, setText] = useState(value)
  const tell = useDebouncedCallback(onChange, TYPING_MS)
  return (
    <TextInput
      size="xs"
      w={150}
      aria-label="Key"
      placeholder="Key of the row"
      value={text}
      onChange={(event) => {
        setText(event.currentTarget.value)
        tell(event.currentTarget.value)
      }}
    />
  )
}
