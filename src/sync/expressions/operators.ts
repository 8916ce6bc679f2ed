import { calculate, checkInt, fromInteger, isDecimal, parseDecimal, type ExactDecimal } from './decimal.ts'
import { allowElements, allowText, ExpressionFailure, fail } from './failure.ts'
import { isArray, isObject, JsonNumber, type Json } from '#sync/values/json.ts'
import { commonType, converted, Mistake, strict1, strict2, valueOf, type Comparison, type Node } from './node.ts'
import { finite, finiteDay, moment } from './moments.ts'
import { nameType, typeOf, type Cel, type CelType } from './types.ts'
import { comparer, isOrdered } from './values.ts'

const BOOL = typeOf('bool')

type Arithmetic = '+' | '-' | '*' | '/' | '%'

/** `a + b` and its like: null where an operand is null. */
export function arithmetic(operator: Arithmetic, operands: readonly [Node, Node], position: number): Node {
  const [a, b] = operands
  const time = operator === '+' || operator === '-' ? timeArithmetic(operator, a, b) : null
  if (time !== null) return time
  const type = commonType(a, b)
  const call = type && ARITHMETIC[type.kind]?.(operator)
  if (type === null || call === null || call === undefined) {
    const [left, right] = [nameType(a.type), nameType(b.type)]
    throw new Mistake(`${operator} is not defined for ${left} and ${right}.${adviceFor(a, b)}`, position)
  }
  return strict2([converted(a, type), converted(b, type)], type, call)
}

function adviceFor(a: Node, b: Node): string {
  const kinds = [a.type.kind, b.type.kind]
  if (kinds.includes('json')) return ' Say what the JSON is, with int(x), decimal(x), text(x) or bool(x).'
  if (kinds.includes('double')) return ' Convert one of them, with double(x) or decimal(x).'
  return kinds.includes('text') ? ' Make a text of the other with text(x).' : ''
}

type Binary = (a: Cel, b: Cel) => Cel

const ARITHMETIC: Partial<Record<CelType['kind'], (operator: Arithmetic) => Binary | null>> = {
  int: (operator) => {
    switch (operator) {
      case '+':
        return (a, b) => checkInt((a as bigint) + (b as bigint))
      case '-':
        return (a, b) => checkInt((a as bigint) - (b as bigint))
      case '*':
        return (a, b) => checkInt((a as bigint) * (b as bigint))
      case '/':
        return (a, b) => (b === 0n ? fail('A number is divided by zero.') : checkInt((a as bigint) / (b as bigint)))
      case '%':
        return (a, b) => (b === 0n ? fail('A number is divided by zero.') : (a as bigint) % (b as bigint))
    }
  },
  decimal: (operator) => (a, b) => calculate(operator, a as ExactDecimal, b as ExactDecimal),
  double: (operator) => {
    switch (operator) {
      case '+':
        return (a, b) => (a as number) + (b as number)
      case '-':
        return (a, b) => (a as number) - (b as number)
      case '*':
        return (a, b) => (a as number) * (b as number)
      case '/':
        return (a, b) => (a as number) / (b as number)
      case '%':
        return null
    }
  },
  text: (operator) => {
    if (operator !== '+') return null
    return (a, b) => {
      allowText((a as string).length + (b as string).length)
      return (a as string) + (b as string)
    }
  },
  list: (operator) => {
    if (operator !== '+') return null
    return (a, b) => {
      const [left, right] = [a as readonly Cel[], b as readonly Cel[]]
      allowElements(left.length + right.length)
      return [...left, ...right]
    }
  },
  duration: (operator) => {
    if (operator === '+') return (a, b) => checkInt((a as bigint) + (b as bigint))
    return operator === '-' ? (a, b) => checkInt((a as bigint) - (b as bigint)) : null
  },
}

/** Moments and durations, dates and days. */
function timeArithmetic(operator: '+' | '-', a: Node, b: Node): Node | null {
  const sign = operator === '+' ? 1n : -1n
  const [left, right] = [a.type.kind, b.type.kind]
  const isMoment = left === 'timestamp' || left === 'datetime'
  if (isMoment && right === 'duration') {
    return strict2([a, b], a.type, (x, y) => moment(finite(x as bigint) + sign * (y as bigint)))
  }
  if (isMoment && right === left && operator === '-') {
    return strict2([a, b], typeOf('duration'), (x, y) => checkInt(finite(x as bigint) - finite(y as bigint)))
  }
  if (left === 'date' && right === 'int') {
    return strict2([a, b], a.type, (x, y) => finiteDay(x as number) + Number(sign * (y as bigint)))
  }
  if (left === 'date' && right === 'date' && operator === '-') {
    return strict2([a, b], typeOf('int'), (x, y) => BigInt(finiteDay(x as number) - finiteDay(y as number)))
  }
  return null
}

export function negated(of: Node, position: number): Node {
  switch (of.type.kind) {
    case 'int':
    case 'duration':
      return strict1(of, of.type, (a) => checkInt(-(a as bigint)))
    case 'decimal':
      return strict1(of, of.type, (a) => (a as ExactDecimal).negated())
    case 'double':
      return strict1(of, of.type, (a) => -(a as number))
    default:
      throw new Mistake(`- is not defined for ${nameType(of.type)}.`, position)
  }
}

/**
 * `==` and `!=` take null for a value like any other and are never null. The order of anything and null is null.
 * JSON is equal to a text, number or truth value that it is.
 */
export function comparison(operator: Comparison, operands: readonly [Node, Node], position: number): Node {
  const [a, b] = operands
  const equality = operator === '==' || operator === '!='
  const mixed = equality ? jsonEquality(a, b) : null
  const type = mixed === null ? commonType(a, b) : BOOL
  if (type === null || (!equality && !isOrdered(type))) {
    const [left, right] = [nameType(a.type), nameType(b.type)]
    throw new Mistake(`${operator} is not defined for ${left} and ${right}.${adviceFor(a, b)}`, position)
  }
  const left = mixed === null ? converted(a, type) : a
  const right = mixed === null ? converted(b, type) : b
  const shape = { kind: 'compare' as const, operator, left, right }
  if (!equality) return { ...strict2([left, right], BOOL, ordering(operator, comparer(type))), shape }
  const compare = mixed ?? comparer(type)
  const wanted = operator === '=='
  const [runLeft, runRight] = [left.run, right.run]
  return {
    type: BOOL,
    constant: false,
    shape,
    run: (frame) => {
      const [x, y] = [runLeft(frame), runRight(frame)]
      return (x === null || y === null ? x === y : compare(x, y) === 0) === wanted
    },
  }
}

function ordering(operator: Exclude<Comparison, '==' | '!='>, compare: Binary): Binary {
  const order = compare as (a: Cel, b: Cel) => number
  switch (operator) {
    case '<':
      return (a, b) => order(a, b) < 0
    case '<=':
      return (a, b) => order(a, b) <= 0
    case '>':
      return (a, b) => order(a, b) > 0
    case '>=':
      return (a, b) => order(a, b) >= 0
  }
}

/** How JSON is compared with something else; null where neither or both are JSON. */
function jsonEquality(a: Node, b: Node): ((x: Cel, y: Cel) => number) | null {
  if ((a.type.kind === 'json') === (b.type.kind === 'json')) {
    return a.type.kind === 'json' ? (x, y) => Number(!sameJson(x as Json, y as Json)) : null
  }
  const json = a.type.kind === 'json'
  const other = json ? b.type : a.type
  if (!['text', 'bool', 'int', 'decimal', 'double'].includes(other.kind)) return null
  return (x, y) => Number(!isJson(json ? x : y, json ? y : x))
}

function isJson(json: Cel, value: Cel): boolean {
  if (json instanceof JsonNumber) {
    const number = parseDecimal(json.text)
    const isNumber = typeof value === 'bigint' || typeof value === 'number' || isDecimal(value)
    return number !== null && isNumber && number.eq(typeof value === 'bigint' ? fromInteger(value) : value)
  }
  return json === value
}

/** Numbers by value, objects whatever the order of their names. */
export function sameJson(a: Json, b: Json): boolean {
  if (a instanceof JsonNumber && b instanceof JsonNumber) {
    const [left, right] = [parseDecimal(a.text), parseDecimal(b.text)]
    return a.text === b.text || (left !== null && right !== null && left.eq(right))
  }
  if (a === null || b === null || typeof a !== 'object' || typeof b !== 'object') return a === b
  if (isObject(a) || isObject(b)) {
    if (!isObject(a) || !isObject(b) || a.size !== b.size) return false
    return [...a].every(([name, field]) => b.has(name) && sameJson(field, b.get(name) ?? null))
  }
  if (!isArray(a) || !isArray(b) || a.length !== b.length) return false
  return a.every((element, i) => sameJson(element, b[i] ?? null))
}

/** `x in list`: whether `x == element` for one of them. Null in a list that holds null is true. */
export function membership(item: Node, list: Node, position: number): Node {
  if (list.type.kind !== 'list') {
    throw new Mistake(`in is not defined for ${nameType(item.type)} and ${nameType(list.type)}.`, position)
  }
  const type = commonType(item, { ...list, type: list.type.of })
  if (type === null) {
    throw new Mistake(`in is not defined for ${nameType(item.type)} and ${nameType(list.type)}.`, position)
  }
  const elements = converted(list, { kind: 'list', of: type })
  const left = converted(item, type)
  const compare = comparer(type)
  const contains = (x: Cel, parts: readonly Cel[]): boolean =>
    parts.some((part) => (x === null || part === null ? x === part : compare(x, part) === 0))
  const shape = { kind: 'in' as const, item: left, list: elements }
  if (elements.constant && hashable(type)) {
    const set = new Set(valueOf(elements) as readonly Cel[])
    return { type: BOOL, constant: false, shape, run: (frame) => set.has(left.run(frame)) }
  }
  return {
    type: BOOL,
    constant: false,
    shape,
    run: (frame) => {
      const x = left.run(frame)
      const parts = elements.run(frame) as readonly Cel[] | null
      return parts === null ? null : contains(x, parts)
    },
  }
}

/** Types whose values a Set tells apart as `==` does. */
function hashable(type: CelType): boolean {
  return ['int', 'text', 'bool', 'timestamp', 'datetime', 'date', 'time', 'duration'].includes(type.kind)
}

/**
 * `&&` and `||`: false (true) where one side is, whatever the other is, also where the other has no value or fails;
 * null where the rest is null.
 */
export function junction(kind: 'and' | 'or', left: Node, right: Node): Node {
  const decisive = kind === 'or'
  const [a, b] = [left.run, right.run]
  return {
    type: BOOL,
    constant: false,
    shape: { kind, left, right },
    run: (frame) => {
      let x: Cel
      try {
        x = a(frame)
      } catch (error) {
        if (!(error instanceof ExpressionFailure) || b(frame) !== decisive) throw error
        return decisive
      }
      if (x === decisive) return decisive
      const y = b(frame)
      if (y === decisive) return decisive
      return x === null || y === null ? null : !decisive
    },
  }
}

export function inverted(of: Node): Node {
  return { ...strict1(of, BOOL, (a) => a === false), shape: { kind: 'not', of } }
}
