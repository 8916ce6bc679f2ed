import type { Adapter, KeyFingerprint, RowSource, Scan, Snapshot } from '#adapters/adapter.ts'
import type { Key } from '#model/change.ts'
import { canonicalRow } from '#model/fingerprint.ts'
import type { ReplayRow } from '#model/rejection.ts'
import { ValueRefused, type Row, type Value } from '#model/value.ts'
import { fitEdit, isSpelledByUs } from '#sync/fit-edit.ts'
import type { TablePlan } from '#sync/plan.ts'
import { mappedProof } from '#sync/verify/mapped-proof.ts'
import { ReadRow, type Fault, type Mapper } from './map.ts'
import { withOwnRows } from './own-rows.ts'
import { rawScan, rowsByKey } from './set-aside.ts'

/** What a row of a replay is made of. */
interface Origin {
  readonly row: ReplayRow
  readonly given: ReadonlyMap<string, Value>
}

/** What a row of the source becomes with the values that somebody gave for some of its fields. */
export type Made =
  | { readonly kind: 'row'; readonly row: Row }
  | { readonly kind: 'fault'; readonly fault: Fault }
  | { readonly kind: 'filtered' }

/** The fields of a row that somebody gave. */
export function readEdits(plan: TablePlan, { edits }: ReplayRow): ReadonlyMap<string, Value> | Fault {
  const given = new Map<string, Value>()
  for (const [name, text] of edits ?? []) {
    const fault = (words: string): Fault => ({
      code: 'value_refused',
      reason: `${name}: ${words}.`,
      column: name,
      value: text,
    })
    const column = plan.target.columns.find((each) => each.name === name)
    const scanned = plan.write.scan.columns.find((each) => each.name === name)
    if (column === undefined || scanned === undefined) {
      return fault('is no field of the table any more')
    }
    try {
      given.set(name, fitEdit(text, { ...column, form: scanned.form }))
    } catch (error) {
      if (!(error instanceof ValueRefused)) throw error
      return fault(error.message)
    }
  }
  return given
}

/** The whole row, in the order of the target's scan. */
export async function makeRow(
  plan: TablePlan,
  { mapper, raw, given }: { mapper: Mapper | null; raw: Row; given: ReadonlyMap<string, Value> },
): Promise<Made> {
  const overlay = (row: Row): Made => ({
    kind: 'row',
    row: plan.write.scan.columns.map(({ name }, i) => (given.has(name) ? (given.get(name) ?? null) : (row[i] ?? null))),
  })
  if (mapper === null) return overlay(raw)
  const read = new ReadRow(raw)
  await mapper.prepare([read])
  const mapped = mapper.map(read, given)
  return mapped.kind === 'row' ? overlay(mapper.row(read, mapped.computed)) : mapped
}

/**
 * The rows of a replay, as writing and proof ask for them: by their keys in the target, mapped anew, with the values that
 * people gave. All else is as the table's source has it.
 */
export class ReplaySource {
  readonly #plan: TablePlan
  readonly #snapshot: Snapshot
  readonly #target: Adapter
  readonly #signal: AbortSignal
  readonly #mapper: Mapper | null
  readonly #origins = new Map<string, Origin>()

  constructor(
    plan: TablePlan,
    of: { snapshot: Snapshot; target: Adapter; signal: AbortSignal; mapper: Mapper | null },
  ) {
    this.#plan = plan
    this.#snapshot = of.snapshot
    this.#target = of.target
    this.#signal = of.signal
    this.#mapper = of.mapper
  }

  /** Takes a row in; false where another one has its key. */
  add(key: Key, origin: Origin): boolean {
    const id = JSON.stringify(key)
    if (this.#origins.has(id)) return false
    this.#origins.set(id, origin)
    return true
  }

  /** The row that has a key in the target. */
  origin(key: Key): ReplayRow | undefined {
    return this.#origins.get(JSON.stringify(key))?.row
  }

  /** Whether the text of every value that was given is what the server will write, so that the row can be proved. */
  isProvable(key: Key): boolean {
    const names = [...(this.#origins.get(JSON.stringify(key))?.given.keys() ?? [])]
    return names.every((name) => {
      const column = this.#plan.target.columns.find((each) => each.name === name)
      const form = this.#plan.write.scan.columns.find((each) => each.name === name)?.form
      return column !== undefined && isSpelledByUs(column.type) && (form === 'own' || column.type.kind === 'decimal')
    })
  }

  over(base: RowSource): RowSource {
    const rows: RowSource['rows'] = (_, keys) => this.#rows(keys)
    const fingerprints: RowSource['fingerprints'] = (scan, keys) => this.#fingerprints(scan, keys)
    const proof: RowSource['proof'] = (_, keys) =>
      mappedProof(async (take) => take(await this.#rows((keys ?? []).filter((key) => this.isProvable(key)))))
    return withOwnRows(base, { rows, largeRows: rows, fingerprints, proof })
  }

  async #rows(keys: readonly Key[]): Promise<Row[]> {
    const origins = keys.flatMap((key) => this.#origins.get(JSON.stringify(key)) ?? [])
    const raws = await rowsByKey(
      this.#snapshot,
      rawScan(this.#plan),
      origins.flatMap(({ row }) => (row.sourceKey === null ? [] : [row.sourceKey])),
    )
    const rows: Row[] = []
    for (const { row, given } of origins) {
      const raw = raws.get(JSON.stringify(row.sourceKey))
      const made = raw && (await makeRow(this.#plan, { mapper: this.#mapper, raw, given }))
      if (made?.kind === 'row') rows.push(made.row)
    }
    return rows
  }

  /**
   * Comparable with those of the target, however the server makes them: a row that is equal to the target's has its
   * fingerprint, and any other has none that a server could give.
   */
  async #fingerprints(scan: Scan, keys: readonly Key[]): Promise<KeyFingerprint[]> {
    const { keyLength } = scan
    const own = await this.#rows(keys)
    await using now = await this.#target.snapshot(1, this.#signal)
    const theirs = await rowsByKey(now, this.#plan.write.scan, keys)
    const hashes = await now.fingerprints(this.#plan.write.scan, keys)
    return own.map((row): KeyFingerprint => {
      const key = row.slice(0, keyLength)
      const other = theirs.get(JSON.stringify(key))
      const same = other !== undefined && sameRow(row, other)
      const hash = hashes.find((each) => JSON.stringify(each.key) === JSON.stringify(key))
      const bytes = row.reduce((sum, value) => sum + (value?.length ?? 0), 0)
      return { bucket: 0, key, fingerprint: same && hash !== undefined ? hash.fingerprint : 'other', bytes }
    })
  }
}

export function sameRow(a: Row, b: Row): boolean {
  return canonicalRow(a).equals(canonicalRow(b))
}
