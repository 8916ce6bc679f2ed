import { Autocomplete, Button, Group, MultiSelect, Select, Stack, Text, Textarea } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import type { Table } from '#features/sync-configs/document.ts'
import { useDraft } from '#features/sync-configs/draft.tsx'
import { Choose, Fact } from '#features/sync-configs/fields.tsx'
import { tablesQuery } from '#features/sync-configs/queries.ts'
import { indexOfTable, setTableField, tableOf } from '#features/sync-configs/tables.ts'
import { CONFLICTS, DELETES, DETECTION, wordOf } from '#features/sync-configs/words.ts'
import { useShow } from '#features/sync-configs/use-shown.ts'
import { formatTableName } from '#lib/table-name.ts'
import { SideDialog } from '#ui/dialog.tsx'

interface TableSettingsProps {
  readonly name: string
  readonly onClose: () => void
}

/** What is said of one table alone. What is left empty is as the config says for all. */
export function TableSettings({ name, onClose }: TableSettingsProps) {
  const { mayEdit } = useDraft()
  const show = useShow()
  return (
    <SideDialog onClose={onClose} title={<span className="mono">{name}</span>} size={480}>
      <Stack gap="md">
        {mayEdit ? <Form name={name} /> : <Facts name={name} />}
        {!name.includes('*') && (
          <Group>
            <Button variant="default" onClick={() => show({ tab: 'mapping', table: name })}>
              Map the columns of {name}
            </Button>
          </Group>
        )}
      </Stack>
    </SideDialog>
  )
}

function Form({ name }: { readonly name: string }) {
  const { document, change, problemAt } = useDraft()
  const { data: sources = [] } = useQuery(tablesQuery(document.source_datasource_id))
  const { data: targets = [] } = useQuery(tablesQuery(document.target_datasource_id))
  const table = tableOf(document, name)
  const columns = sources.find((one) => formatTableName(one.table) === name)?.columns.map((column) => column.name) ?? []
  const set = <K extends keyof Table>(field: K, value: Table[K] | undefined): void =>
    change((now) => setTableField(now, name, field, value))
  const at = indexOfTable(document, name)
  const problem = (field: string): string | undefined => problemAt(`tables/${at}/${field}`, { within: true })
  return (
    <>
      <Autocomplete
        label="Target table"
        description="Where it has another name in the target."
        placeholder={name}
        data={targets.map((one) => formatTableName(one.table))}
        value={table.target ?? ''}
        onChange={(value) => set('target', value === '' ? undefined : value)}
        error={problem('target')}
      />
      <MultiSelect
        label="Key"
        description="Columns that identify a row; else the primary key, else a unique index."
        data={options(columns, table.key ?? [])}
        searchable
        value={table.key ?? []}
        onChange={(value) => set('key', value.length === 0 ? undefined : value)}
        error={problem('key')}
      />
      {table.query !== undefined && (
        <Textarea
          label="Query"
          description="A SELECT of the source that stands for the table."
          autosize
          maxRows={14}
          classNames={{ input: 'mono' }}
          value={table.query}
          onChange={(event) => set('query', event.currentTarget.value)}
          error={problem('query')}
        />
      )}
      <Textarea
        label="Filter"
        description="A CEL condition: rows that do not meet it do not exist for the sync."
        placeholder="country == 'NO' && total > 100"
        autosize
        minRows={1}
        maxRows={8}
        classNames={{ input: 'mono' }}
        value={table.filter ?? ''}
        onChange={({ currentTarget: { value } }) => set('filter', value === '' ? undefined : value)}
        error={problem('filter')}
      />
      {(table.filter !== undefined || table.filter_exit !== undefined) && (
        <Choose
          label="A row that leaves the filter"
          choices={EXITS}
          value={table.filter_exit}
          onChange={(value) => set('filter_exit', value as Table['filter_exit'])}
          error={problem('filter_exit')}
          mayEdit
        />
      )}
      <Choose
        label="Changes are found by"
        choices={DETECTION}
        inherits={`As the config: ${wordOf(DETECTION, document.detection_strategy)}`}
        value={table.detection_strategy}
        onChange={(value) => set('detection_strategy', value as Table['detection_strategy'])}
        error={problem('detection_strategy')}
        mayEdit
      />
      {needsCursor(table.detection_strategy ?? document.detection_strategy) && (
        <Select
          label="Cursor column"
          description="Set by every insert and update."
          placeholder={document.cursor_column ?? 'none'}
          data={options(columns, table.cursor_column === undefined ? [] : [table.cursor_column])}
          searchable
          clearable
          clearButtonProps={{ 'aria-label': 'No cursor column of its own' }}
          value={table.cursor_column ?? null}
          onChange={(value) => set('cursor_column', value ?? undefined)}
          error={problem('cursor_column')}
        />
      )}
      <Choose
        label="Rows that both sides changed"
        choices={CONFLICTS}
        inherits={`As the config: ${wordOf(CONFLICTS, document.conflict_strategy)}`}
        value={table.conflict_strategy}
        onChange={(value) => set('conflict_strategy', value as Table['conflict_strategy'])}
        error={problem('conflict_strategy')}
        mayEdit
      />
      <Text size="xs" className="quiet">
        Rows that the source no longer has: {wordOf(DELETES, document.delete_policy).toLowerCase()}, as for every table
        of the config.
      </Text>
    </>
  )
}

const EXITS = [
  { value: 'ignore', word: 'Leave it in the target', about: 'The row of the target stays as it was.' },
  { value: 'delete', word: 'Delete it in the target', about: 'Within the scope and the brake of deletes.' },
] as const

export function needsCursor(strategy: string | undefined): boolean {
  return strategy === 'timestamp' || strategy === 'rowversion'
}

/** The columns to choose from, with those that are chosen though no catalogue has them. */
export function options(columns: readonly string[], chosen: readonly string[]): string[] {
  return [...new Set([...columns, ...chosen])]
}

function Facts({ name }: { readonly name: string }) {
  const { document } = useDraft()
  const table = tableOf(document, name)
  return (
    <>
      <Fact label="Target table" value={table.target ?? name} />
      <Fact label="Key" value={table.key?.join(', ') ?? 'the primary key, else a unique index'} />
      {table.query !== undefined && <Fact label="Query" value={<span className="mono">{table.query}</span>} />}
      <Fact label="Filter" value={table.filter ?? 'none: every row'} />
      <Fact
        label="Changes are found by"
        value={wordOf(DETECTION, table.detection_strategy ?? document.detection_strategy)}
      />
      <Fact
        label="Rows that both sides changed"
        value={wordOf(CONFLICTS, table.conflict_strategy ?? document.conflict_strategy)}
      />
    </>
  )
}
