import { columnHash, isDateOrTimestamp, mayHoldZeroDates, type ColumnType, type Form } from '#model/column-type.ts'
import type { ErrorCode } from '#model/errors.ts'
import type { FieldMapping } from '#model/field-mapping.ts'
import type { ColumnHash } from '#model/fingerprint.ts'
import type { TableMapping } from '#model/sync-config.ts'
import { tableName, type Column, type TableSchema } from '#model/table.ts'
import type { Value } from '#model/value.ts'
import type { ZeroDates } from '#model/zero-dates.ts'
import { compileExpression } from './expressions/expression.ts'
import { fitValue, type Fit } from './fit-value.ts'
import { judgeTypes, type Judgement } from './judge-types.ts'
import { RULE_SCHEMAS, ruleSchema, type Rule, type RuleKind } from './rules/rule-document.ts'
import { codeProblem, columnsOfCode } from './sandbox/code-text.ts'
import type { CodeColumn } from './sandbox/outputs.ts'
import { compileChain, type Chain } from './transforms/chain.ts'
import type { Context, LookupNeed } from './transforms/transform.ts'
import { turnChain, turnDirect, type Turn } from './turn-field.ts'
import type { Problem } from './plan.ts'

/** One column of the target and what feeds it. */
export interface Field {
  readonly target: Column
  /** How the target's side is read and hashed; of a direct field the source's too. */
  readonly form: Form
  readonly hash: ColumnHash
  readonly feed: Feed
  readonly rules: readonly Rule[]
}

export type Feed =
  /** The source's own text, in the form that both sides share. */
  { readonly kind: 'direct'; readonly column: Column } | ComputedFeed

/** Computed from some columns of the source, each in its own text. */
export interface ComputedFeed {
  readonly kind: 'computed'
  readonly columns: readonly Column[]
  readonly bind: Bind
  /** What must be loaded before `bind`. */
  readonly needs: readonly LookupNeed[]
  /** Code whose output is what `bind` begins with, in place of columns; null where there is none. */
  readonly code: FieldCode | null
  /** Everything that decides the values, to be hashed. */
  readonly identity: unknown
  /** What is lost on the way by the nature of a step that somebody chose. */
  readonly losses: readonly string[]
  readonly turn: Turn
}

/** The code of a field: its text, the columns that it is given, and what it gives. */
export interface FieldCode {
  readonly text: string
  readonly columns: readonly CodeColumn[]
  readonly output: CodeColumn
}

/** Makes the computation once the data that it looks things up in are there. */
export type Bind = (context: Context) => Compute

/** @throws ValueRefused where the value cannot be carried; pure */
export type Compute = (inputs: readonly Value[]) => Value

/** What a person wants to know of a field. */
export interface FieldReport {
  readonly target: string
  /** As the target's server spells it. */
  readonly type: string
  /** Columns of the source that it needs. */
  readonly columns: readonly string[]
  /** The source's text as it is, or a value that is computed and checked row by row. */
  readonly kind: Feed['kind']
  /** What is lost on the way by the nature of a step that somebody chose. */
  readonly losses: readonly string[]
  /** Why a change of the target could not be carried back, or null where it could. */
  readonly oneWay: string | null
}

export function reportField(field: Field): FieldReport {
  const { target, feed } = field
  const { name, nativeType: type } = target
  const turn = turnOf(field)
  const oneWay = 'oneWay' in turn ? turn.oneWay : null
  if (feed.kind === 'direct') {
    return { target: name, type, columns: [feed.column.name], kind: feed.kind, losses: [], oneWay }
  }
  const { columns, kind, losses } = feed
  return { target: name, type, columns: columns.map((column) => column.name), kind, losses, oneWay }
}

/** How what the target has in a field becomes a value of the source. */
export function turnOf({ target, feed, form }: Field): Turn {
  return feed.kind === 'direct' ? turnDirect(feed.column, target, form) : feed.turn
}

/** Whether a field needs a column of the source. */
export function reads({ feed }: Field, column: string): boolean {
  const columns = feed.kind === 'direct' ? [feed.column] : feed.columns
  return columns.some(({ name }) => name === column)
}

interface Schemas {
  readonly source: TableSchema
  readonly target: TableSchema
  /**
   * They are of different engines, which share few types to the last value: what may not fit is then checked value by value
   * though nobody asked for it.
   */
  readonly across: boolean
}

/** What holds for every field of a table. */
interface Table extends Schemas {
  readonly zeroDates: ZeroDates
  /** Columns of the source's key. */
  readonly key: readonly string[]
}

interface Findings {
  readonly problems: Problem[]
  readonly notes: string[]
  /** Every pair that was judged, whatever came of it. */
  readonly pairs: JudgedPair[]
}

/** What feeds a column of the target, and what was said of the pair. */
export interface JudgedPair {
  readonly columns: readonly Column[]
  /** Of the column, or of what is computed. */
  readonly from: ColumnType
  readonly target: Column
  readonly judgement: Judgement
  /** What is done to each row's values; null where they are carried as they are, or cannot be. */
  readonly bind: Bind | null
  /** What must be loaded before `bind`. */
  readonly needs: readonly LookupNeed[]
  /** Made by somebody's code, which runs in a sandbox alone. */
  readonly byCode: boolean
}

/** The fields of a table: as they were mapped one by one, or by the names of the columns. */
export function planFields(mapping: TableMapping, schemas: Schemas, findings: Findings): Field[] {
  const { zeroDates } = mapping
  const table: Table = { ...schemas, zeroDates: zeroDates ?? 'reject', key: keyColumns(mapping, schemas.source) ?? [] }
  const fields =
    mapping.fields === null
      ? pairColumns(mapping, table, findings)
      : mapping.fields.flatMap((field) => planField(field, table, findings))
  checkRest(fields, schemas, findings)
  if (zeroDates === 'keep') refuseToKeep(schemas, findings)
  return fields
}

/** The columns of the source that identify a row: the declared ones, else those of its first key that is never NULL. */
export function keyColumns({ key }: TableMapping, { primaryKey, uniqueKeys }: TableSchema): readonly string[] | null {
  return key ?? primaryKey?.columns ?? uniqueKeys.find(({ notNull }) => notNull)?.columns ?? null
}

/** Columns that have no days of zeros to keep. */
function refuseToKeep({ source, target }: Schemas, { problems, pairs }: Findings): void {
  for (const { columns, from, target: partner } of pairs) {
    const [column] = columns
    if (column === undefined || !mayHoldZeroDates(from)) continue
    if (!isDateOrTimestamp(partner.type) || mayHoldZeroDates(partner.type)) continue
    const subject = pairOf({ source, target, column, partner }, 'cannot keep its days of zeros in')
    const message = `${subject}, which has none. Let zero_dates be reject, null or a day.`
    problems.push({ code: 'impossible_mapping', message })
  }
}

/**
 * As the table's policy on zero dates has it: what stands in their place is put there by the first transform. A key is
 * carried as it is, and so is what becomes a text.
 */
function overZeroDates(field: FieldMapping, { source, target, zeroDates, key }: Table): FieldMapping {
  const { from, transforms } = field
  if (typeof zeroDates === 'string' || from.kind !== 'columns') return field
  const [name, another] = from.columns
  const column = source.columns.find((each) => each.name === name)
  if (column === undefined || another !== undefined || !mayHoldZeroDates(column.type)) return field
  const into = target.columns.find((each) => each.name === field.target)
  const isText = into !== undefined && !isDateOrTimestamp(into.type) && transforms.length === 0
  if (isText || key.includes(column.name) || transforms[0]?.name === REPLACE_ZEROS) return field
  return { ...field, transforms: [{ name: REPLACE_ZEROS, args: { with: zeroDates.as } }, ...transforms] }
}

const REPLACE_ZEROS = 'replace_zero_date'

function planField(given: FieldMapping, table: Table, { problems, notes, pairs }: Findings): Field[] {
  const { source, target, zeroDates } = table
  const mapping = overZeroDates(given, table)
  const column = target.columns.find(({ name }) => name === mapping.target)
  const where = `${tableName(target.ref)}.${mapping.target}`
  const refuse = (code: ErrorCode, message: string): Field[] => {
    problems.push({ code, message })
    return []
  }
  if (column === undefined)
    return refuse('column_not_found', `${tableName(target.ref)} has no column "${mapping.target}".`)
  if (column.generated !== null) {
    return refuse(
      'impossible_mapping',
      `${where} is computed by the target itself, so that nothing can be mapped to it.`,
    )
  }
  const rules = readRules(mapping)
  if ('message' in rules) return refuse(rules.code, `${where}: ${rules.message}`)
  const start = startOf(mapping, { source, column })
  if ('message' in start) return refuse(start.code, `${where}: ${start.message}`)
  const [only] = start.columns
  const plain = start.bind === null && only !== undefined && mapping.transforms.length === 0
  const chain = chainOf(mapping, start.types)
  if ('message' in chain) return refuse(chain.code, `${where}: ${chain.message}`)
  const judgement = judgeTypes(chain.result, column.type)
  const byCode = start.code !== null
  const pair = { columns: start.columns, from: chain.result, target: column, judgement, needs: chain.needs, byCode }
  if (plain && judgement.verdict === 'lossless') {
    pairs.push({ ...pair, bind: null })
    return [{ ...directField(only, column, judgement.form), rules: rules.rules }]
  }
  const fit = fitValue(chain.result, column.type)
  if (judgement.verdict === 'impossible' || 'reason' in fit) {
    pairs.push({ ...pair, bind: null })
    const told = 'hint' in judgement ? `${judgement.reason}. ${judgement.hint}` : 'reason' in fit ? fit.reason : ''
    const subject = plain ? pairOf({ source, target, column: only, partner: column }) : where
    return refuse('impossible_mapping', `${subject}: ${told}.`)
  }
  const bind: Bind = (context) => {
    const [begin, steps] = [start.bind?.(context) ?? null, chain.bind(context)]
    if (begin === null) return (inputs) => fit.convert(steps(inputs))
    return (inputs) => fit.convert(steps([begin(inputs)]))
  }
  pairs.push({ ...pair, bind })
  if (mapping !== given && typeof zeroDates === 'object' && zeroDates.as === null && !column.nullable) {
    notes.push(`${where} must have a value: rows with a day of zeros are set aside, for which NULL was to stand.`)
  }
  const feed: ComputedFeed = {
    kind: 'computed',
    columns: start.columns,
    bind,
    needs: chain.needs,
    code: start.code,
    identity: mapping,
    losses: chain.lossy,
    turn:
      start.oneWay === null
        ? turnChain({ columns: start.columns, chain, target: column.type, forth: bind })
        : { oneWay: start.oneWay },
  }
  return [{ target: column, form: fit.form, hash: 'text', feed, rules: rules.rules }]
}

/** What a field begins with: some columns as they are, or what is made of them. */
interface Start {
  readonly columns: readonly Column[]
  /** Of the columns as they are, or of the one value that is made of them. */
  readonly types: readonly ColumnType[]
  /** Null where the columns go into the first transform as they are. */
  readonly bind: Bind | null
  readonly code: ComputedFeed['code']
  readonly oneWay: string | null
}

function startOf(
  { from, target, transforms }: FieldMapping,
  of: { source: TableSchema; column: Column },
): Start | Problem {
  const { source, column: into } = of
  switch (from.kind) {
    case 'columns': {
      const columns = inputColumns(from.columns, source, target)
      if ('message' in columns) return columns
      return { columns, types: columns.map(({ type }) => type), bind: null, code: null, oneWay: null }
    }
    case 'constant': {
      const { value } = from
      const oneWay = 'a constant holds nothing of the source'
      return { columns: [], types: [constantType(into.type)], bind: () => () => value, code: null, oneWay }
    }
    case 'expression': {
      const expression = compileExpression(from.text, source.columns)
      if ('problem' in expression) {
        const { message, line, column } = expression.problem
        return { code: 'invalid_expression', message: `${message} (line ${line}, column ${column} of the expression)` }
      }
      const { uses, result, evaluate } = expression
      const columns = inputColumns(uses, source, target)
      if ('message' in columns) return columns
      const oneWay = 'an expression cannot be turned round'
      return { columns, types: [result], bind: () => evaluate, code: null, oneWay }
    }
    case 'code': {
      const syntax = codeProblem(from.text)
      if (syntax !== null) return { code: 'invalid_expression', message: `the code cannot be read: ${syntax}` }
      // What transforms follow work on is a text; else it is what the column holds.
      const output = { name: target, type: transforms.length > 0 ? TEXT : into.type }
      const columns = columnsOfCode(from.text, source.columns)
      const code = { text: from.text, columns: columns.map(({ name, type }) => ({ name, type })), output }
      return {
        columns,
        types: [output.type],
        bind:
          () =>
          ([value = null]) =>
            value,
        code,
        oneWay: 'code cannot be turned round',
      }
    }
  }
}

/** The rules of a field, each with the field's name. */
function readRules({ target, rules }: FieldMapping): { readonly rules: readonly Rule[] } | Problem {
  const read: Rule[] = []
  for (const { name, args, onFail } of rules) {
    const parsed = ruleSchema.safeParse({ field: target, [name]: args, on_fail: onFail })
    if (!parsed.success) {
      const [issue] = RULE_SCHEMAS[name as RuleKind]?.safeParse({ [name]: args }).error?.issues ?? []
      const why = issue?.message ?? `there is no such rule; there are ${Object.keys(RULE_SCHEMAS).join(', ')}`
      return { code: 'invalid_rule', message: `the rule "${name}": ${why}` }
    }
    read.push(parsed.data)
  }
  return { rules: read }
}

/** A constant is written as the text of what it goes into. */
function constantType(into: ColumnType): ColumnType {
  return into.kind === 'text' || into.kind === 'padded text' || into.kind === 'enum' ? TEXT : into
}

const TEXT: ColumnType = { kind: 'text', maxLength: null }

function chainOf({ transforms }: FieldMapping, types: readonly ColumnType[]): Chain | Problem {
  const compiled = compileChain(transforms, types)
  if ('chain' in compiled) return compiled.chain
  const code = compiled.problems.some(({ path }) => path !== '') ? 'invalid_transform' : 'impossible_mapping'
  const message = compiled.problems
    .map(({ step, path, message: what }) => `transform ${step + 1}${path === '' ? '' : ` (${path})`}: ${what}`)
    .join('; ')
  return { code, message }
}

function inputColumns(names: readonly string[], source: TableSchema, target: string): Column[] | Problem {
  const columns: Column[] = []
  for (const name of names) {
    const column = source.columns.find((candidate) => candidate.name === name)
    if (column === undefined) {
      const message = `${tableName(source.ref)} has no column "${name}", which ${target} is to come from.`
      return { code: 'column_not_found', message }
    }
    columns.push(column)
  }
  return columns
}

function directField(source: Column, target: Column, form: Form): Field {
  const hash = columnHash({ source: source.type, target: target.type, form })
  return { target, form, hash, feed: { kind: 'direct', column: source }, rules: [] }
}

/** Pairs the columns by name or by rename, and judges each pair. */
function pairColumns(mapping: TableMapping, table: Table, findings: Findings): Field[] {
  const { source, target, across } = table
  const { problems, notes, pairs } = findings
  const named = [...(mapping.columns ?? []), ...mapping.exclude, ...mapping.rename.keys()]
  for (const name of named) {
    if (!source.columns.some((column) => column.name === name)) {
      problems.push({ code: 'column_not_found', message: `${tableName(source.ref)} has no column "${name}".` })
    }
  }
  const fields: Field[] = []
  for (const column of source.columns) {
    const selected = mapping.columns === null || mapping.columns.includes(column.name)
    if (!selected || mapping.exclude.includes(column.name)) continue
    const targetName = mapping.rename.get(column.name) ?? column.name
    const partner = target.columns.find((candidate) => candidate.name === targetName)
    if (partner === undefined) {
      const asked = mapping.columns !== null || mapping.rename.has(column.name)
      const message = `${tableName(target.ref)} has no column "${targetName}"`
      if (asked) problems.push({ code: 'column_not_found', message: `${message}.` })
      else notes.push(`${message}: ${tableName(source.ref)}.${column.name} is not carried.`)
      continue
    }
    const field = checkedField(column, partner)
    if (overZeroDates(field, table) !== field && partner.generated === null) {
      fields.push(...planField(field, table, findings))
      continue
    }
    const judgement = judgeTypes(column.type, partner.type)
    if (across && judgement.verdict === 'checked' && partner.generated === null) {
      notes.push(`${pairOf({ source, target, column, partner }, 'is checked on its way to')}: ${judgement.reason}.`)
      fields.push(...planField(field, table, findings))
      continue
    }
    const bind = judgement.verdict === 'checked' ? checkOf(judgement.fit) : null
    pairs.push({ columns: [column], from: column.type, target: partner, judgement, bind, needs: [], byCode: false })
    if (judgement.verdict === 'lossless') {
      fields.push(directField(column, partner, judgement.form))
      continue
    }
    const hint = judgement.verdict === 'checked' ? CHECK_IT : judgement.hint
    const subject = pairOf({ source, target, column, partner })
    problems.push({ code: 'impossible_mapping', message: `${subject}: ${judgement.reason}. ${hint}.` })
  }
  return fields
}

/** Columns of the target that nothing feeds: harmless if they may be NULL, have a default or fill themselves. */
function checkRest(fields: readonly Field[], { source, target }: Schemas, { problems, notes }: Findings): void {
  for (const column of target.columns) {
    if (fields.some((field) => field.target.name === column.name) || column.generated !== null) continue
    const where = `${tableName(target.ref)}.${column.name}`
    if (column.nullable || column.hasDefault || column.identity !== null) {
      notes.push(`${where} has no counterpart in ${tableName(source.ref)}: the target fills it by itself.`)
    } else {
      problems.push({
        code: 'impossible_mapping',
        message: `${where} must have a value, and ${tableName(source.ref)} has no column for it.`,
      })
    }
  }
}

function checkedField({ name }: Column, partner: Column): FieldMapping {
  return { target: partner.name, from: { kind: 'columns', columns: [name] }, transforms: [], rules: [] }
}

function checkOf(fit: Fit): Bind {
  return () =>
    ([value = null]) =>
      fit.convert(value)
}

/** By its name alone a column is carried only where nothing can be lost; a check of each value is for somebody to choose. */
const CHECK_IT = 'Map the field by itself, and each value is checked on its way: what does not fit is set aside'

function pairOf(
  of: { source: TableSchema; target: TableSchema; column: Column; partner: Column },
  goes = 'cannot go to',
): string {
  const { source, target, column, partner } = of
  return (
    `${tableName(source.ref)}.${column.name} (${column.nativeType}) ${goes} ` +
    `${tableName(target.ref)}.${partner.name} (${partner.nativeType})`
  )
}
