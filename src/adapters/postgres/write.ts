import { pipeline } from 'node:stream/promises'
import { Commits } from '#adapters/commits.ts'
import type {
  Advanced,
  Batch,
  BatchKind,
  BatchPart,
  BatchResult,
  Claim,
  Closing,
  CommittedCounts,
  JobIdentity,
  MappingIdentity,
  RowStream,
  SequenceState,
  ServerInfo,
  Snapshot,
  StatePhase,
  Transaction,
  WritePlan,
  Writer,
} from '#adapters/adapter.ts'
import type { RememberedRow } from '#adapters/baseline.ts'
import type { TableMaker } from '#adapters/table-ddl.ts'
import { assert, must } from '#lib/assert.ts'
import { failpoint } from '#lib/failpoint.ts'
import type { Key } from '#model/change.ts'
import { AppError } from '#model/errors.ts'
import { tableName, type TableRef } from '#model/table.ts'
import type { KnownTables } from './known-tables.ts'
import { adoptRows, createBaseline, rememberRows } from './baseline.ts'
import { dropKeptStage, forgetStage } from './batch.ts'
import { Connection } from './connection.ts'
import type { Endpoint } from './endpoint.ts'
import { asRowsRefused, toAppError } from './errors.ts'
import { PostgresTableMaker } from './make-tables.ts'
import { batchPart, beginPartSql, writeParts, type Part } from './parts.ts'
import { advanceSequences } from './sequences.ts'
import { quote, quoteTable } from './sql.ts'
import {
  claimMappings,
  endOlderLeases,
  ensureStateSchema,
  enterPhase,
  isCommitted,
  markJobSql,
  markWriterSql,
  readCommitted,
  staleEpoch,
} from './state.ts'
import { formatOption, formatsOf } from './stream.ts'
import { PostgresTransaction } from './transaction.ts'
import { watch } from '#adapters/watchdog.ts'

/** How long a new run waits for the sessions of one that was killed to be noticed by the server. */
const TAKEOVER_MS = 15_000

interface Options {
  readonly signal: AbortSignal
}

/** Everything that writes to a PostgreSQL target. See the contract `Writer`. */
export class PostgresWriter implements Writer, AsyncDisposable {
  readonly #endpoint: Endpoint
  readonly #server: ServerInfo
  readonly #known: KnownTables
  readonly #options: Options
  readonly #idle: Connection[] = []
  readonly #open = new Set<Connection>()
  /** Connections that broke here, whose sessions the server may keep for as long as it does not know. */
  readonly #lost = new Set<Connection>()
  readonly #commits = new Commits<Connection>({
    use: (body) => this.#lend(body),
    asRowsRefused,
    toAppError,
    isCommitted,
  })
  /** Batches that this writer has begun to write. */
  #writes = 0
  /** Holds the session locks of the claimed mappings, where sessions are ours. */
  #guard: { readonly connection: Connection; readonly held: Set<string> } | null = null
  /** The job whose sessions these are, where it has a lease and sessions are ours. */
  #job: (JobIdentity & { readonly lease: number }) | null = null

  get tables(): TableMaker {
    return new PostgresTableMaker({
      again: (body, doing) => this.#commits.again(body, doing),
      once: (body, doing) => this.#commits.once(body, doing),
    })
  }

  constructor(endpoint: Endpoint, server: ServerInfo, known: KnownTables, options: Options) {
    this.#endpoint = endpoint
    this.#server = server
    this.#known = known
    this.#options = options
    options.signal.addEventListener('abort', () => {
      for (const connection of this.#open) {
        connection.destroy(toAppError(options.signal.reason, 'writing'))
      }
    })
  }

  async upgradeState(): Promise<void> {
    await this.#commits.again(async (connection) => {
      const [found] = await connection.query(`SELECT pg_catalog.to_regclass('syncline.meta')`)
      if (found?.[0]) await ensureStateSchema(connection)
    }, 'looking at the state of an earlier version')
  }

  async claim(mappings: readonly MappingIdentity[], job: JobIdentity): Promise<Claim[]> {
    return this.#commits.again(async (connection) => {
      await ensureStateSchema(connection)
      const claims = await claimMappings(connection, mappings, job)
      for (const mapping of mappings) {
        if (mapping.baseline) await createBaseline(connection, mapping, this.#known.get(mapping.target))
      }
      return claims
    }, 'claiming the mappings')
  }

  async keepOthersOut(mappingIds: readonly string[], { id, lease }: JobIdentity): Promise<void> {
    if (this.#server.pooled) return
    if (lease !== null) this.#job = { id, lease }
    if (this.#guard === null || this.#guard.connection.broken) {
      if (this.#guard !== null) this.#lost.add(this.#guard.connection)
      this.#guard = { connection: await this.#connect(), held: new Set() }
      await this.#endLost(this.#guard.connection)
    }
    const { connection, held } = this.#guard
    try {
      await connection.script(`SET lock_timeout = ${TAKEOVER_MS}`)
      if (lease !== null) await endOlderLeases(connection, id, lease)
      for (const mappingId of mappingIds.filter((each) => !held.has(each)).toSorted()) {
        await connection.query(`SELECT pg_catalog.pg_advisory_lock(pg_catalog.hashtextextended($1, 0))`, [
          `syncline ${mappingId}`,
        ])
        held.add(mappingId)
      }
    } catch (error) {
      const failure = toAppError(error, 'waiting for another run')
      connection.destroy(failure)
      if (failure.retry === 'later' && failure.code !== 'connection_lost') {
        throw new AppError('already_running', 'Another run of the same sync is under way.', { cause: error })
      }
      throw failure
    }
  }

  async maySilenceTriggers(): Promise<boolean> {
    return this.#commits.again(async (connection) => {
      try {
        await connection.transaction('write', () => connection.query('SET LOCAL session_replication_role = replica'))
        return true
      } catch (error) {
        if (connection.broken) throw error
        return false
      }
    }, 'looking at privileges')
  }

  async apply(claim: Claim, plan: WritePlan, { rows, kind, telling }: Batch): Promise<BatchResult> {
    const { part, found } = this.#part({ claim, plan, rows, telling }, kind)
    const doing = `writing ${rows.length} rows to ${tableName(plan.scan.table)}`
    return found(must((await this.#commit([part], doing))[0], 'the counts of a batch'))
  }

  async applyAcross(parts: readonly BatchPart[]): Promise<readonly BatchResult[]> {
    const writings = parts.map((part) => this.#part(part, 'apply'))
    const doing = `writing ${parts.reduce((sum, { rows }) => sum + rows.length, 0)} rows to ${parts.length} tables`
    const counts = await this.#commit(
      writings.map(({ part }) => part),
      doing,
    )
    return writings.map(({ found }, i) => found(must(counts[i], 'the counts of a batch')))
  }

  #part(batch: BatchPart, kind: BatchKind): ReturnType<typeof batchPart> {
    this.#writes += 1
    return batchPart(batch, { kind, known: this.#known, number: this.#writes })
  }

  atomically<T>(body: (transaction: Transaction) => Promise<T>): Promise<T> {
    return this.#commits.whole<T>(async (connection, onCommit) => {
      await dropKeptStage(connection)
      const write = async (): Promise<void> => {
        const transaction = new PostgresTransaction(connection, this.#known)
        const result = await body(transaction)
        onCommit({ result, written: transaction.written, remembered: transaction.remembered })
      }
      // What may be deferred is looked at row by row, so that a row which breaks it is found; rings defer it themselves.
      try {
        await connection.transaction('write', write, 'SET CONSTRAINTS ALL IMMEDIATE')
      } finally {
        forgetStage(connection)
      }
    }, 'writing everything in one transaction')
  }

  copyFormats(plan: WritePlan): string[] {
    const columns = plan.scan.columns.filter(({ name }) => plan.written.includes(name))
    return formatsOf({ ...plan.scan, columns }, this.#known.get(plan.scan.table), this.#server.major)
  }

  async load(
    claim: Claim,
    plan: WritePlan,
    source: { rows: RowStream; format: string; label: string },
  ): Promise<CommittedCounts> {
    const { table } = plan.scan
    const names = plan.written.map(quote).join(', ')
    const part: Part = {
      claim,
      plan,
      lock: 'ROW EXCLUSIVE',
      record: async (connection) => {
        const copy = connection.copyIn(`COPY ${quoteTable(table)} (${names}) FROM STDIN ${formatOption(source.format)}`)
        const given = new AbortController()
        const piped = pipeline(source.rows.stream, copy.stream, { signal: given.signal })
        try {
          await watch([connection, source.rows.connection], piped)
        } finally {
          given.abort()
        }
        failpoint('load.copied')
        const inserted = copy.rows()
        if (inserted !== source.rows.rows()) {
          throw new AppError(
            'internal',
            `The source sent ${source.rows.rows()} rows of ${tableName(table)}, the target took ${inserted}.`,
          )
        }
        return { kind: 'load', label: source.label, inserted, updated: 0, deleted: 0 }
      },
    }
    return must((await this.#commit([part], `loading ${tableName(table)}`))[0], 'the counts of a load')
  }

  /** One transaction: the rows, then their records with the test of the epoch. */
  #commit(parts: readonly Part[], doing: string): Promise<CommittedCounts[]> {
    return this.#commits.batches(async (connection, onRecord) => {
      await this.#prepare(connection, parts)
      const write = async (): Promise<void> => {
        await writeParts(connection, parts, { known: this.#known, onRecord })
        failpoint('batch.commit')
      }
      // Lost together or kept together: the next synchronous COMMIT makes all of them durable.
      const first = `SET LOCAL synchronous_commit = off; ${parts.map(beginPartSql).join('; ')}`
      await connection.transaction('write', write, first)
    }, doing)
  }

  /** What the session needs before the transaction begins. A session behind a pooler is not ours to furnish. */
  async #prepare(connection: Connection, parts: readonly Part[]): Promise<void> {
    if (this.#server.pooled) return
    if (parts.length > 1) await dropKeptStage(connection)
    else await parts[0]?.prepare?.(connection)
  }

  async adopt(
    claim: Claim,
    plan: WritePlan,
    { moment, except }: { moment: Snapshot; except: () => Iterable<readonly Key[]> },
  ): Promise<number> {
    const table = this.#known.get(plan.scan.table)
    return this.#commits.again(
      (connection) => adoptRows(connection, { claim, plan, table }, { moment, except }),
      'filling the baseline',
    )
  }

  async remember(claim: Claim, plan: WritePlan, rows: readonly RememberedRow[]): Promise<readonly Key[]> {
    if (rows.length === 0) return []
    const table = this.#known.get(plan.scan.table)
    return this.#commits.again(
      (connection) => rememberRows(connection, { claim, plan, table }, rows),
      'keeping what was agreed',
    )
  }

  async startPhase(claim: Claim, phase: Exclude<StatePhase, 'new' | 'done'>): Promise<void> {
    await this.#commits.again(async (connection) => {
      const enter = (): Promise<void> => enterPhase(connection, claim, phase)
      await connection.transaction('write', enter, markWriterSql(claim.mappingId))
    }, 'entering a phase')
  }

  async finish(claims: readonly Claim[], facts: Closing): Promise<readonly CommittedCounts[]> {
    return this.#commits.again(async (connection) => {
      const counts: CommittedCounts[] = []
      const marks = claims.map((claim) => markWriterSql(claim.mappingId)).join('; ')
      await connection.transaction(
        'write',
        async () => {
          // Durable, whatever the server's default is: a run that says it is done has nothing to lose any more.
          await connection.query(
            `SELECT pg_catalog.set_config('synchronous_commit', 'on', true)
           WHERE pg_catalog.current_setting('synchronous_commit') = 'off'`,
          )
          for (const claim of claims) {
            const committed = await readCommitted(connection, claim)
            this.#commits.refuseLoss(claim, committed.batches)
            counts.push(committed)
            const moved = await connection.execute(
              `UPDATE syncline.state SET phase = 'done', position = $3, updated_at = pg_catalog.now(),
               verified_at = CASE WHEN $4::bool THEN pg_catalog.now() ELSE verified_at END,
               detection = CASE WHEN $5::bool THEN $6 ELSE detection END
             WHERE mapping_id = $1 AND epoch = $2`,
              [
                claim.mappingId,
                claim.epoch,
                facts.position.label,
                facts.verified.includes(claim.mappingId),
                facts.detection.has(claim.mappingId),
                facts.detection.get(claim.mappingId) ?? null,
              ],
            )
            if (moved === 0) throw staleEpoch(claim)
          }
          failpoint('run.finish')
        },
        marks,
      )
      return counts
    }, 'closing the job')
  }

  async advanceSequences(table: TableRef, states: readonly SequenceState[]): Promise<Advanced> {
    const moved = await this.#commits.again(
      (connection) =>
        connection.transaction('write', () => advanceSequences(connection, this.#known.get(table), states)),
      `advancing the sequences of ${tableName(table)}`,
    )
    return { moved, left: null }
  }

  /** Lends a session to `body`, which leaves it between two transactions. */
  async #lend<T>(body: (connection: Connection) => Promise<T>): Promise<T> {
    const connection = this.#takeIdle() ?? (await this.#connect())
    try {
      await this.#endLost(connection)
      return await body(connection)
    } finally {
      if (connection.broken) this.#forget(connection)
      else this.#idle.push(connection)
    }
  }

  #takeIdle(): Connection | undefined {
    for (let idle = this.#idle.pop(); idle !== undefined; idle = this.#idle.pop()) {
      if (!idle.broken) return idle
      this.#forget(idle)
    }
    return undefined
  }

  #forget(connection: Connection): void {
    this.#open.delete(connection)
    this.#lost.add(connection)
  }

  /**
   * Ends the sessions of connections that broke: behind a network that has fallen silent the server keeps them, with
   * their locks, and whoever tries again over another connection would wait for himself. Their transactions are over
   * for us either way; what became of a COMMIT is told by the state. Behind a pooler the session is not ours to end.
   */
  async #endLost(connection: Connection): Promise<void> {
    if (this.#lost.size === 0) return
    const lost = [...this.#lost]
    if (!this.#server.pooled) {
      await connection.query(
        `SELECT pg_catalog.pg_terminate_backend(a.pid)
         FROM unnest($1::int4[], $2::text[]) lost(pid, started) JOIN pg_catalog.pg_stat_activity a ON a.pid = lost.pid
         WHERE extract(epoch FROM a.backend_start)::text = lost.started AND a.usename = current_user`,
        [lost.map(({ pid }) => pid), lost.map(({ startedAt }) => startedAt)],
      )
    }
    for (const each of lost) this.#lost.delete(each)
  }

  async #connect(): Promise<Connection> {
    const connection = await Connection.open(this.#endpoint, this.#options.signal)
    this.#open.add(connection)
    if (this.#job !== null) await connection.script(markJobSql(this.#job.id, this.#job.lease))
    return connection
  }

  async [Symbol.asyncDispose](): Promise<void> {
    assert(this.#idle.length <= this.#open.size, 'every idle connection is an open one')
    await Promise.all([...this.#open].map((connection) => connection[Symbol.asyncDispose]()))
    this.#open.clear()
    this.#idle.length = 0
  }
}
