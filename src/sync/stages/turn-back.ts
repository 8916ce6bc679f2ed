import type { RowSource, Snapshot } from '#adapters/adapter.ts'
import { must } from '#lib/assert.ts'
import type { Key } from '#model/change.ts'
import { fingerprint, type Fingerprint } from '#model/fingerprint.ts'
import { ValueRefused, type Row, type Value } from '#model/value.ts'
import { isSameCell } from '#sync/conflicts/compare.ts'
import type { Compute } from '#sync/plan-fields.ts'
import type { Turning } from '#sync/plan-back.ts'
import type { MappedRows, TablePlan } from '#sync/plan.ts'
import { makeMapper, plainContext } from './make-mapper.ts'
import { ReadRow, shown, type Fault, type Mapper } from './map.ts'
import { ruleBroken } from './mapped-source.ts'
import { rowsByKey } from './set-aside.ts'
import type { Judged } from './three-way.ts'

/** A row that is to be brought to the source of a table in which rows are computed on their way. */
export interface Returning {
  readonly of: Judged
  /** What the source is to have, in the target's terms: the row of the target, another one, or none. */
  readonly to: 'the target' | Row | 'none'
}

/** What the source is to have, in its own terms. */
export type Turned =
  | {
      readonly kind: 'sent'
      readonly row: Row | null
      /** The row of the source that it was made for; null: there is none. */
      readonly expect: Fingerprint | null
      /** It does not meet the filter any more. */
      readonly leaves: boolean
      /** The target had changed fields too that go one way. */
      readonly hadOwn: boolean
      /** The target's row; null where it has none. */
      readonly had: Row | null
    }
  /** The source has it already: the rows differ in fields that go one way. */
  | { readonly kind: 'there' }
  /** A new row that does not belong to the filter. */
  | { readonly kind: 'outside' }
  | { readonly kind: 'refused'; readonly fault: Fault }

interface Ends {
  /** The source's rows as the mapping makes them, and as they are stored. */
  readonly source: RowSource
  readonly stored: Snapshot
  readonly target: RowSource
  readonly maskKey: Uint8Array | null
}

/**
 * Turns rows of the target round. Of a row that the source has, columns whose field is the same on both sides keep what
 * the source has in them: so a column is written only where somebody changed its field.
 */
export class Turner {
  readonly #plan: TablePlan
  readonly #back: TablePlan
  readonly #turning: Turning
  readonly #ends: Ends
  #computes: readonly (Compute | null)[] | null = null
  #rules: Promise<Mapper | null> | null = null

  constructor(plan: TablePlan, turning: Turning, ends: Ends) {
    this.#plan = plan
    this.#back = must(plan.back, 'a way back')
    this.#turning = turning
    this.#ends = ends
  }

  /** What becomes of each row, in their order. */
  async turn(rows: readonly Returning[]): Promise<readonly Turned[]> {
    const { source, stored, target } = this.#ends
    const there = rows.flatMap(({ of }) => (of.source === undefined ? [] : [of.key]))
    const wanted = rows.flatMap(({ of }) => (of.target === undefined ? [] : [of.key]))
    const [carried, own, targets] = await Promise.all([
      rowsByKey(source, this.#plan.sourceScan, there),
      rowsByKey(stored, this.#back.write.scan, there),
      rowsByKey(target, this.#plan.write.scan, wanted),
    ])
    const computes = (this.#computes ??= this.#load())
    this.#rules ??= rulesOf(this.#plan, this.#ends)
    const rules = await this.#rules
    return rows.map(({ of: { key }, to }) => {
      const id = JSON.stringify(key)
      const expect = own.get(id) ?? null
      const before = carried.get(id) ?? null
      const now = targets.get(id) ?? null
      const sent = {
        kind: 'sent',
        expect: expect && fingerprint(expect),
        leaves: false,
        hadOwn: false,
        had: now,
      } as const
      if (to === 'none') return { ...sent, row: null }
      const row = to === 'the target' ? must(now, 'a row of the target') : to
      const made = this.#make({ row, own: expect, carried: before }, computes)
      if ('fault' in made) return { kind: 'refused', fault: made.fault }
      if (expect !== null && made.row.every((cell, i) => isSameCell(cell, expect[i] ?? null))) return { kind: 'there' }
      if (!made.meets) return expect === null ? { kind: 'outside' } : { ...sent, row: made.row, leaves: true }
      const fault = rules && this.#brokenRule(rules, row, key)
      if (fault !== null) return { kind: 'refused', fault }
      return { ...sent, row: made.row, hadOwn: to === 'the target' && this.#hasOwn(row, before) }
    })
  }

  #hasOwn(row: Row, carried: Row | null): boolean {
    return carried !== null && this.#turning.oneWay.some((i) => !isSameCell(row[i] ?? null, carried[i] ?? null))
  }

  #load(): readonly (Compute | null)[] {
    const context = plainContext(this.#ends.maskKey)
    return this.#turning.fields.map(({ bind }) => bind?.(context) ?? null)
  }

  /** `own`: what the source has, in its own terms, and `carried` as the mapping makes it; null where it has no row. */
  #make(
    { row, own, carried }: { row: Row; own: Row | null; carried: Row | null },
    computes: readonly (Compute | null)[],
  ): { readonly row: Row; readonly meets: boolean } | { readonly fault: Fault } {
    const made: Value[] = []
    for (const [i, { name, place }] of this.#turning.fields.entries()) {
      const value = row[place] ?? null
      if (own !== null && carried !== null && isSameCell(value, carried[place] ?? null)) {
        made.push(own[i] ?? null)
        continue
      }
      const compute = computes[i] ?? null
      const turned = refusable(() => (compute === null ? value : compute([value])))
      if ('reason' in turned) {
        const column = must(this.#plan.write.scan.columns[place], 'a column').name
        const reason = `${column} cannot come back to "${name}" of the source: ${turned.reason}.`
        return { fault: { code: 'value_refused', reason, column, value: shown([value]) } }
      }
      made.push(turned.value)
    }
    const { filter } = this.#turning
    if (filter === null) return { row: made, meets: true }
    const values = filter.inputs.map((place) => made[place] ?? null)
    const met = refusable(() => filter.matches(values))
    if (!('reason' in met)) return { row: made, meets: met.value }
    return {
      fault: { code: 'value_refused', reason: `The filter: ${met.reason}.`, column: null, value: shown(values) },
    }
  }

  /** A rule that a row breaks so that it must not be carried. @throws AppError where it stops the table */
  #brokenRule(rules: Mapper, row: Row, key: Key): Fault | null {
    const values = new Map(rules.fields.map(({ name }, i) => [name, row[i] ?? null]))
    const mapped = rules.map(new ReadRow([]), values)
    if (mapped.kind !== 'fault') return null
    if (mapped.stops) throw ruleBroken(this.#plan.source.ref, mapped.fault, key)
    return mapped.fault
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const made = await this.#rules?.catch(() => null)
    await made?.[Symbol.asyncDispose]()
  }
}

/** The rules of a mapping alone, for rows whose values are there. */
async function rulesOf({ mapped }: TablePlan, { stored, maskKey }: Ends): Promise<Mapper | null> {
  if (mapped === null || mapped.rules.length === 0) return null
  const fields = mapped.fields.map((field) => ({ ...field, bind: null, code: null }))
  const given: MappedRows = { ...mapped, fields, filter: null }
  // Whether a value is unique among all rows is known where all of them are looked at: on the way to the target.
  return await makeMapper(given, { snapshot: stored, maskKey, repeated: () => false })
}

function refusable<T>(make: () => T): { readonly value: T } | { readonly reason: string } {
  try {
    return { value: make() }
  } catch (error) {
    if (error instanceof ValueRefused) return { reason: error.message }
    throw error
  }
}
