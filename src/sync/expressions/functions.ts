import type { Cel, CelType } from './types.ts'

/** An example that the tests execute and the docs show. */
export interface FunctionExample {
  readonly expression: string
  /** The text of the result as it is written into a column. */
  readonly gives: string | null
}

/**
 * A function of the language, with the same first argument before a dot or in the parentheses: `lower(x)`, `x.lower()`.
 * Null where an argument is null, unless `seesNull`.
 */
export interface LanguageFunction {
  readonly name: string
  readonly about: string
  readonly overloads: readonly Overload[]
  readonly seesNull?: true
  readonly examples: readonly FunctionExample[]
}

/**
 * A signature such as `round(decimal, int, text): decimal`. `any` takes every type, `T` one type that is the same
 * everywhere, and `...` repeats the last one. Integers go where decimals are asked for, and constants where doubles are.
 */
export interface Overload {
  readonly signature: string
  /** Types were checked before: arguments are what the signature says. */
  readonly call: (...args: never[]) => Cel
  /** Needs to know what its arguments are. */
  readonly typed?: (types: readonly CelType[]) => (...args: never[]) => Cel
  /** Makes ready what depends on its last argument alone, where that is constant. */
  readonly prepared?: (last: Cel) => (...args: never[]) => Cel
}
