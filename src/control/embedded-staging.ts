import { rmSync } from 'node:fs'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import type { Key } from '#model/change.ts'
import type { BatchBounds, Images, Spool, StagedChange, StagedOperation, Staging } from '#sync/staging.ts'
import { EmbeddedImages } from './embedded-images.ts'
import { EmbeddedSpool } from './embedded-spool.ts'
import { guardDisk } from './guard-disk.ts'

/** Rows that one query brings into memory. */
const PAGE_ROWS = 2_000

/**
 * Staging in one SQLite file per job, removed at the end. The file holds only what can be computed again from both
 * sides, so that it needs no fsync.
 */
export class EmbeddedStaging implements Staging {
  readonly #file: string
  readonly #db: DatabaseSync
  readonly #insert: StatementSync
  readonly #count: StatementSync
  readonly #spools = new Map<string, EmbeddedSpool>()
  readonly #images = new Map<string, EmbeddedImages>()

  constructor(file: string) {
    this.#file = file
    this.#db = new DatabaseSync(file)
    guardDisk(() =>
      this.#db.exec(`
      PRAGMA journal_mode = OFF;
      PRAGMA synchronous = OFF;
      PRAGMA cache_size = -8192;
      CREATE TABLE change (seq INTEGER PRIMARY KEY, tab TEXT NOT NULL, op TEXT NOT NULL, key TEXT NOT NULL,
                           expect TEXT, bytes INTEGER NOT NULL) STRICT;
      CREATE INDEX change_by_table ON change (tab, seq, op);`),
    )
    this.#insert = this.#db.prepare('INSERT INTO change (tab, op, key, expect, bytes) VALUES (?, ?, ?, ?, ?)')
    this.#count = this.#db.prepare('SELECT count(*) AS n FROM change WHERE tab = ? AND op = ?')
  }

  append(table: string, changes: readonly StagedChange[]): void {
    guardDisk(() => {
      this.#db.exec('BEGIN')
      for (const { op, key, expect, bytes } of changes) {
        this.#insert.run(table, op, JSON.stringify(key), expect, bytes)
      }
      this.#db.exec('COMMIT')
    })
  }

  count(table: string, op: StagedOperation): number {
    return Number(this.#count.get(table, op)?.['n'] ?? 0)
  }

  *read(table: string, ops: readonly StagedOperation[], bounds: BatchBounds): Generator<readonly StagedChange[]> {
    let batch: StagedChange[] = []
    let bytes = 0
    for (const change of this.#rows(table, ops)) {
      if (batch.length > 0 && (batch.length >= bounds.rows || bytes + change.bytes > bounds.bytes)) {
        yield batch
        batch = []
        bytes = 0
      }
      batch.push(change)
      bytes += change.bytes
    }
    if (batch.length > 0) yield batch
  }

  *#rows(table: string, ops: readonly StagedOperation[]): Generator<StagedChange> {
    const marks = ops.map(() => '?').join(', ')
    const page = this.#db.prepare(
      `SELECT seq, op, key, expect, bytes FROM change WHERE tab = ? AND op IN (${marks}) AND seq > ? ORDER BY seq LIMIT ${PAGE_ROWS}`,
    )
    for (let last = 0; ;) {
      const rows = page.all(table, ...ops, last)
      if (rows.length === 0) return
      for (const row of rows) {
        last = Number(row['seq'])
        yield toChange(row)
      }
    }
  }

  clear(table: string): void {
    this.#db.prepare('DELETE FROM change WHERE tab = ?').run(table)
  }

  spool(table: string): Spool {
    const spool = this.#spools.get(table) ?? new EmbeddedSpool(this.#db, `spool_${this.#spools.size}`)
    this.#spools.set(table, spool)
    return spool
  }

  images(table: string): Images {
    const images = this.#images.get(table) ?? new EmbeddedImages(this.#db, `images_${this.#images.size}`)
    this.#images.set(table, images)
    return images
  }

  [Symbol.dispose](): void {
    this.#db.close()
    rmSync(this.#file, { force: true })
  }
}

function toChange(row: Record<string, unknown>): StagedChange {
  const { op, key, expect, bytes } = row
  return {
    op: String(op) as StagedOperation,
    key: JSON.parse(String(key)) as Key,
    expect: typeof expect === 'string' ? expect : null,
    bytes: Number(bytes),
  }
}
