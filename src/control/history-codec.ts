import { hash } from 'node:crypto'
import { promisify } from 'node:util'
import { zstdCompress, zstdDecompress } from 'node:zlib'
import { SealBroken, type SecretBox } from '#lib/secret-box.ts'
import type { Key, Operation } from '#model/change.ts'
import type { KeptAgreement } from '#model/conflict.ts'
import { tableId, type TableRef } from '#model/table.ts'
import type { Row, Value } from '#model/value.ts'
import type { WrittenChange } from '#sync/history.ts'
import type { HistoryBatchRow } from './schema.ts'

/** How the changes of a batch are kept: as JSON, compressed, then sealed. */

const compress = promisify(zstdCompress)
const decompress = promisify(zstdDecompress)

/** Texts and NULL stand for themselves, bytes as an object, which no value is. */
type CodedValue = string | null | { readonly base64: string }
export type CodedRow = readonly CodedValue[]
type CodedImage = readonly [
  before: CodedRow | null,
  after: CodedRow | null,
  baseline: KeptAgreement | null,
  large: boolean,
]
type CodedChange = readonly [op: Operation, key: CodedRow, image?: CodedImage]

/** What is in a body. A load has no changes, and a digest. */
export interface HistoryBody {
  readonly changes: readonly WrittenChange[]
  readonly digest: string | null
}

/** Compressed, and not yet sealed. */
export function packBody({ changes, digest }: HistoryBody): Promise<Buffer> {
  return compress(Buffer.from(JSON.stringify({ changes: changes.map(encodeChange), digest }), 'utf8'))
}

/** @throws Error where it is not what `packBody` made */
async function unpackBody(packed: Uint8Array): Promise<HistoryBody> {
  const text = (await decompress(packed)).toString('utf8')
  const { changes, digest } = JSON.parse(text) as { changes: readonly CodedChange[]; digest: string | null }
  return { changes: changes.map(decodeChange), digest }
}

type Facts = Omit<HistoryBatchRow, 'body' | 'sealed_by'>

/** What the body of a batch belongs to: all that stands beside it, so that none of that can be changed unnoticed. */
function ownerOf(row: Facts): string {
  return JSON.stringify([
    'history',
    row.id,
    row.job_id,
    row.config_id,
    row.source_datasource_id,
    row.target_datasource_id,
    row.mapping_id,
    row.mapping_hash,
    row.target_table,
    row.key_columns,
    row.image_columns,
    row.batch,
    row.kind,
    row.row_count,
    row.inserted,
    row.updated,
    row.deleted,
    row.at,
  ])
}

export function sealBody(box: SecretBox, packed: Uint8Array, facts: Facts): HistoryBatchRow {
  return { ...facts, sealed_by: box.keyId, body: box.sealBytes(packed, ownerOf(facts)) }
}

/** Null where the key that sealed it is not known any more, or the row is not what it was when it was sealed. */
export async function openBody(box: SecretBox, row: HistoryBatchRow): Promise<HistoryBody | null> {
  try {
    return await unpackBody(box.openBytes(row.body, ownerOf(row)))
  } catch (error) {
    if (error instanceof SealBroken) return null
    throw error
  }
}

/** The same, sealed with the key that seals now. @throws SealBroken */
export function resealBody(box: SecretBox, row: HistoryBatchRow): HistoryBatchRow {
  return sealBody(box, box.openBytes(row.body, ownerOf(row)), row)
}

const HASH_BYTES = 6

/**
 * By which the changes of one key are found: 48 bits of a SHA-256, which every number holds exactly. Two keys may share
 * one; whoever looks a key up compares it with what was kept.
 */
export function keyHash(target: TableRef, key: Key): number {
  const text = JSON.stringify([tableId(target), key.map(encodeValue)])
  return hash('sha256', text, 'buffer').readUIntBE(0, HASH_BYTES)
}

/** Batches whose keys lie together in the index. A key is looked up in each part that holds a batch of its table. */
export const PART = 64

export function partOf(batchId: number): number {
  return Math.floor(batchId / PART)
}

export function sameKey(a: Key, b: Key): boolean {
  return JSON.stringify(a.map(encodeValue)) === JSON.stringify(b.map(encodeValue))
}

function encodeChange({ op, key, image }: WrittenChange): CodedChange {
  const coded = key.map(encodeValue)
  if (image === null) return [op, coded]
  return [op, coded, [encodeRow(image.before), encodeRow(image.after), image.baseline, image.large]]
}

function decodeChange([op, key, image]: CodedChange): WrittenChange {
  if (image === undefined) return { op, key: key.map(decodeValue), image: null }
  const [before, after, baseline, large] = image
  const decoded = { before: decodeRow(before), after: decodeRow(after), baseline, large }
  return { op, key: key.map(decodeValue), image: decoded }
}

export function encodeRow(row: Row | null): CodedRow | null {
  return row === null ? null : row.map(encodeValue)
}

export function decodeRow(row: CodedRow | null): Row | null {
  return row === null ? null : row.map(decodeValue)
}

function encodeValue(value: Value): CodedValue {
  return value instanceof Uint8Array ? { base64: Buffer.from(value).toString('base64') } : value
}

function decodeValue(value: CodedValue): Value {
  return typeof value === 'object' && value !== null ? Buffer.from(value.base64, 'base64') : value
}
