import type { ColumnType } from '#model/column-type.ts'
import { describeType } from '#model/column-type.ts'
import type { Value } from '#model/value.ts'
import type { ExpressionColumn } from '../expressions/compile.ts'
import { compileFilter } from '../expressions/filter.ts'
import { beginWork, ExpressionFailure } from '../expressions/failure.ts'
import { compilePattern } from '../expressions/pattern.ts'
import { parseDate, parseMoment } from '../expressions/moments.ts'
import { celTypeOf } from '../expressions/types.ts'
import { comparer, isCanonical, isOrdered, reader } from '../expressions/values.ts'
import type { LookupNeed } from '../transforms/transform.ts'
import { kindOf, type OnFail, type Rule, type RuleKind } from './rule-document.ts'

/** A rule that a row breaks. */
export interface RuleFailure {
  readonly rule: RuleKind
  readonly column: string
  readonly on_fail: OnFail
  /** In words, without the value. */
  readonly reason: string
}

/** What is wrong with a rule itself. */
export interface RuleProblem {
  /** Its place in the list, from 0. */
  readonly index: number
  readonly message: string
}

/** What rules need to know of the world around the rows. */
export interface RuleSources {
  /**
   * The values of a column of another table, which the caller has read before the first row, as canonical texts; null
   * where it has not: the rule is then refused.
   */
  readonly keysOf?: (reference: { readonly table: string; readonly column: string }) => ReadonlySet<string> | null
  /** Whether several rows of the source have a value in a field, which the caller has found out before the first row. */
  readonly repeated?: (field: string, value: string) => boolean
}

export interface Rules {
  /** The rules that the row breaks, in the order of the document; cells are in the order of the columns. */
  readonly check: (cells: readonly Value[]) => RuleFailure[]
}

type Test = (cells: readonly Value[]) => string | null

/**
 * Makes rules ready for rows, or says what is wrong with them. A null keeps every rule but `required` and `expression`.
 * The same row has the same failures, in whatever order the rows come.
 */
export function compileRules(
  rules: readonly Rule[],
  columns: readonly ExpressionColumn[],
  sources: RuleSources = {},
): Rules | { readonly problems: readonly RuleProblem[] } {
  const problems: RuleProblem[] = []
  const tests: { readonly rule: Rule; readonly kind: RuleKind; readonly test: Test }[] = []
  for (const [index, rule] of rules.entries()) {
    const place = columns.findIndex(({ name }) => name === rule.field)
    const column = columns[place]
    if (column === undefined) {
      problems.push({ index, message: `There is no column "${rule.field}".` })
      continue
    }
    const made = testOf(rule, { column, place, columns, sources })
    if (typeof made === 'string') problems.push({ index, message: made })
    else tests.push({ rule, kind: kindOf(rule), test: made })
  }
  if (problems.length > 0) return { problems }
  const check = (cells: readonly Value[]): RuleFailure[] => {
    const failures: RuleFailure[] = []
    for (const { rule, kind, test } of tests) {
      const reason = test(cells)
      if (reason !== null) failures.push({ rule: kind, column: rule.field, on_fail: rule.on_fail, reason })
    }
    return failures
  }
  return { check }
}

/** What a caller reads for a `reference`: the values of a column. */
export function referenceNeed({ table, column }: { readonly table: string; readonly column: string }): LookupNeed {
  return { table, keyColumn: column, valueColumn: column }
}

interface Place {
  readonly column: ExpressionColumn
  readonly place: number
  readonly columns: readonly ExpressionColumn[]
  readonly sources: RuleSources
}

/** @returns what is wrong with the rule, in words, where it cannot be used */
function testOf(rule: Rule, at: Place): Test | string {
  const { place, column } = at
  if ('required' in rule) return (cells) => ((cells[place] ?? null) === null ? 'It is null.' : null)
  if ('expression' in rule) return expressionTest(rule.expression, at.columns)
  const test = valueTest(rule, at)
  if (typeof test === 'string') return test
  return (cells) => {
    const cell = cells[place] ?? null
    if (cell === null) return null
    if (typeof cell !== 'string') return 'It is not valid UTF-8.'
    try {
      beginWork()
      return test(cell)
    } catch (error) {
      if (error instanceof ExpressionFailure)
        return `It cannot be read as ${describeType(column.type)}. ${error.reason}`
      throw error
    }
  }
}

type ValueTest = (text: string) => string | null
type ValueRule = Exclude<Rule, { required: true } | { expression: string }>

function valueTest(rule: ValueRule, { column, sources }: Place): ValueTest | string {
  if ('type' in rule) {
    const { test, words } = TYPES[rule.type]
    return (text) => (test(text) ? null : `It is not ${words}.`)
  }
  if ('range' in rule) return rangeTest(rule.range, column.type)
  if ('length' in rule) return lengthTest(rule.length, column.type)
  if ('pattern' in rule) {
    const pattern = compilePattern(rule.pattern)
    if (typeof pattern === 'string') return `The pattern cannot be used. ${pattern}`
    return (text) => (pattern.matches(text) ? null : 'It does not match the pattern.')
  }
  if ('one_of' in rule) {
    const allowed = new Set(rule.one_of)
    return (text) => (allowed.has(text) ? null : 'It is none of the values that are allowed.')
  }
  if ('unique' in rule) {
    const { repeated } = sources
    if (repeated === undefined) return 'The values of the source were not compared with each other.'
    return (text) => (repeated(rule.field, text) ? 'Another row of the source has it.' : null)
  }
  const keys = sources.keysOf?.(rule.reference) ?? null
  if (keys === null) return `The values of ${rule.reference.table}.${rule.reference.column} were not read.`
  return (text) => (keys.has(text) ? null : `It is not in ${rule.reference.table}.${rule.reference.column}.`)
}

function expressionTest(text: string, columns: readonly ExpressionColumn[]): Test | string {
  const filter = compileFilter(text, columns)
  if ('problem' in filter) {
    const { message, line, column } = filter.problem
    return `The expression cannot be used (line ${line}, column ${column}): ${message}`
  }
  const places = filter.uses.map((name) => columns.findIndex((column) => column.name === name))
  return (cells) => {
    try {
      return filter.matches(places.map((place) => cells[place] ?? null)) ? null : 'The expression is not true.'
    } catch (error) {
      if (error instanceof ExpressionFailure) return `The expression has no value. ${error.reason}`
      throw error
    }
  }
}

type Bounds<T> = { readonly min?: T | undefined; readonly max?: T | undefined }

function rangeTest({ min, max }: Bounds<string | number>, type: ColumnType): ValueTest | string {
  const known = celTypeOf(type)
  if (!isOrdered(known) || type.kind === 'enum' || type.kind === 'interval' || type.kind === 'other') {
    return `Values of ${describeType(type)} have no order that a range could follow.`
  }
  const read = reader(type)
  const compare = comparer(known)
  const bound = (value: string | number | undefined): ReturnType<typeof read> => {
    if (value === undefined) return null
    const text = String(value)
    if (typeof value === 'number' && Number.isInteger(value) && !Number.isSafeInteger(value)) return invalid
    try {
      return isCanonical(unbounded(type), text) ? read(text) : invalid
    } catch (error) {
      if (error instanceof ExpressionFailure) return invalid
      throw error
    }
  }
  beginWork()
  const [low, high] = [bound(min), bound(max)]
  if (low === invalid || high === invalid) return `A bound is no ${describeType(type)} as the database writes it.`
  if (low !== null && high !== null && compare(low, high) > 0) return 'The range ends before it begins.'
  return (text) => {
    const value = read(text)
    if (low !== null && compare(value, low) < 0) return `It is less than ${String(min)}.`
    return high !== null && compare(value, high) > 0 ? `It is greater than ${String(max)}.` : null
  }
}

/** No value of any column. */
const invalid = new Uint8Array(0)

/** A bound need not fit the digits that the column holds. */
function unbounded(type: ColumnType): ColumnType {
  if (type.kind === 'decimal') return { kind: 'decimal', precision: null, scale: null }
  if (type.kind === 'text') return { kind: 'text', maxLength: null }
  return type.kind === 'timestamp' || type.kind === 'time' ? { ...type, digits: 6 } : type
}

function lengthTest({ min = 0, max = Infinity }: Bounds<number>, type: ColumnType): ValueTest | string {
  const isBytes = type.kind === 'bytes'
  if (!isBytes && celTypeOf(type).kind !== 'text') return `Values of ${describeType(type)} have no length.`
  if (min > max) return 'The length ends before it begins.'
  const unit = isBytes ? 'bytes' : 'characters'
  // The text of bytes is \x and two digits for each.
  const lengthOf = isBytes ? (text: string) => (text.length - 2) / 2 : codePoints
  return (text) => {
    const length = lengthOf(text)
    if (length < min) return `It has ${length} ${unit}, less than ${min}.`
    return length > max ? `It has ${length} ${unit}, more than ${max}.` : null
  }
}

function codePoints(text: string): number {
  let count = 0
  for (const _ of text) count += 1
  return count
}

const matching = (source: string): ((text: string) => boolean) => {
  const pattern = compilePattern(source)
  if (typeof pattern === 'string') throw new TypeError(pattern)
  return pattern.matches
}

type TypeName = Extract<Rule, { type: string }>['type']

const TYPES: Readonly<Record<TypeName, { readonly words: string; readonly test: (text: string) => boolean }>> = {
  integer: { words: 'an integer', test: matching('^[+-]?\\d+$') },
  number: { words: 'a number', test: matching('^[+-]?(\\d+(\\.\\d*)?|\\.\\d+)([eE][+-]?\\d+)?$') },
  boolean: { words: 'a truth value', test: matching('(?i)^(t|f|true|false|yes|no|y|n|on|off|1|0)$') },
  date: { words: 'a date (YYYY-MM-DD)', test: (text) => parseDate(text) !== null },
  timestamp: { words: 'a date and time', test: (text) => parseMoment(text) !== null },
  uuid: { words: 'a UUID', test: matching('(?i)^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$') },
  json: { words: 'JSON', test: isJson },
  // As the element <input type=email> takes it: an address that mail might reach, and not every one that a standard allows.
  email: {
    words: 'an e-mail address',
    test: matching(
      "^[a-zA-Z0-9.!#$%&'*+/=?^_`\\{|}~-]+@[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(\\.[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)+$",
    ),
  },
  url: { words: 'an http or https URL', test: (text) => /^https?:\/\//i.test(text) && URL.canParse(text) },
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
