import { Button, Group, Select, TextInput } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { labelOf } from '#features/audit/actions.ts'
import type { TabProps } from '#features/audit/audit-page.tsx'
import { statsQuery } from '#features/audit/queries.ts'
import { lastDays } from '#features/audit/span.ts'
import { datasourcesQuery } from '#features/datasources/queries.ts'
import { configsQuery } from '#features/sync-configs/queries.ts'
import { useNow } from '#lib/now.ts'
import { SearchField } from '#ui/search-field.tsx'

const SPANS = [
  ['Today', 1],
  ['7 days', 7],
  ['30 days', 30],
] as const

/** Which events are meant: by text, time, action, who did it, and what it was done to. */
export function EventFilters({ search, change }: TabProps) {
  const { since = '', until = '' } = search
  // What there is to choose from does not shrink by what was chosen.
  const { data: all } = useQuery(statsQuery({ since, until }))
  const { data: datasources = [] } = useQuery(datasourcesQuery)
  const { data: configs = [] } = useQuery(configsQuery)
  const now = useNow()
  const isFiltered = [
    search.search,
    search.action,
    search.actor,
    since,
    until,
    search.datasource,
    search.config,
    search.job,
  ]
  return (
    <Group gap="xs" mb="sm">
      <SearchField
        label="Search action, subject, who"
        value={search.search ?? ''}
        width={220}
        onChange={(text) => change({ search: text })}
      />
      <Choice
        label="Action"
        any="Any action"
        value={search.action}
        width={190}
        data={(all?.actions ?? []).map(({ action }) => ({ value: action, label: labelOf(action) }))}
        onChange={(action) => change({ action })}
      />
      <Choice
        label="Who"
        any="Anybody"
        value={search.actor}
        width={140}
        data={(all?.actors ?? []).map(({ actor, name }) => ({ value: actor, label: name }))}
        onChange={(actor) => change({ actor })}
      />
      <Choice
        label="Datasource"
        any="Any datasource"
        value={search.datasource}
        width={150}
        data={datasources.map(({ id, name }) => ({ value: id, label: name }))}
        onChange={(datasource) => change({ datasource })}
      />
      <Choice
        label="Sync config"
        any="Any sync config"
        value={search.config}
        width={150}
        data={configs.map(({ id, name }) => ({ value: id, label: name }))}
        onChange={(config) => change({ config })}
      />
      <TextInput
        size="xs"
        type="date"
        aria-label="From day"
        title="From day"
        value={since}
        onChange={(event) => change({ since: event.currentTarget.value })}
      />
      <TextInput
        size="xs"
        type="date"
        aria-label="To day"
        title="To day"
        value={until}
        onChange={(event) => change({ until: event.currentTarget.value })}
      />
      {SPANS.map(([word, days]) => {
        const span = lastDays(days, now)
        const isChosen = since === span.since && until === ''
        return (
          <Button
            key={word}
            variant={isChosen ? 'light' : 'subtle'}
            {...(isChosen ? {} : { color: 'gray' })}
            aria-pressed={isChosen}
            px={8}
            onClick={() => change(isChosen ? { since: '', until: '' } : span)}
          >
            {word}
          </Button>
        )
      })}
      {isFiltered.some((text) => text !== undefined && text !== '') && (
        <Button variant="subtle" px={8} onClick={() => change(NOTHING)}>
          Clear the filters
        </Button>
      )}
    </Group>
  )
}

const NOTHING = { search: '', action: '', actor: '', since: '', until: '', datasource: '', config: '', job: '' }

interface ChoiceProps {
  readonly label: string
  readonly any: string
  readonly value: string | undefined
  readonly width: number
  readonly data: readonly { readonly value: string; readonly label: string }[]
  readonly onChange: (value: string) => void
}

function Choice({ label, any, value = '', width, data, onChange }: ChoiceProps) {
  const known = value === '' || data.some((one) => one.value === value)
  return (
    <Select
      size="xs"
      w={width}
      aria-label={label}
      searchable={data.length > 8}
      value={value}
      // What an address names is shown, whether or not it can be chosen still.
      data={[{ value: '', label: any }, ...data, ...(known ? [] : [{ value, label: value }])]}
      onChange={(next) => onChange(next ?? '')}
    />
  )
}
