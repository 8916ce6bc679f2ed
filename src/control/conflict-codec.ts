import type { SecretBox } from '#lib/secret-box.ts'
import type { Key } from '#model/change.ts'
import {
  takesValue,
  type Agreed,
  type Asking,
  type AskingStatus,
  type ConflictKind,
  type ConflictStatus,
  type ConflictStrategy,
  type FoundConflict,
  type Holder,
  type Resolution,
} from '#model/conflict.ts'
import type { Fingerprint } from '#model/fingerprint.ts'
import type { TableRef } from '#model/table.ts'
import type { Row } from '#model/value.ts'
import { decodeRow, encodeRow, type CodedRow } from './history-codec.ts'
import { open, toRef } from './rejections.ts'
import { owners } from './reseal-conflicts.ts'
import type { ConflictRow, WebhookDeliveryRow } from './schema.ts'

/**
 * Conflicts that wait for somebody: each is known once under its key, in the scope of a sync config (or of the job, where
 * there is none). What may be personal is sealed and bound to its id; key, kind and names of fields are not.
 */
export interface StoredConflict {
  readonly id: string
  readonly scope: string
  readonly configId: string | null
  readonly firstJobId: string
  readonly lastJobId: string
  readonly seq: number
  readonly source: TableRef
  readonly target: TableRef
  readonly kind: ConflictKind
  readonly fields: readonly string[]
  readonly strategy: ConflictStrategy
  /** Without values. */
  readonly reason: string | null
  readonly key: Key
  readonly large: boolean
  readonly status: ConflictStatus
  readonly resolution: Resolution | null
  readonly resolvedBy: { readonly id: string; readonly name: string; readonly at: string } | null
  /** Decisions that were dropped, because a side was another one by then. */
  readonly reopened: number
  readonly firstAt: string
  readonly lastAt: string
  readonly version: number
  /** Null where no webhook was asked. */
  readonly asking: Asking | null
}

/** The rows that people decide between, as they were found. Once a decision is carried out, the losing one is here. */
export interface ConflictImage {
  readonly source: Row | null
  readonly target: Row | null
  readonly base: Row | null
  readonly merged: Row | null
  /** The other row of a `unique_clash`. */
  readonly holder: Row | null
}

/** What is sealed of a conflict to know its rows again. */
export interface ConflictMarks {
  /** What the rows are, as far as is known: what a decision is made on. */
  readonly source: Fingerprint | null
  readonly target: Fingerprint | null
  /** What the rows of the image are. They differ from the above once a decision has been carried out. */
  readonly images: { readonly source: Fingerprint | null; readonly target: Fingerprint | null }
  readonly agreed: Agreed | null
  /** Who was in the way when it was found; not there where nobody was. */
  readonly holder?: Holder
}

/** What a conflict is once no decision stands any more. */
export const UNDECIDED = {
  resolution: null,
  resolved_by: null,
  resolved_name: null,
  resolved_at: null,
  row_sealed: null,
} as const satisfies Partial<ConflictRow>

type Side = 'source' | 'target'

export function isInPlace(marks: ConflictMarks, side: Side): boolean {
  return marks[side] === marks.images[side]
}

/** A null stands for a row that was too large as well as for none. */
export function isKept(marks: ConflictMarks, image: ConflictImage, side: Side): boolean {
  return image[side] !== null || marks.images[side] === null
}

/** Whether the row of a side is there to be taken: where it was found, or as it was kept. */
export function canTake(marks: ConflictMarks | null, image: ConflictImage | null, side: Side): boolean {
  return marks !== null && (isInPlace(marks, side) || (image !== null && isKept(marks, image, side)))
}

/** What is known of who is in the way, without its row. */
export function holderOf({ holder }: FoundConflict): { readonly holder?: Holder } {
  if (holder === null) return {}
  const { row: _, ...known } = holder
  return { holder: known }
}

/** The same row is in the way, and has not changed. */
export function isSameHolder(a: Holder | undefined, b: Holder | null): boolean {
  if (a === undefined || b === null) return a === undefined && b === null
  const isIt = a.side === b.side && a.index === b.index && JSON.stringify(a.key) === JSON.stringify(b.key)
  return isIt && a.fingerprint === b.fingerprint
}

/**
 * Who is in the way of what was decided. Once a decision has been carried out there is no clash any more that another one
 * could be bound to; but whoever takes the row that was kept out has to get past the other row still.
 */
export function standingHolder(marks: ConflictMarks, resolution: Resolution): Holder | null {
  const { holder = null } = marks
  const stands = isInPlace(marks, 'source') && isInPlace(marks, 'target')
  return stands || (holder !== null && takesValue(holder, resolution)) ? holder : null
}

/** A key as it is kept, and looked for. */
export function codeKey(key: Key): string {
  return JSON.stringify(encodeRow(key))
}

export function keyOf({ key }: Pick<ConflictRow, 'key'>): Key {
  return decodeRow(JSON.parse(key) as CodedRow) ?? []
}

export function openMarks(
  box: SecretBox,
  { id, marks_sealed: sealed }: Pick<ConflictRow, 'id' | 'marks_sealed'>,
): ConflictMarks | null {
  const coded = open<CodedMarks>(box, sealed, owners.marks(id))
  if (coded === null) return null
  const { holder, ...marks } = coded
  return holder === undefined ? marks : { ...marks, holder: { ...holder, key: decodeRow(holder.key) ?? [] } }
}

type CodedMarks = Omit<ConflictMarks, 'holder'> & {
  readonly holder?: Omit<Holder, 'key'> & { readonly key: CodedRow | null }
}

export function sealMarks(box: SecretBox, id: string, { holder, ...marks }: ConflictMarks): string {
  const coded: CodedMarks =
    holder === undefined ? marks : { ...marks, holder: { ...holder, key: encodeRow(holder.key) } }
  return box.seal(JSON.stringify(coded), owners.marks(id))
}

export function sealImage(box: SecretBox, id: string, { source, target, base, merged, holder }: ConflictImage): string {
  const coded = {
    source: encodeRow(source),
    target: encodeRow(target),
    base: encodeRow(base),
    merged: encodeRow(merged),
    holder: encodeRow(holder),
  }
  return box.seal(JSON.stringify(coded), owners.image(id))
}

export function openImage(box: SecretBox, { id, image_sealed: sealed }: ConflictRow): ConflictImage | null {
  const coded = open<Readonly<Partial<Record<keyof ConflictImage, CodedRow | null>>>>(box, sealed, owners.image(id))
  if (coded === null) return null
  const { source = null, target = null, base = null, merged = null, holder = null } = coded
  return {
    source: decodeRow(source),
    target: decodeRow(target),
    base: decodeRow(base),
    merged: decodeRow(merged),
    holder: decodeRow(holder),
  }
}

/** The row that somebody built; there may be none in it. */
export interface BuiltRow {
  readonly row: Row | null
}

export function openBuilt(box: SecretBox, { id, row_sealed: sealed }: ConflictRow): BuiltRow | null {
  const coded = open<{ readonly row: CodedRow | null }>(box, sealed, owners.row(id))
  return coded && { row: decodeRow(coded.row) }
}

export function sealBuilt(box: SecretBox, id: string, { row }: BuiltRow): string {
  return box.seal(JSON.stringify({ row: encodeRow(row) }), owners.row(id))
}

export function toConflict(
  row: Omit<ConflictRow, 'image_sealed' | 'marks_sealed' | 'row_sealed' | 'asked_version'>,
  asked: WebhookDeliveryRow | undefined,
): StoredConflict {
  const { resolved_by: by, resolved_name: name, resolved_at: decidedAt } = row
  return {
    id: row.id,
    scope: row.scope,
    configId: row.config_id,
    firstJobId: row.first_job_id,
    lastJobId: row.last_job_id,
    seq: row.seq,
    source: toRef(row.source_table),
    target: toRef(row.target_table),
    kind: row.kind as ConflictKind,
    fields: JSON.parse(row.fields) as string[],
    strategy: row.strategy as ConflictStrategy,
    reason: row.reason,
    key: keyOf(row),
    large: row.large === 1,
    status: row.status as ConflictStatus,
    resolution: row.resolution as Resolution | null,
    resolvedBy: by === null ? null : { id: by, name: name ?? '', at: decidedAt ?? '' },
    reopened: row.reopened,
    firstAt: row.first_at,
    lastAt: row.last_at,
    version: row.version,
    asking: asked === undefined ? null : toAsking(asked, row),
  }
}

/** A question ends with the conflict that it was about, though nobody has noted that yet. */
function toAsking(asked: WebhookDeliveryRow, { status, version }: Pick<ConflictRow, 'status' | 'version'>): Asking {
  const isAsAsked = status === 'open' && version === asked.version
  const isOver = asked.status === 'answered' || asked.status === 'ended'
  return {
    id: asked.id,
    status: isAsAsked || isOver ? (asked.status as AskingStatus) : 'ended',
    attempts: asked.attempts,
    nextAt: isAsAsked && asked.status === 'waiting' ? asked.next_at : null,
    lastAt: asked.last_at,
    lastError: asked.last_error,
    deadlineAt: asked.deadline_at,
  }
}
