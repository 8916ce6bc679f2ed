/** Dumps as files and as what the store knows of them, together: each is there for both, or is swept. */
import { createGunzip, createZstdDecompress } from 'node:zlib'
import { PassThrough, type Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import {
  beginDump,
  completeDump,
  dropDump,
  dumpTotals,
  growDump,
  isComplete,
  oldestDumps,
  unfinishedDumps,
  withdrawDump,
  type DumpDraft,
  type Withdrawal,
} from '#control/dumps.ts'
import { listExportSchedules } from '#control/schedules.ts'
import { isStoreAway, type Store } from '#control/store.ts'
import type { DumpDirectory, NewFile } from '#dump/directory.ts'
import { MAX_RATIO, type ReadLimits } from '#dump/dump-file.ts'
import { SEALED_MAGIC } from '#dump/sealed.ts'
import { DEFAULT_STATEMENT_BYTES } from '#dump/sql-lexer.ts'
import { toError } from '#lib/assert.ts'
import { addMs, wallMs } from '#lib/clock.ts'
import type { Secret } from '#lib/secret.ts'
import { SYSTEM, type Actor } from '#model/access.ts'
import {
  dumpFileName,
  dumpSuffix,
  formatOf,
  parseHead,
  type Dump,
  type DumpCompression,
  type DumpFacts,
  type DumpHead,
} from '#model/dump.ts'
import { AppError } from '#model/errors.ts'
import { BACKUP_DAYS } from '#model/retention.ts'
import type { DrillPlan } from './drill-newest.ts'

export interface DumpTools {
  readonly store: Store
  readonly directory: DumpDirectory
  /** How long dumps are kept, and in how much room, as it holds now. */
  readonly limits: () => Promise<DumpLimits>
  /** Bytes that a dump which is read may have unpacked. */
  readonly mostUnpackedBytes: number
  /** How new exports are tried by themselves; null: they are not. */
  readonly drills: DrillPlan | null
  readonly newDumpId: () => string
  /** The version of the program. */
  readonly program: string
  /** @throws AppError `secret_unreadable` */
  readonly lookUpPassphrase: (reference: string) => Promise<Secret>
  /** @throws AppError `invalid_request` where nothing can be found there */
  readonly checkPassphrase: (reference: string) => void
}

export interface DumpLimits {
  readonly maxAgeMs: number
  /** Bytes that all dumps together may have. */
  readonly mostBytes: number
  /** Bytes of their disk that are left free. */
  readonly freeBytes: number
}

export interface DumpWriting {
  readonly draft: Omit<DumpDraft, 'id' | 'file'>
  /** What the file's name tells of it. */
  readonly content: Parameters<typeof dumpFileName>[0]['content']
  readonly actor: Actor
  /** What it is one of: where there is no room, the oldest of these go. Without, none goes. */
  readonly rotates?: Rotation
}

/** Exports of one datasource that carry the same. */
export interface Rotation extends Pick<DumpHead, 'content' | 'partial'> {
  readonly datasourceId: string
  /** Told of each that went. */
  readonly onExpired: (file: string) => void
}

/**
 * Writes a file of dumps: `body` gives its bytes. Where that fails, neither file nor entry stays.
 * @throws AppError `dump_space`, `disk_full`, `wrong_state`, and what `body` throws
 */
export async function writeDump(
  tools: DumpTools,
  { draft, content, actor, rotates }: DumpWriting,
  body: (file: NewFile) => Promise<DumpFacts>,
): Promise<Dump> {
  const { store, directory, limits } = tools
  const id = tools.newDumpId()
  const { database, createdAt, compression, sealed } = draft
  const name = { id, database: database ?? 'unknown', createdAt, content }
  const file = dumpFileName(name, dumpSuffix(compression, sealed))
  await beginDump(store, { ...draft, id, file })
  try {
    const { freeBytes } = await limits()
    await using written = await directory.create(file, {
      freeBytes,
      // What somebody sets while a file is written holds for the rest of it.
      grow: async (bytes) => growDump(store, id, { bytes, most: (await limits()).mostBytes }),
      makeRoom: async () => rotates !== undefined && (await expireOldest(tools, rotates)),
    })
    const facts = await body(written)
    const { bytes, sha256 } = await written.complete()
    return await completeDump(store, id, { bytes, sha256, facts, compression, sealed }, actor)
  } catch (error) {
    // Where the store or the disk does not take it, both are swept.
    await giveUp(tools, { id, file }).catch(toError)
    throw error
  }
}

/** A COMMIT that was not answered may have completed the dump: then its file stays. */
async function giveUp({ store, directory }: DumpTools, { id, file }: Pick<Dump, 'id' | 'file'>): Promise<void> {
  if (await isComplete(store, id)) return
  await directory.remove(file)
  await dropDump(store, id)
}

/** Deletes a dump, entry and file. @throws AppError `not_found`, `in_use` */
export async function removeDump({ store, directory }: DumpTools, id: string, withdrawal: Withdrawal): Promise<Dump> {
  const dump = await withdrawDump(store, id, withdrawal)
  await directory.remove(dump.file)
  await dropDump(store, id)
  return dump
}

/**
 * How much of a dump is read.
 * @param trusted whether somebody has said so; the digest of what was written here is held against the file besides
 */
export function limitsOf(
  { origin }: Dump,
  { mostUnpackedBytes: maxBytes }: DumpTools,
  { trusted }: { readonly trusted: boolean },
): ReadLimits {
  const maxRatio = origin === 'upload' && !trusted ? MAX_RATIO : null
  return { maxBytes, maxRatio, maxStatementBytes: DEFAULT_STATEMENT_BYTES }
}

/** A file that nobody has written to for so long is nobody's any more. */
const SILENCE_MS = 60 * 60_000

/**
 * Removes what processes have left that ended in the middle of a file.
 * @param of only what earlier claims of this job have left, however lately
 */
export async function sweepDumps(
  { store, directory }: DumpTools,
  of: { readonly jobId: string; readonly before: number } | null = null,
): Promise<number> {
  let swept = 0
  for (const { id, file, createdAt, isHeld } of await unfinishedDumps(store, of)) {
    if (of === null) {
      const writtenAt = await directory.writtenAt(file)
      const recent = (writtenAt ?? 0) > wallMs() - SILENCE_MS || createdAt > addMs(store.clock.now(), -SILENCE_MS)
      if (isHeld || recent) continue
    }
    await directory.remove(file)
    await dropDump(store, id)
    swept += 1
  }
  return swept
}

/**
 * Of dumps from the oldest on, those that another one stands for: all but the newest, and the newest that is known to work.
 */
function stoodFor(dumps: readonly Dump[]): readonly Dump[] {
  const newest = dumps.at(-1)
  const works = dumps.findLast(({ drill }) => drill?.works === true)
  return dumps.filter((dump) => dump !== newest && dump !== works)
}

/** Makes room for another one. Returns whether one of them could go. */
async function expireOldest(
  tools: DumpTools,
  { datasourceId, content, partial, onExpired }: Rotation,
): Promise<boolean> {
  const alike = (await oldestDumps(tools.store)).filter(({ origin, facts, ...dump }) => {
    const isOfIt = origin === 'export' && dump.datasourceId === datasourceId
    return isOfIt && facts.head?.content === content && facts.head.partial === partial
  })
  for (const { id, file } of stoodFor(alike)) {
    try {
      await removeDump(tools, id, { actor: SYSTEM, action: 'dump.expire' })
      onExpired(file)
      return true
    } catch (error) {
      if (!(error instanceof AppError) || isStoreAway(error.cause)) throw error
    }
  }
  return false
}

/** What is the last of its kind of a datasource that is exported by itself: where exports fail, nothing else would be left. */
async function lastOnes(store: Store, dumps: readonly Dump[]): Promise<ReadonlySet<Dump>> {
  const scheduled = new Set((await listExportSchedules(store)).map(({ of }) => of.id))
  const kinds = Map.groupBy(
    dumps.filter(({ origin, datasourceId }) => origin === 'export' && scheduled.has(datasourceId ?? '')),
    ({ datasourceId, facts: { head } }) => JSON.stringify([datasourceId, head?.content, head?.partial]),
  )
  const gone = new Set([...kinds.values()].flatMap(stoodFor))
  return new Set([...kinds.values()].flat().filter((dump) => !gone.has(dump)))
}

const BACKUP_MS = BACKUP_DAYS * 86_400_000

/**
 * Removes dumps that are too old, and the oldest of those that have too many bytes together, but for backups of this week and for
 * the last exports of what is exported by itself. Returns how many.
 */
export async function expireDumps(tools: DumpTools): Promise<number> {
  const { store, limits } = tools
  const { maxAgeMs, mostBytes } = await limits()
  const now = store.clock.now()
  let { bytes } = await dumpTotals(store, null)
  let expired = 0
  const dumps = await oldestDumps(store)
  const last = await lastOnes(store, dumps)
  for (const dump of dumps) {
    const isOld = dump.createdAt < addMs(now, -maxAgeMs)
    if (!isOld && bytes <= mostBytes) continue
    if (last.has(dump) || (dump.origin === 'backup' && dump.createdAt > addMs(now, -BACKUP_MS))) continue
    try {
      await removeDump(tools, dump.id, { actor: SYSTEM, action: 'dump.expire' })
      bytes -= dump.bytes
      expired += 1
    } catch (error) {
      if (!(error instanceof AppError)) throw error
    }
  }
  return expired
}

/** What is looked at of an upload to tell what it is. */
const HEAD_BYTES = 256 * 1024

const GZIP_MAGIC = Buffer.from([0x1f, 0x8b])
const ZSTD_MAGIC = Buffer.from([0x28, 0xb5, 0x2f, 0xfd])

/**
 * Takes a file that somebody sends. What it is shows in its first bytes.
 * @throws AppError `dump_damaged` for an empty one, `dump_space`
 */
export async function uploadDump(tools: DumpTools, bytes: AsyncIterable<Buffer>, actor: Actor): Promise<Dump> {
  const { store } = tools
  const iterator = bytes[Symbol.asyncIterator]()
  const first = await readFirst(iterator)
  if (first.length === 0) throw new AppError('dump_damaged', 'The file that was sent is empty.')
  const kind = kindOf(first)
  const head = kind.sealed ? null : await headOf(first, kind.compression)
  const draft = {
    origin: 'upload',
    database: head?.database ?? null,
    datasourceId: null,
    writer: null,
    createdBy: actor.name,
    createdAt: store.clock.now(),
    ...kind,
  } as const
  return writeDump(tools, { draft, content: head?.content ?? 'upload', actor }, async (file) => {
    await file.write(first)
    for (let next = await iterator.next(); next.done !== true; next = await iterator.next())
      await file.write(next.value)
    return { head, rows: null, sqlBytes: null, notes: [] }
  })
}

async function readFirst(iterator: AsyncIterator<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = []
  let size = 0
  while (size < HEAD_BYTES) {
    const { done = false, value } = await iterator.next()
    if (done) break
    parts.push(value)
    size += value.length
  }
  return Buffer.concat(parts)
}

function kindOf(first: Buffer): { readonly compression: DumpCompression; readonly sealed: boolean } {
  const begins = (magic: Buffer): boolean => first.subarray(0, magic.length).equals(magic)
  // How a sealed one is packed shows once it is opened; ours are packed so unless somebody wanted it otherwise.
  if (begins(SEALED_MAGIC)) return { compression: 'zstd', sealed: true }
  if (begins(GZIP_MAGIC)) return { compression: 'gzip', sealed: false }
  return { compression: begins(ZSTD_MAGIC) ? 'zstd' : 'none', sealed: false }
}

/** What a dump says of itself; null where it is none of ours. */
async function headOf(first: Buffer, compression: DumpCompression): Promise<DumpHead | null> {
  const text = await beginningOf(first, compression)
  const [line = '', second = ''] = text.split('\n', 2)
  return formatOf(line) === null ? null : parseHead(second)
}

const LINES_BYTES = 64 * 1024

/** The first bytes of SQL that is packed; of a file that is no such thing, none. */
async function beginningOf(first: Buffer, compression: DumpCompression): Promise<string> {
  const unpacking: Transform =
    compression === 'gzip'
      ? createGunzip()
      : compression === 'zstd'
        ? createZstdDecompress()
        : new PassThrough({ highWaterMark: LINES_BYTES })
  const parts: Buffer[] = []
  let size = 0
  await pipeline(
    async function* () {
      yield first
    },
    unpacking,
    async (plain: AsyncIterable<Buffer>) => {
      for await (const chunk of plain) {
        parts.push(chunk)
        size += chunk.length
        if (size >= LINES_BYTES) return
      }
    },
  ).catch(toError)
  return Buffer.concat(parts).toString('utf8')
}
