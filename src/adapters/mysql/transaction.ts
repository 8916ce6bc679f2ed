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
import { must, toError } from '#lib/assert.ts'
import { Slots } from '#lib/slots.ts'
import { rememberInTransaction } from './baseline.ts'
import type { Connection } from './connection.ts'
import { asRowsRefused, endsTransaction } from './errors.ts'
import type { KnownTables } from './known-tables.ts'
import { batchPart, writeParts, type Part } from './parts.ts'
import { MysqlSnapshot } from './reader.ts'
import type { Sessions } from './snapshot.ts'
import { enterPhase } from './state.ts'

/**
 * One transaction that many batches are written in. Each stands behind a savepoint, so that one which the server refuses
 * is taken back alone; one at a time, because they share the session and its stage. Where the server ends the transaction
 * by itself, the session is out of it and would commit whatever came next: nothing comes next.
 */
export class MysqlTransaction implements Transaction, BatchWriter {
  readonly #connection: Connection
  readonly #known: KnownTables
  readonly #turns = new Turns()
  readonly #written: WrittenPart[] = []
  #remembered = false
  #writes = 0

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
    const shared = new SharedSession(this.#connection, this.#turns)
    return Promise.resolve(new MysqlSnapshot(shared, this.#known, (body) => shared.use(body)))
  }

  async apply(claim: Claim, plan: WritePlan, { rows, kind, telling }: Batch): Promise<BatchResult> {
    return must((await this.#write([{ claim, plan, rows, telling }], kind))[0], 'the result of a batch')
  }

  applyAcross(parts: readonly BatchPart[]): Promise<readonly BatchResult[]> {
    return this.#write(parts, 'apply')
  }

  async startPhase(claim: Claim, phase: 'loading' | 'applying'): Promise<void> {
    await this.#turns.use(() => enterPhase(this.#connection, claim, phase))
  }

  async remember(claim: Claim, plan: WritePlan, rows: readonly RememberedRow[]): Promise<readonly Key[]> {
    if (rows.length === 0) return []
    this.#remembered = true
    const table = this.#known.get(plan.scan.table)
    return this.#turns.use(() => rememberInTransaction(this.#connection, { claim, plan, table }, rows))
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

  async #behindSavepoint(parts: readonly Part[]): Promise<WrittenPart[]> {
    const done: WrittenPart[] = []
    await this.#connection.query('SAVEPOINT batch')
    try {
      await writeParts(this.#connection, parts, { known: this.#known, onRecord: (part) => done.push(part) })
      await this.#connection.query('RELEASE SAVEPOINT batch')
      return done
    } catch (error) {
      if (this.#connection.broken || endsTransaction(error)) throw error
      await this.#connection.query('ROLLBACK TO SAVEPOINT batch')
      throw asRowsRefused(error) ?? error
    }
  }
}

/** Turns at the session of a transaction, of which there are no more once the server has ended it. */
class Turns {
  readonly #slots = new Slots(1)
  #ended: Error | null = null

  use<T>(body: () => Promise<T>): Promise<T> {
    return this.#slots.use(async () => {
      if (this.#ended !== null) throw this.#ended
      try {
        return await body()
      } catch (error) {
        if (endsTransaction(error)) this.#ended = toError(error)
        throw error
      }
    })
  }
}

/** The session of a transaction, lent to its readers one at a time. */
class SharedSession implements Sessions {
  readonly position = { order: '', label: 'inside a transaction' }
  readonly #connection: Connection
  readonly #turns: Turns
  #release = (): void => undefined

  constructor(connection: Connection, turns: Turns) {
    this.#connection = connection
    this.#turns = turns
  }

  /** The transaction holds what it writes. */
  hold(): Promise<void> {
    return Promise.resolve()
  }

  use<T>(body: (connection: Connection) => Promise<T>): Promise<T> {
    return this.#turns.use(() => body(this.#connection))
  }

  acquire(): Promise<Connection> {
    return new Promise((resolve, reject) => {
      this.#turns
        .use(
          () =>
            new Promise<void>((release) => {
              this.#release = release
              resolve(this.#connection)
            }),
        )
        .catch(reject)
    })
  }

  release(): void {
    this.#release()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve()
  }
}
