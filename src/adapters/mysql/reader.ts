import { TEXT_ROWS, type CopyFormat, type Piece, type Scan, type Snapshot } from '#adapters/adapter.ts'
import { must } from '#lib/assert.ts'
import { tableName, type TableRef } from '#model/table.ts'
import { MysqlBaseline } from './baseline-read.ts'
import { readChangedKeys, readCursorReached } from './cursor-read.ts'
import type { Connection } from './connection.ts'
import { toAppError } from './errors.ts'
import { readComparedAs } from './compared-as.ts'
import { readHolders } from './holders.ts'
import type { KnownTables } from './known-tables.ts'
import { readLargeRows } from './large-rows.ts'
import { readProof } from './proof.ts'
import {
  readDigests,
  readEstimate,
  readFingerprints,
  readKeyBounds,
  readKeyFaults,
  readKeys,
  readPartDigests,
  readRows,
} from './read.ts'
import { readSequences } from './sequences.ts'
import type { Sessions } from './snapshot.ts'
import { quoteTable } from './sql.ts'
import { readDetectionState, readKnownMappings, readOwned } from './state-read.ts'
import { cutPieces, openCopyOut } from './stream.ts'
import { TableSql } from './table-sql.ts'
import { readWrittenBy, type UseSession } from './written-by.ts'

/** What is read of the database over sessions that see one state of it. */
export class MysqlSnapshot implements Snapshot {
  readonly #shared: Sessions
  readonly #known: KnownTables
  readonly #writing: UseSession | null
  /** No session that comes later can see the same moment. */
  readonly id = null

  /** @param writing lends a session that may write; null where nothing is written here */
  constructor(shared: Sessions, known: KnownTables, writing: UseSession | null) {
    this.#shared = shared
    this.#known = known
    this.#writing = writing
  }

  get position(): Snapshot['position'] {
    return this.#shared.position
  }

  readonly #use: UseSession = (body) => this.#shared.use(body)

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
    const sql = this.#sql(scan)
    const rows = await this.#shared.use((connection) =>
      connection.query(`SELECT CAST(COUNT(*) AS CHAR) FROM ${sql.from} t ${sql.where()}`),
    )
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
      connection.query(
        `SELECT ${sql.expressions.join(', ')} FROM ${sql.from} t ${sql.where()} LIMIT ${Math.trunc(limit)}`,
      ),
    )
  }

  /** A key that is no value here is the key of no row: nothing has to be done for those of the other side. */
  rows(...[scan, keys]: Parameters<Snapshot['rows']>): ReturnType<Snapshot['rows']> {
    return this.#shared.use((connection) => readRows(connection, this.#sql(scan), keys))
  }

  largeRows(...[scan, keys]: Parameters<Snapshot['largeRows']>): ReturnType<Snapshot['largeRows']> {
    const lend = {
      acquire: () => this.#shared.acquire(),
      release: (connection: Parameters<Sessions['release']>[0]) => this.#shared.release(connection),
    }
    return this.#shared.use((connection) => readLargeRows(connection, this.#sql(scan), { keys, lend }))
  }

  fingerprints(...[scan, keys]: Parameters<Snapshot['fingerprints']>): ReturnType<Snapshot['fingerprints']> {
    return this.#shared.use((connection) => readFingerprints(connection, this.#sql(scan), keys))
  }

  copyFormats(): readonly CopyFormat[] {
    return [TEXT_ROWS]
  }

  pieces(scan: Scan, bytes: number): Promise<readonly Piece[]> {
    return this.#shared.use((connection) => cutPieces(connection, this.#sql(scan), bytes))
  }

  copyOut(...[scan, piece, format]: Parameters<Snapshot['copyOut']>): ReturnType<Snapshot['copyOut']> {
    return openCopyOut(this.#shared, this.#sql(scan), { piece, format })
  }

  proof(...[scan, keys]: Parameters<Snapshot['proof']>): ReturnType<Snapshot['proof']> {
    return this.#shared.use((connection) => readProof(connection, this.#sql(scan), keys))
  }

  holders(...[scan, index, rows]: Parameters<Snapshot['holders']>): ReturnType<Snapshot['holders']> {
    return this.#shared.use((connection) => readHolders(connection, this.#sql(scan), { index, rows }))
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

  sequences(table: TableRef): ReturnType<Snapshot['sequences']> {
    return this.#shared.use((connection) => readSequences(connection, this.#known.get(table)))
  }

  knownMappings(mappingIds: readonly string[]): ReturnType<Snapshot['knownMappings']> {
    return this.#shared.use((connection) => readKnownMappings(connection, mappingIds))
  }

  writtenBy(...[claim, plan, sent]: Parameters<Snapshot['writtenBy']>): ReturnType<Snapshot['writtenBy']> {
    const sessions = { moment: this.#use, writing: must(this.#writing, 'a claim comes from a writer') }
    return readWrittenBy(sessions, { claim, plan, table: this.#known.get(plan.scan.table) }, sent)
  }

  comparedAs(...[scan, rows]: Parameters<Snapshot['comparedAs']>): ReturnType<Snapshot['comparedAs']> {
    return this.#shared.use((connection) => readComparedAs(connection, this.#sql(scan), rows))
  }

  owned(...[mappingId, scan, keys]: Parameters<Snapshot['owned']>): ReturnType<Snapshot['owned']> {
    return this.#shared.use((connection) => readOwned(connection, this.#sql(scan), { mappingId, keys }))
  }

  detectionState(mapping: Parameters<Snapshot['detectionState']>[0]): ReturnType<Snapshot['detectionState']> {
    return this.#shared.use((connection) => readDetectionState(connection, mapping))
  }

  baseline(...[mapping, scan]: Parameters<Snapshot['baseline']>): ReturnType<Snapshot['baseline']> {
    return MysqlBaseline.open(this.#shared, this.#sql(scan), mapping)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#shared[Symbol.asyncDispose]()
  }
}

function comparing({ table }: Scan): string {
  return `comparing ${tableName(table)}`
}
