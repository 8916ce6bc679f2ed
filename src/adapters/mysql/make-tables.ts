import { CommitUnknown } from '#adapters/commits.ts'
import type { Addition, Claim } from '#adapters/adapter.ts'
import type { DdlStatement, PendingDdl, TableDdl, TableMaker } from '#adapters/table-ddl.ts'
import { failpoint } from '#lib/failpoint.ts'
import { AppError } from '#model/errors.ts'
import { isRecord } from '#lib/record.ts'
import type { TableRef } from '#model/table.ts'
import type { Connection } from './connection.ts'
import { isServerError, toAppError } from './errors.ts'
import { ownTable } from './own-tables.ts'
import { holdEpoch } from './state.ts'
import { ensureState, hasOwnTable } from './state-tables.ts'

/** Runs a body with a connection; `again` repeats it where its COMMIT was not answered, `once` throws CommitUnknown. */
type Use = <T>(body: (connection: Connection) => Promise<T>, doing: string) => Promise<T>

/**
 * Each statement of DDL commits by itself. What is to come after the data is kept before the first table is made, so that a
 * run which was killed in between leaves nothing that the next one does not complete: what is there already is left alone.
 */
export class MysqlTableMaker implements TableMaker {
  readonly #use: { readonly again: Use; readonly once: Use }

  constructor(use: { again: Use; once: Use }) {
    this.#use = use
  }

  async create(ddl: TableDdl): Promise<void> {
    await this.#createOnce(async (connection) => {
      await ensureState(connection)
      await connection.transaction('write', async () => {
        await keep(connection, 'after data', ddl.afterData)
        await keep(connection, 'foreign keys', ddl.foreignKeys)
      })
      for (const statement of ddl.beforeData) await runStatement(connection, statement)
      failpoint('create.commit')
    }, 'creating the tables')
  }

  async addColumns(claim: Claim, additions: readonly Addition[]): Promise<void> {
    await this.#createOnce(async (connection) => {
      // The lock on the epoch ends with the first ALTER: one statement a table adds all of them or none.
      await connection.transaction('write', () => holdEpoch(connection, claim))
      const [first] = additions
      if (first === undefined) return
      await addColumns(connection, additions)
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
    await this.#use.again(async (connection) => {
      const kept = ownTable(connection.endpoint.database, 'pending_ddl')
      const there = await connection.query(`SELECT 1 FROM ${kept} WHERE id = CAST(? AS SIGNED)`, [pending.id])
      if (there.length === 0) return
      await runStatement(connection, pending)
      failpoint('ddl.commit')
      await connection.execute(`DELETE FROM ${kept} WHERE id = CAST(? AS SIGNED)`, [pending.id])
    }, `creating ${pending.kind}`)
  }
}

export async function readPendingDdl(connection: Connection): Promise<PendingDdl[]> {
  if (!(await hasOwnTable(connection, 'pending_ddl'))) return []
  const rows = await connection.query(
    `SELECT CAST(id AS CHAR), stage, kind, tables, statement FROM ${ownTable(connection.endpoint.database, 'pending_ddl')} ORDER BY id`,
  )
  return rows.map(([id, stage, kind, tables, sql]) => ({
    id: id ?? '',
    stage: stage === 'foreign keys' ? 'foreign keys' : 'after data',
    kind: kind ?? '',
    tables: readTables(tables ?? '[]'),
    sql: sql ?? '',
  }))
}

function readTables(text: string): TableRef[] {
  const refs: unknown = JSON.parse(text)
  if (!Array.isArray(refs)) return []
  return refs.filter(isRecord).map((ref) => ({ schema: String(ref['schema']), name: String(ref['name']) }))
}

/** Waiting for a lock: worth another try. */
const WAITED: ReadonlySet<number> = new Set([1205, 1213])
const COLUMN_EXISTS = 1060

/** @throws AppError `schema_changed`, worth another try, where somebody else has added such a column meanwhile */
async function addColumns(connection: Connection, additions: readonly Addition[]): Promise<void> {
  const names = additions.map(({ column }) => `"${column.name}"`).join(', ')
  const sql = joinAlters(additions.map((addition) => addition.sql))
  try {
    await connection.execute(sql)
  } catch (error) {
    if (connection.broken || !isServerError(error) || WAITED.has(error.errno)) throw error
    if (error.errno === COLUMN_EXISTS) {
      throw new AppError('schema_changed', `Somebody else has added one of the columns ${names}.`, {
        retry: 'later',
        cause: error,
      })
    }
    throw new AppError('schema_differs', `The target refuses the columns ${names}: ${error.message}.\n${sql}`, {
      cause: error,
    })
  }
}

/** `ALTER TABLE t ADD COLUMN …;` of one table as one statement. */
export function joinAlters(statements: readonly string[]): string {
  const bare = statements.map((sql) => sql.replace(/;\s*$/, ''))
  const [first = '', ...rest] = bare
  const start = first.indexOf(' ADD COLUMN ')
  return [first, ...rest.map((sql) => sql.slice(start + 1))].join(', ')
}

async function keep(connection: Connection, stage: string, statements: readonly DdlStatement[]): Promise<void> {
  const table = ownTable(connection.endpoint.database, 'pending_ddl')
  for (const { kind, tables, sql } of statements) {
    await connection.execute(`INSERT INTO ${table} (stage, kind, tables, statement) VALUES (?, ?, ?, ?)`, [
      stage,
      kind,
      JSON.stringify(tables),
      sql,
    ])
  }
}

/** What a statement is refused with where the target has the object already: then it is left as it is. */
const EXISTS: ReadonlySet<number> = new Set([1007, 1050, 1061, 1068, 1304, 1359])
/** Some foreign key has the name: MySQL says so, MariaDB says that the table cannot be made. */
const NAME_TAKEN: ReadonlySet<number> = new Set([1005, 1826])
const DENIED: ReadonlySet<number> = new Set([1044, 1142, 1227])

/** Runs one statement of the source's definitions. @throws AppError `create_failed` with the statement */
async function runStatement(connection: Connection, statement: DdlStatement): Promise<void> {
  const { sql, kind } = statement
  try {
    await connection.execute(sql)
  } catch (error) {
    if (connection.broken || !isServerError(error) || WAITED.has(error.errno)) throw error
    if (EXISTS.has(error.errno)) return
    if (NAME_TAKEN.has(error.errno) && (await hasForeignKey(connection, statement))) return
    throw new AppError('create_failed', `The target refuses a ${kind}: ${error.message}.\n${sql.trim()}`, {
      cause: error,
      ...(DENIED.has(error.errno)
        ? { hint: 'Give the account the right that is missing, or create the object beforehand.' }
        : {}),
    })
  }
}

/** Whether the table has the foreign key that a statement adds. Its name alone would not do: a database has each name once. */
async function hasForeignKey(connection: Connection, { sql, tables: [table] }: DdlStatement): Promise<boolean> {
  const name = / ADD CONSTRAINT `((?:[^`]|``)+)` FOREIGN KEY /.exec(sql)?.[1]?.replaceAll('``', '`')
  if (name === undefined || table === undefined) return false
  const found = await connection.query(
    `SELECT 1 FROM information_schema.referential_constraints r
     WHERE r.constraint_schema = ? AND r.table_name = ? AND r.constraint_name = ?`,
    [table.schema, table.name, name],
  )
  return found.length > 0
}
