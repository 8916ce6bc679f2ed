import type { Connection } from './connection.ts'
import type { MyColumn } from './introspect.ts'
import type { ServerVersion } from './server-version.ts'

/** How an index compares texts, as the names of collations tell it (hazard C12). */

/** Labels are told apart by the type itself, whatever their collation is. */
export const LABELS: ReadonlySet<string> = new Set(['enum', 'set'])

/** The collation of a column, where it takes texts for one that differ in their bytes; else null. */
export function mergingCollation({ collation, dataType }: Pick<MyColumn, 'collation' | 'dataType'>): string | null {
  if (collation === null || LABELS.has(dataType)) return null
  return /^binary$|_nopad_bin$|_0900_bin$/.test(collation) ? null : collation
}

/** Whether spaces at the end of a text are no part of it. Those of MySQL that know Unicode 9 do not pad. */
export function pads(collation: string): boolean {
  return !/_nopad_|_0900_|^binary$/.test(collation)
}

/** Text of the table, where nothing else is said of a column: no two values are the same to it. */
export function binaryCollation({ mariadb }: ServerVersion): string {
  return mariadb ? 'utf8mb4_nopad_bin' : 'utf8mb4_0900_bin'
}

/** The collations of a server, some of them without the character set that they are of. */
export async function readCollations(connection: Connection): Promise<ReadonlySet<string>> {
  const rows = await connection.query('SELECT collation_name FROM information_schema.collations')
  return new Set(rows.map(([name]) => name ?? ''))
}

/**
 * The collation that a text of another server is compared by here: the same where it is known here; else one that takes no
 * more texts for one than that did, so that no row is in the way of another one (hazard C12).
 */
export function collationHere(
  collation: string,
  { version, collations }: { version: ServerVersion; collations: ReadonlySet<string> },
): string {
  const [charset = '', ...rest] = collation.split('_')
  const isKnown = (name: string): boolean => collations.has(name) || collations.has(name.replace(/^[^_]*_/, ''))
  if (isKnown(collation) || isKnown(collation.replace(/^utf8_/, 'utf8mb3_'))) return collation
  if (charset !== 'utf8mb4') return `${charset}_bin`
  const isPlain = /^(?:0900|uca1400|unicode)(?:_520)?(?:_nopad)?(?:_ai)?_ci$/.test(rest.join('_'))
  return (isPlain ? UNPADDED.find(isKnown) : undefined) ?? binaryCollation(version)
}

/** Without regard to case and accents, in the order of no language; the newest first, as older ones take new characters for one. */
const UNPADDED = ['utf8mb4_0900_ai_ci', 'utf8mb4_uca1400_nopad_ai_ci', 'utf8mb4_unicode_520_nopad_ci']
