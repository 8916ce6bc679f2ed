import type {
  Batch,
  BatchKind,
  BatchPart,
  BatchResult,
  BatchWriter,
  Claim,
  Snapshot,
  Transaction,
  WritePlan,
} from '#adapters/adapter.ts'
import type { WrittenPart } from '#adapters/commits.ts'
import type { RememberedRow } from '#adapters/baseline.ts'
import type { Key } from '#model/change.ts'
import { must } from '#lib/assert.ts'
import { Slots } from '#lib/slots.ts'
import { rememberInTransaction } from './baseline.ts'
import { forgetStage } from './batch.ts'
import type { Connection } from './connection.ts'
import { asRowsRefused } from './errors.ts'
import type { KnownTables } from './known-tables.ts'
import { batchPart, beginPartSql, writeParts, type Part } from './parts.ts'
import { PostgresSnapshot } from './reader.ts'
import type { Sessions } from './snapshot.ts'
import { enterPhase, markWriterSql } from './state.ts'
import { STAGE, STAGE_REST } from './table-sql.ts'

/**
 * One transaction that many batches are written in. Each stands behind a savepoint, so that one which the server refuses
 * is taken back alone; one at a time, because they share the session and its stage.
 */
export class PostgresTransaction implements Transaction, BatchWriter {
  readonly #connection: Connection
  readonly #known: KnownTables
  readonly #turns = new Slots(1)
  readonly #written: WrittenPart[] = []
  #remembered = false
  #writes = 0
  /** What the stage is for that the transaction keeps. */
  #stage: string | null = null

  constructor(connection: Connection, known: KnownTables) {
    this.#connection = connection
    this.#known = known
  }

  get writer(): BatchWriter {
    return this
  }

  /** What is committed if the transaction is. */
  get written(): readonly WrittenPart[] {
    return this.#written
  }

  /** Whether the baseline is another one if it is committed. */
  get remembered(): boolean {
    return this.#remembered
  }

  snapshot(): Promise<Snapshot> {
    return Promise.resolve(new PostgresSnapshot(new SharedSession(this.#connection, this.#turns), this.#known))
  }

  async apply(claim: Claim, plan: WritePlan, { rows, kind, telling }: Batch): Promise<BatchResult> {
    return must((await this.#write([{ claim, plan, rows, telling }], kind))[0], 'the result of a batch')
  }

  applyAcross(parts: readonly BatchPart[]): Promise<readonly BatchResult[]> {
    return this.#write(parts, 'apply')
  }

  async startPhase(claim: Claim, phase: 'loading' | 'applying'): Promise<void> {
    await this.#turns.use(async () => {
      await this.#connection.query(markWriterSql(claim.mappingId))
      await enterPhase(this.#connection, claim, phase)
    })
  }

  async remember(claim: Claim, plan: WritePlan, rows: readonly RememberedRow[]): Promise<readonly Key[]> {
    if (rows.length === 0) return []
    this.#remembered = true
    return this.#turns.use(async () => {
      await this.#connection.query(markWriterSql(claim.mappingId))
      return rememberInTransaction(this.#connection, { claim, plan, table: this.#known.get(plan.scan.table) }, rows)
    })
  }

  async #write(batches: readonly BatchPart[], kind: BatchKind): Promise<BatchResult[]> {
    return this.#turns.use(async () => {
      const writings = batches.map((batch) => {
        this.#writes += 1
        return batchPart(batch, { kind, known: this.#known, number: this.#writes })
      })
      const done = await this.#behindSavepoint(writings.map(({ part }) => part))
      this.#written.push(...done)
      return writings.map(({ found }, i) => {
        const { inserted, updated, deleted } = must(done[i], 'a batch that was recorded').record
        return found({ inserted, updated, deleted, batches: 1 })
      })
    })
  }

  async #clear(): Promise<null> {
    forgetStage(this.#connection)
    await this.#connection.script(`DROP TABLE IF EXISTS ${STAGE}, ${STAGE_REST}`)
    return null
  }

  async #behindSavepoint(parts: readonly Part[]): Promise<WrittenPart[]> {
    const done: WrittenPart[] = []
    const alone = parts.length === 1
    // Several tables share the stage one after the other: each makes its own.
    this.#stage = (alone ? await parts[0]?.furnish?.(this.#connection, this.#stage) : await this.#clear()) ?? null
    // A table that the transaction itself has made is emptied where it lies: no dead rows are left for the next batch.
    const empty = this.#stage === null ? `DROP TABLE IF EXISTS ${STAGE}, ${STAGE_REST}` : `TRUNCATE ${STAGE}`
    // What silenced triggers for the part before does not hold for this one.
    const origin = parts.some(({ plan }) => plan.silenceTriggers)
      ? '; SET LOCAL session_replication_role TO DEFAULT'
      : ''
    await this.#connection.script(`SAVEPOINT batch; ${parts.map(beginPartSql).join('; ')}`)
    try {
      await writeParts(this.#connection, parts, { known: this.#known, onRecord: (part) => done.push(part) })
      await this.#connection.script(`RELEASE SAVEPOINT batch; ${empty}${origin}`)
      return done
    } catch (error) {
      if (this.#connection.broken) throw error
      await this.#connection.script(`ROLLBACK TO SAVEPOINT batch; RELEASE SAVEPOINT batch; ${empty}`)
      throw asRowsRefused(error) ?? error
    }
  }
}

/** The session of a transaction, lent to its readers one at a time. */
class SharedSession implements Sessions {
  readonly position = { order: '', label: 'inside a transaction' }
  readonly id = null
  readonly #connection: Connection
  readonly #turns: Slots
  #release = (): void => undefined

  constructor(connection: Connection, turns: Slots) {
    this.#connection = connection
    this.#turns = turns
  }

  get major(): number {
    return this.#connection.major
  }

  /** The transaction holds what it writes. */
  hold(): Promise<void> {
    return Promise.resolve()
  }

  use<T>(body: (connection: Connection) => Promise<T>): Promise<T> {
    return this.#turns.use(() => body(this.#connection))
  }

  acquire(): Promise<Connection> {
    return new Promise((resolve) => {
      void this.#turns.use(
        () =>
          new Promise<void>((release) => {
            this.#release = release
            resolve(this.#connection)
          }),
      )
    })
  }

  release(): void {
    this.#release()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve()
  }
}
