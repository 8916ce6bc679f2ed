import type { TransformStep } from '#model/field-mapping.ts'
import { tableName } from '#model/table.ts'
import type { SuggestSide } from '#sync/suggest-mapping.ts'
import { fitTypes } from './fit-types.ts'
import { agreement, induceChain, LEAST_PAIRS, type PairedColumn } from './induce.ts'
import { likeness, readColumnNames, type Meaning } from './names.ts'
import { compareProfiles, percent, profileColumn, textOf, type Profile } from './profile.ts'

/** A side with everything that is asked of it once. */
export interface ReadSide {
  readonly side: SuggestSide
  readonly meanings: readonly (readonly Meaning[])[]
  readonly profiles: readonly Profile[]
  /** Its columns in the rows that both sides have; empty where there are none. */
  readonly paired: readonly PairedColumn[]
}

/** What speaks for a column of the source as the origin of a column of the target. */
export interface Scored {
  readonly source: number
  readonly target: number
  readonly score: number
  readonly steps: readonly TransformStep[]
  readonly reasons: readonly string[]
  /** Rows of both sides in which the chain was seen to be right. */
  readonly verified: number | null
}

export function readSide(side: SuggestSide, paired: SuggestSide['rows']): ReadSide {
  const { columns, ref } = side.schema
  return {
    side,
    meanings: readColumnNames(
      ref.name,
      columns.map(({ name }) => name),
    ),
    profiles: columns.map((_, at) => profileColumn(side.rows, at)),
    paired: paired.length < LEAST_PAIRS ? [] : columns.map((_, at) => paired.map((row) => textOf(row[at] ?? null))),
  }
}

/** How alike the names of two columns are, in the ways of reading them that agree best. */
export function nameScore(source: ReadSide, target: ReadSide, at: { s: number; t: number }): number {
  const ofSource = source.side.schema.columns[at.s]?.name ?? ''
  const ofTarget = target.side.schema.columns[at.t]?.name ?? ''
  if (ofSource.toLowerCase() === ofTarget.toLowerCase()) return 1
  let best = 0
  for (const [i, one] of (source.meanings[at.s] ?? []).entries()) {
    for (const [j, other] of (target.meanings[at.t] ?? []).entries()) {
      // Whatever had to be left out of a name makes it a little less sure.
      best = Math.max(best, likeness(one, other) * (i + j === 0 ? 1 : 0.97))
    }
  }
  return best
}

/** Scores one pair; null where nothing speaks for it. */
export function scorePair(source: ReadSide, target: ReadSide, at: { s: number; t: number }): Scored | null {
  const [from, to] = [source.side.schema.columns[at.s], target.side.schema.columns[at.t]]
  const [mine, theirs] = [source.profiles[at.s], target.profiles[at.t]]
  if (from === undefined || to === undefined || mine === undefined || theirs === undefined) return null
  const name = nameScore(source, target, at)
  const fit = fitTypes(from.type, to.type, mine)
  const reasons = [nameReason(name)].filter((reason) => reason !== null)
  const found = { source: at.s, target: at.t, steps: fit.steps, verified: null }
  let score = (0.85 * name + 0.15 * keyScore(source, target, at)) * (0.4 + 0.6 * fit.score)
  if (name > 0.9) score = Math.max(score, name * (0.45 + 0.5 * fit.score))
  if (fit.reason !== null) reasons.push(fit.reason)
  if (fit.score === 0) score *= 0.3
  const samples = compareProfiles(mine, theirs)
  if (samples !== null) {
    score = samples.score >= 0 ? raise(score, samples.score * (name > 0.3 ? 0.7 : 0.45)) : score * (1 + samples.score)
    reasons.push(samples.reason)
  }
  const pairs = weighPairs(source, target, { ...at, name, score })
  if (pairs !== null) {
    return { ...found, ...pairs, reasons: [...reasons, ...pairs.reasons], steps: pairs.steps ?? fit.steps }
  }
  return score < 0.05 ? null : { ...found, score, reasons }
}

function raise(score: number, by: number): number {
  return 1 - (1 - score) * (1 - by)
}

/** So many coins do not fall alike by chance. */
const MANY_BITS = 30

/** What the rows that both sides have say: a chain that holds in all of them is as good as proof. */
function weighPairs(
  source: ReadSide,
  target: ReadSide,
  { s, t, name, score }: { s: number; t: number; name: number; score: number },
): Pick<Scored, 'score' | 'reasons' | 'verified'> & { steps: readonly TransformStep[] | null } {
  const none = { score, reasons: [], verified: null, steps: null }
  const [mine, theirs] = [source.paired[s], target.paired[t]]
  const [from, type] = [source.side.schema.columns[s]?.type, target.side.schema.columns[t]?.type]
  if (mine === undefined || theirs === undefined || from === undefined || type === undefined) return none
  const induced = induceChain(mine, theirs, { from, to: type })
  if (induced === null) {
    const share = agreement(mine, theirs, type)
    if (share >= 0.5 && new Set(theirs).size > 2) {
      return { ...none, score: raise(score, share * 0.7), reasons: [`equal in ${percent(share)} of the matched rows`] }
    }
    return theirs.some((value) => value !== null) ? { ...none, score: score * 0.75 } : none
  }
  const { steps, pairs, distinct, bits } = induced
  // A few values that agree may do so by chance, or because they hang together: the names decide between them.
  const weight = distinct >= 5 ? 0.85 : bits >= MANY_BITS ? 0.7 : distinct >= 3 ? 0.5 : 0.15
  const simple = steps.length === 0 ? 1 : steps[0]?.name === 'map' ? 0.8 : 0.95
  const proven = Math.min(0.99, raise(score, weight * simple) + 0.02 * name)
  const how = steps.length === 0 ? 'equal' : `made by ${steps.map((each) => each.name).join(', ')}`
  return { score: proven, reasons: [`${how} in all ${pairs} matched rows`], verified: pairs, steps }
}

/** Keys are carried to keys, and references to references. */
function keyScore(source: ReadSide, target: ReadSide, { s, t }: { s: number; t: number }): number {
  const [a, b] = [source.side, target.side].map(({ schema }, i) => {
    const name = schema.columns[i === 0 ? s : t]?.name ?? ''
    const parent = schema.foreignKeys.find(({ columns }) => columns.includes(name))?.parent
    const key = schema.primaryKey?.columns ?? []
    return { key: key.includes(name), alone: key.length === 1, parent: parent === undefined ? null : tableName(parent) }
  })
  if (a === undefined || b === undefined) return 0.5
  if (a.key && b.key) return a.alone && b.alone ? 1 : 0.8
  if (a.key !== b.key && (a.alone || b.alone)) return 0
  return 0.5 + (a.parent !== null && b.parent !== null ? 0.3 : 0)
}

function nameReason(score: number): string | null {
  if (score >= 0.99) return 'the names say the same'
  if (score >= 0.8) return 'the names say much the same'
  return score >= 0.45 ? 'the names are alike' : null
}
