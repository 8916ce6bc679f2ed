import { randomBytes } from 'node:crypto'
import type { ChunkPlaces, ChunkStore, Generation } from './chunk-store.ts'
import type { RedisLink } from './redis-link.ts'
import { judgeRedis, readFacts } from './redis-facts.ts'
import type { Store } from './store.ts'

/** The key of `store_meta` under which an installation has its name among those that share a Redis. */
const META_KEY = 'installation'
const NAME_BYTES = 8
const SCAN_COUNT = 1_000

/**
 * Chunks in a Redis: a hash per generation, so that one is there or gone as a whole. Nothing here expires: what is left
 * behind is swept. Redis may lose any of it at any time, which is noticed where it is counted, read or sealed.
 */
export class RedisChunkPlaces implements ChunkPlaces {
  readonly #link: RedisLink
  readonly #store: Store
  #prefix: Promise<string> | null = null

  constructor(link: RedisLink, store: Store) {
    this.#link = link
    this.#store = store
  }

  /** @throws AppError `redis_unsuitable` where it could evict what is kept, `staging_full`, `redis_unavailable` */
  async check(): Promise<void> {
    const verdict = judgeRedis(await this.#link.ask(readFacts))
    const fault = verdict.find(({ error }) => error !== null)?.error
    if (fault) throw fault
  }

  open(set: Generation): ChunkStore {
    return new RedisChunks(this.#link, async () => `${await this.#own()}${set.jobId}:${set.generation}`)
  }

  async *list(): AsyncGenerator<readonly Generation[]> {
    const prefix = await this.#own()
    let cursor = '0'
    do {
      const [next, keys] = await this.#link.ask((redis) =>
        redis.scan(cursor, 'MATCH', `${prefix}*`, 'COUNT', SCAN_COUNT),
      )
      yield keys.flatMap((key) => {
        const [jobId, generation, ...more] = key.slice(prefix.length).split(':')
        return jobId === undefined || generation === undefined || more.length > 0 ? [] : [{ jobId, generation }]
      })
      cursor = next
    } while (cursor !== '0')
  }

  #own(): Promise<string> {
    this.#prefix ??= installationName(this.#store).then((name) => `syncline:${name}:change-set:`)
    this.#prefix.catch(() => (this.#prefix = null))
    return this.#prefix
  }
}

/** Several installations may share a Redis: none takes the keys of another for its own. */
async function installationName(store: Store): Promise<string> {
  await store.db
    .insertInto('store_meta')
    .values({ key: META_KEY, value: randomBytes(NAME_BYTES).toString('hex') })
    .onConflict((conflict) => conflict.column('key').doNothing())
    .execute()
  const row = await store.db
    .selectFrom('store_meta')
    .select('value')
    .where('key', '=', META_KEY)
    .executeTakeFirstOrThrow()
  return row.value
}

class RedisChunks implements ChunkStore {
  readonly #link: RedisLink
  readonly #key: () => Promise<string>

  constructor(link: RedisLink, key: () => Promise<string>) {
    this.#link = link
    this.#key = key
  }

  async put(n: number, body: Uint8Array): Promise<void> {
    const key = await this.#key()
    const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
    await this.#link.ask((redis) => redis.hset(key, String(n), bytes))
  }

  async get(n: number): Promise<Uint8Array | null> {
    const key = await this.#key()
    return this.#link.ask((redis) => redis.hgetBuffer(key, String(n)))
  }

  async count(): Promise<number> {
    const key = await this.#key()
    return this.#link.ask((redis) => redis.hlen(key))
  }

  /** As durable as Redis is set up to be: what it loses is computed again. */
  async flush(): Promise<void> {
    return Promise.resolve()
  }

  async remove(): Promise<void> {
    const key = await this.#key()
    await this.#link.ask((redis) => redis.unlink(key))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // The link is shared, and ended by whoever made it.
  }
}
