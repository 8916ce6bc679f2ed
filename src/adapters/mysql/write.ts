import { TEXT_ROWS } from '#adapters/adapter.ts'
import type {
  Advanced,
  Batch,
  BatchKind,
  BatchPart,
  BatchResult,
  Claim,
  Closing,
  CommittedCounts,
  CopyFormat,
  JobIdentity,
  MappingIdentity,
  RowStream,
  SequenceState,
  Snapshot,
  StatePhase,
  Transaction,
  WritePlan,
  Writer,
} from '#adapters/adapter.ts'
import type { RememberedRow } from '#adapters/baseline.ts'
import { Commits, type BatchRecord } from '#adapters/commits.ts'
import type { TableMaker } from '#adapters/table-ddl.ts'
import { must } from '#lib/assert.ts'
import { failpoint } from '#lib/failpoint.ts'
import type { Key } from '#model/change.ts'
import { tableName, type TableRef } from '#model/table.ts'
import { advanceAutoIncrement } from './auto-increment.ts'
import { adoptRows, createBaseline, rememberInTransaction } from './baseline.ts'
import type { Connection } from './connection.ts'
import type { MysqlEndpoint } from './endpoint.ts'
import { asRowsRefused, toAppError } from './errors.ts'
import type { KnownTables } from './known-tables.ts'
import { loadRows } from './load.ts'
import { MysqlTableMaker } from './make-tables.ts'
import { batchPart, modeOf, writeParts, type Part } from './parts.ts'
import { claimMappings, closeMapping, enterPhase, isCommitted, readCommitted } from './state.ts'
import { ensureState, hasOwnTable } from './state-tables.ts'
import { MysqlTransaction } from './transaction.ts'
import { WritingSessions } from './writing-sessions.ts'

/** Everything that writes to a MySQL or MariaDB target. See the contract `Writer`. */
export class MysqlWriter implements Writer, AsyncDisposable {
  readonly #sessions: WritingSessions
  readonly #known: KnownTables
  readonly #commits = new Commits<Connection>({
    use: (body) => this.#sessions.use(body),
    asRowsRefused,
    toAppError,
    isCommitted,
  })
  /** Batches that this writer has begun to write. */
  #writes = 0

  constructor(endpoint: MysqlEndpoint, known: KnownTables, { signal }: { signal: AbortSignal }) {
    this.#sessions = new WritingSessions(endpoint, signal)
    this.#known = known
  }

  get tables(): TableMaker {
    return new MysqlTableMaker({
      again: (body, doing) => this.#commits.again(body, doing),
      once: (body, doing) => this.#commits.once(body, doing),
    })
  }

  async upgradeState(): Promise<void> {
    await this.#commits.again(async (connection) => {
      if (await hasOwnTable(connection, 'meta')) await ensureState(connection)
    }, 'looking at the state of an earlier version')
  }

  async claim(mappings: readonly MappingIdentity[], job: JobIdentity): Promise<Claim[]> {
    return this.#commits.again(async (connection) => {
      await ensureState(connection)
      const writer = await this.#sessions.register(connection)
      const claims = await claimMappings(connection, mappings, { job, writer })
      for (const mapping of mappings) {
        if (mapping.baseline) await createBaseline(connection, mapping, this.#known.get(mapping.target))
      }
      return claims
    }, 'claiming the mappings')
  }

  async keepOthersOut(mappingIds: readonly string[], job: JobIdentity): Promise<void> {
    await this.#sessions.keepOthersOut(mappingIds, job)
  }

  /** The server has no switch for that. */
  maySilenceTriggers(): Promise<boolean> {
    return Promise.resolve(false)
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
    return this.#commits.whole<T>(
      (connection, onCommit) =>
        connection.transaction('write', async () => {
          const transaction = new MysqlTransaction(connection, this.#known)
          const result = await body(transaction)
          onCommit({ result, written: transaction.written, remembered: transaction.remembered })
        }),
      'writing everything in one transaction',
    )
  }

  copyFormats(): readonly CopyFormat[] {
    return [TEXT_ROWS]
  }

  async load(
    claim: Claim,
    plan: WritePlan,
    { rows, label }: { rows: RowStream; format: CopyFormat; label: string },
  ): Promise<CommittedCounts> {
    const table = this.#known.get(plan.scan.table)
    const record = async (connection: Connection): Promise<BatchRecord> => {
      const inserted = await loadRows(connection, { plan, table }, rows)
      return { kind: 'load', label, inserted, updated: 0, deleted: 0 }
    }
    const counts = await this.#commit([{ claim, plan, record }], `loading ${tableName(plan.scan.table)}`)
    return must(counts[0], 'the counts of a load')
  }

  /** One transaction: the rows, then their records with the test of the epoch. */
  #commit(parts: readonly Part[], doing: string): Promise<CommittedCounts[]> {
    return this.#commits.batches(
      (connection, onRecord) =>
        connection.transaction(modeOf(parts), async () => {
          await writeParts(connection, parts, { known: this.#known, onRecord })
          failpoint('batch.commit')
        }),
      doing,
    )
  }

  async adopt(
    claim: Claim,
    plan: WritePlan,
    what: { moment: Snapshot; except: () => Iterable<readonly Key[]> },
  ): Promise<number> {
    const table = this.#known.get(plan.scan.table)
    return this.#commits.again(
      (connection) => adoptRows(connection, { claim, plan, table }, what),
      'filling the baseline',
    )
  }

  async remember(claim: Claim, plan: WritePlan, rows: readonly RememberedRow[]): Promise<readonly Key[]> {
    if (rows.length === 0) return []
    const table = this.#known.get(plan.scan.table)
    return this.#commits.again(
      (connection) =>
        connection.transaction('write', () => rememberInTransaction(connection, { claim, plan, table }, rows)),
      'keeping what was agreed',
    )
  }

  async startPhase(claim: Claim, phase: Exclude<StatePhase, 'new' | 'done'>): Promise<void> {
    await this.#commits.again(
      (connection) => connection.transaction('write', () => enterPhase(connection, claim, phase)),
      'entering a phase',
    )
  }

  async finish(claims: readonly Claim[], facts: Closing): Promise<readonly CommittedCounts[]> {
    return this.#commits.again(
      (connection) =>
        connection.transaction('write', async () => {
          const counts: CommittedCounts[] = []
          for (const claim of claims) {
            const committed = await readCommitted(connection, claim)
            this.#commits.refuseLoss(claim, committed.batches)
            counts.push(committed)
            await closeMapping(connection, claim, facts)
          }
          failpoint('run.finish')
          return counts
        }),
      'closing the job',
    )
  }

  async advanceSequences(table: TableRef, states: readonly SequenceState[]): Promise<Advanced> {
    return this.#commits.again(
      (connection) => advanceAutoIncrement(connection, this.#known.get(table), states),
      `advancing the numbers of ${tableName(table)}`,
    )
  }

  /** Lends a session that may write to `body`, which commits nothing and may be called again. */
  lend<T>(body: (connection: Connection) => Promise<T>): Promise<T> {
    return this.#commits.again(body, 'looking at what was written')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sessions[Symbol.asyncDispose]()
  }
}
