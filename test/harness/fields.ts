import type { FieldMapping, RuleStep } from '#model/field-mapping.ts'

/** Where a field comes from, as short as a test can say it. */
export type From =
  | { readonly columns: readonly string[] }
  | { readonly constant: string | null }
  | { readonly expression: string }
  | { readonly code: string }

type Steps = readonly (readonly [name: string, args?: Readonly<Record<string, unknown>>])[]

/** One field of a mapping, with its transforms in their order. */
export function field(target: string, from: From, steps: Steps = [], rules: readonly RuleStep[] = []): FieldMapping {
  const transforms = steps.map(([name, args = {}]) => ({ name, args }))
  return { target, from: sourceOf(from), transforms, rules }
}

function sourceOf(from: From): FieldMapping['from'] {
  if ('columns' in from) return { kind: 'columns', columns: from.columns }
  if ('constant' in from) return { kind: 'constant', value: from.constant }
  if ('expression' in from) return { kind: 'expression', text: from.expression }
  return { kind: 'code', text: from.code }
}
