/** An export that needs no set-up: a URL, opened, written into a file and closed again. */
import { existsSync } from 'node:fs'
import { basename, dirname, resolve } from 'node:path'
import { locateDatabase, openDatabase } from '#adapters/registry.ts'
import { DumpDirectory, isDumpName, UNBOUNDED } from '#dump/directory.ts'
import { DumpWriter } from '#dump/dump-writer.ts'
import { exportDatabase, type Exported } from '#dump/export-database.ts'
import { systemClock } from '#lib/clock.ts'
import { armFailpoint } from '#lib/failpoint.ts'
import { dumpFileName, dumpSuffix, type ExportOptions } from '#model/dump.ts'
import { AppError } from '#model/errors.ts'
import { readRunConfig } from './config.ts'
import type { OneLineTools } from './one-line.ts'
import { readKey, type Reference } from './reference.ts'
import { version } from './version.ts'

export interface OneLineExport {
  readonly source: Reference
  readonly options: ExportOptions
  /** Where the dump is written; null: under a name of its own in the working directory. */
  readonly file: string | null
}

export interface ExportedFile extends Exported {
  readonly file: string
  /** Of the file. */
  readonly packedBytes: number
  readonly sha256: string
}

/** @throws AppError `usage` where the file cannot be made; as `exportDatabase` */
export async function exportToFile(
  { source, options, file }: OneLineExport,
  { journal, signal }: OneLineTools,
): Promise<ExportedFile> {
  const { failpoint } = readRunConfig()
  if (failpoint !== null) armFailpoint(failpoint)
  const passphrase = options.passphrase === null ? null : readKey(options.passphrase)
  const path = newDumpPath(file ?? freeDumpName(source, options))
  const directory = new DumpDirectory(dirname(path))
  await using written = await directory.create(basename(path), UNBOUNDED)
  await using adapter = await openDatabase(source.url.reveal(), { write: null, signal })
  await using writer = await DumpWriter.open(written, { compression: options.compression, passphrase })
  const exported = await exportDatabase(adapter, options, writer, {
    journal,
    clock: systemClock,
    signal,
    program: version(),
  })
  const { bytes, sha256 } = await written.complete()
  return { ...exported, file: path, packedBytes: bytes, sha256 }
}

/** A name that tells of which database a dump is, and when it was made. */
export function freeDumpName({ url }: Reference, { content, compression, passphrase }: ExportOptions): string {
  const createdAt = systemClock.now()
  const database = locateDatabase(url.reveal()).address.split('/').at(-1) ?? ''
  const id = createdAt.slice(-5, -1)
  return dumpFileName({ id, database, createdAt, content }, dumpSuffix(compression, passphrase !== null))
}

/**
 * Where a new file is to lie.
 * @throws AppError `usage` where it may not be called so, or is there
 */
export function newDumpPath(given: string): string {
  const path = resolve(given)
  const name = basename(path)
  if (!isDumpName(name)) {
    throw new AppError('usage', `${name} is no name for a dump.`, {
      hint: 'A name of letters, digits, dots, dashes and underscores, such as shop.sql.zst.',
    })
  }
  if (existsSync(path)) {
    throw new AppError('usage', `${path} is there already.`, { hint: 'Name a file that is not there yet.' })
  }
  return path
}
