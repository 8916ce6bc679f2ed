import { createWriteStream } from 'node:fs'
import { rm } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { toError } from '#lib/assert.ts'
import { AppError } from '#model/errors.ts'

/**
 * Writes a file that nobody but its owner reads, because it holds rows; of one that is cut short, nothing stays.
 * @throws AppError `usage` where the file cannot be made, or is there already; `disk_full`; `service_unreachable`
 */
export async function writeNew(file: string, pieces: AsyncIterable<Uint8Array>): Promise<number> {
  const stream = createWriteStream(file, { flags: 'wx', mode: 0o600 })
  try {
    await pipeline(Readable.from(pieces), stream)
  } catch (error) {
    const { code, message } = toError(error) as NodeJS.ErrnoException
    if (code !== 'EEXIST') await rm(file, { force: true }).catch(() => undefined)
    if (error instanceof AppError) throw error
    if (code !== undefined && NO_ROOM.includes(code)) {
      throw new AppError(
        'disk_full',
        `The file ${file} cannot be written whole, and no part of it stays: ${message}.`,
        {
          cause: error,
        },
      )
    }
    if (code === undefined || !FILE_TROUBLE.includes(code)) {
      throw new AppError('service_unreachable', `The file was cut short: ${message}.`, { cause: error })
    }
    throw new AppError('usage', `The file ${file} cannot be written: ${message}.`, {
      hint: 'Name a file that is not there yet, in a directory that is.',
    })
  }
  return stream.bytesWritten
}

const FILE_TROUBLE = ['EEXIST', 'ENOENT', 'EACCES', 'EISDIR', 'ENOTDIR', 'EROFS']

/** The disk, somebody's share of it, or what a file of its kind may be. */
const NO_ROOM = ['ENOSPC', 'EDQUOT', 'EFBIG']
