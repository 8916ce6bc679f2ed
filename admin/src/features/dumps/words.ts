import type { Dump } from '#features/dumps/queries.ts'
import { formatAbsolute, formatBytes, formatCount, plural } from '#lib/format.ts'

export const CONTENT_WORDS = [
  ['all', 'Definitions and rows', 'The whole database.'],
  ['schema', 'Definitions', 'Tables, functions and all else, without rows.'],
  ['data', 'Rows', 'For a database that has the tables already; parents before children.'],
] as const

export const STYLE_WORDS = [
  ['copy', 'COPY blocks', 'The fastest to write and to restore.'],
  ['insert', 'INSERT statements', 'Other programs read them too; they take several times as long.'],
] as const

export const COMPRESSION_WORDS = [
  ['zstd', 'zstd'],
  ['gzip', 'gzip'],
  ['none', 'not packed'],
] as const

export const ORIGIN_WORDS = [
  ['export', 'Export'],
  ['backup', 'Backup'],
  ['upload', 'Upload'],
] as const

export function originWord(origin: Dump['origin']): string {
  return ORIGIN_WORDS.find(([value]) => value === origin)?.[1] ?? origin
}

/** The same in a word or two, for a list. */
export function shortContent({ head }: Dump): string | null {
  if (head === null) return null
  const word = { all: 'All', schema: 'Definitions', data: 'Rows' }[head.content]
  return head.partial ? `${word}, in part` : word
}

/** What it carries; null where the file does not say. */
export function contentWord({ head }: Dump): string | null {
  if (head === null) return null
  const word = CONTENT_WORDS.find(([value]) => value === head.content)?.[1] ?? head.content
  return head.partial ? `${word}, in part` : word
}

export function styleWord({ head }: Dump): string | null {
  return head === null ? null : head.style === 'copy' ? 'COPY' : 'INSERT'
}

export function packedWord({ compression, sealed }: Dump): string {
  const word = COMPRESSION_WORDS.find(([value]) => value === compression)?.[1] ?? compression
  return sealed ? `${word}, sealed` : word
}

/** What a dump is called: by its database. */
export function nameOfDump({ database }: Dump): string {
  return database ?? 'Unknown database'
}

/** One of several of the same database, in a line. */
export function lineOfDump(dump: Dump): string {
  const rows = dump.rows === null ? '' : `, ${plural(dump.rows, 'row')}`
  const made = formatAbsolute(Date.parse(dump.created_at))
  return `${nameOfDump(dump)}: ${originWord(dump.origin).toLowerCase()} of ${made}, ${formatBytes(dump.bytes)}${rows}`
}

/** `3 tables, 1 view`, in the order in which they come first. */
export function countsOf(things: readonly { readonly what: string }[]): string {
  const counts = new Map<string, number>()
  for (const { what } of things) counts.set(what, (counts.get(what) ?? 0) + 1)
  return [...counts].map(([what, count]) => `${formatCount(count)} ${count === 1 ? what : manyOf(what)}`).join(', ')
}

function manyOf(what: string): string {
  if (what === 'rows') return 'tables emptied'
  return what.endsWith('x') || what.endsWith('s')
    ? `${what}es`
    : what.endsWith('y')
      ? `${what.slice(0, -1)}ies`
      : `${what}s`
}
