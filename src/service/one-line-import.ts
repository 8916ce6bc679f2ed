/** An import that needs no set-up: a file and a URL, checked, restored and closed again. */
import { constants } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import type { Adapter } from '#adapters/adapter.ts'
import { locateDatabase, openDatabase } from '#adapters/registry.ts'
import { BACKUP_OPTIONS, readBackup, writeBackup } from '#dump/backup.ts'
import { checkDump } from '#dump/check-dump.ts'
import { DumpDirectory, UNBOUNDED } from '#dump/directory.ts'
import { MAX_RATIO, type DumpFile, type ReadDump } from '#dump/dump-file.ts'
import { DumpWriter } from '#dump/dump-writer.ts'
import { importDump, type Backup, type Imported, type Kept } from '#dump/import-dump.ts'
import { planImport, type ImportPlan, type ImportWish } from '#dump/plan-import.ts'
import { DEFAULT_STATEMENT_BYTES } from '#dump/sql-lexer.ts'
import { toError } from '#lib/assert.ts'
import { systemClock } from '#lib/clock.ts'
import { armFailpoint } from '#lib/failpoint.ts'
import { environmentOf } from '#model/environment.ts'
import { AppError } from '#model/errors.ts'
import { WritePermit } from '#model/write-protection.ts'
import { readRunConfig } from './config.ts'
import { freeDumpName, newDumpPath } from './one-line-export.ts'
import { RULES, type OneLineTools, type TargetConsent } from './one-line.ts'
import { readKey, type Reference } from './reference.ts'
import { version } from './version.ts'

export type { Imported } from '#dump/import-dump.ts'
export { planDigest, replacedObjects, type ImportPlan } from '#dump/plan-import.ts'

export interface OneLineImport {
  readonly target: Reference
  readonly file: string
  readonly wish: ImportWish
  /** Where the passphrase is found that the file is sealed with; null: it is not. */
  readonly passphrase: string | null
  /** Where what is replaced is kept; null: nowhere. `auto`: under a name of its own in the working directory. */
  readonly backup: string | null
}

/** Somebody was shown what would be done, by a plan of this digest; null: nobody was. */
export type Agreed = string | null

/** What an import would do. Nothing is opened for writing. @throws AppError as `checkDump`, `planImport`; `usage` */
export async function planImportFrom(request: OneLineImport, signal: AbortSignal): Promise<ImportPlan> {
  await using input = await openInput(request, signal)
  const dump = await checkDump(input.file, { ...input.options, ...request.wish })
  await using target = await openDatabase(request.target.url.reveal(), { write: null, signal })
  return await planImport(target, dump, request.wish)
}

/** @throws AppError `target_protected` before anything is written; as `checkDump`, `planImport` and `importDump` */
export async function importFrom(
  request: OneLineImport,
  consent: TargetConsent & { readonly agreed: Agreed },
  { journal, signal }: OneLineTools,
): Promise<Imported> {
  const { failpoint } = readRunConfig()
  if (failpoint !== null) armFailpoint(failpoint)
  const url = request.target.url.reveal()
  const { address, local } = locateDatabase(url)
  const environment = environmentOf({ local }, consent.environment)
  const write = WritePermit.forNamed({ address, environment }, consent, RULES)
  await using input = await openInput(request, signal)
  const { file, options } = input
  journal.record({ type: 'stage', stage: 'check' })
  // A file that is none is told of before anything that the target could say.
  const dump = await checkDump(file, { ...options, ...request.wish })
  await using target = await openDatabase(url, { write, signal })
  const plan = await planImport(target, dump, request.wish)
  const backup = request.backup
  return await importDump(
    target,
    { file, plan },
    { ...options, ...request.wish },
    {
      journal,
      agreed: consent.agreed,
      backup: backup === null ? null : (kept) => backUp(kept, backup, { target, signal, of: request.target }),
    },
  )
}

interface Input extends AsyncDisposable {
  readonly file: DumpFile
  readonly options: ReadDump
}

/** The file is opened once, so that what is imported is what was checked. */
async function openInput({ file: path, passphrase, wish, backup }: OneLineImport, signal: AbortSignal): Promise<Input> {
  assertNewBackup(backup)
  const { dumpMaxUnpackedBytes: maxBytes } = readRunConfig()
  const maxRatio = wish.trusted ? null : MAX_RATIO
  const limits = { maxBytes, maxRatio, maxStatementBytes: DEFAULT_STATEMENT_BYTES }
  const options = { limits, passphrase: passphrase === null ? null : readKey(passphrase), signal }
  const handle = await open(path, constants.O_RDONLY).catch((error: unknown) => {
    throw new AppError('usage', `${path} cannot be read: ${toError(error).message}.`, { cause: error })
  })
  const file = await fileOf(handle, path)
  return { file, options, [Symbol.asyncDispose]: () => handle.close() }
}

async function fileOf(handle: FileHandle, path: string): Promise<DumpFile> {
  const stat = await handle.stat()
  if (!stat.isFile()) {
    await handle.close()
    throw new AppError('usage', `${path} is no file.`, { hint: 'A dump is read twice: write it into a file first.' })
  }
  return {
    name: basename(path),
    bytes: stat.size,
    read: () => handle.createReadStream({ start: 0, autoClose: false }),
  }
}

/** Looks before anything is opened, and locked. @throws AppError `usage` where the backup may not be called so, or is there */
export function assertNewBackup(wanted: string | null): void {
  if (wanted !== null && wanted !== 'auto') newDumpPath(wanted)
}

/**
 * Keeps what is replaced, reads the file back and checks it.
 * @param wanted its path; `auto`: under a name of its own in the working directory
 */
export async function backUp(
  kept: Kept,
  wanted: string,
  { target, signal, of }: { target: Adapter; signal: AbortSignal; of: Reference },
): Promise<Backup> {
  const path = newDumpPath(wanted === 'auto' ? `backup_${freeDumpName(of, BACKUP_OPTIONS)}` : wanted)
  const directory = new DumpDirectory(dirname(path))
  {
    await using written = await directory.create(basename(path), UNBOUNDED)
    await using writer = await DumpWriter.open(written, { compression: BACKUP_OPTIONS.compression, passphrase: null })
    await writeBackup(target, kept, writer, { clock: systemClock, signal, program: version() })
    await written.complete()
  }
  const discard = (): Promise<void> => directory.remove(basename(path))
  await using handle = await directory.open(basename(path))
  try {
    await readBackup(kept, await fileOf(handle, path), signal)
  } catch (error) {
    await discard().catch(toError)
    throw error
  }
  return { name: path, discard }
}
