import type { Value } from '#model/value.ts'
import { fromDouble, fromInteger, type ExactDecimal } from './decimal.ts'
import { ExpressionFailure } from './failure.ts'
import { listOf, nameType, sameType, typeOf, type Cel, type CelType } from './types.ts'

/** What one evaluation works on. */
export interface Frame {
  /** The cells of the columns that the expression uses, in their order. */
  cells: readonly Value[]
  /** The variables of `map`, `exists` and their like, by number. */
  readonly locals: Cel[]
}

/** What a part of a filter is, for those who translate it. */
export type Shape =
  | { readonly kind: 'compare'; readonly operator: Comparison; readonly left: Node; readonly right: Node }
  | { readonly kind: 'and' | 'or'; readonly left: Node; readonly right: Node }
  | { readonly kind: 'not'; readonly of: Node }
  | { readonly kind: 'in'; readonly item: Node; readonly list: Node }
  | { readonly kind: 'starts with'; readonly text: Node; readonly prefix: Node }

export type Comparison = '==' | '!=' | '<' | '<=' | '>' | '>='

/** A part of an expression, checked and ready to be evaluated. */
export interface Node {
  readonly type: CelType
  readonly run: (frame: Frame) => Cel
  /** It has the same value for every row. */
  readonly constant: boolean
  /** The place among the columns used, where it is a column as it is. */
  readonly column?: number
  readonly shape?: Shape
  /** The column whose integers it holds as decimals. */
  readonly convertedFrom?: Node
}

/** Something is wrong with an expression, whatever the rows are. */
export class Mistake extends Error {
  /** Characters before the place. */
  readonly position: number

  constructor(message: string, position: number) {
    super(message)
    this.position = position
  }
}

const NO_ROW: Frame = { cells: [], locals: [] }

export function constant(type: CelType, value: Cel): Node {
  return { type, run: () => value, constant: true }
}

export function valueOf(node: Node): Cel {
  return node.run(NO_ROW)
}

/** Evaluates what does not depend on the row once and for all. */
export function folded(node: Node, of: readonly Node[], position: number): Node {
  if (!of.every((part) => part.constant)) return node
  try {
    return constant(node.type, valueOf(node))
  } catch (error) {
    if (error instanceof ExpressionFailure) throw new Mistake(error.reason, position)
    throw error
  }
}

/** Null where the operand is null. */
export function strict1(of: Node, type: CelType, call: (a: Cel) => Cel): Node {
  const { run } = of
  return {
    type,
    constant: false,
    run: (frame) => {
      const a = run(frame)
      return a === null ? null : call(a)
    },
  }
}

/** Null where an operand is null; the second is not looked at where the first is. */
export function strict2(of: readonly [Node, Node], type: CelType, call: (a: Cel, b: Cel) => Cel): Node {
  const [left, right] = [of[0].run, of[1].run]
  if (of[1].constant) {
    const b = valueOf(of[1])
    return b === null ? constant(type, null) : strict1(of[0], type, (a) => call(a, b))
  }
  return {
    type,
    constant: false,
    run: (frame) => {
      const a = left(frame)
      if (a === null) return null
      const b = right(frame)
      return b === null ? null : call(a, b)
    },
  }
}

/** The type that holds the values of both, or null. A constant number fits itself to a double. */
export function commonType(a: Node, b: Node): CelType | null {
  if (a.type.kind === 'null') return b.type
  if (b.type.kind === 'null' || sameType(a.type, b.type)) return a.type
  if (isExact(a.type) && isExact(b.type)) return typeOf('decimal')
  if (a.type.kind === 'double' && b.constant && isExact(b.type)) return a.type
  if (b.type.kind === 'double' && a.constant && isExact(a.type)) return b.type
  if (a.type.kind === 'list' && b.type.kind === 'list') {
    // A list without elements fits any other; lists of numbers meet in decimals.
    if (a.type.of.kind === 'null') return b.type
    if (b.type.of.kind === 'null') return a.type
    return isExact(a.type.of) && isExact(b.type.of) ? listOf(typeOf('decimal')) : null
  }
  return null
}

function isExact(type: CelType): boolean {
  return type.kind === 'int' || type.kind === 'decimal'
}

/** A node's value as one of another type that `commonType` found for it. */
export function converted(node: Node, type: CelType): Node {
  const convert = conversion(node.type, type)
  if (convert === null) return node.type.kind === 'null' ? { ...node, type } : node
  const made = strict1(node, type, convert)
  if (node.constant) return constant(type, valueOf(made))
  const exact = node.column !== undefined && node.type.kind === 'int' && type.kind === 'decimal'
  return exact ? { ...made, convertedFrom: node } : made
}

function conversion(from: CelType, to: CelType): ((value: Cel) => Cel) | null {
  if (from.kind === 'int' && to.kind === 'decimal') return (value) => fromInteger(value as bigint)
  if (from.kind === 'int' && to.kind === 'double') return Number
  if (from.kind === 'decimal' && to.kind === 'double') return (value) => (value as ExactDecimal).toNumber()
  if (from.kind === 'double' && to.kind === 'decimal') return (value) => fromDouble(value as number)
  if (from.kind === 'list' && to.kind === 'list') {
    const element = conversion(from.of, to.of)
    return element && ((value) => (value as readonly Cel[]).map((part) => (part === null ? null : element(part))))
  }
  return null
}

/** The nodes as nodes of one type. */
export function unified(nodes: readonly Node[], position: number): { readonly type: CelType; readonly nodes: Node[] } {
  const [first, ...others] = nodes
  if (first === undefined) return { type: typeOf('null'), nodes: [] }
  let sum = first
  for (const node of others) {
    const type = commonType(sum, node)
    if (type === null)
      throw new Mistake(`${nameType(sum.type)} and ${nameType(node.type)} do not go together.`, position)
    sum = { ...sum, type, constant: sum.constant && node.constant }
  }
  return { type: sum.type, nodes: nodes.map((node) => converted(node, sum.type)) }
}
