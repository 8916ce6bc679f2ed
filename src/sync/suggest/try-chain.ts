import { assert } from '#lib/assert.ts'
import { judgePair, type ColumnType } from '#model/column-type.ts'
import type { TransformStep } from '#model/field-mapping.ts'
import { ValueRefused, type Value } from '#model/value.ts'
import { fitValue } from '#sync/fit-value.ts'
import { compileChain } from '#sync/transforms/chain.ts'
import { TransformError, type Context } from '#sync/transforms/transform.ts'
import { integerName } from '#sync/transforms/types.ts'
import { plain } from './profile.ts'

export function step(name: string, args: Readonly<Record<string, unknown>> = {}): TransformStep {
  return { name, args }
}

/** A value that the chain or the column would refuse. */
export const REFUSED = Symbol('refused')

export type TriedChain = (inputs: readonly Value[]) => Value | typeof REFUSED

/**
 * A chain as a sync would run it, from columns of these types into one of the target; null where it could not even be
 * planned. What is offered as seen to be right was seen with the very code that will run.
 */
export function tryChain(
  steps: readonly TransformStep[],
  types: readonly ColumnType[],
  target: ColumnType,
): TriedChain | null {
  const [only] = types
  if (steps.length === 0 && types.length === 1 && only !== undefined && judgePair(only, target).ok) {
    return ([value = null]) => value
  }
  const compiled = compileChain(steps, types)
  if ('problems' in compiled || compiled.chain.needs.length > 0) return null
  const fit = fitValue(compiled.chain.result, target)
  if ('reason' in fit) return null
  const run = compiled.chain.bind(NOTHING)
  return (inputs) => {
    try {
      return fit.convert(run(inputs))
    } catch (error) {
      if (error instanceof TransformError || error instanceof ValueRefused) return REFUSED
      throw error
    }
  }
}

/** No chain that is suggested looks anything up or masks. */
const NOTHING: Context = {
  lookup: () => {
    assert(false, 'a suggested chain looks nothing up')
  },
  maskKey: new Uint8Array(),
}

/** Patterns of days that people write, in the order in which they are tried. */
export const TIME_PATTERNS = [
  'dd.MM.yyyy',
  'dd/MM/yyyy',
  'MM/dd/yyyy',
  'dd-MM-yyyy',
  'yyyy/MM/dd',
  'yyyyMMdd',
  'dd.MM.yyyy HH:mm',
  'dd.MM.yyyy HH:mm:ss',
  'dd/MM/yyyy HH:mm',
  'MM/dd/yyyy HH:mm',
  'dd/MM/yyyy HH:mm:ss',
  'MM/dd/yyyy HH:mm:ss',
] as const

/** The patterns, each as a step that makes a value of the target's type. */
export function timeSteps(target: ColumnType & { readonly kind: 'timestamp' | 'date' }): TransformStep[] {
  const zoned = target.kind === 'timestamp' && target.zoned
  const as = target.kind === 'date' ? 'date' : zoned ? 'timestamptz' : 'timestamp'
  return TIME_PATTERNS.map((pattern) => step('parse_time', { pattern, as, ...(zoned ? { zone: 'UTC' } : {}) }))
}

/** Spellings of numbers other than the plain one. */
export const NUMBER_SPELLINGS = [
  { decimal: ',', group: '.' },
  { decimal: '.', group: ',' },
  { decimal: ',', group: ' ' },
  { decimal: '.', group: "'" },
] as const

/** A type as the arguments of transforms spell it. */
export function spell(type: ColumnType): string {
  switch (type.kind) {
    case 'integer':
      return integerName(type)
    case 'decimal':
      return type.precision === null ? 'decimal' : `decimal(${type.precision},${type.scale ?? 0})`
    case 'float':
      return type.bits === 32 ? 'real' : 'double'
    case 'text':
      return type.maxLength === null ? 'text' : `text(${type.maxLength})`
    case 'timestamp':
      return type.zoned ? 'timestamptz' : 'timestamp'
    case 'json':
      return type.binary ? 'jsonb' : 'json'
    case 'array':
      return `${spell(type.of)}[]`
    case 'boolean':
    case 'date':
    case 'time':
    case 'uuid':
    case 'bytes':
    case 'interval':
      return type.kind
    default:
      return 'text'
  }
}

/** Whether two texts are the same value of a column of this type. */
export function sameValue(made: string, wanted: string, type: ColumnType): boolean {
  if (made === wanted) return true
  switch (type.kind) {
    case 'integer':
    case 'decimal':
    case 'float':
      return plain(made) === plain(wanted)
    case 'boolean':
      return made.slice(0, 1) === wanted.slice(0, 1)
    case 'timestamp':
    case 'date':
    case 'time':
      return clockText(made) === clockText(wanted)
    case 'json':
      return jsonText(made) === jsonText(wanted)
    case 'padded text':
      return made.trimEnd() === wanted.trimEnd()
    default:
      return false
  }
}

function clockText(text: string): string {
  return text
    .replace('T', ' ')
    .replace(/(?:\+00(?::?00)?|Z)$/, '')
    .replace(/(\.\d*?)0+$/, '$1')
    .replace(/\.$/, '')
    .replace(/ 00:00:00$/, '')
}

/** Without spaces and the order of names. */
function jsonText(text: string): string {
  try {
    return JSON.stringify(sorted(JSON.parse(text)))
  } catch {
    return text
  }
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  return Object.entries(value)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, inner]) => [name, sorted(inner)])
}
