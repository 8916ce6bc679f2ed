/** The directory of dumps: files for our user alone, under names that we make, which are there whole or not at all. */
import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { lstat, mkdir, open, realpath, rename, rm, statfs, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { toError } from '#lib/assert.ts'
import { formatBytes } from '#lib/amounts.ts'
import { failpoint } from '#lib/failpoint.ts'
import { AppError } from '#model/errors.ts'

/** What a file may take up. */
export interface FileRoom {
  /** Bytes of the disk that are left free. */
  readonly freeBytes: number
  /** Asked for leave to have so many bytes, now and then and at the end. */
  readonly grow: (bytes: number) => Promise<void>
  /** Asked where there is not as much: whether something else has gone for it. */
  readonly makeRoom?: () => Promise<boolean>
}

/** Of a file in a directory of somebody's own: as much as the disk has. */
export const UNBOUNDED: FileRoom = { freeBytes: 0, grow: () => Promise.resolve() }

/** Letters, digits and a few marks: no name leads out of the directory, or hides in it (S38). */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$/

/** Whether a file of the directory may be called so. */
export function isDumpName(name: string): boolean {
  return NAME.test(name)
}

/** The space is looked at after so many bytes. */
const LOOK_BYTES = 16 * 1024 * 1024

export class DumpDirectory {
  readonly #path: string

  constructor(path: string) {
    this.#path = path
  }

  /**
   * A new file, which has its name once it is complete.
   * @throws AppError `dump_space`, `disk_full`; `usage` where another one of the name is under way, or has left its digest
   */
  async create(name: string, { freeBytes, grow, makeRoom }: FileRoom): Promise<NewFile> {
    const path = await this.#fileIn(name)
    await this.#withRoom(() => this.#refuseFull(freeBytes), makeRoom)
    await refuseDigest(path)
    const partial = partialOf(path)
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW
    const handle = await open(partial, flags, 0o600).catch((error: unknown) => {
      const { code } = toError(error) as NodeJS.ErrnoException
      if (code !== 'EEXIST') throw asDiskError(error)
      throw new AppError(
        'usage',
        `${partial} is there already: somebody writes ${name}, or was killed while doing so.`,
        {
          hint: 'Delete that file if nobody writes it any more, or choose another name.',
          cause: error,
        },
      )
    })
    const look = (bytes: number): Promise<void> =>
      this.#withRoom(async () => {
        await grow(bytes)
        await this.#refuseFull(freeBytes)
      }, makeRoom)
    return new NewFile({ handle, partial, path, name, look })
  }

  /** A complete file, to be read. @throws AppError `dump_missing` */
  async open(name: string): Promise<FileHandle> {
    const path = await this.#fileIn(name)
    try {
      const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW)
      if ((await handle.stat()).isFile()) return handle
      await handle.close()
    } catch (error) {
      throw new AppError('dump_missing', `The file ${name} cannot be read: ${toError(error).message}.`, {
        cause: error,
      })
    }
    throw new AppError('dump_missing', `${name} is no file.`)
  }

  /** Removes a file, complete or not; none is fine. */
  async remove(name: string): Promise<void> {
    const path = await this.#fileIn(name)
    for (const each of [path, partialOf(path), digestOf(path)]) await rm(each, { force: true })
  }

  /** When the part of a file was last written to, in milliseconds since 1970; null where there is none. */
  async writtenAt(name: string): Promise<number | null> {
    const path = await this.#fileIn(name)
    return lstat(partialOf(path)).then(
      ({ mtimeMs }) => mtimeMs,
      () => null,
    )
  }

  /** The path of a file, inside of the directory as it really is. */
  async #fileIn(name: string): Promise<string> {
    if (!isDumpName(name)) throw new AppError('internal', 'A dump has a name that we do not make.')
    try {
      await mkdir(this.#path, { recursive: true, mode: 0o700 })
      return join(await realpath(this.#path), name)
    } catch (error) {
      throw asDiskError(error)
    }
  }

  async #withRoom(look: () => Promise<void>, makeRoom: FileRoom['makeRoom']): Promise<void> {
    for (;;) {
      try {
        return await look()
      } catch (error) {
        if (!(error instanceof AppError) || error.code !== 'dump_space' || (await makeRoom?.()) !== true) throw error
      }
    }
  }

  async #refuseFull(freeBytes: number): Promise<void> {
    const { bavail, bsize } = await statfs(this.#path)
    const free = bavail * bsize
    if (free >= freeBytes) return
    throw new AppError(
      'dump_space',
      `The disk of the dumps has ${formatBytes(free)} left; ${formatBytes(freeBytes)} are to stay free.`,
    )
  }
}

function partialOf(path: string): string {
  return `${path}.part`
}

function digestOf(path: string): string {
  return `${path}.sha256`
}

interface Parts {
  readonly handle: FileHandle
  readonly partial: string
  readonly path: string
  readonly name: string
  readonly look: (bytes: number) => Promise<void>
}

/** A file that is being written. Without `complete` nothing of it stays. */
export class NewFile implements AsyncDisposable {
  readonly #parts: Parts
  readonly #digest = createHash('sha256')
  #bytes = 0
  #lookAt = LOOK_BYTES
  #isComplete = false
  #hasDigest = false

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /** @throws AppError `dump_space`, `disk_full` */
  async write(chunk: Uint8Array): Promise<void> {
    const { handle, look } = this.#parts
    this.#bytes += chunk.length
    if (this.#bytes >= this.#lookAt) {
      this.#lookAt = this.#bytes + LOOK_BYTES
      await look(this.#lookAt)
    }
    this.#digest.update(chunk)
    try {
      for (let at = 0; at < chunk.length;) at += (await handle.write(chunk, at)).bytesWritten
    } catch (error) {
      throw asDiskError(error)
    }
  }

  /** Gives the file its name, once all of it is on the disk. Its digest lies beside it, as sha256sum checks it. */
  async complete(): Promise<{ readonly bytes: number; readonly sha256: string }> {
    const { handle, partial, path, name } = this.#parts
    const sha256 = this.#digest.digest('hex')
    await this.#parts.look(this.#bytes)
    try {
      failpoint('dump.sync')
      await handle.sync()
      await handle.close()
      await writeDigest(digestOf(path), `${sha256}  ${name}\n`)
      this.#hasDigest = true
      failpoint('dump.rename')
      await rename(partial, path)
      this.#isComplete = true
      await syncFolder(join(path, '..'))
    } catch (error) {
      throw asDiskError(error)
    }
    return { bytes: this.#bytes, sha256 }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isComplete) return
    const { handle, partial, path } = this.#parts
    await handle.close().catch(() => undefined)
    await rm(partial, { force: true }).catch(() => undefined)
    if (this.#hasDigest) await rm(digestOf(path), { force: true }).catch(() => undefined)
  }
}

/** A file of somebody else's is neither overwritten nor taken away. */
async function refuseDigest(path: string): Promise<void> {
  const digest = digestOf(path)
  const isThere = await lstat(digest).then(
    () => true,
    () => false,
  )
  if (!isThere) return
  throw new AppError('usage', `${digest} is there already, where the digest of the file would lie.`, {
    hint: 'Delete it if nobody needs it, or choose another name.',
  })
}

async function writeDigest(path: string, text: string): Promise<void> {
  await using handle = await open(path, 'wx', 0o600)
  await handle.writeFile(text)
  await handle.sync()
}

async function syncFolder(path: string): Promise<void> {
  await using handle = await open(path, constants.O_RDONLY)
  await handle.sync()
}

function asDiskError(thrown: unknown): Error {
  const error = toError(thrown)
  const code = 'code' in error ? error.code : undefined
  if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG') {
    return new AppError('disk_full', `The disk of the dumps takes no more: ${error.message}.`, {
      cause: error,
      hint: 'Free space, then do the same again: nothing of the file stays.',
    })
  }
  if (code === 'EACCES' || code === 'EROFS' || code === 'ENOTDIR' || code === 'ELOOP' || code === 'EPERM') {
    return new AppError('invalid_setting', `The directory of dumps cannot be written: ${error.message}.`, {
      cause: error,
      hint: 'Set DUMP_DIRECTORY to a directory that the service may write.',
    })
  }
  return error
}
