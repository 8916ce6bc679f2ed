import { createHash, randomInt } from 'node:crypto'
import type {
  Adapter,
  Addition,
  CommittedCounts,
  DetectionFacts,
  FactsQuestion,
  Horizon,
  ServerInfo,
  Snapshot,
} from '#adapters/adapter.ts'
import type { PendingDdl } from '#adapters/table-ddl.ts'
import type { TableDrafts } from '#adapters/table-draft.ts'
import { wallMs } from '#lib/clock.ts'
import { AppError } from '#model/errors.ts'
import type { Column, Right, TableRef, TableSchema } from '#model/table.ts'
import { LARGE_ROW_BYTES } from '#model/value.ts'
import { isLocalHost } from '#model/write-protection.ts'
import type { Connection } from './connection.ts'
import { readCollations } from './collations.ts'
import { readHorizon } from './cursor-read.ts'
import { readDetectionFacts } from './detection-facts.ts'
import { describeEndpoint, type MysqlEndpoint } from './endpoint.ts'
import { draftsOf } from './drafts.ts'
import { KnownTables } from './known-tables.ts'
import { MysqlSnapshot } from './reader.ts'
import { ReadingSessions } from './reading-sessions.ts'
import { SharedSnapshot } from './snapshot.ts'
import { literal, quote, quoteTable } from './sql.ts'
import { planAdditions, readLastColumns } from './new-columns.ts'
import { readPendingDdl } from './make-tables.ts'
import { readCommittedBy } from './state.ts'
import { MysqlWriter } from './write.ts'

/** JSON_TABLE came with these. */
const OLDEST = { mariadb: [10, 6], mysql: [8, 0] } as const

/** Opens a MySQL or MariaDB database, for reading or for reading and writing. @throws AppError with cause and next step */
export async function openMysql(
  endpoint: MysqlEndpoint,
  options: { write: boolean; signal: AbortSignal },
): Promise<Adapter> {
  const sessions = new ReadingSessions(endpoint, options.signal)
  try {
    const facts = await sessions.use((connection) => readServer(connection, endpoint))
    const known = new KnownTables(sessions)
    const writer = options.write ? new MysqlWriter(endpoint, known, options) : null
    return new MysqlAdapter({ sessions, known, writer, ...facts })
  } catch (error) {
    await sessions[Symbol.asyncDispose]()
    throw error
  }
}

class MysqlAdapter implements Adapter {
  readonly server: ServerInfo
  readonly writer: MysqlWriter | null
  readonly ddl = null
  readonly dump = null
  readonly restore = null
  readonly drafts: TableDrafts
  readonly #account: string
  readonly #sessions: ReadingSessions
  readonly #known: KnownTables

  constructor(parts: {
    server: ServerInfo
    account: string
    sessions: ReadingSessions
    known: KnownTables
    writer: MysqlWriter | null
  }) {
    this.server = parts.server
    this.#account = parts.account
    this.#sessions = parts.sessions
    this.#known = parts.known
    this.drafts = draftsOf(parts.known)
    this.writer = parts.writer
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

  /** A database has no right of its own: who may do something with a table may use its database. */
  grant(table: TableRef, rights: readonly Right[]): string {
    const onTable = rights.filter((right) => right !== 'use').map((right) => right.toUpperCase())
    if (onTable.length === 0) return ''
    return `GRANT ${onTable.join(', ')} ON ${quoteTable(table)} TO ${accountSql(this.#account)};`
  }

  additions(table: TableRef, columns: readonly Column[]): Promise<readonly Addition[]> {
    return this.#known.ask(async (connection) => {
      const { version } = connection
      return planAdditions(table, columns, { version, collations: await readCollations(connection) })
    })
  }

  rename(table: TableRef, from: string, to: string): string {
    return `ALTER TABLE ${quoteTable(table)} RENAME COLUMN ${quote(from)} TO ${quote(to)};`
  }

  lastColumns(mappings: Parameters<Adapter['lastColumns']>[0]): ReturnType<Adapter['lastColumns']> {
    return this.#known.ask((connection) => readLastColumns(connection, mappings))
  }

  horizon(): Promise<Horizon> {
    return this.#known.ask(readHorizon)
  }

  detectionFacts(wanted: readonly FactsQuestion[]): Promise<DetectionFacts> {
    const asked = wanted.map(({ table, columns }) => ({ table: this.#known.get(table), columns }))
    return this.#known.ask((connection) => readDetectionFacts(connection, asked))
  }

  async snapshot(connections: number, signal: AbortSignal): Promise<Snapshot> {
    const { writer } = this
    const shared = await SharedSnapshot.open(this.#sessions, { connections, signal })
    return new MysqlSnapshot(shared, this.#known, writer && ((body) => writer.lend(body)))
  }

  /** A named lock belongs to the server as a whole: its name says which database is meant. */
  async plantMark(): Promise<AsyncDisposable & { id: string }> {
    const connection = await this.#sessions.take()
    const id = String(randomInt(1, 2 ** 47))
    try {
      await connection.query('SELECT GET_LOCK(?, 0)', [await markName(connection, id)])
    } catch (error) {
      await connection[Symbol.asyncDispose]()
      throw error
    }
    return { id, [Symbol.asyncDispose]: () => connection[Symbol.asyncDispose]() }
  }

  async seesMark(id: string): Promise<boolean> {
    const rows = await this.#known.ask(async (connection) =>
      connection.query('SELECT CAST(IS_USED_LOCK(?) AS CHAR)', [await markName(connection, id)]),
    )
    return (rows[0]?.[0] ?? null) !== null
  }

  committedBy(jobId: string): Promise<CommittedCounts | null> {
    return this.#known.ask((connection) => readCommittedBy(connection, jobId))
  }

  pendingDdl(): Promise<readonly PendingDdl[]> {
    return this.#known.ask(readPendingDdl)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.writer?.[Symbol.asyncDispose]()
    await this.#sessions[Symbol.asyncDispose]()
  }
}

async function markName(connection: Connection, id: string): Promise<string> {
  const [row] = await connection.query('SELECT DATABASE()')
  return `syncline ${digest(row?.[0] ?? '')} ${id}`
}

/** `user@host` as the server knows the login; the last `@` divides it. */
function accountSql(account: string): string {
  const at = account.lastIndexOf('@')
  return `${literal(account.slice(0, at))}@${literal(account.slice(at + 1))}`
}

function digest(text: string): string {
  return createHash('md5').update(text).digest('hex').slice(0, 16)
}

const SERVER = `
  SELECT DATABASE(), CURRENT_USER(), CAST(@@read_only AS CHAR), CAST(UNIX_TIMESTAMP(SYSDATE(3)) * 1000 AS DECIMAL(20,0)),
         CAST(@@max_allowed_packet AS CHAR), @@hostname, @@datadir, CAST(@@port AS CHAR)`

async function readServer(
  connection: Connection,
  endpoint: MysqlEndpoint,
): Promise<{ server: ServerInfo; account: string }> {
  const { mariadb, major, minor, product } = connection.version
  const [oldestMajor, oldestMinor] = mariadb ? OLDEST.mariadb : OLDEST.mysql
  if (major < oldestMajor || (major === oldestMajor && minor < oldestMinor)) {
    const oldest = `${mariadb ? 'MariaDB' : 'MySQL'} ${oldestMajor}.${oldestMinor}`
    throw new AppError('server_not_supported', `${describeEndpoint(endpoint)} is ${product}; ${oldest} is the oldest.`)
  }
  const sent = wallMs()
  const [row] = await connection.query(SERVER)
  const received = wallMs()
  const [database, account, readOnly, clock, packet, ...place] = row ?? []
  // Of a text that is longer, its functions give NULL, which would be taken for the value.
  if (Number(packet) < LARGE_ROW_BYTES) {
    throw new AppError('server_not_supported', `${describeEndpoint(endpoint)} has max_allowed_packet = ${packet}.`, {
      hint: `It takes ${LARGE_ROW_BYTES} at least: SET GLOBAL max_allowed_packet = 16777216; and in the server's configuration.`,
    })
  }
  const server: ServerInfo = {
    kind: 'mysql',
    product,
    major,
    address: describeEndpoint(endpoint),
    identity: `${await readServerId(connection, place)}/${database}`,
    homeSchema: endpoint.database,
    local: endpoint.host.startsWith('/') || isLocalHost(endpoint.host),
    pooled: false,
    readOnly: isReadOnly(readOnly) ? 'the server is read-only (read_only)' : null,
    hashProbe: '',
    clockSkewMs: Number(clock) - Math.round((sent + received) / 2),
    moments: 'exact',
    writes: 'transactions',
  }
  return { server, account: account ?? '' }
}

/** A number, or from MariaDB 12 on a word: how much it refuses beside writes. */
export function isReadOnly(variable: string | null | undefined): boolean {
  return !/^(?:0|OFF)$/i.test(variable ?? '')
}

/** What the server calls itself for good; MariaDB has a name for itself in newer versions. */
async function readServerId(connection: Connection, place: readonly (string | null)[]): Promise<string> {
  const variable = connection.version.mariadb ? 'server_uid' : 'server_uuid'
  const [row] = await connection.query(`SHOW GLOBAL VARIABLES LIKE '${variable}'`)
  return row?.[1] ? row[1] : digest(JSON.stringify(place))
}
