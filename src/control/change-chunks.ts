import { createHash } from 'node:crypto'
import { deflateRawSync, inflateRawSync } from 'node:zlib'
import { SealBroken, type SecretBox } from '#lib/secret-box.ts'
import type { Key, Operation } from '#model/change.ts'
import type { ImagedChange } from '#model/change-set.ts'
import type { Row, Value } from '#model/value.ts'

/** Changes as they are kept: chunks of one table each, compressed and sealed, and what is known of them without opening. */

/** What a chunk is bound to: it opens nowhere else. */
export interface ChunkPlace {
  readonly jobId: string
  readonly generation: string
  readonly n: number
}

/** What is known of a chunk without opening it. */
export interface ChunkEntry {
  /** Its number in the order of writing: 0, 1, 2 … */
  readonly n: number
  /** The place of its table in the change set. */
  readonly table: number
  /** The number of its first change. */
  readonly first: number
  readonly count: number
  /** The operations that occur in it. */
  readonly ops: readonly Operation[]
  /** SHA-256 of its body, in base64. */
  readonly digest: string
}

/** The entries by table and then in the order of writing; numbers of changes follow from that. */
export type PackedIndex = readonly (readonly [n: number, table: number, count: number, ops: number, digest: string])[]

const OPS: readonly Operation[] = ['insert', 'update', 'delete']

/** Compression that keeps up with the databases. */
const LEVEL = 3

type PackedValue = string | null | { readonly b: string }

function packRow(row: Row): PackedValue[] {
  return row.map((value) => (value instanceof Uint8Array ? { b: Buffer.from(value).toString('base64') } : value))
}

function unpackRow(row: readonly PackedValue[]): Row {
  return row.map((value): Value => {
    // The same class as a driver gives, and nothing of the pool that buffers are cut from.
    return typeof value === 'object' && value !== null ? new Uint8Array(Buffer.from(value.b, 'base64')) : value
  })
}

/** A row as text from which exactly it is made again: NULL, texts of any code units, bytes. */
export function rowText(row: Row): string {
  return JSON.stringify(packRow(row))
}

export function parseRow(text: string): Row {
  return unpackRow(JSON.parse(text) as PackedValue[])
}

type PackedChange = readonly [
  op: number,
  key: readonly PackedValue[],
  expect: string | null,
  source: string | null,
  bytes: number,
  large: 0 | 1,
  before: readonly PackedValue[] | null,
  after: readonly PackedValue[] | null,
  baseline?: ImagedChange['baseline'],
]

/** One change as it lies in a chunk. */
export function changeText({ op, key, expect, source, bytes, large, before, after, baseline }: ImagedChange): string {
  const packed: PackedChange = [
    OPS.indexOf(op),
    packRow(key),
    expect,
    source,
    bytes,
    large ? 1 : 0,
    before && packRow(before),
    after && packRow(after),
  ]
  return JSON.stringify(baseline === undefined ? packed : [...packed, baseline])
}

function toChange([op, key, expect, source, bytes, large, before, after, baseline]: PackedChange): ImagedChange {
  return {
    op: OPS[op] ?? 'update',
    key: unpackRow(key),
    expect,
    source,
    bytes,
    large: large === 1,
    before: before && unpackRow(before),
    after: after && unpackRow(after),
    ...(baseline === undefined ? {} : { baseline }),
  }
}

const ownerOf = ({ jobId, generation, n }: ChunkPlace): string => `chunk ${jobId} ${generation} ${n}`

/** @param texts as `changeText` makes them */
export function sealChunk(box: SecretBox, place: ChunkPlace, table: number, texts: readonly string[]): Buffer {
  const plain = Buffer.from(`[${table},[${texts.join(',')}]]`, 'utf8')
  return box.sealBytes(deflateRawSync(plain, { level: LEVEL }), ownerOf(place))
}

export function digestOf(body: Uint8Array): string {
  return createHash('sha256').update(body).digest('base64')
}

/** The changes of a chunk; null where it is not the one that the entry speaks of, whole and unchanged. */
export function openChunk(
  box: SecretBox,
  place: Omit<ChunkPlace, 'n'>,
  entry: ChunkEntry,
  body: Uint8Array,
): readonly ImagedChange[] | null {
  if (digestOf(body) !== entry.digest) return null
  try {
    const plain = inflateRawSync(box.openBytes(body, ownerOf({ ...place, n: entry.n })))
    const [table, changes] = JSON.parse(plain.toString('utf8')) as [number, PackedChange[]]
    return table === entry.table && changes.length === entry.count ? changes.map(toChange) : null
  } catch (error) {
    if (error instanceof SealBroken) return null
    throw error
  }
}

/** Numbers changes by table, so that those of one table stand together in whichever order they came. */
export function packIndex(entries: readonly Omit<ChunkEntry, 'first'>[]): PackedIndex {
  return entries
    .toSorted((a, b) => a.table - b.table || a.n - b.n)
    .map(({ n, table, count, ops, digest }) => [n, table, count, maskOf(ops), digest])
}

export function unpackIndex(packed: PackedIndex): readonly ChunkEntry[] {
  let first = 1
  return packed.map(([n, table, count, mask, digest]) => {
    const entry = { n, table, first, count, ops: OPS.filter((_, i) => (mask & (1 << i)) !== 0), digest }
    first += count
    return entry
  })
}

function maskOf(ops: readonly Operation[]): number {
  return ops.reduce((mask, op) => mask | (1 << OPS.indexOf(op)), 0)
}

/** What a decision is bound to: the row, and what was to be done to it from which state to which. */
export function bindingOf({ op, key, expect, source }: Omit<ImagedChange, 'before' | 'after'>): {
  readonly keyHash: string
  readonly changeDigest: string
} {
  return { keyHash: keyHash(key), changeDigest: sha256(JSON.stringify([op, expect, source])) }
}

function keyHash(key: Key): string {
  return sha256(rowText(key))
}

function sha256(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('hex')
}
