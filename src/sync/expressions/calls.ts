import { ExpressionFailure } from './failure.ts'
import { ANY_FUNCTIONS } from './functions-any.ts'
import { NUMBER_FUNCTIONS } from './functions-number.ts'
import { TEXT_FUNCTIONS } from './functions-text.ts'
import { TIME_FUNCTIONS } from './functions-time.ts'
import type { LanguageFunction, Overload } from './functions.ts'
import { converted, folded, Mistake, unified, valueOf, type Frame, type Node } from './node.ts'
import { listOf, nameType, typeOf, type Cel, type CelType, type ScalarKind } from './types.ts'

/** Every function of the language, in the order of the docs. */
export const FUNCTIONS: readonly LanguageFunction[] = [
  ...TEXT_FUNCTIONS,
  ...NUMBER_FUNCTIONS,
  ...TIME_FUNCTIONS,
  ...ANY_FUNCTIONS,
]

/** `string(x)` is what CEL calls `text(x)`. */
const ALIASES: Readonly<Record<string, string>> = { string: 'text' }

interface Signature {
  readonly overload: Overload
  readonly parameters: readonly string[]
  readonly repeats: boolean
  readonly result: string
}

const SIGNATURES = new Map<string, { readonly of: LanguageFunction; readonly signatures: readonly Signature[] }>(
  FUNCTIONS.map((of) => [of.name, { of, signatures: of.overloads.map(parseSignature) }]),
)

function parseSignature(overload: Overload): Signature {
  const [, list = '', result = ''] = /^\w+\((.*)\): (.+)$/.exec(overload.signature) ?? []
  const parameters = list === '' ? [] : list.split(', ')
  const repeats = parameters.at(-1)?.endsWith('...') === true
  return { overload, parameters: parameters.map((name) => name.replace('...', '')), repeats, result }
}

/** A call of a function by its name: the first signature that fits its arguments. */
export function call(name: string, args: readonly Node[], position: number): Node {
  const known = SIGNATURES.get(ALIASES[name] ?? name)
  if (known === undefined) throw new Mistake(`There is no function ${name}.${nearest(name)}`, position)
  for (const signature of known.signatures) {
    const fitted = fit(signature, args, position)
    if (fitted === null) continue
    const node = made(known.of, signature, { ...fitted, position })
    const shaped = known.of.name === 'startsWith' ? shapedPrefix(node, fitted.nodes) : node
    return folded(shaped, args, position)
  }
  const given = args.map(({ type }) => nameType(type)).join(', ')
  const choices = known.signatures.map(({ overload }) => overload.signature).join('; ')
  throw new Mistake(`${name}(${given}) is not defined. There is: ${choices}.`, position)
}

function nearest(name: string): string {
  const wanted = name.toLowerCase()
  const found = FUNCTIONS.find((candidate) => candidate.name.toLowerCase() === wanted)
  return found === undefined ? '' : ` Write ${found.name}.`
}

interface Fitted {
  readonly nodes: readonly Node[]
  readonly generic: CelType | null
}

function fit(signature: Signature, args: readonly Node[], position: number): Fitted | null {
  const { parameters, repeats } = signature
  if (repeats ? args.length < parameters.length : args.length !== parameters.length) return null
  const wanted = args.map((_, i) => parameters[Math.min(i, parameters.length - 1)] ?? '')
  if (wanted.every((parameter) => parameter === 'T')) {
    const { type, nodes } = unified(args, position)
    return { nodes, generic: type }
  }
  const nodes: Node[] = []
  for (const [i, node] of args.entries()) {
    const taken = take(node, wanted[i] ?? '')
    if (taken === null) return null
    nodes.push(taken)
  }
  return { nodes, generic: null }
}

/** The argument as the parameter takes it, or null. */
function take(node: Node, parameter: string): Node | null {
  const { type } = node
  if (parameter === 'any' || type.kind === 'null') return node
  if (parameter === 'list') return type.kind === 'list' ? node : null
  if (parameter.startsWith('list of ')) {
    const element = parameter.slice('list of '.length)
    return type.kind === 'list' && (type.of.kind === element || type.of.kind === 'null') ? node : null
  }
  if (type.kind === parameter) return node
  if (parameter === 'decimal' && type.kind === 'int') return converted(node, typeOf('decimal'))
  const fits = parameter === 'double' && node.constant && type.kind === 'int'
  return fits ? converted(node, typeOf('double')) : null
}

function resultType({ result }: Signature, generic: CelType | null): CelType {
  if (result === 'T') return generic ?? typeOf('null')
  return result.startsWith('list of ')
    ? listOf(typeOf(result.slice('list of '.length) as ScalarKind))
    : typeOf(result as ScalarKind)
}

function made(
  of: LanguageFunction,
  signature: Signature,
  { nodes, generic, position }: Fitted & { readonly position: number },
): Node {
  const { overload } = signature
  const chosen = prepared(overload, nodes, position) ?? overload.typed?.(nodes.map(({ type }) => type)) ?? overload.call
  // The signature has fitted: the arguments are what the function takes.
  const run = chosen as (...args: Cel[]) => Cel
  const runs = nodes.map((node) => node.run)
  const type = resultType(signature, generic)
  const evaluate = of.seesNull === true ? seeing(run, runs) : strict(run, runs)
  return { type, constant: false, run: evaluate }
}

function prepared(overload: Overload, nodes: readonly Node[], position: number): Overload['call'] | null {
  const last = nodes.at(-1)
  if (overload.prepared === undefined || last?.constant !== true) return null
  const value = valueOf(last)
  if (value === null) return null
  try {
    return overload.prepared(value)
  } catch (error) {
    if (error instanceof ExpressionFailure) throw new Mistake(error.reason, position)
    throw error
  }
}

type Run = (frame: Frame) => Cel

function seeing(run: (...args: Cel[]) => Cel, runs: readonly Run[]): Run {
  return (frame) => run(...runs.map((of) => of(frame)))
}

function strict(run: (...args: Cel[]) => Cel, runs: readonly Run[]): Run {
  const [first, second] = runs
  if (first !== undefined && runs.length === 1) {
    return (frame) => {
      const a = first(frame)
      return a === null ? null : run(a)
    }
  }
  if (first !== undefined && second !== undefined && runs.length === 2) {
    return (frame) => {
      const a = first(frame)
      if (a === null) return null
      const b = second(frame)
      return b === null ? null : run(a, b)
    }
  }
  return (frame) => {
    const args: Cel[] = []
    for (const of of runs) {
      const value = of(frame)
      if (value === null) return null
      args.push(value)
    }
    return run(...args)
  }
}

function shapedPrefix(node: Node, [text, prefix]: readonly Node[]): Node {
  if (text === undefined || prefix === undefined) return node
  return { ...node, shape: { kind: 'starts with', text, prefix } }
}
