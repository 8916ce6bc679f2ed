/** Dumps as a stranger looks at them: exported by the product, restored by psql, compared by pg_dump. */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gunzipSync, zstdDecompressSync } from 'node:zlib'

import { openDatabase, type DatabasePlace } from '#adapters/registry.ts'
import { DumpWriter } from '#dump/dump-writer.ts'
import { exportDatabase, type Exported } from '#dump/export-database.ts'
import type { Kept } from '#dump/import-dump.ts'
import { systemClock } from '#lib/clock.ts'
import type { Secret } from '#lib/secret.ts'
import { DEFAULT_EXPORT, parseSeal, SEAL_BYTES, type ExportOptions } from '#model/dump.ts'
import type { RunEvent } from '#sync/journal.ts'

import type { Database } from './database.ts'
import { needProgram } from './debian.ts'

const run = promisify(execFile)
const MAX_OUTPUT_BYTES = 1 << 30

export interface Dumped extends Exported {
  /** The file. */
  readonly packed: Buffer
  /** Its SQL. */
  readonly sql: string
  readonly events: readonly RunEvent[]
}

export interface DumpTools {
  readonly passphrase?: Secret
  readonly signal?: AbortSignal
  /** What is kept before a restore, in place of what the options say. */
  readonly kept?: Kept
  /** Called when rows have come. */
  readonly onBytes?: () => void
}

/** Exports a database by the product: by its URL, or as a datasource of another kind than the URL tells. */
export async function dump(
  { url, place = url }: Pick<Database, 'url'> & { readonly place?: DatabasePlace },
  options: Partial<ExportOptions> = {},
  { passphrase, signal = new AbortController().signal, kept, onBytes }: DumpTools = {},
): Promise<Dumped> {
  const wanted = { ...DEFAULT_EXPORT, ...options }
  const chunks: Buffer[] = []
  const events: RunEvent[] = []
  await using adapter = await openDatabase(place, { write: null, signal })
  const sink = { write: async (chunk: Uint8Array) => void chunks.push(Buffer.from(chunk)) }
  await using writer = await DumpWriter.open(sink, { compression: wanted.compression, passphrase: passphrase ?? null })
  const exported = await exportDatabase(adapter, wanted, writer, {
    journal: {
      record: (event) => {
        events.push(event)
        if (event.type === 'progress') onBytes?.()
      },
    },
    clock: systemClock,
    signal,
    program: 'test',
    ...(kept === undefined ? {} : { kept }),
  })
  const packed = Buffer.concat(chunks)
  const sql = passphrase === undefined ? unpack(packed, wanted.compression).toString('utf8') : ''
  return { ...exported, packed, sql, events }
}

export function unpack(packed: Buffer, compression: ExportOptions['compression']): Buffer {
  if (compression === 'gzip') return gunzipSync(packed)
  return compression === 'zstd' ? zstdDecompressSync(packed) : packed
}

/** Whether a dump is whole, by its last two lines alone. */
export function isWhole(sql: Buffer): boolean {
  const digest = parseSeal(sql.subarray(-SEAL_BYTES).toString('utf8'))
  return digest !== null && digest === createHash('sha256').update(sql.subarray(0, -SEAL_BYTES)).digest('hex')
}

/** Restores SQL by psql, in one transaction, at the first error of which it stops. @throws Error with what psql says */
export async function restoreByPsql({ url }: Pick<Database, 'url'>, sql: string | Buffer): Promise<void> {
  const psql = await needProgram(['psql'], 'postgresql-client')
  const folder = mkdtempSync(join(tmpdir(), 'syncline-psql-'))
  const file = join(folder, 'dump.sql')
  try {
    writeFileSync(file, sql)
    const args = ['-X', '-q', '-v', 'ON_ERROR_STOP=1', '--single-transaction', '-d', url, '-f', file]
    await run(psql, args, { maxBuffer: MAX_OUTPUT_BYTES })
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** What the server's own pg_dump says of a database, without what differs from one run to the next. */
export async function nativeDump({ url }: Pick<Database, 'url'>, args: readonly string[] = []): Promise<string> {
  const pgDump = await needProgram(['/usr/lib/postgresql/15/bin/pg_dump', 'pg_dump'], 'postgresql-client')
  const { stdout } = await run(pgDump, [...args, '-d', url], { maxBuffer: MAX_OUTPUT_BYTES })
  return stdout.replaceAll(/^\\(un)?restrict .*$/gm, '')
}
