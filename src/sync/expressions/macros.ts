import type { ASTNode } from '@marcbachmann/cel-js'
import type { Compiler, Scope } from './compile.ts'
import { allowElements, charge, fail } from './failure.ts'
import { isArray, type Json } from '#sync/values/json.ts'
import { Mistake, type Frame, type Node } from './node.ts'
import { listOf, nameType, typeOf, type Cel } from './types.ts'

/** A form of the language that an example executes and the docs show. */
export const MACROS = [
  {
    form: 'list.all(x, condition)',
    about: 'Whether the condition holds for every element.',
    example: { expression: '[1, 2].all(x, x > 0)', gives: 't' },
  },
  {
    form: 'list.exists(x, condition)',
    about: 'Whether the condition holds for an element.',
    example: { expression: '["a", "b"].exists(x, x == "b")', gives: 't' },
  },
  {
    form: 'list.exists_one(x, condition)',
    about: 'Whether the condition holds for exactly one element.',
    example: { expression: '[1, 1].exists_one(x, x == 1)', gives: 'f' },
  },
  {
    form: 'list.filter(x, condition)',
    about: 'The elements for which the condition holds.',
    example: { expression: '[1, 2, 3].filter(x, x > 1)', gives: '{2,3}' },
  },
  {
    form: 'list.map(x, value)',
    about: 'A value for every element; with a condition before the value, for those for which it holds.',
    example: { expression: '[1, 2, 3].map(x, x > 1, x * 10)', gives: '{20,30}' },
  },
  {
    form: 'cel.bind(x, value, expression)',
    about: 'The expression with a name for a value.',
    example: { expression: 'cel.bind(x, lower("AB"), x + x)', gives: 'abab' },
  },
] as const

const NAMES = new Set(['all', 'exists', 'exists_one', 'existsOne', 'filter', 'map'])

interface Macro {
  readonly name: string
  readonly receiver: ASTNode
  readonly args: readonly ASTNode[]
  readonly scope: Scope
  readonly position: number
}

export function isMacro(name: string, receiver: ASTNode): boolean {
  return NAMES.has(name) || (name === 'bind' && receiver.op === 'id' && receiver.args === 'cel')
}

export function macro(compiler: Compiler, of: Macro): Node {
  const { name, receiver, args, scope, position } = of
  const [variable, ...bodies] = args
  if (variable?.op !== 'id') throw new Mistake(`${name} begins with the name of a variable.`, position)
  if (name === 'bind') return bind(compiler, variable.args, of)
  const list = compiler.compile(receiver, scope)
  const element = elementType(list, name, position)
  const inner = compiler.declare(scope, variable.args, element)
  const nodes = bodies.map((body) => compiler.compile(body, inner.scope))
  const [first, second] = nodes
  if (first === undefined || nodes.length > (name === 'map' ? 2 : 1)) {
    throw new Mistake(`${name} takes a variable and an expression.`, position)
  }
  const condition = name === 'map' ? (second === undefined ? null : first) : first
  if (condition !== null && condition.type.kind !== 'bool' && condition.type.kind !== 'null') {
    throw new Mistake(`The condition of ${name} is ${nameType(condition.type)}, and no truth value.`, position)
  }
  const loop = { list, place: inner.place, condition }
  switch (name) {
    case 'all':
      return quantifier(loop, false)
    case 'exists':
      return quantifier(loop, true)
    case 'filter':
      return { ...collected(loop, null), type: listOf(element) }
    case 'map': {
      const value = second ?? first
      return { ...collected(loop, value), type: listOf(value.type) }
    }
    default:
      return exactlyOne(loop)
  }
}

function elementType(list: Node, name: string, position: number): Node['type'] {
  if (list.type.kind === 'list') return list.type.of
  if (list.type.kind === 'json') return list.type
  throw new Mistake(`${name} needs a list, and not ${nameType(list.type)}.`, position)
}

interface Loop {
  readonly list: Node
  readonly place: number
  readonly condition: Node | null
}

/** Null where the list is null. */
function elementsOf(list: Node, frame: Frame): readonly Cel[] | null {
  const value = list.run(frame)
  if (value === null) return null
  if (list.type.kind === 'json' && !isArray(value as Json)) return fail('JSON is no array.')
  return value as readonly Cel[]
}

/** As a chain of && (||): decided by one element, null where none decides and one is null. */
function quantifier({ list, place, condition }: Loop, decisive: boolean): Node {
  const run = (frame: Frame): Cel => {
    const elements = elementsOf(list, frame)
    if (elements === null || condition === null) return null
    let result: boolean | null = !decisive
    for (const element of elements) {
      charge(1)
      frame.locals[place] = element
      const holds = condition.run(frame)
      if (holds === decisive) return decisive
      if (holds === null) result = null
    }
    return result
  }
  return { type: typeOf('bool'), constant: false, run }
}

function exactlyOne({ list, place, condition }: Loop): Node {
  const run = (frame: Frame): Cel => {
    const elements = elementsOf(list, frame)
    if (elements === null || condition === null) return null
    let count = 0
    for (const element of elements) {
      charge(1)
      frame.locals[place] = element
      if (condition.run(frame) === true) count += 1
    }
    return count === 1
  }
  return { type: typeOf('bool'), constant: false, run }
}

/** Elements (or values of them) for which the condition is true. */
function collected({ list, place, condition }: Loop, value: Node | null): Node {
  const run = (frame: Frame): Cel => {
    const elements = elementsOf(list, frame)
    if (elements === null) return null
    const result: Cel[] = []
    for (const element of elements) {
      charge(1)
      frame.locals[place] = element
      if (condition !== null && condition.run(frame) !== true) continue
      result.push(value === null ? element : value.run(frame))
    }
    allowElements(result.length)
    return result
  }
  return { type: list.type, constant: false, run }
}

function bind(compiler: Compiler, name: string, { args, scope, position }: Macro): Node {
  const [, valueAst, bodyAst] = args
  if (valueAst === undefined || bodyAst === undefined || args.length > 3) {
    throw new Mistake('cel.bind takes a name, a value and an expression.', position)
  }
  const value = compiler.compile(valueAst, scope)
  const inner = compiler.declare(scope, name, value.type)
  const body = compiler.compile(bodyAst, inner.scope)
  const run = (frame: Frame): Cel => {
    frame.locals[inner.place] = value.run(frame)
    return body.run(frame)
  }
  return { type: body.type, constant: false, run }
}
