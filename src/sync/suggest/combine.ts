import type { TransformStep } from '#model/field-mapping.ts'
import { induceJoin } from './induce.ts'
import type { Meaning } from './names.ts'
import type { ReadSide } from './score.ts'
import { step } from './try-chain.ts'

/** Several columns that make one, or a part of one. */
export interface Combination {
  readonly kind: 'join' | 'split'
  readonly columns: readonly number[]
  readonly target: number
  readonly steps: readonly TransformStep[]
  readonly score: number
  readonly reasons: readonly string[]
  readonly verified: number | null
}

type Find = (concept: string) => number | null

/** Joins and splits for these columns of the target. */
export function findCombinations(source: ReadSide, target: ReadSide, targets: ReadonlySet<number>): Combination[] {
  const found: Combination[] = []
  const [from, to] = [finder(source), finder(target)]
  const has = (at: number | null): at is number => at !== null && targets.has(at)
  for (const at of targets) {
    const joined = provenJoin(source, target, at)
    if (joined !== null) found.push(joined)
  }
  const proven = new Set(found.map(({ target: at }) => at))
  const byName = [...namesOf(from, to), ...addressOf(from, to), ...momentsOf(source, target)]
  return [...found, ...byName.filter(({ target: at }) => has(at) && !proven.has(at))]
}

function provenJoin(source: ReadSide, target: ReadSide, at: number): Combination | null {
  const wanted = target.paired[at]
  const kind = target.side.schema.columns[at]?.type.kind
  if (wanted === undefined || (kind !== 'text' && kind !== 'padded text')) return null
  const types = source.side.schema.columns.map(({ type }) => type)
  const joined = induceJoin({ columns: source.paired, types }, wanted, target.side.schema.columns[at]?.type)
  if (joined === null) return null
  const { columns, steps, pairs } = joined
  return {
    kind: 'join',
    columns,
    target: at,
    steps,
    score: 0.93,
    reasons: [`joined, they are equal in all ${pairs} matched rows`],
    verified: pairs,
  }
}

/** Looks a column up by the one thing that its name says. */
function finder(side: ReadSide): Find {
  return (concept) => {
    const says = (meaning: Meaning): boolean => meaning.length === 1 && meaning[0] === concept
    const at = side.meanings.findIndex((readings) => readings.some(says))
    const kind = side.side.schema.columns[at]?.type.kind
    return at >= 0 && (kind === 'text' || kind === 'padded text') ? at : null
  }
}

function namesOf(from: Find, to: Find): Combination[] {
  const whole = from('full_name') ?? from('name')
  const [first, last] = [from('first_name'), from('last_name')]
  const wanted = to('full_name') ?? to('name')
  const [toFirst, toLast] = [to('first_name'), to('last_name')]
  const common = { verified: null, score: 0.6 }
  if (first !== null && last !== null && wanted !== null && toFirst === null && toLast === null) {
    const steps = [step('concat', { separator: ' ' })]
    const reasons = ['a first and a last name make a full name']
    return [{ ...common, kind: 'join', columns: [first, last], target: wanted, steps, score: 0.7, reasons }]
  }
  if (whole === null || first !== null || last !== null || toFirst === null || toLast === null) return []
  const reasons = ['a full name has a first and a last name; which words are which is a guess']
  const part = (at: number, args: Readonly<Record<string, unknown>>): Combination => {
    return { ...common, kind: 'split', columns: [whole], target: at, steps: [step('split_part', args)], reasons }
  }
  return [part(toFirst, { separator: ' ', part: 0 }), part(toLast, { separator: ' ', part: 1, rest: true })]
}

function addressOf(from: Find, to: Find): Combination[] {
  const wanted = to('address')
  const parts = ['street', 'street2', 'postcode', 'city', 'state', 'country'].map(from).filter((at) => at !== null)
  if (wanted === null || from('address') !== null || parts.length < 2 || to('city') !== null) return []
  return [
    {
      kind: 'join',
      columns: parts,
      target: wanted,
      steps: [step('concat', { separator: ', ' })],
      score: 0.7,
      reasons: ['street, city and the like make an address'],
      verified: null,
    },
  ]
}

/** A date and a time of day that make a moment. */
function momentsOf(source: ReadSide, target: ReadSide): Combination[] {
  const of = (kind: string): number[] =>
    [...source.side.schema.columns.entries()].filter(([, { type }]) => type.kind === kind).map(([at]) => at)
  const [dates, times] = [of('date'), of('time')]
  const [date, time] = [dates[0], times[0]]
  if (dates.length !== 1 || times.length !== 1 || date === undefined || time === undefined) return []
  return [...target.side.schema.columns.entries()]
    .filter(([, { type }]) => type.kind === 'timestamp')
    .map(([at, { type }]): Combination => {
      const zoned = type.kind === 'timestamp' && type.zoned
      const steps = [step('join_date_and_time'), ...(zoned ? [step('from_local_time', { zone: 'UTC' })] : [])]
      const reasons = ['a date and a time of day make a moment']
      return { kind: 'join', columns: [date, time], target: at, steps, score: 0.55, reasons, verified: null }
    })
}
