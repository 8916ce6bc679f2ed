import type { ColumnType, Form } from '#model/column-type.ts'
import { ValueRefused, type Value } from '#model/value.ts'
import { fitValue } from '#sync/fit-value.ts'
import { readArray, writeArray } from '#sync/values/array-text.ts'
import { compactJson, isArray, jsonbJson, readJson, spacedJson, type Json, type JsonRules } from '#sync/values/json.ts'

/** A value that both sides changed. */
export interface Contested {
  readonly source: Value
  readonly target: Value
  /** Undefined: the last common value is not known. */
  readonly base: Value | undefined
}

const NUMBER = /^-?\d+(?:\.\d+)?$/
const ANY_DECIMAL: ColumnType = { kind: 'decimal', precision: null, scale: null }

/** The last common number with what both sides added to it, exactly. @throws ValueRefused where there is no such sum */
export function addUp({ source, target, base }: Contested, type: ColumnType, form: Form): Value {
  if (type.kind !== 'integer' && type.kind !== 'decimal') throw new ValueRefused('is of a type without exact sums')
  const [from, ...texts] = [base, source, target].map(numberOf)
  const places = Math.max(...[from ?? '', ...texts].map((text) => text.split('.')[1]?.length ?? 0))
  const sum = texts.reduce((total, text) => total + scaled(text, places), 0n) - scaled(from ?? '', places)
  const text = plain(sum, places)
  const fit = fitValue(ANY_DECIMAL, type)
  if ('reason' in fit) throw new ValueRefused(fit.reason)
  const fitted = fit.convert(text)
  // A column that is read as it is written keeps the places of its values; in any other form they end in no zero.
  return type.kind === 'decimal' && form === 'own' ? text : fitted
}

function numberOf(value: Value | undefined): string {
  if (typeof value !== 'string' || !NUMBER.test(value)) throw new ValueRefused('is no number that can be added to')
  return value
}

function scaled(text: string, places: number): bigint {
  const [whole = '', fraction = ''] = text.split('.')
  return BigInt(whole + fraction.padEnd(places, '0'))
}

function plain(value: bigint, places: number): string {
  const digits = String(value < 0n ? -value : value).padStart(places + 1, '0')
  const point = digits.length - places
  return `${value < 0n ? '-' : ''}${digits.slice(0, point)}${places === 0 ? '' : `.${digits.slice(point)}`}`
}

/**
 * The target's elements and then those that the source added, without what either side removed from the last common
 * list. Without one nothing counts as removed. @throws ValueRefused where a side is no list that can be read
 */
export function unite({ source, target, base }: Contested, type: ColumnType): Value {
  if (type.kind === 'array') {
    return writeArray(union({ source: elementsOf(source), target: elementsOf(target), base: before(base, elementsOf) }))
  }
  if (type.kind !== 'json') throw new ValueRefused('is of a type that holds no list')
  const { binary } = type
  const parse = (value: Value): Map<string, Json> =>
    new Map(itemsOf(value, binary).map((item) => [compactJson(item), item]))
  const [left, right] = [parse(target), parse(source)]
  const names = union({
    source: [...right.keys()],
    target: itemsOf(target, binary).map(compactJson),
    base: before(base, (value) => [...parse(value).keys()]),
  })
  const items = names.map((name) => left.get(name) ?? right.get(name) ?? null)
  return binary ? jsonbJson(items, refuse) : spacedJson(items)
}

/** The elements of a last common list; none where it was NULL, or is not known. */
function before<T>(base: Value | undefined, elements: (value: Value) => T[]): T[] {
  return base === undefined || base === null ? [] : elements(base)
}

function union<T>({ source, target, base }: Record<'source' | 'target' | 'base', readonly T[]>): T[] {
  const [inSource, inTarget, inBase] = [new Set(source), new Set(target), new Set(base)]
  const kept = target.filter((element) => inSource.has(element) || !inBase.has(element))
  const added = [...inSource].filter((element) => !inTarget.has(element) && !inBase.has(element))
  return [...kept, ...added]
}

function textOf(value: Value): string {
  if (typeof value !== 'string') throw new ValueRefused('is no list')
  return value
}

function elementsOf(value: Value): (string | null)[] {
  return readArray(textOf(value), () => {
    throw new ValueRefused('is no list of one dimension that begins at 1')
  })
}

/** Levels of JSON that are read. */
const DEEPEST = 500

function refuse(): never {
  throw new ValueRefused('is no JSON that can be put together anew')
}

function itemsOf(value: Value, binary: boolean): readonly Json[] {
  // A key that json has twice would be lost.
  const rules: JsonRules = { deepest: DEEPEST, repeatedKey: 'refused', binary, refuse }
  const json = readJson(textOf(value), rules)
  return isArray(json) ? json : refuse()
}
