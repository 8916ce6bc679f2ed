import { randomInt } from 'node:crypto'
import type {
  Adapter,
  Addition,
  CommittedCounts,
  DetectionFacts,
  FactsQuestion,
  Horizon,
  ServerInfo,
  Snapshot,
  SourceOfTarget,
  Writer,
} from '#adapters/adapter.ts'
import type { PendingDdl } from '#adapters/table-ddl.ts'
import type { TableDrafts } from '#adapters/table-draft.ts'
import { wallMs } from '#lib/clock.ts'
import type { Check } from '#model/check.ts'
import { AppError } from '#model/errors.ts'
import type { Column, Right, TableRef, TableSchema } from '#model/table.ts'
import { Connection } from './connection.ts'
import { readHorizon } from './cursor-read.ts'
import { readDetectionFacts } from './detection-facts.ts'
import { readTableDdl } from './ddl.ts'
import { openDump } from './dump.ts'
import { describeEndpoint, isLocalHost, type Endpoint } from './endpoint.ts'
import { draftTables } from './draft.ts'
import { examinePostgres } from './examine.ts'
import { KnownTables } from './known-tables.ts'
import { planAdditions, readLastColumns, renameSql } from './new-columns.ts'
import { outlineTables } from './outline.ts'
import { isPooler } from './presets.ts'
import { probeSql } from './fingerprint-sql.ts'
import { PostgresSnapshot } from './reader.ts'
import { ReadingSessions } from './reading-sessions.ts'
import { PostgresRestoreTarget } from './restore.ts'
import { SharedSnapshot } from './snapshot.ts'
import { openAwake } from './wake.ts'
import { grantSql } from './sql.ts'
import { readPendingDdl } from './make-tables.ts'
import { readCommittedBy } from './state.ts'
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
  const { connection } = await openAwake(endpoint, options.signal)
  const server = await readServer(connection, endpoint).catch(async (error: unknown) => {
    await connection[Symbol.asyncDispose]()
    throw error
  })
  const sessions = new ReadingSessions(endpoint, { pooled: server.pooled, signal: options.signal })
  await sessions.adopt(connection)
  const known = new KnownTables(sessions)
  const writer = options.write ? new PostgresWriter(endpoint, server, known, options) : null
  return new PostgresAdapter({ endpoint, server, sessions, known, writer, signal: options.signal })
}

/** Examines a PostgreSQL database without opening it for anything: see `examinePostgres`. */
export function examine(
  endpoint: Endpoint,
  options: { steps: 'sync' | 'all'; signal: AbortSignal },
): AsyncIterable<Check> {
  return examinePostgres(endpoint, { ...options, readServer: (connection) => readServer(connection, endpoint) })
}

class PostgresAdapter implements Adapter {
  readonly server: ServerInfo
  readonly writer: Writer | null
  readonly restore: PostgresRestoreTarget
  readonly #endpoint: Endpoint
  readonly #sessions: ReadingSessions
  readonly #known: KnownTables
  readonly #writer: PostgresWriter | null
  readonly drafts: TableDrafts
  readonly #signal: AbortSignal

  constructor(parts: {
    endpoint: Endpoint
    server: ServerInfo
    sessions: ReadingSessions
    known: KnownTables
    writer: PostgresWriter | null
    signal: AbortSignal
  }) {
    this.#signal = parts.signal
    this.#endpoint = parts.endpoint
    this.#sessions = parts.sessions
    this.server = parts.server
    this.#known = parts.known
    this.drafts = {
      outline: (tables) =>
        parts.known.ask((connection) =>
          outlineTables(
            connection,
            tables.map((ref) => parts.known.get(ref).schema),
          ),
        ),
      draft: (tables) => Promise.resolve(draftTables(tables)),
    }
    this.#writer = parts.writer
    this.writer = parts.writer
    this.restore = new PostgresRestoreTarget(parts.endpoint, {
      write: parts.writer !== null,
      signal: parts.signal,
      open: (endpoint) => openPostgres(endpoint, { write: true, signal: parts.signal }),
    })
  }

  describe(wanted: readonly TableRef[] | 'all'): Promise<readonly TableSchema[]> {
    return this.#known.describe(wanted)
  }

  describeQuery(name: TableRef, query: string): Promise<TableSchema> {
    return this.#known.describeQuery(name, query)
  }

  definitions(tables: readonly TableRef[]): Promise<readonly (string | null)[]> {
    return this.#known.definitions(tables)
  }

  grant(table: TableRef, rights: readonly Right[]): string {
    return grantSql(table, rights, this.#endpoint.user)
  }

  additions(table: TableRef, columns: readonly Column[]): Promise<readonly Addition[]> {
    return this.#known.ask((connection) => planAdditions(connection, table, columns))
  }

  rename(...names: Parameters<Adapter['rename']>): string {
    return renameSql(...names)
  }

  lastColumns(mappings: readonly SourceOfTarget[]): ReturnType<Adapter['lastColumns']> {
    return this.#known.ask((connection) => readLastColumns(connection, mappings))
  }

  async horizon(): Promise<Horizon> {
    return await this.#known.ask(readHorizon)
  }

  async detectionFacts(wanted: readonly FactsQuestion[]): Promise<DetectionFacts> {
    const asked = wanted.map(({ table, columns }) => ({ table: this.#known.get(table), columns }))
    await using connection = await Connection.open(this.#endpoint, this.#signal)
    return await readDetectionFacts(connection, asked)
  }

  async snapshot(connections: number, signal: AbortSignal): Promise<Snapshot> {
    const shared = await SharedSnapshot.open(this.#sessions, { connections, signal })
    return new PostgresSnapshot(shared, this.#known)
  }

  async plantMark(): Promise<AsyncDisposable & { id: string }> {
    const connection = await this.#sessions.take()
    const id = String(randomInt(1, 2 ** 47))
    try {
      await connection.begin('read')
      await connection.query('SELECT pg_catalog.pg_advisory_xact_lock($1)', [id])
    } catch (error) {
      await connection[Symbol.asyncDispose]()
      throw error
    }
    return { id, [Symbol.asyncDispose]: () => this.#sessions.endTransaction(connection) }
  }

  /** Locks of another database of the cluster are visible too, so the database is compared as well. */
  async seesMark(id: string): Promise<boolean> {
    const rows = await this.#sessions.use((connection) =>
      connection.query(
        `SELECT 1 FROM pg_catalog.pg_locks
         WHERE locktype = 'advisory' AND objsubid = 1 AND (classid::int8 << 32) + objid::int8 = $1::int8
           AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())`,
        [id],
      ),
    )
    return rows.length > 0
  }

  async committedBy(jobId: string): Promise<CommittedCounts | null> {
    return await this.#sessions.use((connection) => readCommittedBy(connection, jobId))
  }

  async pendingDdl(): Promise<readonly PendingDdl[]> {
    return await this.#sessions.use(readPendingDdl)
  }

  readonly ddl: NonNullable<Adapter['ddl']> = async (tables, snapshot, target) =>
    readTableDdl({
      // Without the signal: the session beside pg_dump's ends that one, and both are ended where they are used.
      connect: async () => (await Connection.open(this.#endpoint)).client,
      tables,
      ...(snapshot.id === null ? {} : { snapshot: snapshot.id }),
      targetMajor: target.major,
      signal: this.#signal,
      timeoutMs: DDL_TIMEOUT_MS,
    })

  readonly dump: NonNullable<Adapter['dump']> = (options) =>
    openDump({ endpoint: this.#endpoint, sessions: this.#sessions }, options)

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer?.[Symbol.asyncDispose]()
    await this.#sessions[Symbol.asyncDispose]()
  }
}

const serverSql = (utf8: boolean): string => `
  SELECT pg_catalog.version(), current_database(), pg_catalog.pg_is_in_recovery(), current_setting('default_transaction_read_only'),
         (SELECT system_identifier FROM pg_catalog.pg_control_system()),
         (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()),
         ${probeSql(utf8)}, pg_catalog.pg_backend_pid(),
         current_setting('server_encoding'), (extract(epoch FROM pg_catalog.clock_timestamp()) * 1000)::int8`

async function readServer(connection: Connection, endpoint: Endpoint): Promise<ServerInfo> {
  if (connection.major < OLDEST_MAJOR || connection.major > NEWEST_MAJOR) {
    throw new AppError(
      'server_not_supported',
      `${describeEndpoint(endpoint)} is version ${connection.major}; ${OLDEST_MAJOR} to ${NEWEST_MAJOR} are supported.`,
    )
  }
  const sent = wallMs()
  const [row] = await connection.query(serverSql(connection.utf8))
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
    homeSchema: 'public',
    local: isLocalHost(endpoint.host),
    pooled: isPooled(endpoint, connection, Number(pid)),
    readOnly:
      standby === 't'
        ? 'it is a standby (read replica)'
        : readOnly === 'on'
          ? 'its sessions are read-only by default (default_transaction_read_only)'
          : null,
    hashProbe: probe ?? '',
    clockSkewMs: Number(clock) - Math.round((sent + received) / 2),
    moments: 'exact',
    writes: 'transactions',
  }
}

/**
 * A pooler shows itself by its name or port, by a start-up process id that is not the backend's, or by a backend that
 * changes between two statements. Whatever its mode, nothing of ours then outlives a transaction.
 */
function isPooled(endpoint: Endpoint, connection: Connection, pid: number): boolean {
  return isPooler(endpoint) || connection.startupPid !== connection.pid || connection.pid !== pid
}
