import type { Schemas } from '#api/client.ts'
import { withField, type Table } from '#features/sync-configs/document.ts'

/** Which column of the source feeds which of the target, and edits of that. */

export type Field = Schemas['FieldMapping']
export type Step = Schemas['TransformStep']
export type RuleStep = Schemas['RuleStep']
export type Column = Schemas['TableDescription']['columns'][number]

export const SOURCE_KINDS = ['column', 'columns', 'constant', 'expression', 'code'] as const
export type SourceKind = (typeof SOURCE_KINDS)[number]

export function kindOf(field: Field): SourceKind {
  return SOURCE_KINDS.find((kind) => field[kind] !== undefined) ?? 'column'
}

/** The columns of the source that lines are drawn from. */
export function columnsOf({ column, columns }: Field): readonly string[] {
  return columns ?? (column === undefined ? [] : [column])
}

/** What a table maps, field by field: as it says itself, or by the names of the columns. */
export function fieldsOf(
  { field_mappings: own, columns: only, exclude = [], rename = {} }: Table,
  source: readonly Column[],
  target: readonly Column[],
): readonly Field[] {
  if (own !== undefined) return own
  const taken = source.filter(({ name }) => (only?.includes(name) ?? true) && !exclude.includes(name))
  return target.flatMap(({ name, generated }) => {
    const from = generated ? undefined : taken.find((column) => (rename[column.name] ?? column.name) === name)
    return from === undefined ? [] : [{ target: name, column: from.name }]
  })
}

/** Writes the fields of a table one by one; what stood for them before has no place beside that. */
export function withFields(table: Table, fields: readonly Field[]): Table {
  const { columns: _, exclude: __, rename: ___, field_mappings: ____, ...rest } = table
  return fields.length === 0 ? rest : { ...rest, field_mappings: [...fields] }
}

/** Gives a column of the target what feeds it, in the place of what did; null: nothing does. */
export function setField(fields: readonly Field[], target: string, field: Field | null): readonly Field[] {
  const at = fields.findIndex((one) => one.target === target)
  if (field === null) return fields.filter((one) => one.target !== target)
  return at < 0 ? [...fields, field] : fields.map((one, i) => (i === at ? field : one))
}

/** A line from a column of the source: the field keeps its rules, and its steps where they still have a value to work on. */
export function connect(field: Field | undefined, target: string, column: string): Field {
  const { column: _, columns: __, constant: ___, expression: ____, code: _____, ...kept } = field ?? { target }
  const steps = field !== undefined && kindOf(field) === 'column' ? kept.transforms : undefined
  return withField<Field, 'transforms'>({ ...kept, column }, 'transforms', steps)
}

/** Another line into a field that has some already: all of them together, for a step that makes one value of several. */
export function addColumn(field: Field, column: string): Field {
  const columns = [...new Set([...columnsOf(field), column])]
  if (columns.length < 2) return connect(field, field.target, column)
  const { column: _, constant: __, expression: ___, code: ____, ...kept } = field
  return { ...kept, columns }
}

/** Takes one line away; null where none is left. */
export function removeColumn(field: Field, column: string): Field | null {
  const [first, ...rest] = columnsOf(field).filter((one) => one !== column)
  if (first === undefined) return null
  if (rest.length > 0) return { ...field, columns: [first, ...rest] }
  const { columns: _, ...kept } = field
  return { ...kept, column: first }
}

export interface Unmapped {
  readonly source: readonly string[]
  readonly target: readonly Column[]
}

export function unmappedOf(fields: readonly Field[], source: readonly Column[], target: readonly Column[]): Unmapped {
  const read = new Set(fields.flatMap(columnsOf))
  const fed = new Set(fields.map((field) => field.target))
  return {
    source: source.filter(({ name }) => !read.has(name)).map(({ name }) => name),
    target: target.filter(({ name }) => !fed.has(name)),
  }
}

/** What becomes of a column of the target that nothing feeds. */
export function fillOf({ generated, default: byDefault, nullable }: Column): string {
  if (generated) return 'the target computes it'
  if (byDefault !== null) return 'its default'
  return nullable ? 'NULL' : 'nothing: it must have a value'
}

/** A step, apart. */
export interface NamedStep {
  readonly name: string
  readonly args: Readonly<Record<string, unknown>>
}

export function readStep(step: Step): NamedStep {
  if (typeof step === 'string') return { name: step, args: {} }
  const [name = '', args = {}] = Object.entries(step)[0] ?? []
  return { name, args }
}

export function writeStep({ name, args }: NamedStep): Step {
  return Object.keys(args).length === 0 ? name : ({ [name]: args } as Step)
}

export type OnFail = 'warn' | 'reject' | 'stop'

export interface NamedRule {
  readonly name: string
  readonly args: unknown
  readonly onFail: OnFail
}

export function readRule(rule: RuleStep): NamedRule {
  if (typeof rule === 'string') return { name: rule, args: true, onFail: 'reject' }
  const { on_fail: onFail, ...rest } = rule
  const [name = '', args = true] = Object.entries(rest)[0] ?? []
  return { name, args, onFail: onFail === 'warn' || onFail === 'stop' ? onFail : 'reject' }
}

export function writeRule({ name, args, onFail }: NamedRule): RuleStep {
  if (args === true && onFail === 'reject') return name
  return { [name]: args, ...(onFail === 'reject' ? {} : { on_fail: onFail }) } as RuleStep
}

/** What feeds a field, in a few words. */
export function sourceInWords(field: Field): string {
  switch (kindOf(field)) {
    case 'column':
    case 'columns':
      return columnsOf(field).join(' + ')
    case 'constant':
      return field.constant === null ? 'NULL in every row' : `${JSON.stringify(field.constant)} in every row`
    case 'expression':
      return field.expression ?? ''
    case 'code':
      return 'JavaScript'
  }
}

type Suggestions = Schemas['MappingSuggestions']['tables'][number]

/** Whether a suggestion says no more than that columns of the same name belong together. */
function isPlain({ mapping }: Suggestions['fields'][number]): boolean {
  return mapping.column === mapping.target && mapping.transforms === undefined
}

/** A table as it would be written for a suggestion: field by field only where names do not say it already. */
export function suggestedTable({ source, target, fields }: Suggestions): Table {
  const table: Table = { source, ...(target === source ? {} : { target }) }
  return fields.every(isPlain) ? table : { ...table, field_mappings: fields.map(({ mapping }) => mapping) }
}

/** The same field fed by something of another kind: its rules stay, and as much of its columns as that kind can have. */
export function toKind(field: Field, kind: SourceKind, source: readonly Column[]): Field {
  if (kind === kindOf(field) && field[kind] !== undefined) return field
  const { column: _, columns: __, constant: ___, expression: ____, code: _____, ...kept } = field
  const had = columnsOf(field)
  const [first = source.find(({ name }) => name === field.target)?.name ?? source[0]?.name ?? ''] = had
  switch (kind) {
    case 'column':
      return { ...kept, column: first }
    case 'columns':
      return { ...kept, columns: had.length > 1 ? [...had] : [first] }
    case 'constant':
      return { ...kept, constant: '' }
    case 'expression':
      return { ...kept, expression: first }
    case 'code':
      return { ...kept, code: `return row.${first}` }
  }
}

/** Whether a suggestion says more than a field does: steps that somebody chose are not taken away by one. */
export function isNews(field: Field | undefined, suggested: Field): boolean {
  if (field === undefined || kindOf(field) !== kindOf(suggested)) return true
  const [own, offered] = [field.transforms ?? [], suggested.transforms ?? []]
  const isSameSource =
    JSON.stringify(columnsOf(field)) === JSON.stringify(columnsOf(suggested)) && field.constant === suggested.constant
  return !isSameSource || (own.length === 0 && offered.length > 0)
}

/** A suggestion in the place of a field, whose rules still hold. */
export function accept(field: Field | undefined, suggested: Field): Field {
  return withField<Field, 'rules'>(suggested, 'rules', field?.rules)
}
