import { isMap, isSeq, LineCounter, parseDocument, stringify, type Node } from 'yaml'
import type { Document } from '#features/sync-configs/document.ts'
import { flawsOf } from '#features/sync-configs/shape.ts'

/** The document as text and back. */

export interface TextProblem {
  /** From 1; null where no line can be named. */
  readonly line: number | null
  readonly message: string
}

export type ReadText =
  | { readonly document: Document; readonly problems: null }
  | { readonly document: null; readonly problems: readonly TextProblem[] }

export function writeText(document: Document): string {
  return stringify(document, { lineWidth: 120 })
}

/** Reads a text; what cannot be read is said with its line. Whether the fields are right, the service says. */
export function readText(text: string): ReadText {
  const lines = new LineCounter()
  const parsed = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  if (parsed.errors.length > 0) {
    const problems = parsed.errors.map(({ pos, message }) => ({ line: lines.linePos(pos[0]).line, message }))
    return { document: null, problems }
  }
  const value: unknown = parsed.toJS({ maxAliasCount: 100 })
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return {
      document: null,
      problems: [{ line: 1, message: 'A sync config is a map of fields: name, source_datasource_id, …' }],
    }
  }
  const flaws = flawsOf(value as Readonly<Record<string, unknown>>)
  if (flaws.length > 0) {
    return {
      document: null,
      problems: flaws.map(({ place, message }) => ({ line: lineOf(text, place) ?? 1, message })),
    }
  }
  return { document: value as Document, problems: null }
}

/** The line of a place, `tables/0/filter`, or of what is nearest around it. */
export function lineOf(text: string, place: string): number | null {
  const lines = new LineCounter()
  let node: unknown = parseDocument(text, { lineCounter: lines }).contents
  let offset: number | undefined
  for (const part of place === '' ? [] : place.split('/').map(unescapePart)) {
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => (key as Node | null)?.toJSON() === part)
      if (pair === undefined) break
      offset = (pair.key as Node).range?.[0] ?? offset
      node = pair.value
    } else if (isSeq(node)) {
      const item = node.items[Number(part)] as Node | undefined
      if (item === undefined) break
      offset = item.range?.[0] ?? offset
      node = item
    } else break
  }
  return offset === undefined ? null : lines.linePos(offset).line
}

function unescapePart(part: string): string {
  return part.replaceAll('~1', '/').replaceAll('~0', '~')
}
