import { existsSync, mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { Kysely, sql, type Transaction } from 'kysely'
import type pg from 'pg'
import { must, toError } from '#lib/assert.ts'
import type { Clock } from '#lib/clock.ts'
import { failpoint } from '#lib/failpoint.ts'
import { AppError } from '#model/errors.ts'
import { openPool, openSqlite, postgresDialect, sqliteDialect, STORE_SCHEMA, type StoreLocation } from './dialect.ts'
import { INITIAL } from './migrations/0001-initial.ts'
import { HISTORY } from './migrations/0002-history.ts'
import { CHANGE_SETS } from './migrations/0003-change-sets.ts'
import { CONFLICTS } from './migrations/0004-conflicts.ts'
import { WEBHOOKS } from './migrations/0005-webhooks.ts'
import { CONFLICT_RULES } from './migrations/0006-conflict-rules.ts'
import { SCHEDULES } from './migrations/0007-schedules.ts'
import { DUMPS } from './migrations/0008-dumps.ts'
import { DRILLS } from './migrations/0009-drills.ts'
import { SCHEMA_DRIFT } from './migrations/0010-schema-drift.ts'
import { EXPORT_SCHEDULES } from './migrations/0011-export-schedules.ts'
import type { Tables } from './schema.ts'

export type { StoreLocation } from './dialect.ts'

export type Db = Kysely<Tables>

/** The statements of one version each, from the first on. */
export type Migrations = readonly (readonly string[])[]

export const MIGRATIONS: Migrations = [
  INITIAL,
  HISTORY,
  CHANGE_SETS,
  CONFLICTS,
  WEBHOOKS,
  CONFLICT_RULES,
  SCHEDULES,
  DUMPS,
  DRILLS,
  SCHEMA_DRIFT,
  EXPORT_SCHEDULES,
]

/** The key of the lock that one migration holds against another. */
const MIGRATION_LOCK = 7_359_204_882

export interface OpenStore {
  readonly clock: Clock
  /** Bring an older store to this program's version; a new one is made either way. */
  readonly migrate: boolean
  readonly migrations?: Migrations
  /** How long a server may leave a statement without an answer. */
  readonly silenceMs?: number
}

/** Statements of ours take milliseconds; those that migrate a store take what they take. */
const SILENCE_MS = 20_000

/**
 * Our own store: datasources, sync configs, jobs, keys and audit. Every change is one transaction; none of them waits
 * for anything but the store itself, because SQLite has one writer at a time.
 */
export class Store implements AsyncDisposable {
  readonly db: Db
  readonly clock: Clock
  /** PostgreSQL, where several writers are at work at once and rows are to be locked. */
  readonly isPostgres: boolean
  /** Where the store lies as it was before it was migrated by this opening; null where it was not. */
  readonly copy: string | null

  private constructor(db: Db, parts: { clock: Clock; isPostgres: boolean; copy: string | null }) {
    this.db = db
    this.clock = parts.clock
    this.isPostgres = parts.isPostgres
    this.copy = parts.copy
  }

  /**
   * Opens the store, brings it to this program's version where `migrate` says so, and refuses one that is newer.
   * @throws AppError `store_too_new`, `store_not_migrated`, `store_failed`
   */
  static async open(location: StoreLocation, options: OpenStore): Promise<Store> {
    try {
      const { clock } = options
      if ('file' in location) {
        const { raw, copy } = openFile(location.file, options)
        const db = new Kysely<Tables>({ dialect: sqliteDialect(raw) })
        return new Store(db, { clock, isPostgres: false, copy })
      }
      const { pool, copy } = await openServer(location.url, options)
      const db = new Kysely<Tables>({ dialect: postgresDialect(pool) }).withSchema(STORE_SCHEMA)
      return new Store(db, { clock, isPostgres: true, copy })
    } catch (error) {
      if (error instanceof AppError) throw error
      throw new AppError('store_failed', `The control store cannot be opened: ${toError(error).message}.`, {
        cause: error,
      })
    }
  }

  /**
   * The store's own time, by which leases run: on PostgreSQL the server's clock, because the workers of several machines
   * never quite agree.
   */
  async now(db: Db): Promise<string> {
    if (!this.isPostgres) return this.clock.now()
    const { rows } = await sql<{
      now: string
    }>`SELECT pg_catalog.to_char(pg_catalog.clock_timestamp() AT TIME ZONE 'UTC',
      'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS now`.execute(db)
    return must(rows[0], 'the time of the store').now
  }

  /** One transaction. SQLite takes its write lock at once, so that it never fails half-way for another writer. */
  write<T>(body: (tx: Transaction<Tables>) => Promise<T>): Promise<T> {
    return this.db.transaction().execute(body)
  }

  /** One transaction that excludes every other of the same name, in all processes. */
  exclusively<T>(name: string, body: (tx: Transaction<Tables>) => Promise<T>): Promise<T> {
    return this.write(async (tx) => {
      await this.exclude(tx, name)
      return body(tx)
    })
  }

  /** From here on, a transaction excludes every other of this name. Whoever takes several names takes them in one order. */
  async exclude(tx: Transaction<Tables>, name: string): Promise<void> {
    if (!this.isPostgres) return
    await sql`SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended(${name}, 1))`.execute(tx)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.db.destroy()
  }
}

/** SQLSTATEs of a server that is not there: connection lost, shut down, starting, out of means. */
const AWAY_SQLSTATE = /^(08|57P0[123]|53)/
const AWAY_SYSTEM = ['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH', 'ENOENT']
/** What the driver says without a code. */
const AWAY_WORDS = /^(Connection terminated|Client has encountered a connection error|timeout exceeded when)/
/** SQLITE_BUSY, SQLITE_IOERR, SQLITE_FULL, SQLITE_CANTOPEN. */
const AWAY_SQLITE = [5, 10, 13, 14]

/** Whether an error of a statement means that the store did not answer: the same statement may succeed later. */
export function isStoreAway(error: unknown): boolean {
  if (!(error instanceof Error) || error instanceof AppError) return false
  const { code = '', errcode } = error as Error & { readonly code?: string; readonly errcode?: number }
  if (code === 'ERR_SQLITE_ERROR') return AWAY_SQLITE.includes((errcode ?? 0) & 0xff)
  return AWAY_SQLSTATE.test(code) || AWAY_SYSTEM.includes(code) || AWAY_WORDS.test(error.message)
}

interface Versions {
  readonly found: number
  readonly wanted: number
}

/** All pending migrations in one transaction, after a copy of the file was made beside it (hazard B13). */
function openFile(file: string, options: OpenStore): { raw: DatabaseSync; copy: string | null } {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  const isNew = !existsSync(file)
  const raw = openSqlite(file)
  try {
    return { raw, copy: migrateFile(raw, { file, isNew, options }) }
  } catch (error) {
    raw.close()
    throw error
  }
}

function migrateFile(
  db: DatabaseSync,
  { file, isNew, options }: { file: string; isNew: boolean; options: OpenStore },
): string | null {
  const { migrations = MIGRATIONS, clock } = options
  const versions = { found: fileVersion(db), wanted: migrations.length }
  if (!needsMigration(versions, isNew || options.migrate)) return null
  const copy = versions.found === 0 ? null : `${file}.version-${versions.found}-${clock.now().replaceAll(/[:.]/g, '-')}`
  if (copy !== null) db.prepare('VACUUM INTO ?').run(copy)
  db.exec('BEGIN IMMEDIATE')
  try {
    // Another process may have been quicker.
    for (const statement of pendingStatements(fileVersion(db), migrations)) {
      failpoint('store.migrate')
      db.exec(statement)
    }
    db.exec('COMMIT')
    return copy
  } catch (error) {
    db.exec('ROLLBACK')
    throw error
  }
}

function fileVersion(db: DatabaseSync): number {
  const found = db.prepare(`SELECT 1 FROM sqlite_schema WHERE name = 'store_meta'`).get()
  if (found === undefined) return 0
  const row = db.prepare(`SELECT value FROM store_meta WHERE key = 'version'`).get()
  return Number(row?.['value'] ?? 0)
}

async function openServer(url: string, options: OpenStore): Promise<{ pool: pg.Pool; copy: string | null }> {
  const patient = openPool(url, null)
  try {
    const copy = await migrateServer(patient, options)
    return { pool: openPool(url, options.silenceMs ?? SILENCE_MS), copy }
  } finally {
    await patient.end()
  }
}

/** The same on a server, where the copy is a schema of its own that is made in the same transaction. */
async function migrateServer(pool: pg.Pool, { migrate, migrations = MIGRATIONS }: OpenStore): Promise<string | null> {
  const client = await pool.connect()
  try {
    await client.query('BEGIN')
    await client.query('SELECT pg_catalog.pg_advisory_xact_lock($1)', [MIGRATION_LOCK])
    const versions = { found: await serverVersion(client), wanted: migrations.length }
    let copy: string | null = null
    if (needsMigration(versions, versions.found === 0 || migrate)) {
      if (versions.found > 0) copy = await copySchema(client, versions.found)
      await client.query(`CREATE SCHEMA IF NOT EXISTS ${STORE_SCHEMA}`)
      await client.query(`SET LOCAL search_path TO ${STORE_SCHEMA}`)
      for (const statement of pendingStatements(versions.found, migrations)) {
        failpoint('store.migrate')
        await client.query(statement)
      }
    }
    await client.query('COMMIT')
    return copy
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined)
    throw error
  } finally {
    client.release()
  }
}

async function copySchema(client: pg.PoolClient, version: number): Promise<string> {
  const copy = `${STORE_SCHEMA}_version_${version}`
  await client.query(`DROP SCHEMA IF EXISTS ${copy} CASCADE`)
  await client.query(`CREATE SCHEMA ${copy}`)
  const { rows } = await client.query<{ name: string }>(
    `SELECT pg_catalog.quote_ident(tablename) AS name FROM pg_catalog.pg_tables WHERE schemaname = $1`,
    [STORE_SCHEMA],
  )
  for (const { name } of rows) await client.query(`CREATE TABLE ${copy}.${name} AS TABLE ${STORE_SCHEMA}.${name}`)
  return `schema ${copy}`
}

async function serverVersion(client: pg.PoolClient): Promise<number> {
  const { rows } = await client.query<{ found: string | null }>(
    `SELECT pg_catalog.to_regclass('${STORE_SCHEMA}.store_meta')::text AS found`,
  )
  if (!rows[0]?.found) return 0
  const meta = await client.query<{ value: string }>(
    `SELECT value FROM ${STORE_SCHEMA}.store_meta WHERE key = 'version'`,
  )
  return Number(meta.rows[0]?.value ?? 0)
}

/** @throws AppError where the store is newer than the program, or older and nobody asked for a migration */
function needsMigration({ found, wanted }: Versions, allowed: boolean): boolean {
  if (found > wanted) {
    throw new AppError('store_too_new', `The control store has version ${found}; this program knows ${wanted}.`)
  }
  if (found === wanted) return false
  if (allowed) return true
  throw new AppError('store_not_migrated', `The control store has version ${found}; this program needs ${wanted}.`)
}

function pendingStatements(found: number, migrations: Migrations): readonly string[] {
  if (found === migrations.length) return []
  const meta = found === 0 ? ['CREATE TABLE store_meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)'] : []
  const version = `INSERT INTO store_meta VALUES ('version', '${migrations.length}')
    ON CONFLICT (key) DO UPDATE SET value = excluded.value`
  return [...meta, ...migrations.slice(found).flat(), version]
}
