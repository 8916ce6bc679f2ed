/** Restoring a dump into a PostgreSQL database: one transaction, of which everything or nothing stays. */
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import pg from 'pg'
import { CommitUnknown } from '#adapters/commits.ts'
import type { Adapter, Watched } from '#adapters/adapter.ts'
import {
  dependentsError,
  StatementRefused,
  type Fate,
  type Replaced,
  type Restoration,
  type RestoreFacts,
  type RestoreQuestion,
  type RestoreTarget,
} from '#adapters/restore-target.ts'
import { watch } from '#adapters/watchdog.ts'
import { toError } from '#lib/assert.ts'
import { delay } from '#lib/clock.ts'
import { failpoint } from '#lib/failpoint.ts'
import type { RestoreObject } from '#model/dump.ts'
import { AppError } from '#model/errors.ts'
import type { TableRef } from '#model/table.ts'
import { Connection } from './connection.ts'
import type { Endpoint } from './endpoint.ts'
import { toAppError } from './errors.ts'
import { dropAll, dropEmptySchemas, lockError, lockStatements, readDependents } from './restore-clear.ts'
import { readRestoreFacts } from './restore-facts.ts'
import { emptyStatements } from './restore-fills.ts'
import { quietTables } from './restore-quiet.ts'
import { putBack, readPositions, type Positions } from './restore-sequences.ts'
import { giveRights, readRights, type Aside, type Rights } from './restore-rights.ts'
import { exchangeAside, putAside } from './restore-swap.ts'
import { readTriggers, switchBack, type TriggerStates } from './restore-triggers.ts'
import { readBystanders, readWritten, type Bystanders } from './restore-written.ts'
import { makeScratch, sweepScratch } from './scratch.ts'
import { quoteTable } from './sql.ts'
import { StatementBatch } from './statement-batch.ts'

export class PostgresRestoreTarget implements RestoreTarget {
  readonly #endpoint: Endpoint
  readonly #signal: AbortSignal
  readonly begin: RestoreTarget['begin']
  readonly scratch: RestoreTarget['scratch']
  readonly sweepScratch: RestoreTarget['sweepScratch']

  constructor(
    endpoint: Endpoint,
    {
      write,
      signal,
      open,
    }: {
      readonly write: boolean
      readonly signal: AbortSignal
      readonly open: (endpoint: Endpoint) => Promise<Adapter>
    },
  ) {
    this.#endpoint = endpoint
    this.#signal = signal
    this.begin = write ? () => PostgresRestoration.begin(endpoint, signal) : null
    this.scratch = write ? (name) => makeScratch(endpoint, { name, open, signal }) : null
    this.sweepScratch = write ? (prefix, isOver) => sweepScratch(endpoint, { prefix, isOver, signal }) : null
  }

  fateOf(transaction: string): Promise<Fate> {
    return askFate(this.#endpoint, transaction, this.#signal)
  }

  async inspect(question: RestoreQuestion): Promise<RestoreFacts> {
    await using connection = await Connection.open(this.#endpoint, this.#signal)
    try {
      return await connection.transaction('read', () => readRestoreFacts(connection, question))
    } catch (error) {
      throw toAppError(error, 'looking at what a dump would meet')
    }
  }
}

/**
 * Money is read as the server itself would read it: a file of pg_dump has it so. Functions may name what comes after them.
 */
const SETTINGS = `SET LOCAL lc_monetary TO DEFAULT; SET LOCAL check_function_bodies = off; SET LOCAL client_encoding = 'UTF8'`

/**
 * What a file has set that our own statements depend on. Temporary objects come last: where they are not named, they come first,
 * and a type that code of the file has made there would run in place of the server's.
 */
const OWN_AGAIN = `SET LOCAL search_path = pg_catalog, pg_temp; SET LOCAL standard_conforming_strings = on`

async function askFate(endpoint: Endpoint, transaction: string, signal: AbortSignal): Promise<Fate> {
  await using connection = await Connection.open(endpoint, signal)
  const [row] = await connection.query('SELECT pg_catalog.pg_xact_status($1::text::pg_catalog.xid8)', [transaction])
  // What is so old that nobody knows was over long ago; a restore that came through has left what it brought.
  const fate = (['in progress', 'committed', 'aborted'] as const).find((one) => one === row?.[0])
  if (fate !== undefined) return fate
  throw new AppError('restore_unknown', `The server does not know any more how the transaction ${transaction} ended.`)
}

/** How long a server is asked what became of a COMMIT that it did not answer. */
const FATE_MS = 60_000
const FATE_WAIT_MS = 1_000

class PostgresRestoration implements Restoration {
  readonly #connection: Connection
  readonly transaction: string
  readonly #signal: AbortSignal
  #over = false
  #bystanders: Bystanders
  #aside: readonly Aside[] = []
  #positions: Positions | null = null
  /** On what was cleared. */
  #rights: Rights | null = null
  #triggers: TriggerStates = '[]'
  /** Statements after which triggers and keys are as they were. */
  #asleep: readonly string[] = []

  private constructor(
    connection: Connection,
    { transaction, bystanders }: { readonly transaction: string; readonly bystanders: Bystanders },
    signal: AbortSignal,
  ) {
    this.#connection = connection
    this.transaction = transaction
    this.#bystanders = bystanders
    this.#signal = signal
  }

  static async begin(endpoint: Endpoint, signal: AbortSignal): Promise<PostgresRestoration> {
    const connection = await Connection.open(endpoint, signal)
    try {
      await connection.begin('write', SETTINGS)
      const [row] = await connection.query('SELECT pg_catalog.pg_current_xact_id()')
      const bystanders = await readBystanders(connection)
      return new PostgresRestoration(connection, { transaction: row?.[0] ?? '', bystanders }, signal)
    } catch (error) {
      await connection[Symbol.asyncDispose]()
      throw toAppError(error, 'beginning to restore')
    }
  }

  get connection(): Watched {
    return this.#connection
  }

  async guardSequences(): Promise<void> {
    try {
      this.#positions = await readPositions(this.#connection)
    } catch (error) {
      throw toAppError(error, 'looking at sequences')
    }
  }

  async hold({ drop, empty }: Replaced): Promise<void> {
    await this.#lock([...drop, ...empty.map((table) => ({ ...table, object: 'relation' as const }))], 'EXCLUSIVE')
  }

  async clear(what: Replaced): Promise<void> {
    const { drop, empty, schemas } = what
    await this.#lock(
      [...drop, ...empty.map((table) => ({ ...table, object: 'relation' as const }))],
      'ACCESS EXCLUSIVE',
    )
    try {
      const dependents = await readDependents(this.#connection, what)
      if (dependents.length > 0) throw dependentsError(dependents)
      this.#rights = await readRights(this.#connection, drop)
      await dropAll(this.#connection, drop)
      await dropEmptySchemas(this.#connection, schemas)
      if (empty.length > 0) await this.#connection.script(await emptyStatements(this.#connection, empty))
      this.#bystanders = await readBystanders(this.#connection)
    } catch (error) {
      throw toAppError(error, 'clearing what is replaced')
    }
  }

  async quiet(tables: readonly TableRef[]): Promise<void> {
    try {
      this.#asleep = await quietTables(this.#connection, tables)
    } catch (error) {
      throw toAppError(error, 'keeping triggers quiet')
    }
  }

  async wake(): Promise<void> {
    try {
      for (const statement of this.#asleep) await this.#connection.script(statement)
    } catch (error) {
      throw asRefusal(error, 0)
    }
  }

  async renew(sequences: readonly TableRef[]): Promise<void> {
    try {
      for (const sequence of sequences) await this.#connection.script(`ALTER SEQUENCE ${quoteTable(sequence)} RESTART`)
    } catch (error) {
      throw toAppError(error, 'taking sequences in hand')
    }
  }

  async setAside({ drop }: Replaced): Promise<void> {
    try {
      this.#aside = await putAside(this.#connection, drop, this.transaction)
      this.#bystanders = await readBystanders(
        this.#connection,
        this.#aside.map(({ as }) => as),
      )
    } catch (error) {
      throw toAppError(error, 'putting aside what is replaced')
    }
  }

  async exchange({ drop, schemas }: Replaced, { grants }: { readonly grants: boolean }): Promise<void> {
    const exchange = { aside: this.#aside, drop, grants, signal: this.#signal }
    try {
      await this.#connection.script(OWN_AGAIN)
      await exchangeAside(this.#connection, exchange)
      await dropEmptySchemas(this.#connection, schemas)
    } catch (error) {
      throw toAppError(error, 'exchanging what is replaced')
    }
  }

  async mind(tables: readonly TableRef[]): Promise<void> {
    try {
      this.#triggers = await readTriggers(this.#connection, tables)
    } catch (error) {
      throw toAppError(error, 'looking at what is filled')
    }
  }

  async giveBack({ grants }: { readonly grants: boolean }): Promise<void> {
    try {
      await this.#connection.script(OWN_AGAIN)
      await switchBack(this.#connection, this.#triggers)
      if (grants && this.#rights !== null) await giveRights(this.#connection, this.#rights)
    } catch (error) {
      throw asRefusal(error, 0)
    }
  }

  async written(): Promise<readonly TableRef[]> {
    try {
      await this.#connection.script(`SET CONSTRAINTS ALL IMMEDIATE; ${OWN_AGAIN}`)
      return await readWritten(this.#connection, this.#bystanders)
    } catch (error) {
      throw asRefusal(error, 0)
    }
  }

  async #lock(objects: readonly RestoreObject[], mode: 'EXCLUSIVE' | 'ACCESS EXCLUSIVE'): Promise<void> {
    let lock = 'the list of tables'
    try {
      for (lock of await lockStatements(this.#connection, objects, mode)) await this.#connection.script(lock)
    } catch (error) {
      throw lockError(error, lock)
    }
  }

  async knowsSetting(name: string): Promise<boolean> {
    const [row] = await this.#connection.query(
      `SELECT 1 FROM pg_catalog.pg_settings WHERE name = pg_catalog.lower($1)`,
      [name],
    )
    return row !== undefined
  }

  async run(statements: readonly string[]): Promise<readonly number[]> {
    const batch = new StatementBatch(statements)
    this.#connection.client.query(batch)
    try {
      await watch([this.#connection], batch.settled)
      return batch.affected
    } catch (error) {
      throw asRefusal(error, batch.affected.length)
    }
  }

  async load(copy: string, rows: AsyncIterable<Uint8Array>): Promise<number> {
    const { stream, rows: taken } = this.#connection.copyIn(copy)
    try {
      await watch([this.#connection], pipeline(Readable.from(rows, { objectMode: true }), stream))
    } catch (error) {
      throw asRefusal(error, 0)
    }
    return taken()
  }

  async commit({ closed }: { readonly closed: boolean }): Promise<void> {
    failpoint('restore.commit')
    try {
      if (closed) await this.#connection.script('SET TRANSACTION READ ONLY')
      await this.#connection.commit()
    } catch (error) {
      if (!(error instanceof CommitUnknown)) throw asRefusal(error, 0)
      await this.#learnFate(error)
    }
    this.#over = true
    failpoint('restore.committed')
  }

  /**
   * The server knows of every transaction how it ended, whoever is told. It is asked also where somebody has asked for a stop
   * while it ended: that may have come too late.
   */
  async #learnFate(cause: CommitUnknown): Promise<void> {
    if (this.#signal.aborted) await this.#connection.cancel().catch(toError)
    const patience = AbortSignal.timeout(FATE_MS)
    while (!patience.aborted) {
      const fate = await askFate(this.#connection.endpoint, this.transaction, patience).catch(() => 'in progress')
      if (fate === 'committed') return
      if (fate === 'aborted') {
        throw new AppError('connection_lost', 'The connection broke before the import was committed: nothing stays.', {
          hint: 'Run the same import again.',
          cause,
        })
      }
      await delay(FATE_WAIT_MS, patience).catch(toError)
    }
    throw new AppError('restore_unknown', 'The server did not say in time how the import ended.', { cause })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#over) {
      const isUndone = await this.#connection.reset()
      // A session that ends takes its transaction with it.
      if (!isUndone) this.#connection.destroy(new AppError('connection_lost', 'An import was given up.'))
      else if (this.#positions !== null) await putBack(this.#connection, this.#positions).catch(toError)
    }
    await this.#connection[Symbol.asyncDispose]()
  }
}

/** No statement is to blame for it. */
const DISK_FULL = '53100'

/** The server tells where in a COPY it was, with the row's values, which stay there (invariant 7). */
const COPY_LINE = /^COPY .*?, line (\d+)(?:, column ([^:]+))?/m

function asRefusal(error: unknown, index: number): Error {
  if (!(error instanceof pg.DatabaseError)) return toAppError(error, 'restoring')
  if (error.severity === 'FATAL' || error.severity === 'PANIC') return toAppError(error, 'restoring')
  if (error.code === DISK_FULL) {
    const hint = 'Free space on the server, then do the same again: everything was rolled back.'
    return new AppError('disk_full', toAppError(error, 'restoring').message, { hint, cause: error })
  }
  const [, row, column] = COPY_LINE.exec(error.where ?? '') ?? []
  return new StatementRefused(error.message, {
    index,
    state: error.code ?? '',
    row: row === undefined ? null : Number(row),
    column: error.column ?? column ?? null,
    cause: error,
  })
}
