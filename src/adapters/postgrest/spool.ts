import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { toError } from '#lib/assert.ts'
import { AppError } from '#model/errors.ts'
import type { Row } from '#model/value.ts'
import type { OwnRow } from './pages.ts'

/** How many rows are walked before others get their turn. */
const TURN_ROWS = 500

/** Two rows with one key. */
export class TwiceTheKey extends Error {
  override readonly name = 'TwiceTheKey'
  readonly key: OwnRow

  constructor(key: OwnRow) {
    super('two rows have one key')
    this.key = key
  }
}

/**
 * Rows that were read, kept on disk until the snapshot is closed, so that everything a run asks is answered from one
 * reading and from little memory (invariant 6). The file is SQLite's own temporary one: it has no name, nobody else can
 * open it, and it is gone with the process.
 */
export class Spool implements Disposable {
  readonly #db: DatabaseSync
  #tables = 0

  constructor() {
    this.#db = new DatabaseSync('')
    this.#db.exec(
      'PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -8192; PRAGMA temp_store = FILE',
    )
  }

  table(): SpooledTable {
    return new SpooledTable(this.#db, (this.#tables += 1))
  }

  [Symbol.dispose](): void {
    this.#db.close()
  }
}

/** A row of a sorted list, which a bucket has brought to its place. */
export interface Sorted {
  readonly bucket: number
  readonly text: string
}

/** The rows of one table, by a number and by key. */
export class SpooledTable {
  readonly #db: DatabaseSync
  readonly #name: string
  readonly #insert: StatementSync
  #lists = 0
  #rows = 0

  constructor(db: DatabaseSync, number: number) {
    this.#db = db
    this.#name = `t${number}`
    db.exec(`CREATE TABLE ${this.#name} (seq INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, row TEXT NOT NULL) STRICT`)
    this.#insert = db.prepare(`INSERT INTO ${this.#name} (key, row) VALUES (?, ?)`)
  }

  get rows(): number {
    return this.#rows
  }

  /** Adds a page of rows; `keyOf` gives the values by which no two are the same. @throws TwiceTheKey, AppError `disk_full` */
  add(rows: readonly OwnRow[], keyOf: (row: OwnRow) => OwnRow): void {
    guard(() => {
      this.#db.exec('BEGIN')
      for (const row of rows) {
        const key = keyOf(row)
        try {
          this.#insert.run(JSON.stringify(key), JSON.stringify(row))
        } catch (error) {
          this.#db.exec('COMMIT')
          throw /UNIQUE/.test(toError(error).message) ? new TwiceTheKey(key) : error
        }
      }
      this.#db.exec('COMMIT')
    })
    this.#rows += rows.length
  }

  /** All rows, in the order in which they came. */
  async *all(): AsyncGenerator<OwnRow> {
    const rows = this.#db.prepare(`SELECT row FROM ${this.#name} WHERE seq > ? ORDER BY seq`).iterate(0)
    let count = 0
    for (const { row } of rows) {
      yield JSON.parse(String(row)) as OwnRow
      if ((count += 1) % TURN_ROWS === 0) await turn()
    }
  }

  /** Indexes the rows by another key than the one that they came with. Returns the name of the index. */
  async index(toKey: (row: OwnRow) => Row, isIn: (row: OwnRow) => boolean): Promise<string> {
    const index = `${this.#name}_${(this.#lists += 1)}`
    this.#db.exec(`CREATE TABLE ${index} (key TEXT NOT NULL, row TEXT NOT NULL) STRICT`)
    const insert = this.#db.prepare(`INSERT INTO ${index} VALUES (?, ?)`)
    for await (const row of this.all()) {
      if (isIn(row)) guard(() => void insert.run(JSON.stringify(toKey(row)), JSON.stringify(row)))
    }
    guard(() => this.#db.exec(`CREATE INDEX ${index}_by_key ON ${index} (key)`))
    return index
  }

  /** The rows under some keys as JSON, by an index or, where it is null, by the key that they came with. */
  *under(index: string | null, keys: Iterable<string>): Generator<OwnRow> {
    const find = this.#db.prepare(`SELECT row FROM ${index ?? this.#name} WHERE key = ?`)
    for (const key of keys) {
      for (const { row } of find.all(key)) yield JSON.parse(String(row)) as OwnRow
    }
  }

  /** How many keys of an index more than one row has, with one of them. */
  repeated(index: string): { duplicates: number; sample: OwnRow | null } {
    const found = this.#db
      .prepare(`SELECT count(*) AS n, min(key) AS key FROM (SELECT key FROM ${index} GROUP BY key HAVING count(*) > 1)`)
      .get()
    const key = found?.['key']
    return {
      duplicates: Number(found?.['n'] ?? 0),
      sample: typeof key === 'string' ? (JSON.parse(key) as OwnRow) : null,
    }
  }

  /** Gives what was put in back by bucket, sorted on disk. */
  async *sorted(items: AsyncIterable<Sorted>): AsyncGenerator<Sorted> {
    const list = `${this.#name}_${(this.#lists += 1)}`
    this.#db.exec(`CREATE TABLE ${list} (bucket INTEGER NOT NULL, text TEXT NOT NULL) STRICT`)
    try {
      await this.#fill(list, items)
      let count = 0
      for (const { bucket, text } of this.#db.prepare(`SELECT bucket, text FROM ${list} ORDER BY bucket`).iterate()) {
        yield { bucket: Number(bucket), text: String(text) }
        if ((count += 1) % TURN_ROWS === 0) await turn()
      }
    } finally {
      // A table cannot be dropped while others are read.
      this.#db.exec(`DELETE FROM ${list}`)
    }
  }

  async #fill(list: string, items: AsyncIterable<Sorted>): Promise<void> {
    const insert = this.#db.prepare(`INSERT INTO ${list} VALUES (?, ?)`)
    let some: Sorted[] = []
    const flush = (): void =>
      guard(() => {
        this.#db.exec('BEGIN')
        for (const { bucket, text } of some) insert.run(bucket, text)
        this.#db.exec('COMMIT')
        some = []
      })
    for await (const item of items) {
      some.push(item)
      if (some.length >= TURN_ROWS) flush()
    }
    flush()
  }
}

/** Lets timers, sockets and heartbeats have their turn: the file is read without waiting. */
function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}

function guard(write: () => void): void {
  try {
    write()
  } catch (error) {
    if (error instanceof Error && /full|I\/O/i.test(error.message)) {
      throw new AppError('disk_full', `The rows that were read cannot be kept: ${error.message}.`, { cause: error })
    }
    throw error
  }
}
