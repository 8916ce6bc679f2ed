/** Names of tables as documents write them: `schema.table`, `table` for one in public, a `*` for any characters. */

export interface TableRef {
  readonly schema: string
  readonly name: string
}

interface Part {
  readonly text: string
  /** Stood in quotes: a `*` in it is a star. */
  readonly literal: boolean
}

const PART = /"((?:[^"]|"")+)"|([^.:=,"]+)/y

/** The parts of a name, or null where it is none. */
function partsOf(text: string): readonly Part[] | null {
  const parts: Part[] = []
  for (let at = 0; ; at += 1) {
    PART.lastIndex = at
    const found = PART.exec(text)
    if (found === null) return null
    const [whole, quoted, plain] = found
    parts.push(quoted === undefined ? { text: plain ?? '', literal: false } : { text: unquote(quoted), literal: true })
    at += whole.length
    if (at === text.length) return parts.length > 2 ? null : parts
    if (text[at] !== '.') return null
  }
}

function unquote(text: string): string {
  return text.replaceAll('""', '"')
}

const PUBLIC: Part = { text: 'public', literal: true }

function patternOf(text: string): readonly [Part, Part] | null {
  const [first, second] = partsOf(text) ?? []
  if (first === undefined) return null
  return second === undefined ? [PUBLIC, first] : [first, second]
}

/** The one table that a text names; null for a pattern, and for what is no name. */
export function refOf(text: string): TableRef | null {
  const pattern = patternOf(text)
  if (pattern === null || pattern.some(isWild)) return null
  return { schema: pattern[0].text, name: pattern[1].text }
}

function isWild({ text, literal }: Part): boolean {
  return !literal && text.includes('*')
}

/** Whether a name or a pattern stands for a table. */
export function covers(text: string, ref: TableRef): boolean {
  const pattern = patternOf(text)
  return pattern !== null && coversPart(pattern[0], ref.schema) && coversPart(pattern[1], ref.name)
}

function coversPart(part: Part, name: string): boolean {
  if (!isWild(part)) return part.text === name
  const source = part.text.split('*').map((piece) => piece.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`))
  return new RegExp(`^${source.join('.*')}$`, 's').test(name)
}
