import { createHash, randomBytes } from 'node:crypto'
import { assert } from '#lib/assert.ts'
import { failpoint } from '#lib/failpoint.ts'
import { SYSTEM } from '#model/access.ts'
import type { Operation } from '#model/change.ts'
import type { ChangeOutcome, ChangeSetFacts, ChangeSetSummary, ImagedChange, StagingKind } from '#model/change-set.ts'
import type { ChangeSet } from '#sync/change-set.ts'
import { appendAudit } from './audit.ts'
import { changeText, digestOf, packIndex, sealChunk, unpackIndex, type ChunkEntry } from './change-chunks.ts'
import { holdDecisions, settleOutcomes, toApply } from './change-marks.ts'
import {
  changeSetLost,
  CHANGE_SET_COLUMNS,
  findChangeSet,
  placesOf,
  readyChangeSet,
  type ChangeSetTools,
} from './change-set-tools.ts'
import type { ChunkStore, Generation } from './chunk-store.ts'
import { lose } from './read-changes.ts'
import { begunAnew, reserveSpace } from './staging-space.ts'

/** A chunk is written when it has so many changes, or so many characters of text. */
const CHUNK_CHANGES = 500
const CHUNK_CHARACTERS = 256 * 1024
const GENERATION_BYTES = 12

/** What is kept with the change set of a job; the engine's side of it. */
export function openChangeSet(
  tools: ChangeSetTools,
  { jobId, staging }: { readonly jobId: string; readonly staging: StagingKind },
): ChangeSet & AsyncDisposable {
  return new KeptChangeSet(tools, jobId, staging)
}

class KeptChangeSet implements ChangeSet, AsyncDisposable {
  readonly #tools: ChangeSetTools
  readonly #jobId: string
  readonly #staging: StagingKind
  #building: Building | null = null

  constructor(tools: ChangeSetTools, jobId: string, staging: StagingKind) {
    this.#tools = tools
    this.#jobId = jobId
    this.#staging = staging
  }

  async begin(): Promise<void> {
    await this[Symbol.asyncDispose]()
    const places = placesOf(this.#tools, this.#staging)
    await places.check()
    const before = await findChangeSet(this.#tools, this.#jobId)
    const generation = randomBytes(GENERATION_BYTES).toString('hex')
    const set = { jobId: this.#jobId, generation, staging: this.#staging }
    await beginGeneration(this.#tools, set)
    failpoint('change_set.begun')
    // What a crash leaves of it here is swept.
    if (before !== null) await removeChunks(this.#tools, before).catch(() => undefined)
    this.#building = new Building(this.#tools, set, places.open(set))
  }

  append(table: number, changes: readonly ImagedChange[]): Promise<void> {
    return this.#open().append(table, changes)
  }

  async seal(facts: ChangeSetFacts): Promise<ChangeSetSummary> {
    const summary = await this.#open().seal(facts)
    await this[Symbol.asyncDispose]()
    return summary
  }

  #open(): Building {
    assert(this.#building !== null, 'a change set is begun before something is appended')
    return this.#building
  }

  async summary(): Promise<ChangeSetSummary | null> {
    const found = await findChangeSet(this.#tools, this.#jobId)
    return found?.state === 'ready' || found?.state === 'applied' ? found.summary : null
  }

  async *read(table: number): ReturnType<ChangeSet['read']> {
    const found = await findChangeSet(this.#tools, this.#jobId)
    if (found === null || found.state === 'building')
      throw changeSetLost(this.#jobId, 'it was never computed to its end')
    yield* toApply(this.#tools, await readyChangeSet(this.#tools, this.#jobId), table)
  }

  async settle(outcomes: readonly ChangeOutcome[]): Promise<void> {
    if (outcomes.length === 0) return
    await settleOutcomes(this.#tools, await readyChangeSet(this.#tools, this.#jobId), outcomes)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#building?.[Symbol.asyncDispose]()
    this.#building = null
  }
}

/** A generation on its way to being sealed. */
class Building implements AsyncDisposable {
  readonly #tools: ChangeSetTools
  readonly #set: Generation & { readonly staging: StagingKind }
  readonly #chunks: ChunkStore
  readonly #pending = new Map<number, Pending>()
  readonly #entries: Omit<ChunkEntry, 'first'>[] = []
  readonly #digest = createHash('sha256')
  #changes = 0
  #bytes = 0
  #reserved = 0
  #next = 0
  /** Tables may be computed side by side; chunks are written one after the other. */
  #writing: Promise<void> = Promise.resolve()

  constructor(tools: ChangeSetTools, set: Generation & { readonly staging: StagingKind }, chunks: ChunkStore) {
    this.#tools = tools
    this.#set = set
    this.#chunks = chunks
  }

  async append(table: number, changes: readonly ImagedChange[]): Promise<void> {
    const pending = this.#pending.get(table) ?? new Pending()
    this.#pending.set(table, pending)
    for (const change of changes) {
      pending.add(change)
      if (pending.isFull) await this.#write(table, pending)
    }
  }

  #write(table: number, pending: Pending): Promise<void> {
    const { texts, ops } = pending.take()
    // One that failed fails all that follow it: there is no gap in what is written.
    this.#writing = this.#writing.then(() => this.#put(table, texts, ops))
    return this.#writing
  }

  async #put(table: number, texts: readonly string[], ops: readonly Operation[]): Promise<void> {
    const n = this.#next
    const body = sealChunk(this.#tools.box, { ...this.#set, n }, table, texts)
    try {
      const needed = this.#bytes + body.length
      if (needed > this.#reserved) this.#reserved = await reserveSpace(this.#tools, this.#set, needed)
      failpoint('change_set.chunk')
      await this.#chunks.put(n, body)
    } catch (error) {
      await this.#give()
      throw error
    }
    this.#next = n + 1
    this.#bytes += body.length
    this.#changes += texts.length
    this.#digest.update(body)
    this.#entries.push({ n, table, count: texts.length, ops, digest: digestOf(body) })
  }

  /** Nothing of a generation that failed takes up space. */
  async #give(): Promise<void> {
    await this.#chunks.remove().catch(() => undefined)
    const { jobId, generation } = this.#set
    await this.#tools.store.db
      .updateTable('change_set')
      .set({ held_bytes: 0 })
      .where('job_id', '=', jobId)
      .where('generation', '=', generation)
      .execute()
  }

  async seal(facts: ChangeSetFacts): Promise<ChangeSetSummary> {
    for (const [table, pending] of [...this.#pending].toSorted(([a], [b]) => a - b)) {
      if (!pending.isEmpty) await this.#write(table, pending)
    }
    await this.#writing
    failpoint('change_set.flush')
    await this.#chunks.flush()
    const { store } = this.#tools
    const { jobId, generation, staging } = this.#set
    if ((await this.#chunks.count(this.#next)) !== this.#next) throw changeSetLost(jobId, 'a part of it is gone')
    const packed = packIndex(this.#entries)
    const dropped = await holdDecisions(this.#tools, this.#set, { tables: facts.tables, index: unpackIndex(packed) })
    const summary: ChangeSetSummary = {
      ...facts,
      notes: dropped === 0 ? facts.notes : [...facts.notes, droppedNote(dropped)],
      generation,
      digest: this.#digest.digest('hex'),
      changes: this.#changes,
      bytes: this.#bytes,
      staging,
      sealedAt: store.clock.now(),
    }
    failpoint('change_set.seal')
    await sealGeneration(this.#tools, this.#set, { summary, dropped, index: JSON.stringify(packed) })
    failpoint('change_set.sealed')
    return summary
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writing.catch(() => undefined)
    await this.#chunks[Symbol.asyncDispose]()
  }
}

/** Changes of one table on their way into a chunk. */
class Pending {
  #texts: string[] = []
  #ops = new Set<Operation>()
  #characters = 0

  add(change: ImagedChange): void {
    const text = changeText(change)
    this.#texts.push(text)
    this.#ops.add(change.op)
    this.#characters += text.length
  }

  get isEmpty(): boolean {
    return this.#texts.length === 0
  }

  get isFull(): boolean {
    return this.#texts.length >= CHUNK_CHANGES || this.#characters >= CHUNK_CHARACTERS
  }

  take(): { texts: readonly string[]; ops: readonly Operation[] } {
    const taken = { texts: this.#texts, ops: [...this.#ops] }
    this.#texts = []
    this.#ops = new Set()
    this.#characters = 0
    return taken
  }
}

/** An approval is of the changes that it was given for: with a new generation it is withdrawn. */
async function beginGeneration(
  { store }: ChangeSetTools,
  { jobId, generation, staging }: Generation & { readonly staging: StagingKind },
): Promise<void> {
  await store.exclusively('audit', async (tx) => {
    const before = await tx
      .selectFrom('change_set')
      .select(CHANGE_SET_COLUMNS)
      .where('job_id', '=', jobId)
      .$call((query) => (store.isPostgres ? query.forUpdate() : query))
      .executeTakeFirst()
    const now = store.clock.now()
    const fresh = {
      generation,
      state: 'building' as const,
      staging,
      held_bytes: 0,
      bytes: 0,
      changes: 0,
      digest: null,
      chunk_index: null,
      summary: null,
      dropped: 0,
      created_at: now,
      sealed_at: null,
      approved_by: null,
      approved_name: null,
      approved_digest: null,
      approved_at: null,
      expires_at: null,
    }
    if (before === undefined) {
      const row = { job_id: jobId, marks_generation: null, taken_by: null, ...fresh }
      await tx.insertInto('change_set').values(row).execute()
      return
    }
    await tx.updateTable('change_set').set(fresh).where('job_id', '=', jobId).execute()
    // Of a generation that never was sealed.
    await tx
      .deleteFrom('change_mark')
      .where('job_id', '=', jobId)
      .where('generation', '<>', before.marks_generation ?? '')
      .execute()
    if (before.approved_at === null) return
    const data = { digest: before.approved_digest, approved_by: before.approved_by, reason: 'computed again' }
    await appendAudit(tx, { actor: SYSTEM, at: now }, { action: 'change_set.withdraw', subject: jobId, data })
  })
}

/** The one moment in which a generation begins to count. */
async function sealGeneration(
  { store }: ChangeSetTools,
  { jobId, generation }: Generation,
  { summary, dropped, index }: { summary: ChangeSetSummary; dropped: number; index: string },
): Promise<void> {
  await store.write(async (tx) => {
    const { numUpdatedRows } = await tx
      .updateTable('change_set')
      .set({
        state: 'ready',
        marks_generation: generation,
        held_bytes: summary.bytes,
        bytes: summary.bytes,
        changes: summary.changes,
        digest: summary.digest,
        chunk_index: index,
        summary: JSON.stringify(summary),
        dropped,
        sealed_at: summary.sealedAt,
      })
      .where('job_id', '=', jobId)
      .where('generation', '=', generation)
      .where('state', '=', 'building')
      .executeTakeFirst()
    if (numUpdatedRows === 0n) throw begunAnew(jobId)
    await tx.deleteFrom('change_mark').where('job_id', '=', jobId).where('generation', '<>', generation).execute()
  })
}

function droppedNote(dropped: number): string {
  const decisions = dropped === 1 ? 'One decision was' : `${dropped} decisions were`
  return `${decisions} taken on changes that are not the same any more: they are to be taken anew.`
}

export async function removeChunks(
  tools: ChangeSetTools,
  set: Generation & { readonly staging: StagingKind },
): Promise<void> {
  await using chunks = placesOf(tools, set.staging).open(set)
  await chunks.remove()
}

/**
 * Looks whether all of a change set is still there, without reading it: an approval of one that is gone would be of
 * nothing. @throws AppError `not_found`, `wrong_state`, `change_set_lost`, `change_set_expired`, `redis_unavailable`
 */
export async function checkChangeSet(tools: ChangeSetTools, jobId: string): Promise<void> {
  const set = await readyChangeSet(tools, jobId)
  await using chunks = placesOf(tools, set.staging).open(set)
  if ((await chunks.count(set.index.length)) !== set.index.length) throw await lose(tools, set, 'a part of it is gone')
}
