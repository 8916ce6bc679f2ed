/**
 * What a model said of a mapping, taken for what it is: a guess by somebody who may have been misled by the very names
 * that it was shown. It adds candidates and moves scores a little; it never puts a field into the mapping. Pure.
 */
import { z } from 'zod'
import { profileColumn } from './suggest/profile.ts'
import { fitTypes } from './suggest/fit-types.ts'
import type { FieldSuggestion, MappingSuggestion, SuggestSide } from './suggest-mapping.ts'

const name = z.string().min(1).max(200)

/** What a model is asked for. */
export const Proposals = z.object({
  fields: z.array(z.object({ target: name, source: name, confidence: z.number().min(0).max(1) })).max(2_000),
})

export type Proposals = z.infer<typeof Proposals>

/** The most that the opinion of a model adds to or takes from a score. */
const WEIGHT = 0.1

/** The score of a pair that nobody but a model thought of, at its full confidence. */
const MOST = 0.6

export function refineSuggestion(
  suggestion: MappingSuggestion,
  proposals: Proposals,
  sides: { readonly source: SuggestSide; readonly target: SuggestSide },
): { readonly suggestion: MappingSuggestion; readonly dropped: number } {
  const known = proposals.fields.filter((each) => fits(each, sides))
  const wanted = new Map(known.map((each) => [JSON.stringify([each.source, each.target]), each.confidence]))
  const opinion = (field: FieldSuggestion): number | undefined => {
    if (field.from.kind !== 'columns') return undefined
    return wanted.get(JSON.stringify([...field.from.columns, field.target]))
  }
  const weigh = (field: FieldSuggestion): FieldSuggestion => {
    const confidence = opinion(field)
    const other = known.find(({ target }) => target === field.target)
    if (confidence !== undefined) {
      return { ...field, score: moved(field.score, WEIGHT * confidence), reasons: [...field.reasons, AGREES] }
    }
    // What was seen in the rows themselves, no opinion changes.
    if (other === undefined || field.verified !== null) return field
    return { ...field, score: moved(field.score, -WEIGHT * other.confidence), reasons: [...field.reasons, DIFFERS] }
  }
  const [fields, candidates] = [suggestion.fields.map(weigh), suggestion.candidates.map(weigh)]
  const there = new Set([...fields, ...candidates].map(pairOf))
  const added = known
    .filter((each) => !there.has(JSON.stringify([each.source, each.target])))
    .map((each) => toCandidate(each, sides))
  const places = new Map(sides.target.schema.columns.map((column, at) => [column.name, at]))
  const place = ({ target }: FieldSuggestion): number => places.get(target) ?? 0
  const all = [...candidates, ...added].toSorted((a, b) => place(a) - place(b) || b.score - a.score)
  return {
    suggestion: { fields, candidates: all, unmapped: suggestion.unmapped },
    dropped: proposals.fields.length - known.length,
  }
}

const AGREES = 'the model agrees'
const DIFFERS = 'the model would take another column'

type Proposal = Proposals['fields'][number]

function pairOf({ from, target }: FieldSuggestion): string {
  return JSON.stringify(from.kind === 'columns' ? [...from.columns, target] : [from.kind, null, target])
}

/** Columns that there are, and of which the target's can be written. */
function fits({ source: from, target: to }: Proposal, { source, target }: Sides): boolean {
  return (
    source.schema.columns.some((column) => column.name === from) &&
    target.schema.columns.some((column) => column.name === to && column.generated === null)
  )
}

interface Sides {
  readonly source: SuggestSide
  readonly target: SuggestSide
}

function toCandidate({ source: from, target: to, confidence }: Proposal, { source, target }: Sides): FieldSuggestion {
  const at = source.schema.columns.findIndex((column) => column.name === from)
  const [mine, theirs] = [source.schema.columns[at], target.schema.columns.find((column) => column.name === to)]
  const fit =
    mine === undefined || theirs === undefined ? null : fitTypes(mine.type, theirs.type, profileColumn(source.rows, at))
  return {
    target: to,
    from: { kind: 'columns', columns: [from] },
    transforms: fit?.steps ?? [],
    score: Math.round(MOST * confidence * (fit?.score ?? 0) * 100) / 100,
    reasons: ['only the model thought of it', ...(fit?.reason ? [fit.reason] : [])],
    verified: null,
    expression: null,
    by: 'ai',
  }
}

function moved(score: number, by: number): number {
  return Math.round(Math.min(0.99, Math.max(0, score + by)) * 100) / 100
}
