import { createHash } from 'node:crypto'
import type {
  Advanced,
  Batch,
  BatchPart,
  BatchResult,
  BatchRow,
  Claim,
  Closing,
  CommittedCounts,
  JobIdentity,
  MappingIdentity,
  SequenceState,
  StatePhase,
  WritePlan,
  Writer,
} from '#adapters/adapter.ts'
import type { PgTable } from '#adapters/postgres/introspect.ts'
import { writeKnown } from '#adapters/postgres/new-columns.ts'
import { RowsRefused } from '#adapters/rows-refused.ts'
import type { TableMaker } from '#adapters/table-ddl.ts'
import { assert, must } from '#lib/assert.ts'
import { failpoint } from '#lib/failpoint.ts'
import { isRecord } from '#lib/record.ts'
import { Slots } from '#lib/slots.ts'
import type { Key, Operation } from '#model/change.ts'
import { AppError } from '#model/errors.ts'
import { decodeCell } from '#model/row-text.ts'
import { tableName, type TableRef } from '#model/table.ts'
import { isLarge, type SentRow } from '#model/value.ts'
import { toStates, type MappingState, type ProjectFunctions } from './functions.ts'
import { QuestionTooLarge, StatementTimedOut } from './http.ts'

/** A row of more than this is refused: a request stands in memory, here and on its way. */
const LARGEST_ROW_BYTES = 32 * 1024 * 1024

const MARKS: Readonly<Record<Operation, string>> = { delete: 'd', update: 'u', insert: 'i' }

type Cells = readonly (string | null)[]

/** A part of a batch as it is sent, its rows shrinking to those that have not moved. */
interface Sending {
  readonly part: BatchPart
  rows: readonly { readonly row: BatchRow; readonly cells: Cells }[]
  readonly moved: BatchRow[]
}

/**
 * The writing side of a project that is reached over its REST API, by the functions of `script.ts`. Each call is one
 * transaction with everything that belongs together. A batch bears its number and a hash of what it holds: where its answer
 * is lost it is sent again, and the project knows whether it has it. Because what is written must be told before it is
 * committed, a batch is written whole or not at all: of rows that have moved the project tells, and the others go again.
 */
export class RestWriter implements Writer {
  readonly tables: TableMaker
  readonly #functions: ProjectFunctions
  readonly #tableOf: (ref: TableRef) => PgTable
  /** Of each mapping, the batches that the project has confirmed; its state lets one batch pass at a time. */
  readonly #mappings = new Map<string, { batches: number; readonly turn: Slots }>()

  constructor(functions: ProjectFunctions, tableOf: (ref: TableRef) => PgTable) {
    this.#functions = functions
    this.#tableOf = tableOf
    this.tables = {
      create: () => Promise.reject(notOverRest('It makes no tables')),
      addColumns: () => Promise.reject(notOverRest('It alters no tables')),
      pending: () => Promise.resolve([]),
      carryOut: () => Promise.reject(notOverRest('It alters no tables')),
    }
  }

  /** The script brings the state up to date; a project with another version was refused when it was opened. */
  upgradeState(): Promise<void> {
    return Promise.resolve()
  }

  /** Nothing of ours lasts between two requests: the epoch alone keeps a second run from committing. */
  keepOthersOut(): Promise<void> {
    return Promise.resolve()
  }

  async claim(mappings: readonly MappingIdentity[], { id, lease }: JobIdentity): Promise<readonly Claim[]> {
    const request = {
      job: id,
      lease,
      mappings: mappings.map((mapping) => ({
        mapping: mapping.mappingId,
        source: mapping.source,
        schema: mapping.target.schema,
        table: mapping.target.name,
        hash: mapping.mappingHash,
        columns: mapping.columns && writeKnown(mapping.columns),
        carried: JSON.stringify(mapping.carried),
      })),
    }
    const states = toStates(await this.#functions.call('claim', request, { doing: 'claiming the mappings' }))
    for (const { mapping, batches } of states) this.#mappings.set(mapping, { batches, turn: new Slots(1) })
    return states.map(toClaim)
  }

  maySilenceTriggers(): Promise<boolean> {
    return Promise.resolve(false)
  }

  async apply(claim: Claim, plan: WritePlan, { rows, kind, telling }: Batch): Promise<BatchResult> {
    // Rows that take one another's unique values can be told from no others here: they are tried one by one.
    if (kind === 'together') throw new RowsRefused('0A000', 'rows cannot change places over REST', NO_BLAME)
    return must((await this.#write([{ claim, plan, rows, telling }], kind))[0], 'the result of a batch')
  }

  applyAcross(parts: readonly BatchPart[]): Promise<readonly BatchResult[]> {
    return this.#write(parts, 'apply')
  }

  atomically(): Promise<never> {
    return Promise.reject(notOverRest('It writes no more than a batch at once'))
  }

  /** None: rows of an empty table go by batches too, which can be told, tried again and halved. */
  copyFormats(): readonly [] {
    return []
  }

  load(): Promise<never> {
    return Promise.reject(notOverRest('It takes no COPY'))
  }

  adopt(): Promise<never> {
    return Promise.reject(notOverRest('It keeps no baseline'))
  }

  remember(): Promise<never> {
    return Promise.reject(notOverRest('It keeps no baseline'))
  }

  async startPhase({ mappingId, jobId, epoch }: Claim, phase: Exclude<StatePhase, 'new' | 'done'>): Promise<void> {
    const request = { mapping: mappingId, job: jobId, epoch: String(epoch), phase }
    const answer = await this.#functions.call('enter', request, { doing: 'entering a phase' })
    if (!isRecord(answer) || answer['entered'] !== true) throw staleEpoch(mappingId)
    failpoint('phase.entered')
  }

  async finish(claims: readonly Claim[], facts: Closing): Promise<readonly CommittedCounts[]> {
    const request = {
      position: facts.position.label,
      mappings: claims.map(({ mappingId, jobId, epoch }) => ({
        mapping: mappingId,
        job: jobId,
        epoch: String(epoch),
        verified: facts.verified.includes(mappingId),
        detects: facts.detection.has(mappingId),
        detection: facts.detection.get(mappingId) ?? null,
      })),
    }
    failpoint('run.finish')
    const answer = await this.#functions.call('close', request, { doing: 'closing the job' })
    const { closed, mapping } = isRecord(answer) ? answer : {}
    if (closed === undefined) throw staleEpoch(String(mapping))
    const states = toStates(closed)
    return claims.map(({ mappingId }) => {
      const state = states.find((each) => each.mapping === mappingId)
      return countsOf(must(state, 'the state of a mapping that was closed'))
    })
  }

  async advanceSequences(table: TableRef, states: readonly SequenceState[]): Promise<Advanced> {
    const { schema } = this.#tableOf(table)
    const columns = schema.columns.flatMap(({ name, sequence }) => {
      if (sequence === null) return []
      const source = states.find(({ column }) => column === name)
      const of = { column: name, sequence, last: source === undefined ? null : String(source.lastValue) }
      return [{ ...of, called: source?.called ?? false }]
    })
    const request = { schema: table.schema, table: table.name, columns }
    const doing = `advancing the sequences of ${tableName(table)}`
    const { moved, left } = asRecord(await this.#functions.call('advance', request, { doing }))
    if (Array.isArray(left) && left.length > 0) {
      const names = left.map(String)
      throw new AppError('missing_privilege', `The role of the key may not set ${names.join(', ')} (while ${doing}).`, {
        hint: names.map((name) => `GRANT SELECT, UPDATE ON SEQUENCE ${name} TO service_role;`).join(' '),
      })
    }
    return { moved: Number(moved), left: null }
  }

  async #write(parts: readonly BatchPart[], kind: 'apply' | 'patch'): Promise<BatchResult[]> {
    const sending = await Promise.all(
      parts.map(async (part): Promise<Sending> => ({ part, rows: await readCells(part), moved: [] })),
    )
    // In one order, whoever asks: two batches never wait for one another.
    const turns = [...new Set(parts.map(({ claim }) => claim.mappingId))].toSorted().map((id) => this.#mapping(id).turn)
    const inTurn = turns.reduceRight<() => Promise<BatchResult[]>>(
      (inner, turn) => () => turn.use(inner),
      () => this.#commit(sending, kind),
    )
    return await inTurn()
  }

  #mapping(id: string): { batches: number; readonly turn: Slots } {
    return must(this.#mappings.get(id), 'the mapping of a claim')
  }

  /** Sends the rows until all that are left are written: each time without those that have moved. */
  async #commit(sending: readonly Sending[], kind: 'apply' | 'patch'): Promise<BatchResult[]> {
    for (;;) {
      for (const { part, rows } of sending) {
        const told = rows.map(({ row: { op, key } }) => ({ op, key, image: null }))
        await part.telling?.tell({ batch: this.#mapping(part.claim.mappingId).batches + 1, rows: told })
      }
      failpoint('batch.commit')
      const answer = await this.#send(sending, kind)
      failpoint('batch.committed')
      if (answer === 'done') return sending.map((each) => this.#book(each, kind))
      for (const [i, hits] of answer.entries()) takeOut(must(sending[i], 'a part'), hits)
    }
  }

  #book({ part: { claim }, rows, moved }: Sending, kind: 'apply' | 'patch'): BatchResult {
    this.#mapping(claim.mappingId).batches += 1
    return { committed: { ...countRows(rows, kind), batches: 1 }, moved, blocked: [] }
  }

  async #send(sending: readonly Sending[], kind: 'apply' | 'patch'): Promise<'done' | readonly unknown[]> {
    const count = sending.reduce((sum, { rows }) => sum + rows.length, 0)
    const { table } = must(sending[0], 'a part').part.plan.scan
    const doing = `writing ${count} rows to ${tableName(table)}`
    const parts = sending.map((each) => this.#request(each, kind))
    try {
      return readWritten(await this.#functions.call('write', { parts }, { doing, rowsOf: table.schema }))
    } catch (error) {
      const tooMuch = error instanceof StatementTimedOut || error instanceof QuestionTooLarge
      if (!tooMuch) throw error
      // Halving helps, as it does where a row is to blame.
      if (count > 1) throw new RowsRefused('54000', `too much at once (while ${doing})`, { ...NO_BLAME, cause: error })
      throw new AppError('server_unavailable', `The API ends before a row is written (while ${doing}).`, {
        retry: 'after-fix',
        hint: "Raise the time-out of the API's role, for example ALTER ROLE service_role SET statement_timeout = '25s';, or use the connection string of the database.",
        cause: error,
      })
    }
  }

  #request({ part: { claim, plan }, rows }: Sending, kind: 'apply' | 'patch'): Record<string, unknown> {
    const { scan, written, keyIsUnique, definition } = plan
    assert(scan.algorithm === 'md5', 'rows over REST are compared by MD5')
    const sent = rows.map(({ row, cells }) => [MARKS[row.op], row.expect, ...cells])
    const batch = this.#mapping(claim.mappingId).batches + 1
    const hash = createHash('sha256')
      .update(JSON.stringify([kind, sent]))
      .digest('hex')
    return {
      mapping: claim.mappingId,
      job: claim.jobId,
      epoch: String(claim.epoch),
      batch,
      kind,
      label: `batch ${batch}, ${hash}`,
      schema: scan.table.schema,
      table: scan.table.name,
      // Digest and storage; the labels of enums, which may follow, are looked at when all is written.
      definition: definition.split(' ').slice(0, 2).join(' '),
      unique: keyIsUnique,
      key: scan.keyLength,
      columns: scan.columns.map(({ name, form }) => ({ name, form, written: written.includes(name) })),
      ...countRows(rows, kind),
      rows: sent,
    }
  }
}

const NO_BLAME = { orderMatters: false, column: null, cause: undefined } as const

function notOverRest(what: string): AppError {
  return new AppError('not_over_rest', `${what}: the target is written over its REST API.`)
}

function staleEpoch(mappingId: string): AppError {
  return new AppError('stale_epoch', `Another run has taken over the mapping ${mappingId}.`)
}

function asRecord(answer: unknown): Record<string, unknown> {
  return isRecord(answer) ? answer : {}
}

function countsOf({ inserted, updated, deleted, batches }: MappingState): CommittedCounts {
  return { inserted, updated, deleted, batches }
}

function toClaim(state: MappingState): Claim {
  return {
    mappingId: state.mapping,
    jobId: state.job,
    epoch: state.epoch,
    committed: countsOf(state),
    phase: state.phase,
    mappingHash: state.hash,
    hasBaseline: false,
    baselineDetails: [],
    baselineComplete: false,
    verifiedSecondsAgo: state.verifiedSecondsAgo,
  }
}

/** A patch completes rows that were counted when they were inserted. */
function countRows(rows: Sending['rows'], kind: 'apply' | 'patch'): Record<'inserted' | 'updated' | 'deleted', number> {
  const count = (op: Operation): number => (kind === 'patch' ? 0 : rows.filter(({ row }) => row.op === op).length)
  return { inserted: count('insert'), updated: count('update'), deleted: count('delete') }
}

/** @throws AppError `stale_epoch`, `schema_changed`, `connection_lost` */
function readWritten(answer: unknown): 'done' | readonly unknown[] {
  const { done, moved, refused, mapping, table } = asRecord(answer)
  if (done === true) return 'done'
  if (Array.isArray(moved)) return moved
  switch (refused) {
    case 'stale epoch':
      throw staleEpoch(String(mapping))
    case 'another definition':
      throw new AppError('schema_changed', `${String(table)} is defined otherwise than when the run planned it.`)
    case 'another batch':
      throw new AppError('connection_lost', 'A batch whose answer was lost has been committed; the run looks again.')
    case 'lost batches':
      throw new AppError('connection_lost', 'The project has lost what was committed last.')
    default:
      throw new AppError('unexpected_answer', 'The function syncline_write does not answer as it was made to.')
  }
}

/** Takes the rows out of a part that the project did not hit. */
function takeOut(sending: Sending, answer: unknown): void {
  const { deleted, updated, inserted } = asRecord(answer)
  const listOf = (list: unknown): readonly unknown[] => (Array.isArray(list) ? list : [])
  const places = new Set([...listOf(deleted), ...listOf(updated)].map(Number))
  const keys = new Set(listOf(inserted).map((key) => JSON.stringify(key)))
  const isHit = ({ op, key }: BatchRow, place: number): boolean =>
    op === 'insert' ? keys.has(JSON.stringify(key)) : places.has(place)
  const hit = sending.rows.filter(({ row }, place) => isHit(row, place))
  sending.moved.push(...sending.rows.filter((each) => !hit.includes(each)).map(({ row }) => row))
  sending.rows = hit
}

/** The rows of a part with their values in memory. @throws RowsRefused for a row that cannot be sent */
async function readCells({ rows, plan }: BatchPart): Promise<Sending['rows']> {
  const read: { row: BatchRow; cells: Cells }[] = []
  for (const row of rows) {
    const sent: SentRow = row.row ?? keyAlone(row.key, plan.scan.columns.length)
    const cells: (string | null)[] = []
    let bytes = 0
    for (const cell of sent) {
      bytes += cell === null ? 0 : isLarge(cell) ? cell.bytes : cell.length
      if (bytes > LARGEST_ROW_BYTES) throw new RowsRefused('54000', 'the row is too large for a request', NO_BLAME)
      cells.push(await readCell(cell))
    }
    read.push({ row, cells })
  }
  return read
}

function keyAlone(key: Key, length: number): SentRow {
  return Array.from({ length }, (_, i) => key[i] ?? null)
}

async function readCell(cell: SentRow[number]): Promise<string | null> {
  if (cell === null || typeof cell === 'string') return cell
  if (cell instanceof Uint8Array) throw new RowsRefused('22021', 'a value is not UTF-8', NO_BLAME)
  const pieces: string[] = []
  for await (const piece of cell.read()) pieces.push(Buffer.from(piece).toString('latin1'))
  return decodeCell(pieces.join(''))
}
