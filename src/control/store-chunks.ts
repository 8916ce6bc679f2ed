import type { ChunkPlaces, ChunkStore, Generation } from './chunk-store.ts'
import type { Store } from './store.ts'

/** Chunks in the control store itself, where that is on PostgreSQL: every machine that runs jobs reaches it. */
export class StoreChunkPlaces implements ChunkPlaces {
  readonly #store: Store

  constructor(store: Store) {
    this.#store = store
  }

  check(): Promise<void> {
    return Promise.resolve()
  }

  open(set: Generation): ChunkStore {
    return new StoreChunks(this.#store, set)
  }

  async *list(): AsyncGenerator<readonly Generation[]> {
    const rows = await this.#store.db.selectFrom('staged_chunk').select(['job_id', 'generation']).distinct().execute()
    yield rows.map(({ job_id: jobId, generation }) => ({ jobId, generation }))
  }
}

class StoreChunks implements ChunkStore {
  readonly #store: Store
  readonly #set: Generation

  constructor(store: Store, set: Generation) {
    this.#store = store
    this.#set = set
  }

  async put(n: number, body: Uint8Array): Promise<void> {
    const { jobId, generation } = this.#set
    await this.#store.db.insertInto('staged_chunk').values({ job_id: jobId, generation, n, body }).execute()
  }

  async get(n: number): Promise<Uint8Array | null> {
    const row = await this.#select().select('body').where('n', '=', n).executeTakeFirst()
    if (row === undefined) return null
    // The text of a bytea: \x and hex digits.
    return typeof row.body === 'string' ? Buffer.from(row.body.slice(2), 'hex') : row.body
  }

  async count(total: number): Promise<number> {
    const row = await this.#select()
      .select((select) => select.fn.countAll().as('n'))
      .where('n', '<', total)
      .executeTakeFirst()
    return Number(row?.n ?? 0)
  }

  #select() {
    const { jobId, generation } = this.#set
    return this.#store.db.selectFrom('staged_chunk').where('job_id', '=', jobId).where('generation', '=', generation)
  }

  /** Each chunk was committed when it was put. */
  flush(): Promise<void> {
    return Promise.resolve()
  }

  async remove(): Promise<void> {
    const { jobId, generation } = this.#set
    await this.#store.db
      .deleteFrom('staged_chunk')
      .where('job_id', '=', jobId)
      .where('generation', '=', generation)
      .execute()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Nothing is held open.
  }
}
