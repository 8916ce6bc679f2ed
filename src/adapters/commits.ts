import { must } from '#lib/assert.ts'
import { failpoint } from '#lib/failpoint.ts'
import { AppError } from '#model/errors.ts'
import { RowsRefused } from './rows-refused.ts'
import type { Claim, CommittedCounts } from './sync-state.ts'

/** What a transaction's COMMIT did is unknown: the connection broke before the answer came (hazard B3). */
export class CommitUnknown extends Error {
  override readonly name = 'CommitUnknown'
}

/** How often something is done again whose COMMIT was not answered. */
const COMMIT_ATTEMPTS = 3

/** What one batch adds to the counters. */
export interface BatchRecord {
  readonly kind: 'load' | 'apply' | 'patch'
  /** Tells a batch that was lost from one that got its number. */
  readonly label: string
  readonly inserted: number
  readonly updated: number
  readonly deleted: number
}

/** A batch that was written, and by which number it is known; it is in the target once its transaction is committed. */
export interface WrittenPart {
  readonly claim: Claim
  readonly batch: number
  readonly record: BatchRecord
}

/** All that was written in one transaction, before its COMMIT. */
export interface Whole<T> {
  readonly result: T
  readonly written: readonly WrittenPart[]
  /** The baseline is another one too. */
  readonly remembered: boolean
}

/** What the commits of a writer need of its server. */
export interface CommitServer<C> {
  /** Lends a session to `body`, which leaves it between two transactions. */
  use<T>(body: (connection: C) => Promise<T>): Promise<T>
  /** Null where the server did not refuse rows for what they hold. */
  asRowsRefused(error: unknown): RowsRefused | null
  toAppError(error: unknown, doing: string): AppError
  /** Whether a batch is in the target; the transaction that it was written in has ended by then, one way or the other. */
  isCommitted(connection: C, batch: WrittenPart): Promise<boolean>
}

/**
 * The commits of one writer. Where the answer to a COMMIT is lost, the state in the target says what became of it (hazard
 * B3): what may be done twice is done again, and batches, which have numbers, are looked for. `doing` ends the sentence
 * "while …".
 */
export class Commits<C> {
  readonly #server: CommitServer<C>
  /** The highest number of a batch whose COMMIT was answered. */
  readonly #answered = new WeakMap<Claim, number>()

  constructor(server: CommitServer<C>) {
    this.#server = server
  }

  /** Runs `body`, which may be run twice: where a COMMIT was not answered, it is run again over another session. */
  async again<T>(body: (connection: C) => Promise<T>, doing: string): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.once(body, doing)
      } catch (error) {
        if (!(error instanceof CommitUnknown)) throw error
        if (attempt >= COMMIT_ATTEMPTS) throw this.#server.toAppError(error.cause, doing)
      }
    }
  }

  /** @throws CommitUnknown where the caller has to find out what became of the transaction */
  async once<T>(body: (connection: C) => Promise<T>, doing: string): Promise<T> {
    try {
      return await this.#server.use(body)
    } catch (error) {
      if (error instanceof CommitUnknown || error instanceof RowsRefused) throw error
      throw this.#server.asRowsRefused(error) ?? this.#server.toAppError(error, doing)
    }
  }

  /**
   * Batches in one transaction: `write` runs it and tells of each batch that it has recorded.
   * @returns what each has added to the counters
   */
  async batches(
    write: (connection: C, onRecord: (part: WrittenPart) => void) => Promise<void>,
    doing: string,
  ): Promise<CommittedCounts[]> {
    const done: WrittenPart[] = []
    const counts = (): CommittedCounts[] => done.map(({ record }) => countsOf(record))
    const commit = async (connection: C): Promise<CommittedCounts[]> => {
      done.length = 0
      await write(connection, (part) => {
        done.push(part)
        this.refuseLoss(part.claim, part.batch - 1)
      })
      for (const { claim, batch } of done) this.#answered.set(claim, Math.max(batch, this.#answered.get(claim) ?? 0))
      failpoint('batch.committed')
      return counts()
    }
    try {
      return await this.once(commit, doing)
    } catch (error) {
      if (!(error instanceof CommitUnknown)) throw error
      // One transaction: what is true of its first batch is true of all.
      if (await this.#isThere(must(done[0], 'a batch whose COMMIT was sent'))) return counts()
      throw new AppError('connection_lost', `The connection broke while ${doing}; the batch was not committed.`, {
        cause: error,
      })
    }
  }

  /** Everything in one transaction: `write` runs it and says what there is to be committed. Undone whole where it rejects. */
  async whole<T>(
    write: (connection: C, onCommit: (whole: Whole<T>) => void) => Promise<void>,
    doing: string,
  ): Promise<T> {
    const sent: Whole<T>[] = []
    const commit = async (connection: C): Promise<T> => {
      await write(connection, (whole) => {
        sent.push(whole)
        failpoint('transaction.commit')
      })
      failpoint('transaction.committed')
      return must(sent[0], 'what was committed').result
    }
    try {
      return await this.once(commit, doing)
    } catch (error) {
      if (!(error instanceof CommitUnknown)) throw error
      const [whole] = sent
      if (whole === undefined) throw this.#server.toAppError(error.cause, doing)
      const [first] = whole.written
      // What wrote nothing has nothing to lose; what was remembered alone bears no number, and is remembered again.
      const kept = first === undefined ? !whole.remembered : await this.#isThere(first)
      if (kept) return whole.result
      throw new AppError('connection_lost', `The connection broke while ${doing}; nothing was committed.`, {
        cause: error,
      })
    }
  }

  /**
   * A server that does not make every COMMIT durable at once forgets in a crash what it had answered. All that this attempt
   * believes to be done is doubtful then, and the run has to look again.
   * @param batches how many the target knows of
   */
  refuseLoss(claim: Claim, batches: number): void {
    if (batches >= (this.#answered.get(claim) ?? 0)) return
    throw new AppError('connection_lost', 'The target has restarted and lost what was committed last.')
  }

  #isThere(batch: WrittenPart): Promise<boolean> {
    return this.again((connection) => this.#server.isCommitted(connection, batch), 'asking what a COMMIT did')
  }
}

function countsOf({ inserted, updated, deleted }: BatchRecord): CommittedCounts {
  return { inserted, updated, deleted, batches: 1 }
}
