import { CommitUnknown } from '#adapters/commits.ts'
import type { Addition, Claim } from '#adapters/adapter.ts'
import type { DdlStatement, PendingDdl, TableDdl, TableMaker } from '#adapters/table-ddl.ts'
import { failpoint } from '#lib/failpoint.ts'
import { AppError } from '#model/errors.ts'
import type { TableRef } from '#model/table.ts'
import type { Connection } from './connection.ts'
import { sqlStateOf, toAppError } from './errors.ts'
import { ensureStateSchema, holdEpoch, markWriterSql } from './state.ts'

/** Runs a body with a connection; `again` repeats it where its COMMIT was not answered, `once` throws CommitUnknown. */
type Use = <T>(body: (connection: Connection) => Promise<T>, doing: string) => Promise<T>

/** Bodies are not checked, because what they use may come later or not at all. */
const SETTINGS = `SET LOCAL check_function_bodies = off; SET LOCAL default_tablespace = ''`

/** Memory for one index build. Builds run one at a time per connection. */
const INDEX_MEMORY = '256MB'

export class PostgresTableMaker implements TableMaker {
  readonly #use: { readonly again: Use; readonly once: Use }

  constructor(use: { again: Use; once: Use }) {
    this.#use = use
  }

  async create(ddl: TableDdl): Promise<void> {
    await this.#createOnce(async (connection) => {
      await ensureStateSchema(connection)
      await connection.transaction('write', async () => {
        await connection.script(SETTINGS)
        for (const statement of ddl.beforeData) await runStatement(connection, statement)
        await keep(connection, 'after data', ddl.afterData)
        await keep(connection, 'foreign keys', ddl.foreignKeys)
        failpoint('create.commit')
      })
    }, 'creating the tables')
  }

  async addColumns(claim: Claim, additions: readonly Addition[]): Promise<void> {
    await this.#createOnce(async (connection) => {
      await connection.transaction('write', async () => {
        await connection.query(markWriterSql(claim.mappingId))
        await holdEpoch(connection, claim)
        for (const { sql, column } of additions) await addColumn(connection, sql, column.name)
        failpoint('columns.commit')
      })
      failpoint('columns.committed')
    }, 'adding columns')
  }

  /** Done twice it would keep what is pending twice: a run that begins anew sees what became of the tables. */
  async #createOnce(body: (connection: Connection) => Promise<void>, doing: string): Promise<void> {
    try {
      await this.#use.once(body, doing)
    } catch (error) {
      throw error instanceof CommitUnknown ? toAppError(error.cause, doing) : error
    }
  }

  async pending(): Promise<PendingDdl[]> {
    return this.#use.again(readPendingDdl, 'reading what is left to create')
  }

  async carryOut(pending: PendingDdl): Promise<void> {
    await this.#use.again(
      (connection) =>
        connection.transaction('write', async () => {
          await connection.script(`${SETTINGS}; SET LOCAL maintenance_work_mem = '${INDEX_MEMORY}'`)
          const mine = await connection.execute('DELETE FROM syncline.pending_ddl WHERE id = $1', [pending.id])
          if (mine === 1) await runStatement(connection, pending)
          failpoint('ddl.commit')
        }),
      `creating ${pending.kind}`,
    )
  }
}

export async function readPendingDdl(connection: Connection): Promise<PendingDdl[]> {
  const [found] = await connection.query(
    `SELECT c FROM pg_catalog.to_regclass('syncline.pending_ddl') c WHERE pg_catalog.has_table_privilege(c, 'SELECT')`,
  )
  if (!found?.[0]) return []
  const rows = await connection.query('SELECT id, stage, kind, tables, statement FROM syncline.pending_ddl ORDER BY id')
  return rows.map(([id, stage, kind, tables, sql]) => ({
    id: id ?? '',
    stage: stage === 'foreign keys' ? 'foreign keys' : 'after data',
    kind: kind ?? '',
    tables: JSON.parse(tables ?? '[]') as TableRef[],
    sql: sql ?? '',
  }))
}

/** @throws AppError `schema_changed`, worth another try, where somebody else has added such a column meanwhile */
async function addColumn(connection: Connection, sql: string, name: string): Promise<void> {
  try {
    await connection.script(sql)
  } catch (error) {
    const state = sqlStateOf(error)
    if (connection.broken || state === null || state === '40P01' || state === '55P03') throw error
    if (state === '42701') {
      throw new AppError('schema_changed', `Somebody else has added the column "${name}".`, {
        retry: 'later',
        cause: error,
      })
    }
    const message = error instanceof Error ? error.message : String(error)
    throw new AppError('schema_differs', `The target refuses the column "${name}": ${message}.\n${sql}`, {
      cause: error,
    })
  }
}

async function keep(connection: Connection, stage: string, statements: readonly DdlStatement[]): Promise<void> {
  for (const { kind, tables, sql } of statements) {
    await connection.query(
      'INSERT INTO syncline.pending_ddl (stage, kind, tables, statement) VALUES ($1, $2, $3, $4)',
      [stage, kind, JSON.stringify(tables), sql],
    )
  }
}

/** What a statement is refused with where the target has the object already: then it is left as it is. */
const EXISTS = new Set(['42P06', '42P07', '42710', '42723', '42P16'])

/** Runs one statement of the source's definitions. @throws AppError `create_failed` with the statement */
async function runStatement(connection: Connection, { sql, kind, object }: DdlStatement): Promise<void> {
  if (kind === 'SCHEMA' && object !== undefined) {
    const [found] = await connection.query('SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $1', [object.name])
    if (found !== undefined) return
  }
  await connection.script('SAVEPOINT statement')
  try {
    await connection.script(sql)
    await connection.script('RELEASE SAVEPOINT statement')
  } catch (error) {
    const state = sqlStateOf(error)
    if (connection.broken || state === null || state === '40P01' || state === '55P03') throw error
    await connection.script('ROLLBACK TO SAVEPOINT statement')
    if (EXISTS.has(state)) return
    const message = error instanceof Error ? error.message : String(error)
    throw new AppError('create_failed', `The target refuses a ${kind} of the source: ${message}.\n${sql.trim()}`, {
      cause: error,
      ...(state === '42501'
        ? { hint: 'Give the role the right that is missing, or create the object beforehand.' }
        : {}),
    })
  }
}
