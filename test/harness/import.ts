/** Dumps imported by the product, in the test's own process. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

import { openDatabase } from '#adapters/registry.ts'
import { checkDump } from '#dump/check-dump.ts'
import { MAX_RATIO, type DumpFile, type ReadDump } from '#dump/dump-file.ts'
import { importDump, type Backup, type Imported, type ImportTools } from '#dump/import-dump.ts'
import { planImport, type ImportPlan, type ImportWish } from '#dump/plan-import.ts'
import { DEFAULT_STATEMENT_BYTES } from '#dump/sql-lexer.ts'
import { AppError } from '#model/errors.ts'
import type { RunEvent } from '#sync/journal.ts'

import type { Database } from './database.ts'
import { needProgram } from './debian.ts'
import { permitWrite } from './permit.ts'

export interface ImportHooks extends Partial<ImportWish>, Partial<ReadDump> {
  readonly onEvent?: (event: RunEvent) => void
  readonly backup?: ImportTools['backup']
  /** Another login than the test's own. */
  readonly url?: string
}

/** The login of the tests is a superuser, and they trust what they have written. */
const WISH: ImportWish = { replace: false, swap: false, trusted: true, owners: true, grants: true }

/** Of a test that looks at what is kept while it is kept. */
export const KEPT: Backup = { name: 'kept', discard: () => Promise.reject(new Error('What was replaced is kept.')) }

/** Bytes as a file, in chunks of so many. */
export function fileOf(bytes: Buffer | string, chunk = 64 * 1024, name = 'test.sql'): DumpFile {
  const whole = Buffer.from(bytes)
  return {
    name,
    bytes: whole.length,
    async *read() {
      for (let at = 0; at < whole.length; at += chunk) yield whole.subarray(at, at + chunk)
    },
  }
}

export function readOptions(hooks: Partial<ReadDump> = {}): ReadDump {
  const limits = { maxBytes: 1 << 30, maxRatio: MAX_RATIO, maxStatementBytes: DEFAULT_STATEMENT_BYTES }
  return { limits, passphrase: null, signal: new AbortController().signal, ...hooks }
}

export async function plan(db: Pick<Database, 'url'>, file: DumpFile, hooks: ImportHooks = {}): Promise<ImportPlan> {
  const options = readOptions(hooks)
  const wish = { ...WISH, ...hooks }
  const dump = await checkDump(file, { ...options, ...wish })
  await using adapter = await openDatabase(hooks.url ?? db.url, { write: null, signal: options.signal })
  return await planImport(adapter, dump, wish)
}

export async function importInto(
  db: Pick<Database, 'url'>,
  file: DumpFile | string | Buffer,
  hooks: ImportHooks = {},
): Promise<Imported> {
  const options = readOptions(hooks)
  const wish = { ...WISH, ...hooks }
  const url = hooks.url ?? db.url
  const source = typeof file === 'string' || Buffer.isBuffer(file) ? fileOf(file) : file
  const dump = await checkDump(source, { ...options, ...wish })
  await using adapter = await openDatabase(url, { write: permitWrite(url), signal: options.signal })
  const planned = await planImport(adapter, dump, wish)
  const journal = { record: (event: RunEvent): void => hooks.onEvent?.(event) }
  const tools = { journal, backup: hooks.backup ?? null }
  return await importDump(adapter, { file: source, plan: planned }, { ...options, ...wish }, tools)
}

/** The error that an import ends with. */
export async function refusal(work: Promise<unknown>): Promise<AppError> {
  try {
    await work
  } catch (error) {
    if (error instanceof AppError) return error
    throw error
  }
  throw new Error('Nothing was refused.')
}

const run = promisify(execFile)

/** A file of the server's own pg_dump, as it is. */
export async function pgDump({ url }: Pick<Database, 'url'>, args: readonly string[] = []): Promise<string> {
  const program = await needProgram(['/usr/lib/postgresql/15/bin/pg_dump', 'pg_dump'], 'postgresql-client')
  const { stdout } = await run(program, [...args, '-d', url], { maxBuffer: 1 << 30 })
  return stdout
}

/** Without the key that each file has for itself. */
export function withoutKey(dump: string): string {
  const key = /^\\restrict (\w+)$/m.exec(dump)?.[1]
  return key === undefined ? dump : dump.replaceAll(key, 'KEY')
}
