import { Button, Group, Select, SimpleGrid, Stack, Table as Grid, Text, Title } from '@mantine/core'
import { IconX } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import type { Table } from '#features/sync-configs/document.ts'
import { useDraft } from '#features/sync-configs/draft.tsx'
import { Choose, ChoiceField, NumberField, TextField } from '#features/sync-configs/fields.tsx'
import { tablesQuery } from '#features/sync-configs/queries.ts'
import { options } from '#features/sync-configs/table-settings.tsx'
import { indexOfTable, pickedBy, setTableField, tableOf } from '#features/sync-configs/tables.ts'
import { refOf } from '#features/sync-configs/table-names.ts'
import { BASELINES, CONFLICTS, FIELD_CONFLICTS } from '#features/sync-configs/words.ts'
import { formatTableName } from '#lib/table-name.ts'

/** Who has the last word on rows that both sides changed: for the config, for a table, for a field. */
export function ConflictsTab() {
  const { document } = useDraft()
  const { tables = [], conflict_strategy: strategy } = document
  const used = new Set([strategy, ...tables.map((table) => table.conflict_strategy)])
  return (
    <Stack gap="lg">
      <Stack gap="sm">
        <Title order={2}>For every table</Title>
        <SimpleGrid cols={{ base: 1, sm: 2 }} spacing="md" maw={920}>
          <ChoiceField name="conflict_strategy" label="A row that both sides changed" choices={CONFLICTS} />
          <ChoiceField name="baseline" label="What the target remembers of each row" choices={BASELINES} />
          {(used.has('newer_wins') || document.newer_by !== undefined) && (
            <TextField
              name="newer_by"
              label="Newer by"
              about="The column of the target, a time or a version, that says which row is newer."
              placeholder="updated_at"
            />
          )}
          {used.has('newer_wins') && <ChoiceField name="tie_break" label="Where both are as new" choices={TIES} />}
          {(used.has('webhook') || document.webhook_url !== undefined) && (
            <TextField
              name="webhook_url"
              label="URL of the webhook"
              about="Both rows are posted there, signed. Whoever may see the config sees it."
              placeholder="https://rules.example.com/conflicts"
            />
          )}
          {used.has('webhook') && (
            <NumberField
              name="webhook_timeout_hours"
              label="Hours for its answer"
              about="It is asked again in that time; then somebody decides."
              byDefault={24}
              min={1}
              max={720}
            />
          )}
        </SimpleGrid>
      </Stack>
      <OwnStrategies />
    </Stack>
  )
}

const TIES = [
  { value: 'source', word: 'Source wins', about: 'The row of the source is taken.' },
  { value: 'target', word: 'Target wins', about: 'The row of the target stays.' },
] as const

function OwnStrategies() {
  const { document, change, mayEdit } = useDraft()
  const { data: described = [] } = useQuery(tablesQuery(document.source_datasource_id))
  const [added, setAdded] = useState<readonly string[]>([])
  const spoken = (document.tables ?? [])
    .filter((table) => (table.conflict_strategy ?? table.conflict_fields ?? table.newer_by) !== undefined)
    .map(({ source }) => source)
  const shown = [...new Set([...spoken, ...added])]
  const others = described
    .filter(({ table }) => pickedBy(document, table) !== null)
    .map(({ table }) => formatTableName(table))
  return (
    <Stack gap="sm">
      <Title order={2}>For one table, or one field</Title>
      {shown.length === 0 && (
        <Text size="sm" className="quiet">
          Every table is as said above.
        </Text>
      )}
      {shown.map((name) => (
        <OfTable key={name} name={name} />
      ))}
      {mayEdit && (
        <Select
          aria-label="Decide one table in another way"
          placeholder="Decide one table in another way"
          data={others.filter((name) => !shown.includes(name))}
          searchable
          value={null}
          onChange={(name) => {
            if (name === null) return
            setAdded((now) => [...now, name])
            change((now) => setTableField(now, name, 'conflict_strategy', 'merge'))
          }}
          maw={320}
        />
      )}
    </Stack>
  )
}

function OfTable({ name }: { readonly name: string }) {
  const { document, change, mayEdit, problemAt } = useDraft()
  const { data: targets = [] } = useQuery(tablesQuery(document.target_datasource_id))
  const table = tableOf(document, name)
  const target = table.target ?? name
  const columns =
    targets.find((one) => formatTableName(one.table) === target)?.columns.map((column) => column.name) ?? []
  const fields = Object.entries(table.conflict_fields ?? {})
  const at = indexOfTable(document, name)
  const set = <K extends keyof Table>(field: K, value: Table[K] | undefined): void =>
    change((now) => setTableField(now, name, field, value))
  const setFields = (next: readonly (readonly [string, string])[]): void =>
    set('conflict_fields', next.length === 0 ? undefined : (Object.fromEntries(next) as Table['conflict_fields']))
  const strategy = table.conflict_strategy ?? document.conflict_strategy
  return (
    <Stack gap="xs" maw={920}>
      <Group align="flex-start" gap="md">
        <Stack gap={2} w={220}>
          <Text className="mono">{name}</Text>
          {refOf(name) !== null && target !== name && <Text className="mono quiet">→ {target}</Text>}
        </Stack>
        <Choose
          label={`Strategy of ${name}`}
          choices={CONFLICTS}
          inherits="As for every table"
          value={table.conflict_strategy}
          onChange={(value) => set('conflict_strategy', value as Table['conflict_strategy'])}
          error={problemAt(`tables/${at}/conflict_strategy`)}
          mayEdit={mayEdit}
        />
        {(strategy === 'newer_wins' || table.newer_by !== undefined) && mayEdit && (
          <Select
            label={`Newer by, of ${name}`}
            data={options(columns, table.newer_by === undefined ? [] : [table.newer_by])}
            placeholder={document.newer_by ?? 'none'}
            searchable
            clearable
            clearButtonProps={{ 'aria-label': 'None of its own' }}
            value={table.newer_by ?? null}
            onChange={(value) => set('newer_by', value ?? undefined)}
            error={problemAt(`tables/${at}/newer_by`)}
          />
        )}
      </Group>
      {(strategy === 'merge' || fields.length > 0) && (
        <Grid aria-label={`Fields of ${target}`} fz="sm" maw={760}>
          <Grid.Tbody>
            {fields.map(([column, how]) => (
              <Grid.Tr key={column}>
                <Grid.Td className="mono" w={220}>
                  {column}
                </Grid.Td>
                <Grid.Td>
                  <Choose
                    label={`Who has the last word on ${column}`}
                    choices={FIELD_CONFLICTS}
                    value={how}
                    onChange={(value) =>
                      setFields(fields.map((one) => (one[0] === column ? [column, value ?? 'manual'] : one)))
                    }
                    error={problemAt(`tables/${at}/conflict_fields/${column}`)}
                    mayEdit={mayEdit}
                  />
                </Grid.Td>
                <Grid.Td w={120}>
                  {mayEdit && (
                    <Button
                      variant="subtle"
                      color="gray"
                      leftSection={<IconX size={14} aria-hidden />}
                      onClick={() => setFields(fields.filter((one) => one[0] !== column))}
                      aria-label={`Remove what is said of ${column}`}
                    >
                      Remove
                    </Button>
                  )}
                </Grid.Td>
              </Grid.Tr>
            ))}
          </Grid.Tbody>
        </Grid>
      )}
      {strategy === 'merge' && mayEdit && (
        <Select
          aria-label={`A field of ${target}`}
          placeholder="A field with a word of its own"
          data={columns.filter((column) => !fields.some(([other]) => other === column))}
          searchable
          value={null}
          onChange={(column) => column !== null && setFields([...fields, [column, 'manual']])}
          maw={320}
        />
      )}
    </Stack>
  )
}
