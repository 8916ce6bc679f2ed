import { describeType, judgePair, type ColumnType } from '#model/column-type.ts'
import type { TransformStep } from '#model/field-mapping.ts'
import { fitValue } from '#sync/fit-value.ts'
import type { Profile } from './profile.ts'
import { NUMBER_SPELLINGS, REFUSED, spell, step, timeSteps, tryChain } from './try-chain.ts'

/** How well a type fits another, 0 (never) to 1 (as it is), and what has to be done for it. */
export interface TypeFit {
  readonly score: number
  readonly steps: readonly TransformStep[]
  /** For people; null where there is nothing to say. */
  readonly reason: string | null
}

const NEVER: TypeFit = { score: 0, steps: [], reason: null }

export function fitTypes(source: ColumnType, target: ColumnType, sample: Profile): TypeFit {
  const judged = judgePair(source, target)
  if (judged.ok) return { score: apart(source, target), steps: [], reason: null }
  // A number that must become a moment and the like are a matter of transforms, and not of fitting.
  const steps = convert(source, target, sample)
  if (steps !== null && tryChain(steps[1], [source], target) !== null) {
    const [score, chain] = steps
    return { score, steps: chain, reason: `${describeType(source)} becomes ${describeType(target)} by ${names(chain)}` }
  }
  if (!('reason' in fitValue(source, target))) {
    return { score: 0.85, steps: [], reason: `each value is checked to fit ${describeType(target)}` }
  }
  const why = `${describeType(source)} does not become ${describeType(target)}`
  return { ...NEVER, reason: why }
}

function names(steps: readonly TransformStep[]): string {
  return steps.map(({ name }) => name).join(', ')
}

/** Text takes every type: that it can does not say that it should. */
function apart(source: ColumnType, target: ColumnType): number {
  if (source.kind === target.kind) return 1
  const both = new Set([source.kind, target.kind])
  if (both.has('text') && (both.has('padded text') || both.has('enum') || both.has('uuid'))) return 0.95
  if (isNumber(source) && isNumber(target)) return 0.95
  if (both.has('date') && both.has('timestamp')) return 0.9
  return target.kind === 'text' ? 0.7 : 0.85
}

function isNumber({ kind }: ColumnType): boolean {
  return kind === 'integer' || kind === 'decimal' || kind === 'float'
}

function isText({ kind }: ColumnType): boolean {
  return kind === 'text' || kind === 'padded text' || kind === 'enum'
}

type Conversion = readonly [score: number, steps: readonly TransformStep[]]

function convert(source: ColumnType, target: ColumnType, sample: Profile): Conversion | null {
  if (isText(source)) return fromText(target, sample)
  switch (target.kind) {
    case 'timestamp':
      if (source.kind === 'integer') return fromEpoch(sample, target.zoned)
      if (source.kind === 'timestamp' && source.zoned !== target.zoned) {
        return [0.9, [step(target.zoned ? 'from_local_time' : 'to_local_time', { zone: 'UTC' })]]
      }
      if (source.kind === 'date' && target.zoned) {
        return [0.85, [step('cast', { to: 'timestamp' }), step('from_local_time', { zone: 'UTC' })]]
      }
      return null
    case 'date':
      if (source.kind === 'timestamp') return [0.85, [step('date_of')]]
      if (source.kind === 'integer' && sample.format === 'epoch') {
        return [0.7, [...fromEpochSteps(sample, false), step('date_of')]]
      }
      return null
    case 'time':
      return source.kind === 'timestamp' ? [0.5, [step('time_of')]] : null
    case 'integer':
      if (source.kind === 'boolean') return [0.75, [step('cast', { to: spell(target) })]]
      if (source.kind === 'timestamp') return [0.6, [step('to_epoch', { unit: 'seconds', finer: 'floor' })]]
      return null
    case 'boolean':
      if (source.kind !== 'integer') return null
      return sample.values.every((value) => /^[01]$/.test(value)) ? [0.8, [step('cast', { to: 'boolean' })]] : null
    case 'text':
      return source.kind === 'array' ? [0.6, [step('array_join', { separator: ',' })]] : null
    default:
      return null
  }
}

function fromText(target: ColumnType, sample: Profile): Conversion | null {
  const cast: readonly TransformStep[] = [step('cast', { to: spell(target) })]
  const { format } = sample
  const unknown = sample.values.length === 0
  switch (target.kind) {
    case 'integer':
    case 'decimal':
    case 'float': {
      if (unknown) return [0.5, cast]
      if (format === 'integer' || format === 'decimal' || format === 'epoch') return [0.8, cast]
      const chains = NUMBER_SPELLINGS.map((args) => [step('parse_number', args), ...cast])
      const chain = chains.find((each) => carries(each, sample, target))
      return chain === undefined ? null : [0.75, chain]
    }
    case 'boolean':
      return unknown || carries([step('parse_boolean')], sample, target)
        ? [unknown ? 0.5 : 0.8, [step('parse_boolean')]]
        : null
    case 'uuid':
      return unknown || format === 'uuid' ? [unknown ? 0.6 : 0.9, cast] : null
    case 'json':
      if (format === 'php') return [0.8, [step('php_unserialize')]]
      return unknown || format === 'json' ? [unknown ? 0.5 : 0.85, [step('parse_json', { as: spell(target) })]] : null
    case 'timestamp':
    case 'date':
      if (unknown || format === 'timestamp' || format === 'date') return [unknown ? 0.5 : 0.85, cast]
      return parseTime(target, sample)
    case 'array':
      return [0.5, [step('split', { separator: ',', trim: true })]]
    default:
      return null
  }
}

/** Whether a chain carries every value of the sample. */
function carries(steps: readonly TransformStep[], sample: Profile, target: ColumnType): boolean {
  const run = tryChain(steps, [TEXT], target)
  return run !== null && sample.values.length > 0 && sample.values.every((value) => run([value]) !== REFUSED)
}

const TEXT: ColumnType = { kind: 'text', maxLength: null }

function parseTime(target: ColumnType & { kind: 'timestamp' | 'date' }, sample: Profile): Conversion | null {
  const steps = timeSteps(target).filter((each) => carries([each], sample, target))
  const [first] = steps
  // 03/04/2025 is read as either: the samples do not say which.
  return first === undefined ? null : [steps.length === 1 ? 0.8 : 0.55, [first]]
}

function fromEpoch(sample: Profile, zoned: boolean): Conversion | null {
  if (sample.values.length > 0 && sample.format !== 'epoch') return null
  const steps = fromEpochSteps(sample, zoned)
  return [sample.values.length > 0 ? 0.8 : 0.45, steps]
}

function fromEpochSteps(sample: Profile, zoned: boolean): TransformStep[] {
  const unit = sample.meanLength > 11 ? 'milliseconds' : 'seconds'
  return [step('from_epoch', { unit, zoned })]
}
