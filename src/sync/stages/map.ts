import { must } from '#lib/assert.ts'
import type { RowFault } from '#model/change.ts'
import { decodeCell, splitCells } from '#model/row-text.ts'
import { ValueRefused, type Row, type Value } from '#model/value.ts'
import type { Compute } from '#sync/plan-fields.ts'
import type { MappedRows } from '#sync/plan.ts'
import type { RuleFailure, Rules } from '#sync/rules/rules.ts'
import type { Code, Fault as CodeFault } from '#sync/sandbox/code.ts'

/** A row of the source as the mapping reads it: a cell is decoded when somebody asks for it. */
export interface RawRow {
  value(place: number): Value
}

/** A row as it came by `model/row-text.ts`. */
export class TextRow implements RawRow {
  /** Still escaped, one character per byte. */
  readonly #cells: readonly string[]

  constructor(line: string) {
    this.#cells = splitCells(line)
  }

  value(place: number): Value {
    return decodeCell(must(this.#cells[place], 'a cell'))
  }
}

/** A row that was read by its key. */
export class ReadRow implements RawRow {
  readonly row: Row

  constructor(row: Row) {
    this.row = row
  }

  value(place: number): Value {
    return this.row[place] ?? null
  }
}

/**
 * What became of a row: its values in the order of the fields (see `Mapper.fields`), with the rules that it breaks and
 * that let it through; or why it cannot be carried. `filtered`: it does not meet the filter, and does not exist for the sync.
 */
export type Mapped =
  | { readonly kind: 'row'; readonly computed: readonly Value[]; readonly warnings: readonly RuleFailure[] }
  | { readonly kind: 'fault'; readonly fault: Fault; readonly stops: boolean }
  | { readonly kind: 'filtered' }

/** Whose key the row is known by is for those to say who know the key. */
export type Fault = Omit<RowFault, 'keyIn'>

/** A field that is ready to be computed. */
export interface BoundField {
  readonly name: string
  readonly inputs: readonly number[]
  /** Null: the one input is carried as it is. */
  readonly compute: Compute | null
  /** The place of what code gives for it, which takes the place of the inputs; null where there is no code. */
  readonly code: number | null
}

/** What a mapper is made of. */
export interface MapperParts {
  readonly fields: readonly BoundField[]
  readonly filter: MappedRows['filter']
  /** The rules, and the fields whose values they look at, in the order in which they take them. */
  readonly rules: { readonly check: Rules['check']; readonly fields: readonly number[] } | null
  readonly code: { readonly runner: Code; readonly inputs: readonly number[] } | null
}

const NOTHING: readonly RuleFailure[] = []

/** Steps 2 and 3 of a row's way: what a table's mapping and its rules make of a row of the source. Pure, once made. */
export class Mapper implements AsyncDisposable {
  readonly fields: readonly BoundField[]
  readonly #parts: MapperParts
  /** The places of the fields that are computed, and a row in which none is. */
  readonly #computed: readonly number[]
  readonly #carried: readonly Value[]
  readonly #outputs = new WeakMap<RawRow, Row | CodeFault>()

  constructor(parts: MapperParts) {
    this.fields = parts.fields
    this.#parts = parts
    this.#computed = parts.fields.flatMap(({ compute }, place) => (compute === null ? [] : [place]))
    this.#carried = parts.fields.map(() => null)
  }

  /** Whether rows must be prepared before they are mapped. */
  get hasCode(): boolean {
    return this.#parts.code !== null
  }

  /** Runs the code of the mapping on rows that are to be mapped; null where there is none. */
  prepare(raws: readonly RawRow[]): Promise<void> | null {
    const { code } = this.#parts
    return code === null || raws.length === 0 ? null : this.#runCode(code, raws)
  }

  async #runCode({ runner, inputs }: NonNullable<MapperParts['code']>, raws: readonly RawRow[]): Promise<void> {
    const rows = raws.map((raw) => inputs.map((place) => raw.value(place)))
    const results = await runner.run(rows)
    for (const [i, raw] of raws.entries()) this.#outputs.set(raw, must(results[i], 'a result of the code'))
  }

  /**
   * The values of the computed fields; null stands for those that are carried as they are. `given`: fields whose values
   * somebody else has, which are judged by the rules all the same.
   */
  map(raw: RawRow, given?: ReadonlyMap<string, Value>): Mapped {
    const { filter } = this.#parts
    if (filter !== null) {
      const values = filter.inputs.map((place) => raw.value(place))
      const met = faultOr(null, values, filter.matches)
      if (met.fault !== undefined) return broken(met.fault)
      if (!met.value) return { kind: 'filtered' }
    }
    const computed = this.#carried.slice()
    for (const place of this.#computed) {
      const field = must(this.fields[place], 'a field')
      if (given?.has(field.name)) continue
      const made = this.#compute(field, raw)
      if (made.fault !== undefined) return broken(made.fault)
      computed[place] = made.value
    }
    return this.#judge(raw, computed, given)
  }

  #compute(field: BoundField, raw: RawRow): Tried<Value> {
    const { name, inputs, compute, code } = field
    if (compute === null) return CARRIED
    const values = code === null ? inputs.map((place) => raw.value(place)) : this.#output(raw, code)
    if ('fault' in values)
      return { fault: { code: `code_${values.fault}`, reason: values.reason, column: name, value: values.detail } }
    return faultOr(name, values, compute)
  }

  #output(raw: RawRow, place: number): readonly Value[] | CodeFault {
    const output = must(this.#outputs.get(raw), 'the output of the code: the row was prepared')
    return 'fault' in output ? output : [output[place] ?? null]
  }

  #judge(raw: RawRow, computed: readonly Value[], given?: ReadonlyMap<string, Value>): Mapped {
    const { rules } = this.#parts
    if (rules === null) return { kind: 'row', computed, warnings: NOTHING }
    const valueAt = (place: number): Value => {
      const { name } = must(this.fields[place], 'a field')
      return given?.has(name) ? (given.get(name) ?? null) : this.#value(raw, computed, place)
    }
    const failures = rules.check(rules.fields.map(valueAt))
    const worst =
      failures.find(({ on_fail: how }) => how === 'stop') ?? failures.find(({ on_fail: how }) => how === 'reject')
    if (worst === undefined) return { kind: 'row', computed, warnings: failures }
    const { rule, column, reason } = worst
    const value = this.#value(
      raw,
      computed,
      this.fields.findIndex(({ name }) => name === column),
    )
    const fault = { code: `rule_${rule}`, reason: `${column}: ${reason}`, column, value: shown([value]) }
    return { kind: 'fault', fault, stops: worst.on_fail === 'stop' }
  }

  #value(raw: RawRow, computed: readonly Value[], place: number): Value {
    const { inputs, compute } = must(this.fields[place], 'a field')
    return compute === null ? raw.value(must(inputs[0], 'the input of a field')) : (computed[place] ?? null)
  }

  /** The row's key in the target, whatever else becomes of it; null where it cannot be computed. */
  key(raw: RawRow, length: number): Row | null {
    const key: Value[] = []
    for (const [place, field] of this.fields.slice(0, length).entries()) {
      const made = this.#compute(field, raw)
      if (made.fault !== undefined) return null
      key.push(field.compute === null ? this.#value(raw, [], place) : made.value)
    }
    return key
  }

  /** The whole row, in the order of the fields. */
  row(raw: RawRow, computed: readonly Value[]): Row {
    return this.fields.map((_, place) => this.#value(raw, computed, place))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parts.code?.runner[Symbol.asyncDispose]()
  }
}

type Tried<T> = { readonly value: T; readonly fault?: undefined } | { readonly fault: Fault }

const CARRIED: Tried<Value> = { value: null }

function broken(fault: Fault): Mapped {
  return { kind: 'fault', fault, stops: false }
}

/** What `make` gives for some values, or why they have no such thing. `column`: the field, or null for the filter of the rows. */
function faultOr<T>(column: string | null, values: readonly Value[], make: (values: readonly Value[]) => T): Tried<T> {
  try {
    return { value: make(values) }
  } catch (error) {
    if (!(error instanceof ValueRefused)) throw error
    const reason = `${column ?? 'The filter'}: ${error.message}.`
    return { fault: { code: 'value_refused', reason, column, value: shown(values) } }
  }
}

/** The inputs of a field as the quarantine keeps them. */
export function shown(values: readonly Value[]): string | null {
  const texts = values.map((value) => (value instanceof Uint8Array ? Buffer.from(value).toString('utf8') : value))
  return texts.length === 1 ? (texts[0] ?? null) : JSON.stringify(texts)
}
