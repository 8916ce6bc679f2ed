/** PostgreSQL's texts of arrays: `{a,"b c",NULL}`. Those of one dimension whose first element is number 1. */

/** Why a text is no such array: it counts from elsewhere, has more dimensions, or is none at all. */
export type ArrayFault = 'bounds' | 'dimensions' | 'broken'

/** Throws the caller's own error. */
type Refuse = (fault: ArrayFault) => never

const NULL_WORD = /^null$/i

/** Blanks are those of C; a non-breaking space, for one, needs no quotes. */
const QUOTED = /[ \t\n\r\v\f{}",\\]/

/** As the server writes it, of elements in the canonical text of their type; null is NULL. */
export function writeArray(elements: readonly (string | null)[]): string {
  const parts = elements.map((element) => {
    if (element === null) return 'NULL'
    const bare = element !== '' && !QUOTED.test(element) && !NULL_WORD.test(element)
    return bare ? element : `"${element.replace(/["\\]/g, '\\$&')}"`
  })
  return `{${parts.join(',')}}`
}

/** The texts of the elements; NULL is null. */
export function readArray(text: string, refuse: Refuse): (string | null)[] {
  if (text === '{}') return []
  if (!text.startsWith('{')) return refuse(text.startsWith('[') ? 'bounds' : 'broken')
  const elements: (string | null)[] = []
  let at = 1
  for (;;) {
    if (text[at] === '{') return refuse('dimensions')
    const isQuoted = text[at] === '"'
    const start = isQuoted ? at + 1 : at
    const end = endOf(text, start, isQuoted)
    if (isQuoted ? end >= text.length : end === start) return refuse('broken')
    const raw = text.slice(start, end)
    elements.push(!isQuoted && NULL_WORD.test(raw) ? null : unescape(raw))
    at = isQuoted ? end + 1 : end
    if (text[at] === '}' && at === text.length - 1) return elements
    if (text[at] !== ',') return refuse('broken')
    at += 1
  }
}

function endOf(text: string, from: number, isQuoted: boolean): number {
  let at = from
  while (at < text.length) {
    const sign = text[at]
    if (isQuoted ? sign === '"' : sign === ',' || sign === '}') return at
    at += sign === '\\' ? 2 : 1
  }
  return at
}

function unescape(text: string): string {
  return text.includes('\\') ? text.replace(/\\(.)/gsu, '$1') : text
}
