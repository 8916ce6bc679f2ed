import { Button, Group, Select, Stack, Text, TextInput } from '@mantine/core'
import { IconAdjustments, IconPlus, IconSearch } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { useCallback, useMemo, useState } from 'react'
import { useDraft } from '#features/sync-configs/draft.tsx'
import { ChoiceField } from '#features/sync-configs/fields.tsx'
import { tablesQuery } from '#features/sync-configs/queries.ts'
import { settingsInWords, tableRowsOf, type TableRow } from '#features/sync-configs/table-rows.ts'
import { TableSettings } from '#features/sync-configs/table-settings.tsx'
import { changeTable, pickAll, pickTables, tablesInWords, withoutTable } from '#features/sync-configs/tables.ts'
import { refOf } from '#features/sync-configs/table-names.ts'
import { SCHEMA_POLICIES } from '#features/sync-configs/words.ts'
import { useShow, useShown } from '#features/sync-configs/use-shown.ts'
import { formatCount, plural } from '#lib/format.ts'
import { DataTable, type DataColumn } from '#ui/data-table.tsx'
import { Mark } from '#ui/mark.tsx'
import { Answer } from '#ui/page.tsx'

export function TablesTab() {
  const { document } = useDraft()
  const source = useQuery(tablesQuery(document.source_datasource_id))
  return (
    <Stack gap="md">
      <ChoiceField name="schema_policy" label="What the target lacks" choices={SCHEMA_POLICIES} />
      <Answer query={source}>{(tables) => <Picker source={tables} />}</Answer>
    </Stack>
  )
}

type Shown = 'all' | 'in' | 'out'

const SHOWN: readonly { readonly value: Shown; readonly label: string }[] = [
  { value: 'all', label: 'All tables' },
  { value: 'in', label: 'That take part' },
  { value: 'out', label: 'That do not' },
]

function Picker({ source }: { readonly source: Parameters<typeof tableRowsOf>[1] }) {
  const { document, change, mayEdit, problemAt } = useDraft()
  const { table: open } = useShown()
  const show = useShow()
  const target = useQuery(tablesQuery(document.target_datasource_id))
  const [search, setSearch] = useState('')
  const [shown, setShown] = useState<Shown>('all')
  const [keys, setKeys] = useState<ReadonlySet<string>>(new Set())
  const rows = useMemo(() => tableRowsOf(document, source, target.data), [document, source, target.data])
  const found = rows.filter(
    ({ name, picked }) =>
      name.toLowerCase().includes(search.toLowerCase()) && (shown === 'all' || (shown === 'in') === (picked !== null)),
  )
  const openTable = useCallback((name: string | undefined): void => show({ table: name }), [show])
  const columns = useMemo(() => columnsOf(document, openTable), [document, openTable])
  const chosen = rows.filter(({ name }) => keys.has(name))
  const pick = (isPicked: boolean): void => {
    change((now) =>
      chosen.reduce(
        (so, { name, ref }) =>
          ref === null ? (isPicked ? so : withoutTable(so, name)) : pickTables(so, [ref], isPicked),
        now,
      ),
    )
    setKeys(new Set())
  }
  const problem = problemAt('tables') ?? problemAt('exclude_tables', { within: true })
  return (
    <Stack gap="xs">
      <Group justify="space-between">
        <Group gap="xs">
          <TextInput
            aria-label="Search tables"
            placeholder="Search tables"
            leftSection={<IconSearch size={14} aria-hidden />}
            value={search}
            onChange={(event) => setSearch(event.currentTarget.value)}
            w={240}
          />
          <Select
            aria-label="Which tables"
            data={SHOWN}
            value={shown}
            onChange={(value) => setShown((value ?? 'all') as Shown)}
            w={150}
          />
          <Text size="sm" className="quiet numbers" aria-live="polite">
            {plural(rows.filter(({ picked }) => picked !== null).length, 'entry', 'entries')} of {rows.length} take
            part: {tablesInWords(document)}
          </Text>
        </Group>
        {mayEdit && (
          <Group gap="xs">
            {chosen.length > 0 ? (
              <>
                <Button variant="default" onClick={() => pick(true)}>
                  Take in {chosen.length}
                </Button>
                <Button variant="default" onClick={() => pick(false)}>
                  Leave out {chosen.length}
                </Button>
              </>
            ) : (
              <>
                <Button variant="default" onClick={() => change(pickAll)}>
                  Take all tables
                </Button>
                <AddPattern />
              </>
            )}
          </Group>
        )}
      </Group>
      {problem !== undefined && <Mark tone="failed">{problem}</Mark>}
      {found.length === 0 ? (
        <Text size="sm" className="quiet" py="md">
          {source.length === 0 ? 'The source has no tables that its login can see.' : 'No table is like that.'}
        </Text>
      ) : (
        <DataTable
          name="tables-of-config"
          label="Tables"
          columns={columns}
          rows={found}
          keyOf={({ name }) => name}
          onOpen={({ name }) => openTable(name)}
          {...(mayEdit ? { selection: { keys, onChange: setKeys } } : {})}
        />
      )}
      {open !== undefined && <TableSettings name={open} onClose={() => openTable(undefined)} />}
    </Stack>
  )
}

function columnsOf(
  document: Parameters<typeof tableRowsOf>[0],
  open: (name: string) => void,
): readonly DataColumn<TableRow>[] {
  return [
    {
      id: 'source',
      header: 'Source table',
      value: ({ name }) => name,
      cell: ({ name }) => <span className="mono">{name}</span>,
    },
    { id: 'target', header: 'Target table', value: ({ target }) => target, cell: (row) => <Target {...row} /> },
    { id: 'picked', header: 'Takes part', value: inWords, cell: (row) => <TakesPart {...row} /> },
    {
      id: 'rows',
      header: 'Rows, about',
      align: 'right',
      value: ({ described }) => described?.estimated_rows ?? null,
      cell: ({ described }) =>
        described?.estimated_rows === null || described === null ? (
          <span className="quiet">not known</span>
        ) : (
          formatCount(described.estimated_rows)
        ),
    },
    { id: 'key', header: 'Key', cell: (row) => <Key {...row} /> },
    {
      id: 'settings',
      header: 'Settings of its own',
      cell: ({ name }) => <span className="quiet">{settingsInWords(document, name)}</span>,
    },
    {
      id: 'open',
      header: '',
      cell: ({ name }) => (
        <Button
          variant="subtle"
          color="gray"
          size="compact-xs"
          leftSection={<IconAdjustments size={14} aria-hidden />}
          onClick={() => open(name)}
          aria-label={`Settings of ${name}`}
        >
          Settings
        </Button>
      ),
    },
  ]
}

function Target({ target, picked, isInTarget, ref }: TableRow) {
  if (ref === null && target.includes('*')) return <span className="quiet">of the same name</span>
  return (
    <Group gap="xs" wrap="nowrap">
      <span className={picked === null ? 'mono quiet' : 'mono'}>{target}</span>
      {picked !== null && isInTarget === false && <Mark tone="person">not in the target</Mark>}
    </Group>
  )
}

function Key({ described, spoken }: TableRow) {
  const key = spoken.key ?? described?.primary_key ?? []
  if (key.length > 0) return <span className="mono">{key.join(', ')}</span>
  if (described === null) return null
  const [unique] = described.unique_keys
  return unique === undefined ? (
    <Mark tone="person">no key</Mark>
  ) : (
    <span className="mono quiet">{unique.join(', ')}</span>
  )
}

function inWords({ picked }: TableRow): string {
  if (picked === null) return 'no'
  return picked.by === 'pattern' ? `by ${picked.pattern}` : picked.by === 'all' ? 'as all do' : 'by name'
}

function TakesPart(row: TableRow) {
  return row.picked === null ? <Mark tone="resting">no</Mark> : <Mark tone="done">{inWords(row)}</Mark>
}

/** A table by its name, or many by a pattern. */
function AddPattern() {
  const { change } = useDraft()
  const [text, setText] = useState('')

  const add = (): void => {
    const ref = refOf(text)
    change((now) => (ref === null ? changeTable(now, text, (table) => table) : pickTables(now, [ref], true)))
    setText('')
  }
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault()
        if (text !== '') add()
      }}
    >
      <Group gap={4} wrap="nowrap">
        <TextInput
          aria-label="Add a table or a pattern"
          placeholder="shop.* or a name"
          value={text}
          onChange={(event) => setText(event.currentTarget.value)}
          w={160}
          size="xs"
        />
        <Button type="submit" variant="default" disabled={text === ''} leftSection={<IconPlus size={14} aria-hidden />}>
          Add
        </Button>
      </Group>
    </form>
  )
}
