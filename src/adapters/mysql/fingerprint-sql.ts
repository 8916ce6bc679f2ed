/**
 * Fingerprints as SQL: MD5 over the canonical form of `model/fingerprint.ts`. A row whose texts are longer than the server's
 * `max_allowed_packet` has none: NULL.
 */

/** A column as it is stored, and the expression of its text in a form (`forms.ts`). */
export interface HashedColumn {
  readonly column: string
  readonly text: string
}

/** The canonical form of a row as a text expression. */
export function canonicalSql(columns: readonly HashedColumn[]): string {
  // The column is asked for NULL: a text that is too long for the server is NULL too, and makes the whole NULL.
  const parts = columns.map(
    ({ column, text }) => `IF(${column} IS NULL, '-', CONCAT(OCTET_LENGTH(${text}), ':', ${text}))`,
  )
  return `CONCAT(${["''", ...parts].join(', ')})`
}

/** The 64-bit fingerprint of a row as a signed integer. */
export function fingerprintSql(columns: readonly HashedColumn[]): string {
  return signedBits(`MD5(${canonicalSql(columns)})`)
}

/** The bucket of a row by the hash of its key: 0 ≤ bucket < count, count being a power of two. */
export function keyHashBucketSql(key: readonly HashedColumn[], count: number): string {
  return `(CAST(CONV(LEFT(MD5(${canonicalSql(key)}), 8), 16, 10) AS UNSIGNED) & ${count - 1})`
}

/** The first 64 bits of a hash in hexadecimal digits. */
function signedBits(hash: string): string {
  return `CAST(CONV(LEFT(${hash}, 16), 16, -10) AS SIGNED)`
}
