/** What is kept before a restore: exactly what that replaces, so that it comes back in one step, whatever is beside it. */
import type { Adapter } from '#adapters/adapter.ts'
import { DEFAULT_EXPORT } from '#model/dump.ts'
import { AppError } from '#model/errors.ts'
import { objectName, tableName } from '#model/table.ts'
import { checkDump } from './check-dump.ts'
import type { DumpFile } from './dump-file.ts'
import type { DumpWriter } from './dump-writer.ts'
import { exportDatabase, type Exported, type ExportTools } from './export-database.ts'
import type { Kept } from './import-dump.ts'
import { DEFAULT_STATEMENT_BYTES } from './sql-lexer.ts'

/** Whatever is kept, its owner and who may do what with it are too. */
export const BACKUP_OPTIONS = { ...DEFAULT_EXPORT, owners: true, grants: true }

/** @throws AppError as `exportDatabase`; `backup_failed` */
export async function writeBackup(
  target: Adapter,
  kept: Kept,
  writer: DumpWriter,
  tools: Pick<ExportTools, 'clock' | 'signal' | 'program'>,
): Promise<Exported> {
  const journal = { record: () => undefined }
  try {
    return await exportDatabase(target, BACKUP_OPTIONS, writer, { ...tools, journal, kept })
  } catch (error) {
    throw ofBackup(error, kept)
  }
}

/** A backup that cannot be restored is none. @throws AppError `backup_failed` */
export async function readBackup(kept: Kept, file: DumpFile, signal: AbortSignal): Promise<void> {
  const limits = { maxBytes: Number.MAX_SAFE_INTEGER, maxRatio: null, maxStatementBytes: DEFAULT_STATEMENT_BYTES }
  const reading = { limits, passphrase: null, signal, owners: true, grants: true, trusted: true }
  try {
    await checkDump(file, reading)
  } catch (error) {
    throw ofBackup(error, kept)
  }
}

/** Of these the words are about a file that somebody brings, or about a fault of the program. */
const OTHER_WORDS: readonly string[] = ['internal', 'dump_refused', 'dump_unfit', 'dump_damaged', 'not_a_dump']

function ofBackup(error: unknown, { replaced }: Kept): unknown {
  if (!(error instanceof AppError)) return error
  const { code, hint, retry, message: why } = error
  const message = `What would be replaced (${namesOf(replaced)}) could not be kept, and was not replaced: ${why}`
  if (OTHER_WORDS.includes(code)) return new AppError('backup_failed', message, { cause: error })
  return new AppError(code, message, { hint, retry, cause: error })
}

const MOST_NAMED = 5

function namesOf({ drop, empty, sequences }: Kept['replaced']): string {
  const names = [...drop.map(objectName), ...[...empty, ...sequences].map(tableName)]
  const more = names.length > MOST_NAMED ? ` and ${names.length - MOST_NAMED} more` : ''
  return `${names.slice(0, MOST_NAMED).join(', ')}${more}`
}
