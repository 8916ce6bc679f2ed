import type { Condition, Constant } from '#model/condition.ts'
import type { Value } from '#model/value.ts'
import { compile, type ExpressionColumn, type ExpressionProblem } from './compile.ts'
import { beginWork, ExpressionFailure } from './failure.ts'
import { valueOf, type Frame, type Node } from './node.ts'
import { nameType, type Cel, type CelType } from './types.ts'
import { isCanonical, writer } from './values.ts'

/** A filter of rows: a row is in where its expression is true; null is out. */
export interface Filter {
  /** The columns whose cells it needs, in the order in which `matches` and `rest` take them. */
  readonly uses: readonly string[]
  /** @throws ExpressionFailure where the expression has no value for the row */
  readonly matches: (cells: readonly Value[]) => boolean
  /** What the database may be asked for every row: it never leaves out a row that matches. */
  readonly pushdown: Condition | null
  /** What is left to be asked of the rows that the database selects; null where that is nothing. */
  readonly rest: ((cells: readonly Value[]) => boolean) | null
}

/** Compiles a filter, and finds the parts of it that a database answers exactly as the expression does. */
export function compileFilter(
  text: string,
  columns: readonly ExpressionColumn[],
): Filter | { readonly problem: ExpressionProblem } {
  const compiled = compile(text, columns)
  if (!('node' in compiled)) return { problem: compiled }
  const { node, uses } = compiled
  if (node.type.kind !== 'bool') {
    const message = `A filter is true or false, and this is ${nameType(node.type)}.`
    return { problem: { message, line: 1, column: 1 } }
  }
  const pushed: Condition[] = []
  const kept: Node[] = []
  for (const part of conjuncts(node)) {
    const condition = conditionOf(part, uses)
    if (condition === null) kept.push(part)
    else pushed.push(condition)
  }
  const [only] = pushed
  return {
    uses: uses.map(({ name }) => name),
    matches: matcher([node]),
    pushdown: pushed.length === 1 && only !== undefined ? only : joined('and', pushed),
    rest: kept.length === 0 ? null : matcher(pushed.length === 0 ? [node] : kept),
  }
}

/** Any order of the parts gives the same answer: what is false decides, also where another part fails. */
function matcher(parts: readonly Node[]): (cells: readonly Value[]) => boolean {
  const frame: { cells: readonly Value[]; readonly locals: Cel[] } = { cells: [], locals: [] }
  const [first] = parts
  if (first !== undefined && parts.length === 1) {
    return (cells) => {
      beginWork()
      frame.cells = cells
      return first.run(frame) === true
    }
  }
  return (cells) => {
    beginWork()
    frame.cells = cells
    return allTrue(parts, frame)
  }
}

function allTrue(parts: readonly Node[], frame: Frame): boolean {
  let failure: unknown
  let failed = false
  let result = true
  for (const part of parts) {
    try {
      const value = part.run(frame)
      if (value === false) return false
      if (value === null) result = false
    } catch (error) {
      if (!failed) failure = error
      failed = true
    }
  }
  if (failed) throw failure
  return result
}

function conjuncts(node: Node): Node[] {
  return node.shape?.kind === 'and' ? [...conjuncts(node.shape.left), ...conjuncts(node.shape.right)] : [node]
}

function joined(kind: 'and' | 'or', of: readonly Condition[]): Condition | null {
  return of.length === 0 ? null : { kind, of }
}

type Columns = readonly ExpressionColumn[]

/** The same question for the database, or null where it might answer another way for some value. */
function conditionOf(node: Node, columns: Columns): Condition | null {
  const { shape } = node
  if (node.column !== undefined) return truthOf(node.column, columns)
  switch (shape?.kind) {
    case 'and':
    case 'or': {
      const [left, right] = [conditionOf(shape.left, columns), conditionOf(shape.right, columns)]
      return left && right && { kind: shape.kind, of: [left, right] }
    }
    case 'not': {
      const of = conditionOf(shape.of, columns)
      return of && { kind: 'not', of }
    }
    case 'compare':
      return comparisonOf(shape, columns)
    case 'in':
      return membershipOf(shape, columns)
    case 'starts with': {
      const column = columnOf(shape.text, columns)
      const prefix = shape.prefix.constant ? valueOf(shape.prefix) : null
      const plain = column?.type.kind === 'text' && typeof prefix === 'string' && isStorable(prefix)
      return plain ? { kind: 'starts with', column: column.name, prefix } : null
    }
    case undefined:
      return null
  }
}

/** A column of truth values by itself: null where it is null. */
function truthOf(place: number, columns: Columns): Condition | null {
  const column = columns[place]
  if (column?.type.kind !== 'boolean') return null
  return { kind: 'order', column: column.name, operator: '>=', value: { type: 'boolean', text: 't' } }
}

type CompareShape = Extract<Node['shape'], { kind: 'compare' }>

const TURNED = { '<': '>', '<=': '>=', '>': '<', '>=': '<=', '==': '==', '!=': '!=' } as const

function comparisonOf(shape: CompareShape, columns: Columns): Condition | null {
  const turned = shape.left.constant
  const column = columnOf(turned ? shape.right : shape.left, columns)
  const other = turned ? shape.left : shape.right
  if (column === null || !other.constant) return null
  const operator = turned ? TURNED[shape.operator] : shape.operator
  const value = valueOf(other)
  if (value === null) return nullTest(column, operator)
  const constant = constantOf(column, other, value)
  if (constant === null) return null
  if (operator === '==' || operator === '!=') {
    const equal: Condition = { kind: 'equal', column: column.name, value: constant }
    return operator === '==' ? equal : { kind: 'not', of: equal }
  }
  // The order of an enum is that of its labels in the database, and of a text here.
  if (column.type.kind === 'enum') return null
  return { kind: 'order', column: column.name, operator, value: constant }
}

/** JSON null is null here and a value there; a composite of nulls is null there and a value here. */
function nullTest(column: ExpressionColumn, operator: CompareShape['operator']): Condition | null {
  if (column.type.kind === 'json' || column.type.kind === 'other') return null
  const isNull: Condition = { kind: 'is null', column: column.name }
  if (operator === '==') return isNull
  return operator === '!=' ? { kind: 'not', of: isNull } : null
}

function membershipOf(shape: Extract<Node['shape'], { kind: 'in' }>, columns: Columns): Condition | null {
  const column = columnOf(shape.item, columns)
  if (column === null || !shape.list.constant || shape.list.type.kind !== 'list') return null
  const { of } = shape.list.type
  const elements = valueOf(shape.list) as readonly Cel[]
  const constants: Constant[] = []
  for (const element of elements) {
    const constant = element === null ? null : constantOf(column, { ...shape.item, type: of }, element)
    if (constant === null) return null
    constants.push(constant)
  }
  return { kind: 'one of', column: column.name, values: constants }
}

/** The column that a node is, also where its integers were made decimals: the database does the same. */
function columnOf(node: Node, columns: Columns): ExpressionColumn | null {
  const place = node.column ?? node.convertedFrom?.column
  return place === undefined ? null : (columns[place] ?? null)
}

/** The constant as the database compares it with the column, or null where it might compare another way. */
function constantOf(column: ExpressionColumn, node: Node, value: Cel): Constant | null {
  const type = constantType(column, node)
  if (type === null) return null
  const text = textOf(node.type, value)
  if (text === null || !isStorable(text)) return null
  if (type === 'uuid' && !isCanonical({ kind: 'uuid' }, text)) return null
  return { type, text }
}

/** Null where the database has no such value. */
function textOf(type: CelType, value: Cel): string | null {
  try {
    const text = writer(type)(value)
    return typeof text === 'string' ? text : null
  } catch (error) {
    if (error instanceof ExpressionFailure) return null
    throw error
  }
}

function constantType({ type }: ExpressionColumn, node: Node): Constant['type'] | null {
  switch (type.kind) {
    case 'integer':
    case 'decimal':
      return node.type.kind === 'int' ? 'integer' : 'decimal'
    case 'float':
    case 'boolean':
    case 'uuid':
    case 'bytes':
    case 'date':
      return type.kind
    case 'text':
    case 'enum':
      return 'text'
    case 'timestamp':
      return type.zoned ? 'timestamp with zone' : 'timestamp'
    case 'time':
      return type.zoned ? null : 'time'
    // Blanks at the end count here and not there; the others are texts here and something else there.
    case 'padded text':
    case 'interval':
    case 'json':
    case 'array':
    case 'other':
      return null
  }
}

/** Whether a database takes the text as it is: no half of a surrogate pair, and no U+0000. */
function isStorable(text: string): boolean {
  return !text.includes('\0') && text.isWellFormed()
}
