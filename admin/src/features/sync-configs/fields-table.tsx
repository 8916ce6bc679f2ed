import { Button, Select, Table, Text } from '@mantine/core'
import { IconPencil } from '@tabler/icons-react'
import { useMappedTable } from '#features/sync-configs/mapped-table.tsx'
import {
  accept,
  connect,
  fillOf,
  kindOf,
  readRule,
  readStep,
  sourceInWords,
  type Column,
  type Field,
} from '#features/sync-configs/mapping.ts'
import { useDraft } from '#features/sync-configs/draft.tsx'
import { SuggestedField } from '#features/sync-configs/suggested.tsx'
import { Verdict } from '#features/sync-configs/verdict.tsx'
import { Mark } from '#ui/mark.tsx'

/** The mapping as a table: every column of the target with what feeds it, all of it by keyboard. */
export function FieldsTable({ onOpen }: { readonly onOpen: (field: string) => void }) {
  const { target, targetColumns, suggested } = useMappedTable()
  return (
    <Table aria-label={`Fields of ${target}`} fz="sm" verticalSpacing={4}>
      <Table.Thead>
        <Table.Tr>
          <Table.Th w={240}>From the source</Table.Th>
          <Table.Th>Column of the target</Table.Th>
          <Table.Th>Steps and rules</Table.Th>
          <Table.Th>Types</Table.Th>
          {suggested.size > 0 && <Table.Th>Suggested</Table.Th>}
          <Table.Th w={80} />
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {targetColumns.map((column) => (
          <FieldRow key={column.name} column={column} onOpen={onOpen} />
        ))}
      </Table.Tbody>
    </Table>
  )
}

function FieldRow({ column, onOpen }: { readonly column: Column; readonly onOpen: (field: string) => void }) {
  const { fields, setField, judged, suggested, problemOf } = useMappedTable()
  const { mayEdit } = useDraft()
  const field = fields.find((one) => one.target === column.name)
  const suggestion = suggested.get(column.name)
  const problem = problemOf(column.name)
  return (
    <Table.Tr>
      <Table.Td>
        <From column={column} field={field} />
      </Table.Td>
      <Table.Td>
        <span className="mono">{column.name}</span>{' '}
        <Text component="span" size="xs" className="quiet">
          {column.type}
          {!column.nullable && ', not null'}
        </Text>
        {problem !== undefined && <Mark tone="failed">{problem}</Mark>}
      </Table.Td>
      <Table.Td>{field === undefined ? null : <Steps field={field} />}</Table.Td>
      <Table.Td>
        <Verdict judged={judged.get(column.name)} />
      </Table.Td>
      {suggested.size > 0 && (
        <Table.Td>
          {suggestion !== undefined && (
            <SuggestedField
              suggested={suggestion}
              onAccept={mayEdit ? (taken) => setField(column.name, accept(field, taken)) : null}
            />
          )}
        </Table.Td>
      )}
      <Table.Td>
        <Button
          variant="subtle"
          color="gray"
          size="compact-xs"
          leftSection={<IconPencil size={14} aria-hidden />}
          onClick={() => onOpen(column.name)}
          aria-label={`${mayEdit ? 'Edit' : 'Look at'} ${column.name}`}
        >
          {mayEdit ? 'Edit' : 'Look'}
        </Button>
      </Table.Td>
    </Table.Tr>
  )
}

/** The value of the choice that feeds nothing; no column has an empty name. */
const NOTHING = ''

function From({ column, field }: { readonly column: Column; readonly field: Field | undefined }) {
  const { sourceColumns, setField } = useMappedTable()
  const { mayEdit } = useDraft()
  const isColumn = field === undefined || kindOf(field) === 'column'
  if (!mayEdit || !isColumn) {
    return field === undefined ? (
      <span className="quiet">{fillOf(column)}</span>
    ) : (
      <span className="mono">{sourceInWords(field)}</span>
    )
  }
  return (
    <Select
      aria-label={`What feeds ${column.name}`}
      size="xs"
      searchable
      data={[
        { value: NOTHING, label: `nothing: ${fillOf(column)}` },
        ...sourceColumns.map(({ name, type }) => ({ value: name, label: `${name} (${type})` })),
      ]}
      value={field?.column ?? NOTHING}
      onChange={(value) =>
        setField(column.name, value === null || value === NOTHING ? null : connect(field, column.name, value))
      }
    />
  )
}

function Steps({ field }: { readonly field: Field }) {
  const steps = (field.transforms ?? []).map((step) => readStep(step).name)
  const rules = (field.rules ?? []).map((rule) => readRule(rule).name)
  return (
    <span className="mono">
      {steps.join(' → ')}
      {rules.length > 0 && <span className="quiet">{`${steps.length > 0 ? ' ' : ''}must be ${rules.join(', ')}`}</span>}
    </span>
  )
}
