/** How a value is entered, by its JSON Schema. */

type JsonSchema = Readonly<Record<string, unknown>>

export type InputKind =
  | { readonly kind: 'choice'; readonly values: readonly string[] }
  | { readonly kind: 'number'; readonly whole: boolean }
  | { readonly kind: 'text' | 'boolean' | 'texts' | 'pairs' | 'fixed' | 'json' }

export function inputOf(schema: JsonSchema): InputKind {
  const { type, enum: values, items, additionalProperties: of, const: fixed, anyOf } = schema
  if (fixed !== undefined) return { kind: 'fixed' }
  if (Array.isArray(values)) return { kind: 'choice', values: values.map(String) }
  if (type === 'integer' || type === 'number') return { kind: 'number', whole: type === 'integer' }
  if (type === 'boolean') return { kind: 'boolean' }
  if (type === 'string') return { kind: 'text' }
  // A number or the text of one, a known name or any: either is written as a text.
  if (Array.isArray(anyOf) && anyOf.every((one) => isOneOf(one, ['string', 'number']))) return { kind: 'text' }
  if (type === 'array' && isOneOf(items, ['string'])) return { kind: 'texts' }
  if (type === 'object' && of !== undefined && isOneOf(of, ['string'])) return { kind: 'pairs' }
  return { kind: 'json' }
}

function isOneOf(schema: unknown, types: readonly string[]): boolean {
  if (typeof schema !== 'object' || schema === null || !('type' in schema)) return false
  return typeof schema.type === 'string' && types.includes(schema.type)
}

/** The default that a schema names, as a placeholder shows it. */
export function defaultOf(schema: JsonSchema): string {
  const value = schema['default']
  if (value === undefined) return ''
  return typeof value === 'string' ? value : JSON.stringify(value)
}

export function exampleOf(schema: JsonSchema): string {
  const { examples } = schema
  if (!Array.isArray(examples) || examples.length === 0) return ''
  const [first] = examples as readonly unknown[]
  return typeof first === 'string' ? first : JSON.stringify(first)
}
