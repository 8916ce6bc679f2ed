import { pipeline } from 'node:stream/promises'
import { RowsRefused } from '#adapters/adapter.ts'
import type {
  BatchKind,
  BatchResult,
  BatchRow,
  Claim,
  CommittedCounts,
  MappingIdentity,
  RowStream,
  SequenceState,
  ServerInfo,
  Snapshot,
  StatePhase,
  TableMaker,
  WritePlan,
  Writer,
} from '#adapters/adapter.ts'
import { assert, must } from '#lib/assert.ts'
import { failpoint } from '#lib/failpoint.ts'
import type { Key } from '#model/change.ts'
import { AppError } from '#model/errors.ts'
import type { Position } from '#model/position.ts'
import { tableName, type TableRef } from '#model/table.ts'
import type { KnownTables } from './known-tables.ts'
import { BatchSql } from './batch.ts'
import { CommitUnknown, Connection } from './connection.ts'
import type { Endpoint } from './endpoint.ts'
import { asRowsRefused, toAppError } from './errors.ts'
import { PostgresTableMaker } from './make-tables.ts'
import { advanceSequences } from './sequences.ts'
import { importSnapshot } from './snapshot.ts'
import { quote, quoteTable } from './sql.ts'
import {
  baselineTable,
  claimMappings,
  ensureStateSchema,
  isCommitted,
  markWriterSql,
  readCommitted,
  recordBatch,
  staleEpoch,
  type BatchRecord,
} from './state.ts'
import { formatOption, formatsOf } from './stream.ts'
import { keyParameters, TableSql } from './table-sql.ts'
import { watch } from '#adapters/watchdog.ts'

/** How often something is done again whose COMMIT was not answered. */
const COMMIT_ATTEMPTS = 3

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
  /** The highest number of a batch whose COMMIT was answered. */
  readonly #answered = new WeakMap<Claim, number>()
  /** Holds the session locks of the claimed mappings, where sessions are ours. */
  #guard: { readonly connection: Connection; readonly held: Set<string> } | null = null

  get tables(): TableMaker {
    return new PostgresTableMaker({
      again: (body, doing) => this.#use(body, doing),
      once: (body, doing) => this.#useOnce(body, doing),
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

  async claim(mappings: readonly MappingIdentity[], jobId: string): Promise<Claim[]> {
    return this.#use(async (connection) => {
      await ensureStateSchema(connection)
      const claims = await claimMappings(connection, mappings, jobId)
      for (const mapping of mappings) {
        if (mapping.baseline) await this.#createBaseline(connection, mapping)
      }
      return claims
    }, 'claiming the mappings')
  }

  async keepOthersOut(mappingIds: readonly string[]): Promise<void> {
    if (this.#server.pooled) return
    if (this.#guard === null || this.#guard.connection.broken) {
      this.#guard = { connection: await this.#connect(), held: new Set() }
    }
    const { connection, held } = this.#guard
    try {
      await connection.script(`SET lock_timeout = ${TAKEOVER_MS}`)
      for (const id of mappingIds.filter((each) => !held.has(each)).toSorted()) {
        await connection.query(`SELECT pg_catalog.pg_advisory_lock(pg_catalog.hashtextextended($1, 0))`, [
          `syncline ${id}`,
        ])
        held.add(id)
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

  async #createBaseline(connection: Connection, mapping: MappingIdentity): Promise<void> {
    const table = this.#known.get(mapping.target)
    const key = must(mapping.key, 'the key of a mapping with a baseline')
    const columns = key.map((name, i) => `t.${quote(name)} AS k${i}`)
    const baseline = baselineTable(mapping.mappingId)
    await connection.transaction('write', async () => {
      const [found] = await connection.query('SELECT pg_catalog.to_regclass($1)', [baseline])
      if (found?.[0]) return
      await connection.query(
        `CREATE TABLE ${baseline} AS SELECT ${columns.join(', ')}, 0::int8 AS source_fingerprint, 0::int8 AS target_fingerprint
         FROM ${new TableSql({ table: mapping.target, columns: [], keyLength: 0, algorithm: 'md5' }, table).from} t WITH NO DATA`,
      )
      await connection.query(`ALTER TABLE ${baseline} ADD PRIMARY KEY (${key.map((_, i) => `k${i}`).join(', ')})`)
    })
  }

  async maySilenceTriggers(): Promise<boolean> {
    return this.#use(async (connection) => {
      try {
        await connection.transaction('write', () => connection.query('SET LOCAL session_replication_role = replica'))
        return true
      } catch (error) {
        if (connection.broken) throw error
        return false
      }
    }, 'looking at privileges')
  }

  async apply(
    claim: Claim,
    plan: WritePlan,
    { rows, kind }: { rows: readonly BatchRow[]; kind: BatchKind },
  ): Promise<BatchResult> {
    const { scan } = plan
    const batch = new BatchSql(plan, this.#known.get(scan.table))
    const moved: BatchRow[] = []
    const blocked: BatchRow[] = []
    const counts = await this.#commitBatch(claim, plan, `writing ${rows.length} rows to ${tableName(scan.table)}`, {
      record: async (connection) => {
        moved.length = 0
        blocked.length = 0
        const applied = await batch.apply(connection, claim, { rows, kind })
        for (const index of applied.moved) moved.push(must(rows[index], 'a row of the batch'))
        for (const index of applied.blocked) blocked.push(must(rows[index], 'a row of the batch'))
        // A patch completes rows that were counted when they were inserted.
        const { inserted, updated, deleted } = kind === 'patch' ? NOTHING : applied
        return { kind: kind === 'patch' ? kind : 'apply', label: `${rows.length} rows`, inserted, updated, deleted }
      },
    })
    return { committed: counts, moved, blocked }
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
    return this.#commitBatch(claim, plan, `loading ${tableName(table)}`, {
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
    })
  }

  /** One transaction: the rows, then their record with the test of the epoch, then COMMIT, whose loss is looked into. */
  async #commitBatch(
    claim: Claim,
    plan: WritePlan,
    doing: string,
    body: { record: (connection: Connection) => Promise<BatchRecord> },
  ): Promise<CommittedCounts> {
    const done: { batch: number; record: BatchRecord } = { batch: 0, record: NO_RECORD }
    const commit = async (connection: Connection): Promise<CommittedCounts> => {
      await connection.transaction('write', async () => {
        // Lost together or kept together: the next synchronous COMMIT makes all of them durable.
        await connection.script(
          `${markWriterSql(claim.mappingId)}; SET LOCAL synchronous_commit = off${plan.silenceTriggers ? '; SET LOCAL session_replication_role = replica' : ''}`,
        )
        done.record = await body.record(connection)
        done.batch = await recordBatch(connection, claim, done.record)
        this.#refuseLoss(claim, done.batch - 1)
        failpoint('batch.commit')
      })
      this.#answered.set(claim, Math.max(done.batch, this.#answered.get(claim) ?? 0))
      failpoint('batch.committed')
      return { ...pick(done.record), batches: 1 }
    }
    try {
      return await this.#useOnce(commit, doing)
    } catch (error) {
      if (!(error instanceof CommitUnknown)) throw error
      if (!(await this.#use((connection) => isCommitted(connection, claim, done), 'asking what a COMMIT did'))) {
        throw new AppError('connection_lost', `The connection broke while ${doing}; the batch was not committed.`, {
          cause: error,
        })
      }
      return { ...pick(done.record), batches: 1 }
    }
  }

  /**
   * A server that crashes forgets the last commits of `synchronous_commit = off`, though it had answered them. All that
   * this attempt believes to be done is doubtful then, and the run has to look again.
   */
  #refuseLoss(claim: Claim, batches: number): void {
    if (batches >= (this.#answered.get(claim) ?? 0)) return
    throw new AppError('connection_lost', 'The target has restarted and lost what was committed last.')
  }

  async adopt(
    claim: Claim,
    plan: WritePlan,
    { moment, except }: { moment: Snapshot; except: Iterable<readonly Key[]> },
  ): Promise<number> {
    const sql = new TableSql(plan.scan, this.#known.get(plan.scan.table))
    const baseline = baselineTable(claim.mappingId)
    const keys = Array.from({ length: plan.scan.keyLength }, (_, i) => `k${i}`)
    return this.#use(async (connection) => {
      let adopted = 0
      await connection.transaction('write', async () => {
        await connection.script('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ')
        await importSnapshot(connection, moment.id)
        await connection.query(`DELETE FROM ${baseline}`)
        adopted = await connection.execute(
          `INSERT INTO ${baseline} (${keys.join(', ')}, source_fingerprint, target_fingerprint)
           SELECT ${keys.map((key) => `x.${key}`).join(', ')}, x.f, x.f FROM (
             SELECT ${plan.scan.columns
               .slice(0, plan.scan.keyLength)
               .map((column, i) => `t.${quote(column.name)} AS k${i}`)
               .join(', ')}, ${sql.fingerprint} AS f FROM ${sql.from} t OFFSET 0) x`,
        )
        for (const some of except) {
          adopted -= await connection.execute(
            `DELETE FROM ${baseline} b USING ${sql.keysFrom(1)} WHERE ${sql.matches('b.k', 'k.k')}`,
            keyParameters(some, plan.scan.keyLength),
          )
        }
        const moved = await connection.execute(
          'UPDATE syncline.state SET baseline_complete = true WHERE mapping_id = $1 AND epoch = $2',
          [claim.mappingId, claim.epoch],
        )
        if (moved === 0) throw staleEpoch(claim)
      })
      return adopted
    }, 'filling the baseline')
  }

  async startPhase(claim: Claim, phase: Exclude<StatePhase, 'new' | 'done'>): Promise<void> {
    await this.#use(async (connection) => {
      const moved = await connection.transaction('write', () =>
        connection.execute('UPDATE syncline.state SET phase = $3 WHERE mapping_id = $1 AND epoch = $2', [
          claim.mappingId,
          claim.epoch,
          phase,
        ]),
      )
      if (moved === 0) throw staleEpoch(claim)
    }, 'entering a phase')
  }

  async finish(
    claims: readonly Claim[],
    facts: { position: Position; verified: readonly string[] },
  ): Promise<readonly CommittedCounts[]> {
    return this.#use(async (connection) => {
      const counts: CommittedCounts[] = []
      await connection.transaction('write', async () => {
        // Durable, whatever the server's default is: a run that says it is done has nothing to lose any more.
        await connection.query(
          `SELECT pg_catalog.set_config('synchronous_commit', 'on', true)
           WHERE pg_catalog.current_setting('synchronous_commit') = 'off'`,
        )
        for (const claim of claims) {
          const committed = await readCommitted(connection, claim)
          this.#refuseLoss(claim, committed.batches)
          counts.push(committed)
          const moved = await connection.execute(
            `UPDATE syncline.state SET phase = 'done', position = $3, updated_at = pg_catalog.now(),
               verified_at = CASE WHEN $4::bool THEN pg_catalog.now() ELSE verified_at END
             WHERE mapping_id = $1 AND epoch = $2`,
            [claim.mappingId, claim.epoch, facts.position.label, facts.verified.includes(claim.mappingId)],
          )
          if (moved === 0) throw staleEpoch(claim)
        }
        failpoint('run.finish')
      })
      return counts
    }, 'closing the job')
  }

  async advanceSequences(table: TableRef, states: readonly SequenceState[]): Promise<number> {
    return this.#use(
      (connection) =>
        connection.transaction('write', () => advanceSequences(connection, this.#known.get(table), states)),
      `advancing the sequences of ${tableName(table)}`,
    )
  }

  /**
   * Runs `body` with a connection to itself. Everything that goes this way may be done twice: where a COMMIT was not
   * answered, it is done again over another connection.
   */
  async #use<T>(body: (connection: Connection) => Promise<T>, doing: string): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#useOnce(body, doing)
      } catch (error) {
        if (!(error instanceof CommitUnknown)) throw error
        if (attempt >= COMMIT_ATTEMPTS) throw toAppError(error.cause, doing)
      }
    }
  }

  /** @throws CommitUnknown where the caller has to find out what became of the transaction */
  async #useOnce<T>(body: (connection: Connection) => Promise<T>, doing: string): Promise<T> {
    const connection = this.#takeIdle() ?? (await this.#connect())
    try {
      return await body(connection)
    } catch (error) {
      if (error instanceof CommitUnknown || error instanceof RowsRefused) throw error
      throw asRowsRefused(error) ?? toAppError(error, doing)
    } finally {
      if (connection.broken) this.#open.delete(connection)
      else this.#idle.push(connection)
    }
  }

  #takeIdle(): Connection | undefined {
    for (let idle = this.#idle.pop(); idle !== undefined; idle = this.#idle.pop()) {
      if (!idle.broken) return idle
      this.#open.delete(idle)
    }
    return undefined
  }

  async #connect(): Promise<Connection> {
    const connection = await Connection.open(this.#endpoint, this.#options.signal)
    this.#open.add(connection)
    return connection
  }

  async [Symbol.asyncDispose](): Promise<void> {
    assert(this.#idle.length <= this.#open.size, 'every idle connection is an open one')
    await Promise.all([...this.#open].map((connection) => connection[Symbol.asyncDispose]()))
    this.#open.clear()
    this.#idle.length = 0
  }
}

const NO_RECORD: BatchRecord = { kind: 'apply', label: '', inserted: 0, updated: 0, deleted: 0 }
const NOTHING = { inserted: 0, updated: 0, deleted: 0 }

function pick({ inserted, updated, deleted }: BatchRecord): { inserted: number; updated: number; deleted: number } {
  return { inserted, updated, deleted }
}
