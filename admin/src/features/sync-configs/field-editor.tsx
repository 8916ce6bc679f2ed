import { Checkbox, MultiSelect, Select, Stack, Text, Textarea, TextInput, Title } from '@mantine/core'
import { useDraft } from '#features/sync-configs/draft.tsx'
import { Fact } from '#features/sync-configs/fields.tsx'
import { FieldPreview } from '#features/sync-configs/field-preview.tsx'
import { useMappedTable } from '#features/sync-configs/mapped-table.tsx'
import {
  accept,
  columnsOf,
  connect,
  fillOf,
  kindOf,
  readRule,
  readStep,
  sourceInWords,
  toKind,
  type Column,
  type Field,
  type SourceKind,
} from '#features/sync-configs/mapping.ts'
import { RulesEditor } from '#features/sync-configs/rules-editor.tsx'
import { StepsEditor } from '#features/sync-configs/steps-editor.tsx'
import { SuggestedField } from '#features/sync-configs/suggested.tsx'
import { Verdict } from '#features/sync-configs/verdict.tsx'
import { Mark } from '#ui/mark.tsx'

const KINDS: readonly { readonly value: SourceKind | 'nothing'; readonly label: string }[] = [
  { value: 'column', label: 'A column' },
  { value: 'columns', label: 'Several columns' },
  { value: 'constant', label: 'A constant' },
  { value: 'expression', label: 'A CEL expression' },
  { value: 'code', label: 'JavaScript' },
  { value: 'nothing', label: 'Nothing' },
]

/** One field of the target: where its value comes from, what happens to it, and what it must be. */
export function FieldEditor({ column }: { readonly column: Column }) {
  const { fields, setField, judged, suggested, problemOf, sourceColumns } = useMappedTable()
  const { mayEdit } = useDraft()
  const field = fields.find(({ target }) => target === column.name)
  const suggestion = suggested.get(column.name)
  const verdict = judged.get(column.name)
  const problem = problemOf(column.name)
  const set = (next: Field | null): void => setField(column.name, next)
  if (!mayEdit) return <Facts column={column} field={field} />
  return (
    <Stack gap="md">
      {problem !== undefined && <Mark tone="failed">{problem}</Mark>}
      <Select
        label="Comes from"
        data={[...KINDS]}
        value={field === undefined ? 'nothing' : kindOf(field)}
        onChange={(kind) =>
          set(
            kind === 'nothing' || kind === null
              ? null
              : toKind(field ?? { target: column.name }, kind as SourceKind, sourceColumns),
          )
        }
        {...(field === undefined ? { description: `It gets ${fillOf(column)}.` } : {})}
      />
      {field !== undefined && <Source field={field} set={set} />}
      {suggestion !== undefined && (
        <SuggestedField suggested={suggestion} onAccept={(taken) => set(accept(field, taken))} />
      )}
      {verdict !== undefined && (
        <Stack gap={2}>
          <Verdict judged={verdict} />
          <Text size="sm">
            {verdict.source_type} → {verdict.target_type}. {verdict.reason} {verdict.next_step}
          </Text>
        </Stack>
      )}
      {field !== undefined && (
        <>
          <Title order={3}>Steps</Title>
          <StepsEditor field={field} onChange={set} />
          <Title order={3}>Rules</Title>
          <RulesEditor field={field} onChange={set} />
          <Title order={3}>On live rows</Title>
          <FieldPreview target={column.name} />
        </>
      )}
    </Stack>
  )
}

interface SourceProps {
  readonly field: Field
  readonly set: (field: Field | null) => void
}

function Source({ field, set }: SourceProps) {
  const { sourceColumns } = useMappedTable()
  const names = sourceColumns.map(({ name, type }) => ({ value: name, label: `${name} (${type})` }))
  switch (kindOf(field)) {
    case 'column':
      return (
        <Select
          label="Column of the source"
          data={names}
          searchable
          value={field.column ?? null}
          onChange={(value) => value !== null && set(connect(field, field.target, value))}
        />
      )
    case 'columns':
      return (
        <MultiSelect
          label="Columns of the source"
          description="In this order; the first step makes one value of them."
          data={names}
          searchable
          value={[...columnsOf(field)]}
          onChange={(columns) => set({ ...field, columns })}
        />
      )
    case 'constant':
      return (
        <Stack gap="xs">
          <TextInput
            label="Value of every row"
            description="Written as the column of the target writes it."
            value={field.constant === null ? '' : String(field.constant ?? '')}
            disabled={field.constant === null}
            onChange={(event) => set({ ...field, constant: event.currentTarget.value })}
          />
          <Checkbox
            size="xs"
            label="NULL"
            checked={field.constant === null}
            onChange={(event) => set({ ...field, constant: event.currentTarget.checked ? null : '' })}
          />
        </Stack>
      )
    case 'expression':
      return (
        <Textarea
          label="CEL expression"
          description="Over the columns of the source."
          placeholder="company == null ? 'person' : 'organisation'"
          autosize
          minRows={2}
          maxRows={10}
          classNames={{ input: 'mono' }}
          value={field.expression ?? ''}
          onChange={(event) => set({ ...field, expression: event.currentTarget.value })}
        />
      )
    case 'code':
      return (
        <Textarea
          label="JavaScript"
          description="The body of a function of row. It runs in a sandbox without clock, chance, files or network, and returns the value."
          placeholder="return row.first_name ? 'Dear ' + row.first_name : null"
          autosize
          minRows={3}
          maxRows={16}
          classNames={{ input: 'mono' }}
          value={field.code ?? ''}
          onChange={(event) => set({ ...field, code: event.currentTarget.value })}
        />
      )
  }
}

function Facts({ column, field }: { readonly column: Column; readonly field: Field | undefined }) {
  return (
    <Stack gap="md">
      <Fact
        label="Comes from"
        value={<span className="mono">{field === undefined ? fillOf(column) : sourceInWords(field)}</span>}
      />
      {field?.code !== undefined && <Fact label="JavaScript" value={<span className="mono">{field.code}</span>} />}
      <Fact label="Steps" value={(field?.transforms ?? []).map((step) => readStep(step).name).join(' → ') || 'none'} />
      <Fact label="Rules" value={(field?.rules ?? []).map((rule) => readRule(rule).name).join(', ') || 'none'} />
    </Stack>
  )
}
