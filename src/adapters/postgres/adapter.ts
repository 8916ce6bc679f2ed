import { randomInt } from 'node:crypto'
import type { Adapter, Piece, Scan, ServerInfo, Snapshot, Writer } from '#adapters/adapter.ts'
import { wallMs } from '#lib/clock.ts'
import type { Check } from '#model/check.ts'
import { AppError } from '#model/errors.ts'
import { tableName, type Right, type TableRef, type TableSchema } from '#model/table.ts'
import { Connection } from './connection.ts'
import { readTableDdl } from './ddl.ts'
import { describeEndpoint, isLocalHost, type Endpoint } from './endpoint.ts'
import { toAppError } from './errors.ts'
import { examinePostgres } from './examine.ts'
import { KnownTables } from './known-tables.ts'
import { readProof } from './proof.ts'
import {
  readDigests,
  readFingerprints,
  readKeyBounds,
  readKeyFaults,
  readKeys,
  readKnownMappings,
  readWrittenBy,
  readOwned,
  readRows,
  readSequences,
} from './read.ts'
import { SharedSnapshot } from './snapshot.ts'
import { grantSql, quoteTable } from './sql.ts'
import { cutPieces, formatsOf, openCopyOut } from './stream.ts'
import { TableSql } from './table-sql.ts'
import { PostgresWriter } from './write.ts'

const OLDEST_MAJOR = 13
const NEWEST_MAJOR = 18
/** For the definitions of all tables: a second or two for thousands of them, more where locks are held. */
const DDL_TIMEOUT_MS = 120_000

/** Opens a PostgreSQL database, for reading or for reading and writing. @throws AppError with cause and next step */
export async function openPostgres(
  endpoint: Endpoint,
  options: { write: boolean; signal: AbortSignal },
): Promise<Adapter> {
  await using connection = await Connection.open(endpoint, options.signal)
  const server = await readServer(connection, endpoint)
  const known = new KnownTables(endpoint, options.signal)
  const writer = options.write ? new PostgresWriter(endpoint, server, known, options) : null
  return new PostgresAdapter({ endpoint, server, known, writer, signal: options.signal })
}

/** Examines a PostgreSQL database without opening it for anything: see `examinePostgres`. */
export function examine(endpoint: Endpoint, signal: AbortSignal): AsyncIterable<Check> {
  return examinePostgres(endpoint, { signal, readServer: (connection) => readServer(connection, endpoint) })
}

class PostgresAdapter implements Adapter {
  readonly server: ServerInfo
  readonly writer: Writer | null
  readonly #endpoint: Endpoint
  readonly #known: KnownTables
  readonly #writer: PostgresWriter | null
  readonly #signal: AbortSignal

  constructor(parts: {
    endpoint: Endpoint
    server: ServerInfo
    known: KnownTables
    writer: PostgresWriter | null
    signal: AbortSignal
  }) {
    this.#signal = parts.signal
    this.#endpoint = parts.endpoint
    this.server = parts.server
    this.#known = parts.known
    this.#writer = parts.writer
    this.writer = parts.writer
  }

  describe(wanted: readonly TableRef[] | 'all'): Promise<readonly TableSchema[]> {
    return this.#known.describe(wanted)
  }

  grant(table: TableRef, rights: readonly Right[]): string {
    return grantSql(table, rights, this.#endpoint.user)
  }

  async snapshot(connections: number, signal: AbortSignal): Promise<Snapshot> {
    const shared = await SharedSnapshot.open(this.#endpoint, { connections, pooled: this.server.pooled, signal })
    return new PostgresSnapshot(shared, this.#known)
  }

  async plantMark(): Promise<AsyncDisposable & { id: string }> {
    const connection = await Connection.open(this.#endpoint, this.#signal)
    const id = String(randomInt(1, 2 ** 47))
    await connection.begin('read')
    await connection.query('SELECT pg_catalog.pg_advisory_xact_lock($1)', [id])
    return { id, [Symbol.asyncDispose]: () => connection[Symbol.asyncDispose]() }
  }

  /** Locks of another database of the cluster are visible too, so the database is compared as well. */
  async seesMark(id: string): Promise<boolean> {
    await using connection = await Connection.open(this.#endpoint, this.#signal)
    const rows = await connection.query(
      `SELECT 1 FROM pg_catalog.pg_locks
       WHERE locktype = 'advisory' AND objsubid = 1 AND (classid::int8 << 32) + objid::int8 = $1::int8
         AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())`,
      [id],
    )
    return rows.length > 0
  }

  readonly ddl: NonNullable<Adapter['ddl']> = async (tables, snapshot, target) =>
    readTableDdl({
      connect: async () => (await Connection.open(this.#endpoint, this.#signal)).client,
      tables,
      ...(snapshot.id === null ? {} : { snapshot: snapshot.id }),
      targetMajor: target.major,
      signal: this.#signal,
      timeoutMs: DDL_TIMEOUT_MS,
    })

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer?.[Symbol.asyncDispose]()
  }
}

class PostgresSnapshot implements Snapshot {
  readonly #shared: SharedSnapshot
  readonly #known: KnownTables

  constructor(shared: SharedSnapshot, known: KnownTables) {
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

  async count(table: TableRef): Promise<number> {
    const from = new TableSql({ table, columns: [], keyLength: 0, algorithm: 'md5' }, this.#known.get(table)).from
    const rows = await this.#shared.use((connection) => connection.query(`SELECT count(*) FROM ${from}`))
    return Number(rows[0]?.[0])
  }

  async isEmpty(table: TableRef): Promise<boolean> {
    const rows = await this.#shared.use((connection) => connection.query(`SELECT 1 FROM ${quoteTable(table)} LIMIT 1`))
    return rows.length === 0
  }

  keyBounds(table: TableRef, column: string): ReturnType<Snapshot['keyBounds']> {
    return this.#shared.use((connection) => readKeyBounds(connection, this.#known.get(table), column))
  }

  keyFaults(scan: Scan): ReturnType<Snapshot['keyFaults']> {
    return this.#shared.use((connection) => readKeyFaults(connection, this.#sql(scan)))
  }

  async *digests(...[scan, bucketing]: Parameters<Snapshot['digests']>) {
    const connection = await this.#shared.acquire()
    try {
      yield* readDigests(connection, this.#sql(scan), bucketing)
    } catch (error) {
      throw toAppError(error, `comparing ${tableName(scan.table)}`)
    } finally {
      this.#shared.release(connection)
    }
  }

  async *keys(...[scan, bucketing, buckets]: Parameters<Snapshot['keys']>) {
    const connection = await this.#shared.acquire()
    try {
      yield* readKeys(connection, this.#sql(scan), { bucketing, buckets })
    } catch (error) {
      throw toAppError(error, `comparing ${tableName(scan.table)}`)
    } finally {
      this.#shared.release(connection)
    }
  }

  sample(scan: Scan, limit: number): ReturnType<Snapshot['sample']> {
    const sql = this.#sql(scan)
    return this.#shared.use((connection) =>
      connection.query(`SELECT ${sql.expressions.join(', ')} FROM ${sql.from} t LIMIT $1`, [limit]),
    )
  }

  rows(...[scan, keys]: Parameters<Snapshot['rows']>): ReturnType<Snapshot['rows']> {
    return this.#shared.use((connection) => readRows(connection, this.#sql(scan), keys))
  }

  fingerprints(...[scan, keys]: Parameters<Snapshot['fingerprints']>): ReturnType<Snapshot['fingerprints']> {
    return this.#shared.use((connection) => readFingerprints(connection, this.#sql(scan), keys))
  }

  copyFormats(scan: Scan): string[] {
    return formatsOf(scan, this.#known.get(scan.table), this.#shared.major)
  }

  pieces(table: TableRef, bytes: number): Promise<readonly Piece[]> {
    return Promise.resolve(cutPieces(this.#known.get(table), this.#shared.major, bytes))
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

  writtenBy(...[claim, scan, keys]: Parameters<Snapshot['writtenBy']>): ReturnType<Snapshot['writtenBy']> {
    return this.#shared.use((connection) => readWrittenBy(connection, this.#sql(scan), { claim, keys }))
  }

  owned(...[mappingId, scan, keys]: Parameters<Snapshot['owned']>): ReturnType<Snapshot['owned']> {
    return this.#shared.use((connection) => readOwned(connection, this.#sql(scan), { mappingId, keys }))
  }

  sequences(table: TableRef): ReturnType<Snapshot['sequences']> {
    return this.#shared.use((connection) => readSequences(connection, this.#known.get(table)))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#shared[Symbol.asyncDispose]()
  }
}

const SERVER = `
  SELECT pg_catalog.version(), current_database(), pg_catalog.pg_is_in_recovery(), current_setting('default_transaction_read_only'),
         (SELECT system_identifier FROM pg_catalog.pg_control_system()),
         (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()),
         pg_catalog.hashtextextended('(syncline,"probe ☯")' COLLATE pg_catalog."C", 0), pg_catalog.pg_backend_pid(),
         current_setting('server_encoding'), (extract(epoch FROM pg_catalog.clock_timestamp()) * 1000)::int8`

async function readServer(connection: Connection, endpoint: Endpoint): Promise<ServerInfo> {
  if (connection.major < OLDEST_MAJOR || connection.major > NEWEST_MAJOR) {
    throw new AppError(
      'server_not_supported',
      `${describeEndpoint(endpoint)} is version ${connection.major}; ${OLDEST_MAJOR} to ${NEWEST_MAJOR} are supported.`,
    )
  }
  const sent = wallMs()
  const [row] = await connection.query(SERVER)
  const received = wallMs()
  const [version, database, standby, readOnly, system, oid, probe, pid, encoding, clock] = row ?? []
  if (encoding === 'SQL_ASCII') {
    throw new AppError(
      'server_not_supported',
      `The database ${database} has the encoding SQL_ASCII, so that nobody knows what its bytes mean.`,
      {
        hint: 'Move it to a UTF8 database first.',
      },
    )
  }
  const product = /^PostgreSQL [\d.]+\w*/.exec(version ?? '')
  if (product === null) throw new AppError('server_not_supported', `The server calls itself "${version}".`)
  return {
    kind: 'postgres',
    product: product[0],
    major: connection.major,
    address: describeEndpoint(endpoint),
    identity: `${system}/${oid}/${database}`,
    local: isLocalHost(endpoint.host),
    pooled: isPooled(endpoint, connection, Number(pid)),
    readOnly:
      standby === 't'
        ? 'it is a standby (read replica)'
        : readOnly === 'on'
          ? 'its sessions are read-only by default (default_transaction_read_only)'
          : null,
    textHashProbe: probe ?? '',
    clockSkewMs: Number(clock) - Math.round((sent + received) / 2),
  }
}

/**
 * A pooler shows itself by its name or port, by a start-up process id that is not the backend's, or by a backend that
 * changes between two statements. Whatever its mode, nothing of ours then outlives a transaction.
 */
function isPooled(endpoint: Endpoint, connection: Connection, pid: number): boolean {
  return (
    endpoint.port === 6543 ||
    endpoint.host.includes('-pooler.') ||
    endpoint.host.endsWith('.pooler.supabase.com') ||
    connection.startupPid !== connection.pid ||
    connection.pid !== pid
  )
}
