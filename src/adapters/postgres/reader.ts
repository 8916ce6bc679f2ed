import type { Piece, Scan, Snapshot } from '#adapters/adapter.ts'
import { tableName, type TableRef } from '#model/table.ts'
import { PostgresBaseline } from './baseline-read.ts'
import { readChangedKeys, readCursorReached, readDetectionState } from './cursor-read.ts'
import type { Connection } from './connection.ts'
import { toAppError } from './errors.ts'
import { readHolders } from './holders.ts'
import { readKnownKeys } from './known-keys.ts'
import type { KnownTables } from './known-tables.ts'
import { readLargeRows } from './large-rows.ts'
import { readProof } from './proof.ts'
import {
  readDigests,
  readFingerprints,
  readEstimate,
  readKeyBounds,
  readKeyFaults,
  readKeys,
  readKnownMappings,
  readOwned,
  readPartDigests,
  readRows,
  readSequences,
  readWrittenBy,
} from './read.ts'
import type { Sessions } from './snapshot.ts'
import { quoteTable } from './sql.ts'
import { cutPieces, formatsOf, openCopyOut } from './stream.ts'
import { TableSql } from './table-sql.ts'

/** What is read of the database over sessions that see one state of it. */
export class PostgresSnapshot implements Snapshot {
  readonly #shared: Sessions
  readonly #known: KnownTables

  constructor(shared: Sessions, known: KnownTables) {
    this.#shared = shared
    this.#known = known
  }

  get position(): Snapshot['position'] {
    return this.#shared.position
  }

  get id(): string | null {
    return this.#shared.id
  }

  #sql(scan: Scan): TableSql {
    return new TableSql(scan, this.#known.get(scan.table))
  }

  /** Reads with a session to itself, for as long as somebody asks for more. */
  async *#lend<T>(doing: string, read: (connection: Connection) => AsyncIterable<T>): AsyncGenerator<T> {
    const connection = await this.#shared.acquire()
    try {
      yield* read(connection)
    } catch (error) {
      throw toAppError(error, doing)
    } finally {
      this.#shared.release(connection)
    }
  }

  hold(tables: readonly TableRef[]): Promise<void> {
    return this.#shared.hold(tables.map((ref) => this.#known.get(ref)))
  }

  async count(scan: Scan): Promise<number> {
    const { from } = this.#sql(scan)
    const rows = await this.#shared.use((connection) => connection.query(`SELECT count(*) FROM ${from} t`))
    return Number(rows[0]?.[0])
  }

  async isEmpty(table: TableRef): Promise<boolean> {
    const rows = await this.#shared.use((connection) => connection.query(`SELECT 1 FROM ${quoteTable(table)} LIMIT 1`))
    return rows.length === 0
  }

  estimate(scan: Scan): Promise<number> {
    return this.#shared.use((connection) => readEstimate(connection, this.#sql(scan)))
  }

  keyBounds(scan: Scan): ReturnType<Snapshot['keyBounds']> {
    return this.#shared.use((connection) => readKeyBounds(connection, this.#sql(scan)))
  }

  keyFaults(scan: Scan): ReturnType<Snapshot['keyFaults']> {
    return this.#shared.use((connection) => readKeyFaults(connection, this.#sql(scan)))
  }

  digests(...[scan, bucketing]: Parameters<Snapshot['digests']>): ReturnType<Snapshot['digests']> {
    return this.#lend(comparing(scan), (connection) => readDigests(connection, this.#sql(scan), bucketing))
  }

  partDigests(...[scan, parts]: Parameters<Snapshot['partDigests']>): ReturnType<Snapshot['partDigests']> {
    const sql = this.#sql(scan)
    if (!sql.seeksKeys) return null
    return this.#lend(comparing(scan), (connection) => readPartDigests(connection, sql, parts))
  }

  keys(...[scan, bucketing, buckets]: Parameters<Snapshot['keys']>): ReturnType<Snapshot['keys']> {
    return this.#lend(comparing(scan), (connection) => readKeys(connection, this.#sql(scan), { bucketing, buckets }))
  }

  sample(scan: Scan, limit: number): ReturnType<Snapshot['sample']> {
    const sql = this.#sql(scan)
    return this.#shared.use((connection) =>
      connection.query(`SELECT ${sql.expressions.join(', ')} FROM ${sql.from} t LIMIT $1`, [limit]),
    )
  }

  rows(...[scan, keys, of]: Parameters<Snapshot['rows']>): ReturnType<Snapshot['rows']> {
    const sql = this.#sql(scan)
    return this.#shared.use((connection) => {
      const read = (some: typeof keys): ReturnType<typeof readRows> => readRows(connection, sql, some)
      return of === undefined ? read(keys) : readKnownKeys(connection, { sql, keys }, read)
    })
  }

  largeRows(...[scan, keys]: Parameters<Snapshot['largeRows']>): ReturnType<Snapshot['largeRows']> {
    return readLargeRows(this.#shared, this.#sql(scan), keys)
  }

  fingerprints(...[scan, keys]: Parameters<Snapshot['fingerprints']>): ReturnType<Snapshot['fingerprints']> {
    const sql = this.#sql(scan)
    return this.#shared.use((connection) =>
      readKnownKeys(connection, { sql, keys }, (some) => readFingerprints(connection, sql, some)),
    )
  }

  copyFormats(scan: Scan): string[] {
    return formatsOf(scan, this.#known.get(scan.table), this.#shared.major)
  }

  pieces(scan: Scan, bytes: number): Promise<readonly Piece[]> {
    return Promise.resolve(cutPieces(this.#known.get(scan.table), this.#shared.major, bytes))
  }

  copyOut(...[scan, piece, format]: Parameters<Snapshot['copyOut']>): ReturnType<Snapshot['copyOut']> {
    return openCopyOut(this.#shared, this.#sql(scan), { piece, format })
  }

  proof(...[scan, keys]: Parameters<Snapshot['proof']>): ReturnType<Snapshot['proof']> {
    return this.#shared.use((connection) => readProof(connection, this.#sql(scan), keys))
  }

  knownMappings(mappingIds: readonly string[]): ReturnType<Snapshot['knownMappings']> {
    return this.#shared.use((connection) => readKnownMappings(connection, mappingIds))
  }

  writtenBy(...[claim, { scan }, { keys }]: Parameters<Snapshot['writtenBy']>): ReturnType<Snapshot['writtenBy']> {
    return this.#shared.use(async (connection) => ({
      keys: await readWrittenBy(connection, this.#sql(scan), { claim, keys }),
      doubt: null,
    }))
  }

  holders(...[scan, index, rows]: Parameters<Snapshot['holders']>): ReturnType<Snapshot['holders']> {
    return this.#shared.use((connection) => readHolders(connection, this.#sql(scan), { index, rows }))
  }

  /** Collations of this server tell apart what differs, but for those that somebody made to be nondeterministic. */
  comparedAs(...[, rows]: Parameters<Snapshot['comparedAs']>): ReturnType<Snapshot['comparedAs']> {
    return Promise.resolve(rows.map((row) => (row.includes(null) ? null : JSON.stringify(row))))
  }

  owned(...[mappingId, scan, keys]: Parameters<Snapshot['owned']>): ReturnType<Snapshot['owned']> {
    return this.#shared.use((connection) => readOwned(connection, this.#sql(scan), { mappingId, keys }))
  }

  changedKeys(...[scan, cursor, from]: Parameters<Snapshot['changedKeys']>): ReturnType<Snapshot['changedKeys']> {
    return this.#lend(`looking for changes of ${tableName(scan.table)}`, (connection) =>
      readChangedKeys(connection, this.#sql(scan), { cursor, from }),
    )
  }

  cursorReached(...[table, cursor, ceiling]: Parameters<Snapshot['cursorReached']>) {
    const known = this.#known.get(table)
    return this.#shared.use((connection) => readCursorReached(connection, known, { cursor, ceiling }))
  }

  detectionState(mapping: Parameters<Snapshot['detectionState']>[0]): ReturnType<Snapshot['detectionState']> {
    return this.#shared.use((connection) => readDetectionState(connection, mapping))
  }

  baseline(...[mapping, scan]: Parameters<Snapshot['baseline']>): ReturnType<Snapshot['baseline']> {
    return PostgresBaseline.open(this.#shared, this.#sql(scan), mapping)
  }

  sequences(table: TableRef): ReturnType<Snapshot['sequences']> {
    return this.#shared.use((connection) => readSequences(connection, this.#known.get(table)))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#shared[Symbol.asyncDispose]()
  }
}

function comparing({ table }: Scan): string {
  return `comparing ${tableName(table)}`
}
