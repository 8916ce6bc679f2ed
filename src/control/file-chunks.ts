import { chmodSync, closeSync, existsSync, fsyncSync, mkdirSync, openSync, readdirSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { assert } from '#lib/assert.ts'
import type { ChunkPlaces, ChunkStore, Generation } from './chunk-store.ts'
import { guardDisk } from './guard-disk.ts'

const SUFFIX = '.sqlite'
const NAME = /^([\w-]+)\.([\w-]+)\.sqlite$/

/** Chunks in a file per generation, in a folder that is for its user alone. */
export class FileChunkPlaces implements ChunkPlaces {
  readonly #folder: string

  constructor(folder: string) {
    this.#folder = folder
  }

  check(): Promise<void> {
    return Promise.resolve()
  }

  open({ jobId, generation }: Generation): ChunkStore {
    const name = `${jobId}.${generation}${SUFFIX}`
    assert(NAME.test(name), 'the name of a file of chunks')
    return new FileChunks(join(this.#folder, name))
  }

  async *list(): AsyncGenerator<readonly Generation[]> {
    if (!existsSync(this.#folder)) return
    yield await Promise.resolve(
      readdirSync(this.#folder).flatMap((name) => {
        const [, jobId, generation] = NAME.exec(name) ?? []
        return jobId === undefined || generation === undefined ? [] : [{ jobId, generation }]
      }),
    )
  }
}

/** SQLITE_ERROR (no such table), SQLITE_CORRUPT, SQLITE_CANTOPEN, SQLITE_NOTADB: what was put here is not here any more. */
const GONE = [1, 11, 14, 26]

/**
 * Until it is sealed the file counts as nothing, so that it is written without a journal and synced once, at the end:
 * what a crash tears before that is never read.
 */
class FileChunks implements ChunkStore {
  readonly #file: string
  #writer: DatabaseSync | null = null
  #reader: DatabaseSync | null = null

  constructor(file: string) {
    this.#file = file
  }

  async put(n: number, body: Uint8Array): Promise<void> {
    guardDisk(() => {
      this.#writer ??= createFile(this.#file)
      this.#writer.prepare('INSERT INTO chunk VALUES (?, ?)').run(n, body)
    })
    return Promise.resolve()
  }

  async get(n: number): Promise<Uint8Array | null> {
    const row = this.#read((db) => db.prepare('SELECT body FROM chunk WHERE n = ?').get(n))
    const body = row?.['body']
    return Promise.resolve(body instanceof Uint8Array ? body : null)
  }

  async count(total: number): Promise<number> {
    const row = this.#read((db) => db.prepare('SELECT count(*) AS n FROM chunk WHERE n < ?').get(total))
    return Promise.resolve(Number(row?.['n'] ?? 0))
  }

  #read<T>(query: (db: DatabaseSync) => T): T | null {
    if (this.#writer !== null) return query(this.#writer)
    if (!existsSync(this.#file)) return null
    try {
      this.#reader ??= new DatabaseSync(this.#file, { readOnly: true })
      return query(this.#reader)
    } catch (error) {
      const { errcode } = error as { readonly errcode?: number }
      if (errcode !== undefined && GONE.includes(errcode & 0xff)) return null
      throw error
    }
  }

  async flush(): Promise<void> {
    guardDisk(() => {
      this.#writer ??= createFile(this.#file)
      this.#close()
      sync(this.#file)
      sync(dirname(this.#file))
    })
    return Promise.resolve()
  }

  async remove(): Promise<void> {
    this.#close()
    rmSync(this.#file, { force: true })
    return Promise.resolve()
  }

  #close(): void {
    this.#writer?.close()
    this.#reader?.close()
    this.#writer = null
    this.#reader = null
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#close()
    return Promise.resolve()
  }
}

function createFile(file: string): DatabaseSync {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  chmodSync(dirname(file), 0o700)
  // Nobody else may read it at any moment.
  closeSync(openSync(file, 'wx', 0o600))
  const db = new DatabaseSync(file)
  db.exec(`PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -2048;
    CREATE TABLE chunk (n INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT`)
  return db
}

/** Everything that was written to a file, or to the list of files of a folder, is on the disk. */
function sync(path: string): void {
  const handle = openSync(path, 'r')
  try {
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}
