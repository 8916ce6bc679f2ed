import { safeParse, type $ZodIssue, type $ZodRawIssue, type $ZodType } from 'zod/v4/core'
import { nearest } from './nearest.ts'

type Path = readonly PropertyKey[]

/** Something in a value that does not fit its schema: where, and what about it, as one sentence. */
export interface Flaw {
  readonly path: Path
  readonly message: string
}

export type Fitted<T> = { readonly value: T; readonly flaws: null } | { readonly flaws: readonly Flaw[] }

const MISSING = 'This is missing.'

/** Flaws that are told at once. */
const MOST_FLAWS = 100

/** Fits a value to a schema, or says in plain words what keeps it from fitting. Messages that the schema has are kept. */
export function fit<T>(schema: $ZodType<T>, value: unknown): Fitted<T> {
  const found = safeParse(schema, value, { error: say })
  if (found.success) return { value: found.data, flaws: null }
  const issues = found.error.issues.slice(0, MOST_FLAWS)
  return { flaws: issues.flatMap((issue) => unfold(issue, schema)).slice(0, MOST_FLAWS) }
}

/** One issue may be several flaws: each unknown field, each flaw of the form that was meant. */
function unfold(issue: $ZodIssue, schema: $ZodType): Flaw[] {
  const { path, message } = issue
  const inside = (issues: readonly $ZodIssue[]): Flaw[] =>
    issues.flatMap((one) => unfold({ ...one, path: [...path, ...one.path] }, schema))
  if (issue.code === 'unrecognized_keys') {
    const known = [...fieldsAt(schema, path)]
    return issue.keys.slice(0, MOST_FLAWS).map((key) => ({ path: [...path, key], message: sayUnknown(key, known) }))
  }
  if (issue.code === 'invalid_union' && message !== MISSING) {
    const meant = formThatWasMeant(issue.errors)
    if (meant !== null) return inside(meant)
    return [{ path, message: sayForms(issue.errors) ?? message }]
  }
  if (issue.code === 'invalid_key') return [{ path, message: 'This cannot be a name here.' }]
  if (issue.code === 'invalid_element') return inside(issue.issues)
  return [{ path, message }]
}

function sayUnknown(name: string, known: readonly string[]): string {
  const other = nearest(name, known)
  return other === null ? 'There is no such field.' : `There is no such field; the nearest is ${other}.`
}

const WRONG_TAG = 10

/** The form of several that comes nearest: the value is of its kind, and has the fewest flaws otherwise. */
function formThatWasMeant(forms: readonly (readonly $ZodIssue[])[]): readonly $ZodIssue[] | null {
  const fitting = forms.filter((issues) => !issues.some(isOfOtherKind))
  // A field that may have only other values tells forms of one kind apart.
  const weight = (issues: readonly $ZodIssue[]): number =>
    issues.reduce((sum, { code }) => sum + (code === 'invalid_value' ? WRONG_TAG : 1), 0)
  const [best] = fitting.toSorted((a, b) => weight(a) - weight(b))
  return best ?? null
}

function isOfOtherKind({ code, path }: $ZodIssue): boolean {
  return path.length === 0 && (code === 'invalid_type' || code === 'invalid_value')
}

function sayForms(forms: readonly (readonly $ZodIssue[])[]): string | null {
  const words = forms.flatMap((issues) =>
    issues.flatMap((issue) => {
      if (issue.code === 'invalid_type') return [kindOf(issue.expected)]
      return issue.code === 'invalid_value' ? issue.values.map(String) : []
    }),
  )
  return words.length === 0 ? null : `This must be ${orList([...new Set(words)])}.`
}

/** The sentence for an issue, or nothing where the library's own will do. */
function say(issue: $ZodRawIssue): string | undefined {
  switch (issue.code) {
    case 'invalid_type':
      if (issue.input === undefined) return MISSING
      return `This must be ${kindOf(String(issue['expected']))}, not ${kindOfValue(issue.input)}.`
    case 'invalid_value':
      return sayValue(issue.input, (issue['values'] as readonly unknown[]).map(String))
    case 'too_small':
      return issue.input === '' ? 'This is empty.' : saySize(issue, 'least', 'minimum')
    case 'too_big':
      return saySize(issue, 'most', 'maximum')
    case 'invalid_format':
      return sayFormat(String(issue['format']))
    case 'invalid_union':
      return issue.input === undefined ? MISSING : 'This has none of the forms that are allowed here.'
    default:
      return undefined
  }
}

function sayValue(input: unknown, allowed: readonly string[]): string {
  if (input === undefined) return MISSING
  const other = typeof input === 'string' ? nearest(input, allowed) : null
  const hint = other === null || allowed.length === 1 ? '' : `; the nearest is ${other}`
  return `This must be ${orList(allowed)}${hint}.`
}

function saySize(issue: $ZodRawIssue, end: 'least' | 'most', bound: 'minimum' | 'maximum'): string {
  const limit = Number(issue[bound])
  const unit = UNITS[String(issue['origin'])]
  const what = unit === undefined ? '' : ` ${limit === 1 ? unit : PLURALS[unit]}`
  return issue['inclusive'] === false
    ? `This must be ${end === 'least' ? 'more' : 'less'} than ${limit}${what}.`
    : `This must ${unit === undefined ? 'be' : 'have'} at ${end} ${limit}${what}.`
}

const UNITS: Readonly<Record<string, 'character' | 'entry'>> = {
  string: 'character',
  array: 'entry',
  set: 'entry',
  map: 'entry',
}
const PLURALS = { character: 'characters', entry: 'entries' } as const

function sayFormat(format: string): string {
  if (format === 'datetime') return 'This must be a time such as 2026-01-31T12:00:00Z.'
  if (format === 'url') return 'This must be a URL.'
  return 'This does not have the form that is asked for here.'
}

const KINDS: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object',
  record: 'an object',
  null: 'null',
}

function kindOf(type: string): string {
  return KINDS[type] ?? type
}

function kindOfValue(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'boolean') return String(value)
  return kindOf(typeof value)
}

function orList(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`
}

/** What the definitions of schemas have that lead on to others. */
interface Definition {
  readonly type: string
  readonly shape?: Readonly<Record<string, $ZodType>>
  readonly innerType?: $ZodType
  readonly in?: $ZodType
  readonly element?: $ZodType
  readonly valueType?: $ZodType
  readonly options?: readonly $ZodType[]
  readonly getter?: () => $ZodType
}

/** Names of the fields of the object, or of any of the objects, that a schema has at a path. */
function fieldsAt(schema: $ZodType, path: Path): ReadonlySet<string> {
  const definition = schema._zod.def as Definition
  const through = definition.innerType ?? definition.in ?? definition.getter?.()
  if (through !== undefined) return fieldsAt(through, path)
  if (definition.options !== undefined) {
    return new Set(definition.options.flatMap((option) => [...fieldsAt(option, path)]))
  }
  const [step, ...rest] = path
  if (step === undefined) return new Set(Object.keys(definition.shape ?? {}))
  const next = definition.shape?.[String(step)] ?? definition.element ?? definition.valueType
  return next === undefined ? new Set() : fieldsAt(next, rest)
}
