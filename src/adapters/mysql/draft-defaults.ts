import type { Candidate } from '#adapters/draft-words.ts'
import { isDateOrTimestamp } from '#model/column-type.ts'
import type { DefaultOutline } from '#model/table-outline.ts'
import type { Column } from '#model/table.ts'
import { isZeroDate } from '#model/zero-dates.ts'
import type { ServerVersion } from './server-version.ts'
import { literal } from './sql.ts'

/** A default in the words of this server; null where it has none like it. */
export function literalDefault(
  found: DefaultOutline,
  { chosen: { sql, type }, version }: { chosen: Candidate; version: ServerVersion },
): string | null {
  // A long value may have an expression alone.
  const wrap = (text: string): string => (/(?:text|blob)$|^json$/.test(sql) && !version.mariadb ? `(${text})` : text)
  switch (found.kind) {
    case 'value':
      if (isDateOrTimestamp(type) && isZeroDate(found.text)) return null
      if (type.kind === 'boolean') return found.text === 't' ? '1' : '0'
      if (type.kind === 'bytes') return /^\\x[0-9a-f]*$/i.test(found.text) ? wrap(`x'${found.text.slice(2)}'`) : null
      if (type.kind === 'timestamp') return literal(found.text.replace(/\+00$/, ''))
      return type.kind === 'other' ? null : wrap(literal(found.text))
    case 'now':
      if (type.kind === 'timestamp') return currentTimestamp(type.digits)
      return type.kind === 'date' ? '(CURRENT_DATE)' : null
    case 'random uuid':
      return type.kind === 'uuid' || /^varchar\(36\)$/.test(sql) ? '(UUID())' : null
    case 'number':
    case 'expression':
      return null
    default:
      throw new Error(`unknown default ${String(found satisfies never)}`)
  }
}

/**
 * What a column says of its default. A TIMESTAMP that says nothing is filled in, and changed with every update, by servers
 * before MariaDB 10.10 (hazard D7).
 */
export function defaultSql(
  { nullable }: Column,
  { text, chosen: { type }, version }: { text: string | null; chosen: Candidate; version: ServerVersion },
): string[] {
  if (text !== null) return [`DEFAULT ${text}`]
  const implicit = version.mariadb && (version.major < 10 || (version.major === 10 && version.minor < 10))
  const isMoment = type.kind === 'timestamp' && type.zoned
  return implicit && isMoment && !nullable ? [`DEFAULT ${currentTimestamp(type.digits)}`] : []
}

function currentTimestamp(digits: number): string {
  return digits === 0 ? 'CURRENT_TIMESTAMP' : `CURRENT_TIMESTAMP(${digits})`
}
