import { Environment, ParseError, type ASTNode } from '@marcbachmann/cel-js'
import type { ColumnType } from '#model/column-type.ts'
import { call } from './calls.ts'
import { parseDecimal } from './decimal.ts'
import { allowElements, charge, fail, MAX_DEPTH, MAX_EXPRESSION, MAX_NODES } from './failure.ts'
import { toJson } from './functions-any.ts'
import { isArray, isObject, type Json } from '#sync/values/json.ts'
import { isMacro, macro } from './macros.ts'
import { constant, folded, Mistake, strict2, unified, type Frame, type Node } from './node.ts'
import { arithmetic, comparison, inverted, junction, membership, negated } from './operators.ts'
import { celTypeOf, listOf, nameType, typeOf, type Cel, type CelType } from './types.ts'
import { reader } from './values.ts'

/** A column that an expression may use. */
export interface ExpressionColumn {
  readonly name: string
  readonly type: ColumnType
}

/** What is wrong with the text of an expression, and where; lines and columns count from 1. */
export interface ExpressionProblem {
  readonly message: string
  readonly line: number
  readonly column: number
}

export interface Compiled {
  readonly node: Node
  readonly uses: readonly ExpressionColumn[]
}

/** Only its grammar is used: types, nulls and numbers are ours, because CEL's numbers are doubles and its times dates. */
const grammar = new Environment({
  limits: {
    maxAstNodes: MAX_NODES,
    maxDepth: MAX_DEPTH,
    maxListElements: 1_000,
    maxMapEntries: 1_000,
    maxCallArguments: 32,
  },
})

/** Reads an expression and checks its types. */
export function compile(text: string, columns: readonly ExpressionColumn[]): Compiled | ExpressionProblem {
  try {
    if (text.length > MAX_EXPRESSION) throw new Mistake(`It is longer than ${MAX_EXPRESSION} characters.`, 0)
    const compiler = new Compiler(columns)
    const node = compiler.compile(grammar.parse(text).ast)
    return { node, uses: compiler.uses }
  } catch (error) {
    if (error instanceof Mistake) return problemAt(text, error.message, error.position)
    if (error instanceof ParseError) return problemAt(text, `${error.summary}.`, error.range?.start ?? 0)
    // The parser recurses: what nests too deep for it ends here.
    if (error instanceof RangeError) return problemAt(text, 'It is nested too deep.', 0)
    throw error
  }
}

function problemAt(text: string, message: string, position: number): ExpressionProblem {
  const lines = text.slice(0, position).split('\n')
  return { message, line: lines.length, column: (lines.at(-1)?.length ?? 0) + 1 }
}

/** Variables of macros that are in sight, by name. */
export type Scope = ReadonlyMap<string, { readonly place: number; readonly type: CelType }>

export class Compiler {
  readonly uses: ExpressionColumn[] = []
  readonly #columns: ReadonlyMap<string, ExpressionColumn>
  readonly #nodes = new Map<string, Node>()
  #locals = 0
  #depth = 0

  constructor(columns: readonly ExpressionColumn[]) {
    this.#columns = new Map(columns.map((column) => [column.name, column]))
  }

  compile(ast: ASTNode, scope: Scope = new Map()): Node {
    if (++this.#depth > 4 * MAX_DEPTH) throw new Mistake('It is nested too deep.', ast.pos)
    const node = this.#compile(ast, scope)
    this.#depth -= 1
    return node
  }

  /** A new variable in sight of what is compiled with the scope. */
  declare(scope: Scope, name: string, type: CelType): { readonly place: number; readonly scope: Scope } {
    const place = this.#locals++
    return { place, scope: new Map([...scope, [name, { place, type }]]) }
  }

  #compile(ast: ASTNode, scope: Scope): Node {
    const both = (args: readonly [ASTNode, ASTNode]): readonly [Node, Node] => [
      this.compile(args[0], scope),
      this.compile(args[1], scope),
    ]
    switch (ast.op) {
      case 'value':
        return literal(ast)
      case 'id':
        return this.#identifier(ast.args, scope, ast.pos)
      case '.':
        return this.#access(ast.args[0], constant(typeOf('text'), ast.args[1]), { scope, position: ast.pos })
      case '[]':
        return this.#access(ast.args[0], this.compile(ast.args[1], scope), { scope, position: ast.pos })
      case '+':
      case '-':
      case '*':
      case '/':
      case '%': {
        const operands = both(ast.args)
        return folded(arithmetic(ast.op, operands, ast.pos), operands, ast.pos)
      }
      case '==':
      case '!=':
      case '<':
      case '<=':
      case '>':
      case '>=':
        return comparison(ast.op, both(ast.args), ast.pos)
      case 'in': {
        const [item, list] = both(ast.args)
        return membership(item, list, ast.pos)
      }
      case '&&':
      case '||': {
        const [left, right] = both(ast.args).map((side) => this.#truth(side, ast.op, ast.pos))
        if (left === undefined || right === undefined) throw new Mistake('A side is missing.', ast.pos)
        return junction(ast.op === '&&' ? 'and' : 'or', left, right)
      }
      case '!_':
        return inverted(this.#truth(this.compile(ast.args, scope), '!', ast.pos))
      case '-_':
        return this.#negated(ast.args, scope, ast.pos)
      case '?:':
        return this.#conditional(ast.args, scope, ast.pos)
      case 'list':
        return this.#list(ast.args, scope, ast.pos)
      case 'map':
        return this.#object(ast.args, scope)
      case 'call':
        if (ast.args[0] === 'has') return this.#has(ast.args[1], scope, ast.pos)
        return call(ast.args[0], this.#all(ast.args[1], scope), ast.pos)
      case 'rcall': {
        const [name, receiver, args] = ast.args
        if (isMacro(name, receiver)) return macro(this, { name, receiver, args, scope, position: ast.pos })
        return call(name, this.#all([receiver, ...args], scope), ast.pos)
      }
      case '.?':
      case '[?]':
        throw new Mistake('Optional access is not known: what is missing in JSON is null.', ast.pos)
    }
  }

  #all(asts: readonly ASTNode[], scope: Scope): Node[] {
    return asts.map((ast) => this.compile(ast, scope))
  }

  #truth(node: Node, operator: string, position: number): Node {
    if (node.type.kind === 'bool') return node
    if (node.type.kind === 'null') return { ...node, type: typeOf('bool') }
    throw new Mistake(`${operator} needs truth values, and not ${nameType(node.type)}.`, position)
  }

  #identifier(name: string, scope: Scope, position: number): Node {
    const local = scope.get(name)
    if (local !== undefined) {
      const { place, type } = local
      return { type, constant: false, run: (frame) => frame.locals[place] ?? null }
    }
    if (name === 'row' && !this.#columns.has(name)) {
      throw new Mistake('row stands for the whole row: name a column of it, as row.name or row["any name"].', position)
    }
    return this.#column(name, position)
  }

  #column(name: string, position: number): Node {
    const known = this.#nodes.get(name)
    if (known !== undefined) return known
    const column = this.#columns.get(name)
    if (column === undefined) throw new Mistake(`There is no column "${name}".`, position)
    const place = this.uses.length
    const read = reader(column.type)
    const run = (frame: Frame): Cel => read(frame.cells[place] ?? null)
    const node = { type: celTypeOf(column.type), constant: false, column: place, run }
    this.uses.push(column)
    this.#nodes.set(name, node)
    return node
  }

  /** `a.b`, `a["b"]`, `a[0]`: a column of the row, a part of JSON, an element of a list. */
  #access(of: ASTNode, index: Node, { scope, position }: { scope: Scope; position: number }): Node {
    if (of.op === 'id' && of.args === 'row' && !scope.has('row')) {
      const name = index.constant ? index.run({ cells: [], locals: [] }) : null
      if (typeof name !== 'string')
        throw new Mistake('A column is named by a constant text: row["any name"].', position)
      return this.#column(name, position)
    }
    const base = this.compile(of, scope)
    if (base.type.kind === 'json' && (index.type.kind === 'text' || index.type.kind === 'int')) {
      return strict2([base, index], base.type, (json, at) => member(json as Json, at as string | bigint) ?? null)
    }
    if (base.type.kind === 'list' && index.type.kind === 'int') {
      return strict2([base, index], base.type.of, (list, at) => element(list as readonly Cel[], at as bigint))
    }
    throw new Mistake(`${nameType(base.type)} has no parts that can be named by ${nameType(index.type)}.`, position)
  }

  /** Whether a column is not null, or a part of JSON is there, be it null. */
  #has(args: readonly ASTNode[], scope: Scope, position: number): Node {
    const [of] = args
    if (of === undefined || args.length > 1 || (of.op !== '.' && of.op !== '[]')) {
      throw new Mistake('has takes a column or a part of JSON: has(row.name), has(data.name).', position)
    }
    const whole = this.compile(of, scope)
    const base = of.args[0]
    if (whole.column !== undefined || (base.op === 'id' && base.args === 'row')) {
      return { type: typeOf('bool'), constant: false, run: (frame) => frame.cells[whole.column ?? 0] !== null }
    }
    const container = this.compile(base, scope)
    const index = of.op === '.' ? constant(typeOf('text'), of.args[1]) : this.compile(of.args[1], scope)
    if (container.type.kind !== 'json') throw new Mistake('has takes a column or a part of JSON.', position)
    const found = strict2(
      [container, index],
      typeOf('bool'),
      (json, at) => member(json as Json, at as string | bigint) !== undefined,
    )
    return { ...found, run: (frame) => found.run(frame) === true }
  }

  #negated(of: ASTNode, scope: Scope, position: number): Node {
    // The least integer is written as the negation of one that is too large by itself.
    if (of.op === 'value' && typeof of.args === 'bigint') return integer(-of.args, position)
    const operand = this.compile(of, scope)
    return folded(negated(operand, position), [operand], position)
  }

  #conditional(args: readonly [ASTNode, ASTNode, ASTNode], scope: Scope, position: number): Node {
    const condition = this.#truth(this.compile(args[0], scope), '?:', position)
    const { type, nodes } = unified([this.compile(args[1], scope), this.compile(args[2], scope)], position)
    const [yes, no] = nodes
    if (yes === undefined || no === undefined) throw new Mistake('?: needs two results.', position)
    // Null is not true.
    return { type, constant: false, run: (frame) => (condition.run(frame) === true ? yes : no).run(frame) }
  }

  #list(args: readonly ASTNode[], scope: Scope, position: number): Node {
    const { type, nodes } = unified(this.#all(args, scope), position)
    const runs = nodes.map(({ run }) => run)
    const run = (frame: Frame): Cel => {
      allowElements(runs.length)
      return runs.map((of) => of(frame))
    }
    return folded({ type: listOf(type), constant: false, run }, nodes, position)
  }

  /** `{"a": 1}` is JSON. */
  #object(entries: readonly (readonly [ASTNode, ASTNode])[], scope: Scope): Node {
    const fields = entries.map(([name, value]) => {
      const key = this.compile(name, scope)
      if (key.type.kind !== 'text') throw new Mistake('The names of JSON are texts: {"name": value}.', name.pos)
      const field = this.compile(value, scope)
      return { key, field, convert: toJson(field.type) }
    })
    const run = (frame: Frame): Cel => {
      charge(fields.length)
      return new Map(
        fields.map(({ key, field, convert }) => {
          const value = field.run(frame)
          const name = key.run(frame)
          if (typeof name !== 'string') return fail('A name of JSON is null.')
          return [name, value === null ? null : convert(value)]
        }),
      )
    }
    return { type: typeOf('json'), constant: false, run }
  }
}

/** A part of JSON; undefined where there is none. */
function member(json: Json, at: string | bigint): Json | undefined {
  if (typeof at === 'string')
    return json !== null && typeof json === 'object' && isObjectJson(json) ? json.get(at) : undefined
  return isArrayJson(json) && at >= 0n ? json[Number(at)] : undefined
}

function isObjectJson(json: Json): json is ReadonlyMap<string, Json> {
  return isObject(json)
}

function isArrayJson(json: Json): json is readonly Json[] {
  return isArray(json)
}

function element(list: readonly Cel[], at: bigint): Cel {
  const found = at < 0n ? undefined : list[Number(at)]
  return found === undefined ? fail('A list has no such element.') : found
}

function literal(ast: Extract<ASTNode, { op: 'value' }>): Node {
  const value = ast.args
  if (value === null) return constant(typeOf('null'), null)
  switch (typeof value) {
    case 'string':
      return constant(typeOf('text'), value)
    case 'boolean':
      return constant(typeOf('bool'), value)
    case 'bigint':
      return integer(value, ast.pos)
    case 'number': {
      // The digits as they were written, because the parser has made a double of them.
      const decimal = parseDecimal(ast.input.slice(ast.start, ast.end))
      if (decimal === null) throw new Mistake('A number cannot be read.', ast.pos)
      return constant(typeOf('decimal'), decimal)
    }
    default:
      if (value instanceof Uint8Array) return constant(typeOf('bytes'), value)
      throw new Mistake('Unsigned numbers are not known: leave the u out.', ast.pos)
  }
}

function integer(value: bigint, position: number): Node {
  if (BigInt.asIntN(64, value) !== value) throw new Mistake('An integer does not fit 64 bits.', position)
  return constant(typeOf('int'), value)
}
