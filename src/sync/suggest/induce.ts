import type { ColumnType } from '#model/column-type.ts'
import type { TransformStep } from '#model/field-mapping.ts'
import { plain } from './profile.ts'
import { NUMBER_SPELLINGS, REFUSED, sameValue, spell, step, timeSteps, tryChain } from './try-chain.ts'

/** What one column holds in the rows that both sides have, in the order of the pairs. */
export type PairedColumn = readonly (string | null)[]

/** A chain that was seen to make every value of the target of the source's in the same row. */
export interface Induced {
  readonly steps: readonly TransformStep[]
  /** Rows in which it was seen. */
  readonly pairs: number
  /** Different values of the target among them. */
  readonly distinct: number
  /** How many bits all its values together have: as many coins would have had to fall alike for a chance. */
  readonly bits: number
}

interface Types {
  readonly from: ColumnType
  readonly to: ColumnType
}

/** Fewer pairs of rows prove nothing. */
export const LEAST_PAIRS = 3

/** The simplest chain of one column that holds in all pairs; null where none of those that are known does. */
export function induceChain(source: PairedColumn, target: PairedColumn, types: Types): Induced | null {
  const evidence = evidenceOf(target)
  if (evidence === null) return null
  for (const steps of candidates(source, target, types)) {
    if (holds(steps, { columns: [source], types: [types.from] }, target, types.to)) return { steps, ...evidence }
  }
  return null
}

/** Columns with their types. */
interface Columns {
  readonly columns: readonly PairedColumn[]
  readonly types: readonly ColumnType[]
}

/** Whether a chain makes the target's value in every row. */
function holds(steps: readonly TransformStep[], source: Columns, target: PairedColumn, type: ColumnType): boolean {
  const run = tryChain(steps, source.types, type)
  if (run === null) return false
  return target.every((wanted, i) => {
    const made = run(source.columns.map((column) => column[i] ?? null))
    return made !== REFUSED && sameCell(typeof made === 'string' ? made : null, wanted, type)
  })
}

/** Two or three columns that, joined in an order, make the target's value in all pairs. */
export function induceJoin(
  source: Columns,
  target: PairedColumn,
  type: ColumnType | undefined,
): (Induced & { readonly columns: readonly number[] }) | null {
  const evidence = evidenceOf(target)
  if (type === undefined || evidence === null || evidence.distinct < LEAST_PAIRS) return null
  const at = target.findIndex((value) => value !== null && value.length > 2)
  const wanted = target[at]
  if (wanted === undefined || wanted === null) return null
  for (const columns of orders(source.columns, at, wanted)) {
    const separator = separatorOf(
      columns.map((column) => source.columns[column]?.[at] ?? ''),
      wanted,
    )
    if (separator === null) continue
    const steps = [step('concat', { separator })]
    const chosen = {
      columns: columns.map((column) => source.columns[column] ?? []),
      types: columns.map((column) => source.types[column] ?? type),
    }
    if (holds(steps, chosen, target, type)) return { steps, columns, ...evidence }
  }
  return null
}

function evidenceOf(target: PairedColumn): Pick<Induced, 'pairs' | 'distinct' | 'bits'> | null {
  const present = target.filter((value) => value !== null)
  if (present.length < LEAST_PAIRS) return null
  const counts = [...Map.groupBy(present, (value) => value).values()].map(({ length }) => length)
  const bits = counts.reduce((total, count) => total - count * Math.log2(count / present.length), 0)
  return { pairs: target.length, distinct: counts.length, bits }
}

/** The only value that a column has; null where it has several or NULL. */
export function constantOf(target: PairedColumn): string | null {
  const [first] = target
  if (first === undefined || first === null || target.length < LEAST_PAIRS) return null
  return target.every((value) => value === first) ? first : null
}

/** The share of rows in which both columns say the same as it is. */
export function agreement(source: PairedColumn, target: PairedColumn, type: ColumnType): number {
  let same = 0
  let seen = 0
  for (const [i, value] of source.entries()) {
    const wanted = target[i] ?? null
    if (value === null && wanted === null) continue
    seen += 1
    if (sameCell(value, wanted, type)) same += 1
  }
  return seen === 0 ? 0 : same / seen
}

function sameCell(made: string | null, wanted: string | null, type: ColumnType): boolean {
  if (made === null || wanted === null) return made === wanted
  return sameValue(made, wanted, type)
}

/** What could be, from the simplest on, by what the first pair looks like: each is then tried on all of them. */
function* candidates(source: PairedColumn, target: PairedColumn, types: Types): Generator<readonly TransformStep[]> {
  yield []
  const at = target.findIndex((value, i) => value !== null && value !== '' && (source[i] ?? null) !== null)
  const [from, to] = [source[at] ?? null, target[at] ?? null]
  if (from === null || to === null) return
  if (squeezed(from) === squeezed(to)) yield* ofShape(source, target)
  if (types.to.kind === 'boolean') {
    yield [step('parse_boolean')]
    yield [step('cast', { to: 'boolean' })]
  }
  if (types.from.kind === 'boolean') yield [step('cast', { to: spell(types.to) })]
  yield* ofNumbers(from, to, types)
  yield* ofTimes(from, to, types)
  yield* ofParts(from, to)
  const values = valueMap(source, target)
  if (values !== null) yield [step('map', { values, as: spell(types.to) })]
}

function squeezed(text: string): string {
  return plain(text).replaceAll(/\s+/g, ' ')
}

function* ofShape(source: PairedColumn, target: PairedColumn): Generator<readonly TransformStep[]> {
  const one = ['trim', 'collapse_spaces', 'lower', 'upper'].map((name) => [step(name)])
  const two = ['lower', 'upper'].map((name) => [step('trim'), step(name)])
  // Space at the ends, or capitals, may begin in a later row.
  if (source.some((value, i) => value !== null && value !== target[i])) yield* [...one, ...two]
}

function* ofNumbers(from: string, to: string, types: Types): Generator<readonly TransformStep[]> {
  const digits = (text: string): string => text.replaceAll(/\D/g, '').replaceAll(/^0+|0+$/g, '')
  if (!/\d/.test(from) || digits(from) !== digits(to)) return
  const isNumber = types.from.kind === 'integer' || types.from.kind === 'decimal'
  const first = isNumber ? [] : [step('cast', { to: 'decimal' })]
  const power = powerBetween(from, to)
  if (power !== null && power !== 0) yield [...first, step('scale', { power })]
  if (!isNumber) {
    for (const args of NUMBER_SPELLINGS) yield [step('parse_number', args)]
    yield [step('cast', { to: spell(types.to) })]
  }
  if (to.startsWith('0') && to.length > from.length) {
    const asText = types.from.kind === 'text' ? [] : [step('cast', { to: 'text' })]
    yield [...asText, step('pad', { length: to.length, fill: '0' })]
  }
}

/** By how many places the point stands further to the right in the second of two numbers of the same digits. */
function powerBetween(from: string, to: string): number | null {
  const [a, b] = [Number(from), Number(to)]
  if (!Number.isFinite(a) || !Number.isFinite(b) || a === 0 || b === 0) return null
  return Math.round(Math.log10(Math.abs(b / a)))
}

function* ofTimes(from: string, to: string, types: Types): Generator<readonly TransformStep[]> {
  const { kind } = types.to
  if (kind === 'timestamp' && types.from.kind === 'integer') {
    const zoned = types.to.zoned
    for (const unit of ['seconds', 'milliseconds', 'microseconds']) yield [step('from_epoch', { unit, zoned })]
  }
  if (kind === 'integer' && types.from.kind === 'timestamp') {
    for (const unit of ['seconds', 'milliseconds']) yield [step('to_epoch', { unit })]
  }
  if (kind === 'date') yield [step('date_of')]
  if (kind !== 'timestamp' && kind !== 'date') return
  if (types.from.kind === 'timestamp') {
    const zoned = kind === 'timestamp' && types.to.zoned
    yield [step(zoned ? 'from_local_time' : 'to_local_time', { zone: 'UTC' })]
  }
  // The year stands in both, however the day is written.
  if (types.from.kind !== 'text' || !from.includes(to.slice(0, 4))) return
  yield [step('cast', { to: spell(types.to) })]
  for (const each of timeSteps(types.to)) yield [each]
}

const SEPARATORS = [' ', ', ', ',', '-', '_', '/', '@', '.', ':', ';', '|']

function* ofParts(from: string, to: string): Generator<readonly TransformStep[]> {
  if (to !== '' && from.includes(to) && to.length < from.length) {
    for (const separator of SEPARATORS.filter((each) => from.includes(each))) {
      yield [step('split_part', { separator, part: 0 })]
      yield [step('split_part', { separator, part: -1 })]
      yield [step('split_part', { separator, part: 1, rest: true })]
      yield [step('split_part', { separator, part: 1 })]
    }
    const start = from.indexOf(to)
    const [before, after] = [from.slice(0, start), from.slice(start + to.length)]
    // What is taken away has to be the same text in every row, which the check of all pairs shows.
    yield [step('remove_affix', { before, after })]
    const count = Array.from(to).length
    yield [step('substring', { start: Array.from(before).length, length: count })]
    if (after === '') yield [step('substring', { start: -count })]
    if (after === '') yield [step('substring', { start: Array.from(before).length })]
  }
  if (from !== '' && to.includes(from) && from.length < to.length) {
    const start = to.indexOf(from)
    yield [step('affix', { before: to.slice(0, start), after: to.slice(start + from.length) })]
  }
}

/** A list of values is short, and each of its values was seen at least twice on the average. */
const MOST_MAPPED = 20

function valueMap(source: PairedColumn, target: PairedColumn): Readonly<Record<string, string>> | null {
  const values = new Map<string, string>()
  let seen = 0
  for (const [i, from] of source.entries()) {
    const to = target[i] ?? null
    if (from === null || to === null) continue
    seen += 1
    const known = values.get(from)
    if (known !== undefined && known !== to) return null
    values.set(from, to)
  }
  const results = new Set(values.values()).size
  if (values.size > MOST_MAPPED || results < 2 || values.size * 2 > seen) return null
  // fromEntries makes own properties of every name, __proto__ among them.
  return Object.fromEntries([...values].toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

/** Columns whose values stand in the wanted one, in the order in which they stand there. */
function* orders(sources: readonly PairedColumn[], at: number, wanted: string): Generator<readonly number[]> {
  const inside = sources.flatMap((values, column) => {
    const value = values[at] ?? null
    return value !== null && value !== '' && value.length < wanted.length && wanted.includes(value)
      ? [{ column, value }]
      : []
  })
  const heads = inside.filter(({ value }) => wanted.startsWith(value)).slice(0, MOST_ENDS)
  const tails = inside.filter(({ value }) => wanted.endsWith(value)).slice(0, MOST_ENDS)
  for (const head of heads) {
    for (const tail of tails) {
      if (head.column === tail.column) continue
      yield [head.column, tail.column]
      for (const middle of inside.slice(0, MOST_ENDS)) {
        if (middle.column !== head.column && middle.column !== tail.column) {
          yield [head.column, middle.column, tail.column]
        }
      }
    }
  }
}

/** Columns that are tried as the beginning, the middle and the end of a joined value. */
const MOST_ENDS = 6

/** What stands between the values; null where it is not the same everywhere, or looks like a value itself. */
function separatorOf(values: readonly string[], wanted: string): string | null {
  const length = wanted.length - values.reduce((total, value) => total + value.length, 0)
  const gaps = values.length - 1
  if (length < 0 || length % gaps !== 0) return null
  const start = values[0]?.length ?? 0
  const separator = wanted.slice(start, start + length / gaps)
  return separator.length <= 3 && !/[\p{L}\p{N}]/u.test(separator) && values.join(separator) === wanted
    ? separator
    : null
}
