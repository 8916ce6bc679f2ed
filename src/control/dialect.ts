import { Socket } from 'node:net'
import { DatabaseSync } from 'node:sqlite'
import {
  PostgresDialect,
  SqliteDialect,
  SqliteDriver,
  type DatabaseConnection,
  type Dialect,
  type SqliteDatabase,
} from 'kysely'
import pg from 'pg'
import { delay } from '#lib/clock.ts'

/** Where the control store is: a file of SQLite, or a PostgreSQL database by its URL (schema `syncline_control`). */
export type StoreLocation = { readonly file: string } | { readonly url: string }

/** The schema of the tables in PostgreSQL. */
export const STORE_SCHEMA = 'syncline_control'

/** How long a writer waits for another process that is writing to the same file. */
const BUSY_MS = 10_000
const BUSY_LOOK_MS = 10
const POOL_CONNECTIONS = 5

/**
 * Opens a file so that a committed transaction survives a power cut (WAL, every commit synced) and several processes can
 * share it. @throws Error of SQLite where the file is no database or cannot be written
 */
export function openSqlite(file: string): DatabaseSync {
  const db = new DatabaseSync(file, { timeout: BUSY_MS, enableForeignKeyConstraints: true })
  db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -4096')
  return db
}

/** From here on nobody waits inside a statement, which would hold up the whole process: streams, heartbeats, health. */
export function sqliteDialect(db: DatabaseSync): Dialect {
  db.exec('PRAGMA busy_timeout = 0')
  const database = adapt(db)
  return Object.assign(new SqliteDialect({ database }), { createDriver: () => new PatientDriver({ database }) })
}

/** Waits between statements while another process is writing to the file. */
class PatientDriver extends SqliteDriver {
  override async acquireConnection(): Promise<DatabaseConnection> {
    const connection = await super.acquireConnection()
    return {
      executeQuery: (query) => whileBusy(() => connection.executeQuery(query)),
      streamQuery: (query, size) => connection.streamQuery(query, size),
    }
  }
}

const SQLITE_BUSY = 5

async function whileBusy<T>(run: () => Promise<T>): Promise<T> {
  for (const deadline = performance.now() + BUSY_MS; ; await delay(BUSY_LOOK_MS)) {
    try {
      return await run()
    } catch (error) {
      const { errcode = 0 } = error as { readonly errcode?: number }
      if ((errcode & 0xff) !== SQLITE_BUSY || performance.now() > deadline) throw error
    }
  }
}

/**
 * The shape that Kysely's dialect expects. A transaction takes the write lock at its start: one that began by reading
 * and then finds that somebody else wrote would be refused at once, whatever the time-out.
 */
function adapt(db: DatabaseSync): SqliteDatabase {
  return {
    close: () => db.close(),
    prepare: (sql) => {
      const statement = db.prepare(sql === 'begin' ? 'begin immediate' : sql)
      return {
        reader: statement.columns().length > 0,
        all: (parameters) => statement.all(...(parameters as SqlValue[])),
        run: (parameters) => statement.run(...(parameters as SqlValue[])),
        iterate: (parameters) => statement.iterate(...(parameters as SqlValue[])),
      }
    },
  }
}

type SqlValue = string | number | bigint | null | Uint8Array

const INT8 = 20

/**
 * A pool of connections to the server of a store. One on which nothing arrives for `silenceMs` (null: for good) although
 * it is waited for, or which takes so long to be had, is given up: a network may swallow what it carries without a word
 * (hazard B10).
 */
export function openPool(url: string, silenceMs: number | null): pg.Pool {
  const types: pg.CustomTypesConfig = {
    // Our int8 columns count events and epochs: far below 2^53.
    getTypeParser: (oid: number) => (oid === INT8 ? Number : (text: string) => parseOther(oid, text)),
  }
  const pool = new pg.Pool({
    connectionString: url,
    max: POOL_CONNECTIONS,
    types,
    application_name: 'syncline',
    ...(silenceMs === null ? {} : { connectionTimeoutMillis: silenceMs, stream: () => impatientSocket(silenceMs) }),
  })
  // A server that restarts ends idle sessions: the next statement gets a new one (hazard B10).
  pool.on('error', () => undefined)
  // One that breaks while it is at work tells by its statement; nobody else listens, and an error unheard ends a process.
  pool.on('connect', (client) => client.on('error', () => undefined))
  return pool
}

function impatientSocket(silenceMs: number): Socket {
  const socket = new Socket()
  return socket.setTimeout(silenceMs, () => {
    socket.destroy(new Error('Connection terminated: the server of the store has been silent.'))
  })
}

const INT4 = 23
const BYTEA = 17

function parseOther(oid: number, text: string): string | number | Uint8Array {
  if (oid === BYTEA) return Buffer.from(text.slice(2), 'hex')
  return oid === INT4 ? Number(text) : text
}

export function postgresDialect(pool: pg.Pool): Dialect {
  return new PostgresDialect({ pool })
}
