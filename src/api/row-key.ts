import type { Key } from '#model/change.ts'

/** The key of a row as a query has it: a list of texts as JSON, or the one text of a key of one column. */
export function readKey(text: string): Key {
  try {
    const parsed: unknown = JSON.parse(text)
    if (Array.isArray(parsed)) return parsed.map((part) => (part === null ? null : String(part)))
  } catch {
    // It is the text of a key.
  }
  return [text]
}
