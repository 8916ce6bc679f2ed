import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { Key } from '#model/change.ts'
import type { Row, Value } from '#model/value.ts'
import type { Images, KeptImage } from '#sync/staging.ts'
import { guardDisk } from './guard-disk.ts'

/** The rows of one table: a table of its own in the file of a job's staging. */
export class EmbeddedImages implements Images {
  readonly #db: DatabaseSync
  readonly #name: string
  readonly #insert: StatementSync
  readonly #find: StatementSync

  /** `name` is ours, and goes into SQL as it is. */
  constructor(db: DatabaseSync, name: string) {
    this.#db = db
    this.#name = name
    guardDisk(() =>
      db.exec(`CREATE TABLE ${name} (key TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, cells TEXT, bytes INTEGER NOT NULL)
               STRICT, WITHOUT ROWID`),
    )
    this.#insert = db.prepare(`INSERT OR REPLACE INTO ${name} (key, fingerprint, cells, bytes) VALUES (?, ?, ?, ?)`)
    this.#find = db.prepare(`SELECT fingerprint, cells, bytes FROM ${name} WHERE key = ?`)
  }

  clear(): void {
    guardDisk(() => this.#db.exec(`DELETE FROM ${this.#name}`))
  }

  put(images: readonly KeptImage[]): void {
    guardDisk(() => {
      this.#db.exec('BEGIN')
      for (const { key, fingerprint, row, bytes } of images) {
        this.#insert.run(JSON.stringify(key), fingerprint, row && writeRow(row), bytes)
      }
      this.#db.exec('COMMIT')
    })
  }

  find(keys: readonly Key[]): KeptImage[] {
    return keys.flatMap((key) => {
      const found = this.#find.get(JSON.stringify(key))
      if (found === undefined) return []
      const { fingerprint, cells, bytes } = found
      const row = typeof cells === 'string' ? readRow(cells) : null
      return [{ key, fingerprint: String(fingerprint), row, bytes: Number(bytes) }]
    })
  }
}

/** Bytes that are no text go as an object with their base64. */
function writeRow(row: Row): string {
  return JSON.stringify(row, (_, value: unknown) =>
    value instanceof Uint8Array ? { base64: Buffer.from(value).toString('base64') } : value,
  )
}

function readRow(text: string): Row {
  const cells = JSON.parse(text) as (string | null | { readonly base64: string })[]
  return cells.map((cell): Value =>
    typeof cell === 'object' && cell !== null ? Buffer.from(cell.base64, 'base64') : cell,
  )
}
