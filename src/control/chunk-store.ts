/** Where the chunks of one generation of a change set are kept. A chunk that was put never changes. */
export interface ChunkStore extends AsyncDisposable {
  /** @throws AppError `disk_full`, `staging_full`, `redis_unavailable` */
  put(n: number, body: Uint8Array): Promise<void>
  /** Null where there is no such chunk. @throws AppError `redis_unavailable` where nobody can tell */
  get(n: number): Promise<Uint8Array | null>
  /** How many there are of the chunks 0 … `total` - 1. */
  count(total: number): Promise<number>
  /** What was put is as durable as the place can make it. */
  flush(): Promise<void>
  /** Removes all of them. */
  remove(): Promise<void>
}

/** A generation of a job's change set. */
export interface Generation {
  readonly jobId: string
  readonly generation: string
}

/** A kind of place for chunks. */
export interface ChunkPlaces {
  /** Looks whether a change set may begin here. @throws AppError with the reason where it may not */
  check(): Promise<void>
  open(set: Generation): ChunkStore
  /** All generations of which something is kept here. */
  list(): AsyncIterable<readonly Generation[]>
}
