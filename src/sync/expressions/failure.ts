import { ValueRefused } from '#model/value.ts'

/**
 * Why an expression has no value for one row: in plain words, without any value of the row, so that it may be counted,
 * logged and shown.
 */
export class ExpressionFailure extends ValueRefused {
  readonly reason: string

  constructor(reason: string) {
    super(reason)
    this.reason = reason
  }
}

export function fail(reason: string): never {
  throw new ExpressionFailure(reason)
}

/** Characters of an expression. */
export const MAX_EXPRESSION = 4_000
/** Nodes of an expression, and how deep they may be nested. */
export const MAX_NODES = 2_000
export const MAX_DEPTH = 100
/** Elements of a list that an expression makes. */
export const MAX_ELEMENTS = 100_000
/** Characters of a text that an expression makes. */
export const MAX_TEXT = 10_000_000
/** Steps of one evaluation: elements looked at, and characters read or written by functions. */
export const MAX_WORK = 10_000_000

let left = MAX_WORK

/** An evaluation begins. Evaluations are synchronous and never nested, so that one counter serves them all. */
export function beginWork(): void {
  left = MAX_WORK
}

/** Counts steps, so that no expression takes long, whatever the row holds. */
export function charge(steps: number): void {
  left -= steps
  if (left < 0) fail(`It would take more than ${MAX_WORK} steps.`)
}

/** Checks the length of a text before it is made. */
export function allowText(length: number): void {
  if (length > MAX_TEXT) fail(`A text would be longer than ${MAX_TEXT} characters.`)
  charge(length)
}

export function allowElements(length: number): void {
  if (length > MAX_ELEMENTS) fail(`A list would have more than ${MAX_ELEMENTS} elements.`)
  charge(length)
}
