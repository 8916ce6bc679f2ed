import { CloseButton, Group, SegmentedControl, Select, Stack, TextInput } from '@mantine/core'
import { IconSearch } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { ALL, summaryQuery, type ConflictGroup, type Filter } from '#features/conflicts/queries.ts'
import { KINDS, STATUSES, tableName } from '#features/conflicts/words.ts'
import { configsQuery } from '#features/sync-configs/queries.ts'
import { formatCount } from '#lib/format.ts'
import classes from './conflicts.module.css'

interface FiltersProps {
  readonly filter: Filter
  readonly onChange: (changes: Filter) => void
}

/** Which conflicts are shown: how far they have come, and by what else people look for them. */
export function ConflictFilters({ filter, onChange }: FiltersProps) {
  const { config, job } = filter
  const configs = useQuery(configsQuery).data ?? []
  const of = { ...(config === undefined ? {} : { config }), ...(job === undefined ? {} : { job }) }
  const groups = useQuery(summaryQuery({ ...of, status: ALL })).data?.groups ?? []
  const counts = useQuery(summaryQuery(filter)).data?.counts
  const count = (number: number | undefined): string => (number === undefined ? '' : ` ${formatCount(number)}`)
  const statuses = [
    { value: '', label: `Pending${count(counts && counts.open + counts.resolved)}` },
    ...(['open', 'resolved', 'applied', 'closed'] as const).map((status) => ({
      value: status,
      label: `${STATUSES[status].word}${count(counts?.[status])}`,
    })),
    { value: ALL, label: 'All' },
  ]
  const options = optionsOf(groups)
  return (
    <Stack gap="xs">
      <div className={classes['statuses']}>
        <SegmentedControl
          size="xs"
          aria-label="Status"
          className="numbers"
          data={statuses}
          value={filter.status ?? ''}
          onChange={(status) => onChange({ status })}
        />
      </div>
      <Group gap="xs" wrap="wrap">
        <Choose
          label="Sync config"
          none="All syncs"
          options={configs.map(({ id, name }) => ({ value: id, label: name }))}
          value={config}
          onChange={(value) => onChange({ config: value })}
        />
        <Choose
          label="Table"
          none="All tables"
          options={options.tables}
          value={filter.table}
          onChange={(table) => onChange({ table, fields: '' })}
        />
        <Choose
          label="Kind"
          none="All kinds"
          options={options.kinds}
          value={filter.kind}
          onChange={(kind) => onChange({ kind, fields: '' })}
        />
        <Choose
          label="Column"
          none="All columns"
          options={options.columns}
          value={filter.field}
          onChange={(field) => onChange({ field, fields: '' })}
        />
        <KeySearch key={filter.key ?? ''} text={filter.key ?? ''} onChange={(key) => onChange({ key })} />
        {job !== undefined && (
          <Group gap={4} className="mono">
            {job}
            <CloseButton size="sm" aria-label="Of all jobs" onClick={() => onChange({ job: '' })} />
          </Group>
        )}
      </Group>
    </Stack>
  )
}

interface ChooseProps {
  readonly label: string
  /** What is shown where nothing is chosen. */
  readonly none: string
  readonly options: readonly { readonly value: string; readonly label: string }[]
  readonly value: string | undefined
  readonly onChange: (value: string) => void
}

function Choose({ label, none, options, value = '', onChange }: ChooseProps) {
  const known = options.some((option) => option.value === value) || value === ''
  return (
    <Select
      size="xs"
      w={170}
      aria-label={label}
      comboboxProps={{ width: 'max-content', position: 'bottom-start' }}
      data={[{ value: '', label: none }, ...options, ...(known ? [] : [{ value, label: value }])]}
      value={value}
      onChange={(next) => onChange(next ?? '')}
    />
  )
}

/** Searches by the key of a row as soon as Enter is pressed: it is found by its whole key. */
function KeySearch({ text, onChange }: { readonly text: string; readonly onChange: (key: string) => void }) {
  const [typed, setTyped] = useState(text)
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault()
        onChange(typed.trim())
      }}
    >
      <TextInput
        size="xs"
        w={170}
        aria-label="Key of the row"
        placeholder="Key, then Enter"
        leftSection={<IconSearch size={14} aria-hidden />}
        rightSection={
          text === '' ? null : <CloseButton size="xs" aria-label="Of all keys" onClick={() => onChange('')} />
        }
        value={typed}
        onChange={(event) => setTyped(event.currentTarget.value)}
      />
    </form>
  )
}

function optionsOf(groups: readonly ConflictGroup[]) {
  const distinct = (texts: readonly string[]) => [...new Set(texts)].toSorted((a, b) => a.localeCompare(b))
  const plain = (texts: readonly string[]) => distinct(texts).map((value) => ({ value, label: value }))
  const kinds = distinct(groups.map((group) => group.kind)) as ConflictGroup['kind'][]
  return {
    tables: plain(groups.map(({ target }) => tableName(target))),
    kinds: kinds.map((value) => ({ value, label: KINDS[value] })),
    columns: plain(groups.flatMap(({ fields }) => fields)),
  }
}
