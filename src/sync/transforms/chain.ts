/** Compiles a chain of transforms: judged once against the types, then a function from values to a value. Pure. */
import { z } from 'zod'

import { assert, must } from '#lib/assert.ts'
import { describeType, type ColumnType } from '#model/column-type.ts'
import type { Value } from '#model/value.ts'

import { findTransform, nearestName } from './registry.ts'
import { charactersOf } from './text/characters.ts'
import {
  fail,
  isRefusal,
  refuse,
  TransformError,
  type Context,
  type LookupNeed,
  type Refusal,
  type Step,
  type Transform,
} from './transform.ts'

/** A chain that fits its columns. */
export interface Chain {
  /** What the last step gives. */
  readonly result: ColumnType
  /** What the steps lose for good, in their order; empty where every value survives. */
  readonly lossy: readonly string[]
  /** Steps that lead from the result back to the column, or why there are none. */
  readonly inverse: readonly Step[] | Refusal
  /** What must be loaded before `bind`. */
  readonly needs: readonly LookupNeed[]
  /** The chain as a function of the columns' values; throws nothing but TransformError. */
  bind(context: Context): (values: readonly Value[]) => Value
}

/** What is wrong with one step. */
export interface ChainProblem {
  /** Place of the step in the chain, from 0. */
  readonly step: number
  /** Where in its arguments, as `map.key`; empty for the step itself. */
  readonly path: string
  readonly message: string
}

export type CompiledChain = { readonly chain: Chain } | { readonly problems: readonly ChainProblem[] }

interface Judged {
  readonly transform: Transform
  readonly args: Readonly<Record<string, unknown>>
  readonly types: readonly ColumnType[]
  readonly result: ColumnType
}

/** Judges the steps against the types of the columns that the chain begins with. */
export function compileChain(steps: readonly Step[], inputTypes: readonly ColumnType[]): CompiledChain {
  const judged: Judged[] = []
  const problems: ChainProblem[] = []
  let types: readonly ColumnType[] | null = inputTypes
  for (const [place, step] of steps.entries()) {
    const found = readStep(step)
    if ('problems' in found) {
      problems.push(...found.problems.map((problem) => ({ step: place, ...problem })))
      // Later names and arguments are still looked at; types are not known any more.
      types = null
      continue
    }
    if (types === null) continue
    const result = judge(found, types, place)
    if (isRefusal(result)) {
      problems.push({ step: place, path: '', message: result.refused })
      types = null
      continue
    }
    judged.push({ ...found, types, result })
    types = [result]
  }
  const first = judged[0]
  if (problems.length === 0 && first?.transform.takes !== 'many' && inputTypes.length !== 1) {
    problems.push({ step: 0, path: '', message: severalColumns(inputTypes.length) })
  }
  return problems.length > 0 ? { problems } : { chain: toChain(judged, inputTypes) }
}

function readStep(
  step: Step,
): { transform: Transform; args: Judged['args'] } | { problems: Omit<ChainProblem, 'step'>[] } {
  const transform = findTransform(step.name)
  if (transform === null) {
    const nearest = nearestName(step.name)
    const hint = nearest === null ? '' : `; did you mean "${nearest}"?`
    return { problems: [{ path: '', message: `There is no transform "${step.name}"${hint}` }] }
  }
  const parsed = transform.args.safeParse(step.args ?? {})
  if (parsed.success) return { transform, args: parsed.data }
  return {
    problems: parsed.error.issues.map((issue) => ({
      path: z.core.toDotPath(issue.path),
      message: `${transform.name}: ${issue.message}`,
    })),
  }
}

function judge(
  { transform, args }: Pick<Judged, 'transform' | 'args'>,
  types: readonly ColumnType[],
  place: number,
): ColumnType | Refusal {
  const { name, accepts, takes } = transform
  if (takes === 'many' && place > 0) return refuse(`"${name}" takes several columns, and so can only be the first step`)
  if (takes === 'one' && types.length !== 1) return refuse(severalColumns(types.length))
  const misfit = types.find((type) => !accepts.takes(type))
  if (misfit !== undefined) return refuse(`"${name}" takes ${accepts.says}, and is given ${describeType(misfit)}`)
  const result = transform.result(types, args)
  return isRefusal(result) ? refuse(`"${name}": ${result.refused}`) : result
}

function severalColumns(count: number): string {
  return count === 0
    ? 'A chain without a column begins with a step that needs none, such as "constant"'
    : `${count} columns need a first step that takes several, such as "concat" or "coalesce"`
}

function toChain(judged: readonly Judged[], inputTypes: readonly ColumnType[]): Chain {
  return {
    result: must(judged.at(-1)?.result ?? inputTypes[0], 'a chain has a step or a column'),
    lossy: judged.flatMap(({ transform, args, types }) => {
      const loss = transform.loses(args, types)
      return loss === null ? [] : [`${transform.name}: ${loss}`]
    }),
    inverse: inverseOf(judged),
    needs: judged.flatMap(({ transform, args }) => transform.needs(args)),
    bind: (context) => bind(judged, context),
  }
}

function inverseOf(judged: readonly Judged[]): readonly Step[] | Refusal {
  const steps: Step[] = []
  for (const { transform, args, types } of judged.toReversed()) {
    const step = transform.inverse(args, types)
    if (isRefusal(step)) return refuse(`"${transform.name}" cannot be undone: ${step.refused}`)
    steps.push(step)
  }
  return steps
}

function bind(judged: readonly Judged[], context: Context): (values: readonly Value[]) => Value {
  const [first, ...others] = judged
  if (first === undefined) return (values) => values[0] ?? null
  const start = makeStart(first, context)
  const startFits = fitsLength(first.result)
  const steps = others.map((step) => makeNext(step, context))
  return (values) => {
    let at = 0
    try {
      let value = start(values)
      if (startFits !== null) startFits(value)
      for (at = 1; at <= steps.length; at += 1) value = must(steps[at - 1], 'a step')(value)
      return value
    } catch (error) {
      throw placed(error, at, must(judged[at], 'the step that failed').transform.name)
    }
  }
}

function makeStart({ transform, args, types }: Judged, context: Context): (values: readonly Value[]) => Value {
  if (transform.takes === 'many') return transform.make(args, context, types)
  const apply = transform.make(args, context, types)
  return (values) => apply(values[0] ?? null)
}

function makeNext({ transform, args, types, result }: Judged, context: Context): (value: Value) => Value {
  assert(transform.takes === 'one', 'only the first step takes several values')
  const apply = transform.make(args, context, types)
  const fits = fitsLength(result)
  if (fits === null) return apply
  return (value) => {
    const made = apply(value)
    fits(made)
    return made
  }
}

/** A check of what a step has made against the length of its type, where that has one. */
function fitsLength(type: ColumnType): ((value: Value) => void) | null {
  if (type.kind !== 'text' || type.maxLength === null) return null
  const most = type.maxLength
  return (value) => {
    if (typeof value === 'string' && value.length > most && charactersOf(value) > most) {
      fail(`the result is longer than ${most} characters; "truncate" shortens it`)
    }
  }
}

/** A transform's error with its place; anything else that was thrown as it is. */
function placed(error: unknown, step: number, transform: string): unknown {
  if (error instanceof TransformError) return new TransformError(error.reason, { step, transform })
  // The engine's limits on the length of a string and the depth of calls.
  if (error instanceof RangeError) return new TransformError('the value is too large for it', { step, transform })
  return error
}
