import type { DatabaseSync } from 'node:sqlite'
import type { Key, RowFault } from '#model/change.ts'
import type { Spool, SpooledRow } from '#sync/staging.ts'
import { guardDisk } from './guard-disk.ts'

/** Rows that one query brings into memory. */
const PAGE_ROWS = 2_000
const BUCKETS_AT_ONCE = 500

/** The spool of one table: a table of its own in the file of a job's staging. Its indexes are made when they are first needed. */
export class EmbeddedSpool implements Spool {
  readonly #db: DatabaseSync
  readonly #name: string

  /** `name` is ours, and goes into SQL as it is. */
  constructor(db: DatabaseSync, name: string) {
    this.#db = db
    this.#name = name
    this.clear()
  }

  clear(): void {
    guardDisk(() =>
      this.#db.exec(`
        DROP TABLE IF EXISTS ${this.#name}; DROP TABLE IF EXISTS ${this.#name}_mark;
        CREATE TABLE ${this.#name}_mark (mark TEXT NOT NULL) STRICT;
        CREATE TABLE ${this.#name} (n INTEGER PRIMARY KEY, bucket INTEGER NOT NULL, key TEXT NOT NULL, source_key TEXT,
                                    fingerprint TEXT NOT NULL, bytes INTEGER NOT NULL, filtered INTEGER NOT NULL,
                                    fault TEXT) STRICT;`),
    )
  }

  put(rows: readonly SpooledRow[]): void {
    guardDisk(() => {
      const insert = this.#db.prepare(
        `INSERT INTO ${this.#name} (bucket, key, source_key, fingerprint, bytes, filtered, fault) VALUES (?, ?, ?, ?, ?, ?, ?)`,
      )
      this.#db.exec('BEGIN')
      for (const { bucket, key, sourceKey, fingerprint, bytes, filtered, fault } of rows) {
        const [own, source] = [JSON.stringify(key), JSON.stringify(sourceKey)]
        const why = fault === null ? null : JSON.stringify(fault)
        insert.run(bucket, own, own === source ? null : source, fingerprint, bytes, Number(filtered), why)
      }
      this.#db.exec('COMMIT')
    })
  }

  *read(buckets: readonly number[] | 'all'): Generator<SpooledRow> {
    this.#index('bucket')
    if (buckets === 'all') {
      yield* this.#pages('true', [])
      return
    }
    const sorted = buckets.toSorted((a, b) => a - b)
    for (let start = 0; start < sorted.length; start += BUCKETS_AT_ONCE) {
      const some = sorted.slice(start, start + BUCKETS_AT_ONCE)
      yield* this.#pages(`bucket IN (${some.map(() => '?').join(', ')})`, some)
    }
  }

  /** Page by page, so that nothing stays open while the file is written. */
  *#pages(where: string, buckets: readonly number[]): Generator<SpooledRow> {
    const page = this.#db.prepare(
      `SELECT * FROM ${this.#name} WHERE ${where} AND NOT filtered AND (bucket, n) > (?, ?) ORDER BY bucket, n LIMIT ${PAGE_ROWS}`,
    )
    for (let last = { bucket: -1, n: 0 }; ;) {
      const rows = page.all(...buckets, last.bucket, last.n)
      for (const row of rows) yield toSpooledRow(row)
      const end = rows.at(-1)
      if (end === undefined) return
      last = { bucket: Number(end['bucket']), n: Number(end['n']) }
    }
  }

  sourceKeys(keys: readonly Key[]): Key[] {
    this.#index('key')
    const find = this.#db.prepare(
      `SELECT key, source_key FROM ${this.#name} WHERE key = ? AND fault IS NULL AND NOT filtered`,
    )
    return keys.flatMap((key) => {
      const row = find.get(JSON.stringify(key))
      return row === undefined ? [] : [parseKey(row['source_key'] ?? row['key'])]
    })
  }

  filteredKeys(keys: readonly Key[]): ReadonlySet<string> {
    this.#index('key')
    const find = this.#db.prepare(`SELECT 1 FROM ${this.#name} WHERE key = ? AND filtered`)
    return new Set(keys.map((key) => JSON.stringify(key)).filter((key) => find.get(key) !== undefined))
  }

  mark(marks: readonly string[]): void {
    guardDisk(() => {
      const insert = this.#db.prepare(`INSERT INTO ${this.#name}_mark VALUES (?)`)
      this.#db.exec('BEGIN')
      for (const mark of marks) insert.run(mark)
      this.#db.exec('COMMIT')
    })
  }

  repeatedMarks(most: number): ReadonlySet<string> {
    const repeated = `SELECT mark FROM ${this.#name}_mark GROUP BY mark HAVING count(*) > 1 LIMIT ?`
    return new Set(
      this.#db
        .prepare(repeated)
        .all(most)
        .map((row) => String(row['mark'])),
    )
  }

  keyFaults(): { nulls: number; duplicates: number; sample: Key | null } {
    this.#index('key')
    const good = `FROM ${this.#name} WHERE fault IS NULL AND NOT filtered`
    const nulls = this.#db
      .prepare(`SELECT count(*) AS n ${good} AND EXISTS (SELECT 1 FROM json_each(key) WHERE type = 'null')`)
      .get()
    const twice = `SELECT key ${good} GROUP BY key HAVING count(*) > 1`
    const duplicates = this.#db.prepare(`SELECT count(*) AS n, min(key) AS sample FROM (${twice})`).get()
    const sample = duplicates?.['sample']
    return {
      nulls: Number(nulls?.['n'] ?? 0),
      duplicates: Number(duplicates?.['n'] ?? 0),
      sample: typeof sample === 'string' ? parseKey(sample) : null,
    }
  }

  #index(column: 'bucket' | 'key'): void {
    guardDisk(() => this.#db.exec(`CREATE INDEX IF NOT EXISTS ${this.#name}_${column} ON ${this.#name} (${column})`))
  }
}

function toSpooledRow(row: Record<string, unknown>): SpooledRow {
  const { bucket, key, fingerprint, bytes, filtered, fault } = row
  return {
    bucket: Number(bucket),
    key: parseKey(key),
    sourceKey: parseKey(row['source_key'] ?? key),
    fingerprint: String(fingerprint),
    bytes: Number(bytes),
    filtered: filtered === 1,
    fault: typeof fault === 'string' ? (JSON.parse(fault) as RowFault) : null,
  }
}

function parseKey(json: unknown): Key {
  return JSON.parse(String(json)) as Key
}
