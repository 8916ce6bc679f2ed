/**
 * The shape that the forms rest on: what is a list, a map or a text. Whether the values are right is for the service to say;
 * a document of another shape is not taken into the forms at all.
 */

export interface Flaw {
  readonly place: string
  readonly message: string
}

type Shape =
  | 'text'
  | 'number'
  | { readonly list: Shape }
  | { readonly map: Shape | 'any' }
  | { readonly fields: Fields }

/** A name with a `!` has to be there. Fields that are not named here may be anything. */
interface Fields {
  readonly [name: string]: Shape
}

const FIELD: Fields = {
  'target!': 'text',
  column: 'text',
  columns: { list: 'text' },
  expression: 'text',
  code: 'text',
  transforms: { list: { map: 'any' } },
  rules: { list: { map: 'any' } },
}

const TABLE: Fields = {
  'source!': 'text',
  target: 'text',
  query: 'text',
  key: { list: 'text' },
  columns: { list: 'text' },
  exclude: { list: 'text' },
  rename: { map: 'text' },
  filter: 'text',
  detection_strategy: 'text',
  cursor_column: 'text',
  conflict_strategy: 'text',
  newer_by: 'text',
  conflict_fields: { map: 'text' },
  field_mappings: { list: { fields: FIELD } },
}

const TEXTS = [
  'direction',
  'detection_strategy',
  'conflict_strategy',
  'delete_policy',
  'commit_mode',
  'audit_level',
] as const

const DOCUMENT: Fields = {
  'name!': 'text',
  'source_datasource_id!': 'text',
  'target_datasource_id!': 'text',
  tables: { list: { fields: TABLE } },
  exclude_tables: { list: 'text' },
  max_delete_percent: 'number',
  max_overwrite_percent: 'number',
  ...Object.fromEntries(TEXTS.map((name) => [name, 'text' as const])),
}

export function flawsOf(document: Readonly<Record<string, unknown>>): readonly Flaw[] {
  return check(document, { fields: DOCUMENT }, '')
}

function check(value: unknown, shape: Shape, place: string): Flaw[] {
  const wrong = (what: string): Flaw[] => [{ place, message: `${place.replaceAll('/', ' › ')} must be ${what}.` }]
  if (shape === 'text') return typeof value === 'string' ? [] : wrong('a text')
  if (shape === 'number') return typeof value === 'number' ? [] : wrong('a number')
  if ('list' in shape) {
    if (!Array.isArray(value)) return wrong('a list')
    return value.flatMap((one: unknown, i) => check(one, shape.list, join(place, String(i))))
  }
  if ('map' in shape) {
    // A step or a rule without arguments is its name alone.
    if (shape.map === 'any' && typeof value === 'string') return []
    if (!isMap(value)) return wrong('a map')
    const { map: of } = shape
    return of === 'any' ? [] : Object.entries(value).flatMap(([name, one]) => check(one, of, join(place, name)))
  }
  if (!isMap(value)) return wrong('a map')
  return Object.entries(shape.fields).flatMap(([named, of]) => {
    const name = named.replace(/!$/, '')
    if (value[name] !== undefined) return check(value[name], of, join(place, name))
    return name === named ? [] : [{ place, message: `${join(place, name).replaceAll('/', ' › ')} is missing.` }]
  })
}

function join(place: string, part: string): string {
  return place === '' ? part : `${place}/${part}`
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
