import { ActionIcon, Autocomplete, Button, Group, Select, Stack, Text, TextInput, Title } from '@mantine/core'
import { IconPencil, IconPlus, IconX } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { useMemo, useState } from 'react'
import type { ApiProblem } from '#api/client.ts'
import type { CopyDraft, Filter, Mask } from '#features/dumps/copy-draft.ts'
import { readStep } from '#features/sync-configs/mapping.ts'
import { tablesQuery, type TableDescription } from '#features/sync-configs/queries.ts'
import { StepsEditor } from '#features/sync-configs/steps-editor.tsx'
import { formatTableName } from '#lib/table-name.ts'
import { SideDialog } from '#ui/dialog.tsx'
import tables from '#ui/data-table.module.css'
import classes from './dumps.module.css'

interface RulesProps {
  readonly source: string
  readonly draft: CopyDraft
  readonly set: (change: Partial<CopyDraft>) => void
  readonly problem: ApiProblem | null
}

/** Tables that hold rows, by the names that requests have for them. */
function useTables(source: string): ReadonlyMap<string, TableDescription> {
  const { data } = useQuery(tablesQuery(source))
  return useMemo(() => {
    const held = (data ?? []).filter(({ kind }) => kind === 'table' || kind === 'partitioned_table')
    return new Map(held.map((each) => [formatTableName(each.table), each]))
  }, [data])
}

/** Which rows come along. */
export function Filters({ source, draft: { filters }, set, problem }: RulesProps) {
  const known = useTables(source)
  const write = (at: number, change: Partial<Filter>): void =>
    set({ filters: filters.map((one, i) => (i === at ? { ...one, ...change } : one)) })
  return (
    <Stack gap="xs" component="section" aria-labelledby="filters">
      <Title order={2} id="filters">
        Only some rows
      </Title>
      <Text size="sm" className="quiet">
        A condition on the columns of a row, such as <span className="mono">total &gt; 100</span>. Rows that do not meet
        it stay behind; filter tables that refer to them alike.
      </Text>
      {filters.map((filter, at) => (
        // Filters have no name: their place tells them apart.
        // oxlint-disable-next-line react/no-array-index-key
        <Group key={at} gap="xs" align="flex-start" wrap="nowrap">
          <Autocomplete
            aria-label={`Table of filter ${at + 1}`}
            placeholder="Table"
            data={[...known.keys()]}
            limit={100}
            w={200}
            value={filter.table}
            error={problem?.of(`filters/${at}/table`)}
            onChange={(table) => write(at, { table })}
          />
          <TextInput
            aria-label={`Condition of filter ${at + 1}`}
            placeholder={exampleOf(known.get(filter.table))}
            classNames={{ input: 'mono' }}
            flex={1}
            value={filter.where}
            error={problem?.of(`filters/${at}/where`)}
            onChange={(event) => write(at, { where: event.currentTarget.value })}
          />
          <ActionIcon
            variant="subtle"
            color="gray"
            size="input-sm"
            aria-label={`Remove filter ${at + 1}`}
            onClick={() => set({ filters: filters.filter((_, i) => i !== at) })}
          >
            <IconX size={14} />
          </ActionIcon>
        </Group>
      ))}
      <div>
        <Button
          variant="default"
          leftSection={<IconPlus size={14} aria-hidden />}
          onClick={() => set({ filters: [...filters, { table: '', where: '' }] })}
        >
          Add a filter
        </Button>
      </div>
    </Stack>
  )
}

function exampleOf(table: TableDescription | undefined): string {
  const column = table?.columns[0]?.name
  return column === undefined ? 'total > 100' : `A condition on ${column}, …`
}

/** Which values become others on their way. */
export function Masks({ source, draft: { masks }, set }: RulesProps) {
  /** The place of the mask that is looked at; one behind the last is a new one. */
  const [open, setOpen] = useState<number | null>(null)
  return (
    <Stack gap="xs" component="section" aria-labelledby="masks">
      <Title order={2} id="masks">
        Masked columns
      </Title>
      <Text size="sm" className="quiet">
        Values become others on their way, so that they never reach the target, its log or its dumps. Columns that
        nobody names are copied as they are, new ones too.
      </Text>
      {masks.length > 0 && (
        <div className={classes['scroll']}>
          <table className={tables['table']} aria-label="Masked columns">
            <thead>
              <tr>
                <th>Table</th>
                <th>Column</th>
                <th>Becomes</th>
                <th aria-label="Change" />
              </tr>
            </thead>
            <tbody>
              {masks.map((mask, at) => (
                <tr key={`${mask.table} ${mask.column} ${at}`}>
                  <td className="mono">{mask.table}</td>
                  <td className="mono">{mask.column}</td>
                  <td className="mono">{mask.transforms.map((step) => readStep(step).name).join(', ')}</td>
                  <td>
                    <Group gap={2} wrap="nowrap">
                      <ActionIcon
                        variant="subtle"
                        color="gray"
                        aria-label={`Change the mask of ${mask.table}.${mask.column}`}
                        onClick={() => setOpen(at)}
                      >
                        <IconPencil size={14} />
                      </ActionIcon>
                      <ActionIcon
                        variant="subtle"
                        color="gray"
                        aria-label={`Remove the mask of ${mask.table}.${mask.column}`}
                        onClick={() => set({ masks: masks.filter((_, i) => i !== at) })}
                      >
                        <IconX size={14} />
                      </ActionIcon>
                    </Group>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      <div>
        <Button
          variant="default"
          leftSection={<IconPlus size={14} aria-hidden />}
          onClick={() => setOpen(masks.length)}
        >
          Mask a column
        </Button>
      </div>
      {open !== null && (
        <MaskDialog
          source={source}
          first={masks[open] ?? { table: '', column: '', transforms: [] }}
          onDone={(mask) => {
            set({ masks: open < masks.length ? masks.map((one, i) => (i === open ? mask : one)) : [...masks, mask] })
            setOpen(null)
          }}
          onClose={() => setOpen(null)}
        />
      )}
    </Stack>
  )
}

interface MaskDialogProps {
  readonly source: string
  readonly first: Mask
  readonly onDone: (mask: Mask) => void
  readonly onClose: () => void
}

function MaskDialog({ source, first, onDone, onClose }: MaskDialogProps) {
  const known = useTables(source)
  const [mask, setMask] = useState(first)
  const columns = known.get(mask.table)?.columns ?? []
  const mayGo = mask.table !== '' && mask.column !== '' && mask.transforms.length > 0
  return (
    <SideDialog onClose={onClose} title="Mask a column" size={480}>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          event.stopPropagation()
          if (mayGo) onDone(mask)
        }}
      >
        <Stack gap="md">
          <Autocomplete
            label="Table"
            description="As the source calls it; * stands for any characters."
            data={[...known.keys()]}
            limit={100}
            value={mask.table}
            onChange={(table) => setMask({ ...mask, table })}
          />
          {columns.length > 0 ? (
            <Select
              label="Column"
              searchable
              placeholder="Choose a column"
              data={columns.map(({ name }) => name)}
              value={mask.column === '' ? null : mask.column}
              onChange={(column) => setMask({ ...mask, column: column ?? '' })}
            />
          ) : (
            <TextInput
              label="Column"
              value={mask.column}
              onChange={(event) => setMask({ ...mask, column: event.currentTarget.value })}
            />
          )}
          <Stack gap={4} component="section" aria-label="Steps">
            <Text size="sm" fw={700}>
              What its values become
            </Text>
            <StepsEditor
              field={{ target: mask.column, column: mask.column, transforms: mask.transforms }}
              onChange={({ transforms = [] }) => setMask({ ...mask, transforms })}
            />
          </Stack>
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={onClose}>
              Cancel
            </Button>
            <Button type="submit" disabled={!mayGo}>
              Mask it
            </Button>
          </Group>
        </Stack>
      </form>
    </SideDialog>
  )
}
