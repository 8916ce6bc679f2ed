import { Group, Select, Stack } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { ArgumentInput } from '#features/sync-configs/argument-input.tsx'
import { withField } from '#features/sync-configs/document.ts'
import { readRule, writeRule, type Field, type NamedRule, type OnFail } from '#features/sync-configs/mapping.ts'
import { AddPart, NamedPart } from '#features/sync-configs/named-parts.tsx'
import { rulesQuery, type Rule } from '#features/sync-configs/queries.ts'

interface RulesEditorProps {
  readonly field: Field
  readonly onChange: (field: Field) => void
}

const ON_FAIL = [
  { value: 'reject', label: 'set the row aside' },
  { value: 'warn', label: 'warn, and carry the row' },
  { value: 'stop', label: 'stop the run' },
] as const satisfies readonly { readonly value: OnFail; readonly label: string }[]

/** What the value that arrives must be, and what becomes of a row whose value is not. */
export function RulesEditor({ field, onChange }: RulesEditorProps) {
  const { data: kinds = [] } = useQuery(rulesQuery)
  const rules = (field.rules ?? []).map(readRule)
  const write = (next: readonly NamedRule[]): void =>
    onChange(withField(field, 'rules', next.length === 0 ? undefined : next.map(writeRule)))
  return (
    <Stack gap="xs">
      {rules.map((rule, i) => (
        <RuleCard
          key={`${i} ${rule.name}`}
          rule={rule}
          kind={kinds.find(({ name }) => name === rule.name)}
          onChange={(next) => write(rules.map((one, at) => (at === i ? next : one)))}
          onRemove={() => write(rules.filter((_, at) => at !== i))}
        />
      ))}
      <AddPart
        label="Add a rule"
        names={kinds.map(({ name }) => name)}
        aboutOf={(name) => kinds.find((kind) => kind.name === name)?.description}
        onAdd={(name) => {
          const kind = kinds.find((one) => one.name === name)
          if (kind !== undefined) write([...rules, { name: kind.name, args: kind.example, onFail: 'reject' }])
        }}
      />
    </Stack>
  )
}

interface RuleCardProps {
  readonly rule: NamedRule
  readonly kind: Rule | undefined
  readonly onChange: (rule: NamedRule) => void
  readonly onRemove: () => void
}

function RuleCard({ rule, kind, onChange, onRemove }: RuleCardProps) {
  const { name, args, onFail } = rule
  return (
    <NamedPart
      sort="Rule"
      name={name}
      about={
        <>
          {kind?.description} {kind?.note}
        </>
      }
      onRemove={onRemove}
    >
      {kind !== undefined && (
        <Asked kind={kind} value={args} onChange={(value) => onChange({ ...rule, args: value })} />
      )}
      <Select
        label="A row that breaks it"
        size="xs"
        data={[...ON_FAIL]}
        value={onFail}
        onChange={(value) => onChange({ ...rule, onFail: (value ?? 'reject') as OnFail })}
      />
    </NamedPart>
  )
}

interface AskedProps {
  readonly kind: Rule
  readonly value: unknown
  readonly onChange: (value: unknown) => void
}

/** What a rule asks for: nothing more than its name, one value, or several under their names. */
function Asked({ kind, value, onChange }: AskedProps) {
  const { schema } = kind
  if (schema['const'] === true) return null
  const properties = schema['properties']
  if (typeof properties !== 'object' || properties === null) {
    return <ArgumentInput name={kind.name} description="" required schema={schema} value={value} onChange={onChange} />
  }
  const parts: Readonly<Record<string, unknown>> = typeof value === 'object' && value !== null ? { ...value } : {}
  const required = Array.isArray(schema['required']) ? schema['required'] : []
  return (
    <Group grow align="flex-start">
      {Object.entries(properties as Readonly<Record<string, Readonly<Record<string, unknown>>>>).map(([name, one]) => (
        <ArgumentInput
          key={name}
          name={name}
          description=""
          required={required.includes(name)}
          schema={one}
          value={parts[name]}
          onChange={(next) => onChange(withField(parts, name, next))}
        />
      ))}
    </Group>
  )
}
