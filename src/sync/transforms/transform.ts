/**
 * What a named transform is. A transform is pure: the same value and arguments give the same result on every machine,
 * in every locale and time zone. It changes values, never silently: a value that it cannot carry is a `TransformError`,
 * which rejects the row (invariant 4), and what it loses by its nature it says in `loses`.
 */
import type { z } from 'zod'

import type { ColumnType } from '#model/column-type.ts'
import { ValueRefused, type Value } from '#model/value.ts'

export const GROUPS = [
  'Text',
  'Patterns',
  'Encodings',
  'Numbers',
  'Truth',
  'Time',
  'JSON',
  'Arrays',
  'Choices',
  'Types',
  'Privacy',
  'PHP',
  'UUIDs',
  'Geometry',
] as const

export type Group = (typeof GROUPS)[number]

/** One transform with its arguments, as a chain names it. */
export interface Step {
  readonly name: string
  readonly args: unknown
}

/** A value that a transform cannot carry. The reason never holds the value itself (invariant 7). */
export class TransformError extends ValueRefused {
  readonly reason: string
  /** Place of the step in its chain, from 0, and its transform; unknown until the chain has seen the error. */
  readonly at: { readonly step: number; readonly transform: string } | null

  constructor(reason: string, at: TransformError['at'] = null) {
    super(at === null ? reason : `${at.transform}: ${reason}`)
    this.reason = reason
    this.at = at
  }
}

/** Rejects the value in hand. */
export function fail(reason: string): never {
  throw new TransformError(reason)
}

/** Something that cannot be, and why. */
export interface Refusal {
  readonly refused: string
}

export function refuse(reason: string): Refusal {
  return { refused: reason }
}

export function isRefusal(thing: object): thing is Refusal {
  return 'refused' in thing
}

/** Columns of a table that a transform looks values up in; the engine loads them before the first value. */
export interface LookupNeed {
  readonly table: string
  readonly keyColumn: string
  readonly valueColumn: string
}

/** What a transform may use besides its arguments. */
export interface Context {
  /** The loaded columns as a function; undefined where no row has the key. */
  lookup(need: LookupNeed): (key: Value) => Value | undefined
  /** The secret of masks and tokens, of 32 bytes or more. Equal keys give equal masks, so that joins still hold. */
  readonly maskKey: Uint8Array
}

/** The types that a transform takes, and how a message calls them. */
export interface Accepts {
  readonly says: string
  takes(type: ColumnType): boolean
}

export interface Example {
  readonly args: Readonly<Record<string, unknown>>
  readonly types: readonly ColumnType[]
  readonly input: readonly Value[]
  readonly output: Value
}

type Args = Readonly<Record<string, unknown>>

interface Common {
  readonly name: string
  readonly group: Group
  /** One sentence. */
  readonly summary: string
  /** A strict object, every field described. */
  readonly args: z.ZodObject
  readonly accepts: Accepts
  /** What NULL becomes where it does not stay NULL. */
  readonly nulls: string | null
  readonly example: Example
  result(types: readonly ColumnType[], args: Args): ColumnType | Refusal
  /** What is lost for good, as one sentence; null where nothing is. */
  loses(args: Args, types: readonly ColumnType[]): string | null
  /** The step that gives back every value that this one carries, or why there is none. */
  inverse(args: Args, types: readonly ColumnType[]): Step | Refusal
  needs(args: Args): readonly LookupNeed[]
}

/** Works on the value of one column, or of the step before. */
export interface OneTransform extends Common {
  readonly takes: 'one'
  /** Called once a chain; what it gives is called once a value. */
  make(args: Args, context: Context, types: readonly ColumnType[]): (value: Value) => Value
}

/** Makes one value of several columns; stands only first in a chain. */
export interface ManyTransform extends Common {
  readonly takes: 'many'
  make(args: Args, context: Context, types: readonly ColumnType[]): (values: readonly Value[]) => Value
}

export type Transform = OneTransform | ManyTransform

/** How an entry of the table is written. What never depends on the arguments is written as it is. */
interface Entry<S extends z.ZodObject> {
  readonly name: string
  readonly group: Group
  readonly summary: string
  readonly args: S
  readonly accepts: Accepts
  readonly nulls?: string
  readonly result: ColumnType | ((types: readonly ColumnType[], args: z.output<S>) => ColumnType | Refusal)
  readonly loses: string | null | ((args: z.output<S>, types: readonly ColumnType[]) => string | null)
  /** A text is the reason why there is none. */
  readonly inverse: string | ((args: z.output<S>, types: readonly ColumnType[]) => Step | Refusal)
  readonly needs?: (args: z.output<S>) => readonly LookupNeed[]
  /** Types that are not given are text. */
  readonly example: Omit<Example, 'types' | 'args'> & {
    readonly types?: readonly ColumnType[]
    readonly args?: z.input<S>
  }
}

type Make<S extends z.ZodObject, F> = (args: z.output<S>, context: Context, types: readonly ColumnType[]) => F

/** A transform of texts: NULL stays NULL, and bytes that are no valid UTF-8 are rejected before it sees them. */
export function ofText<S extends z.ZodObject>(
  entry: Entry<S> & { readonly make: Make<S, (text: string) => Value> },
): OneTransform {
  const make: Make<S, (value: Value) => Value> = (args, context, types) => {
    const apply = entry.make(args, context, types)
    return (value) => (typeof value === 'string' ? apply(value) : value === null ? null : invalidText())
  }
  return { ...common(entry), takes: 'one', make: make as OneTransform['make'] }
}

/** A transform that sees the value as it is: NULL, or bytes that are no valid UTF-8, too. */
export function ofValue<S extends z.ZodObject>(
  entry: Entry<S> & { readonly make: Make<S, (value: Value) => Value> },
): OneTransform {
  return { ...common(entry), takes: 'one', make: entry.make as OneTransform['make'] }
}

/** A transform of several values. */
export function ofMany<S extends z.ZodObject>(
  entry: Entry<S> & { readonly make: Make<S, (values: readonly Value[]) => Value> },
): ManyTransform {
  return { ...common(entry), takes: 'many', make: entry.make as ManyTransform['make'] }
}

function invalidText(): never {
  return fail('the text is not valid UTF-8; "decode_bytes" reads it in another encoding')
}

/** A text among several values; null where it is NULL. */
export function textOf(value: Value | undefined): string | null {
  if (value === null || typeof value === 'string') return value
  return value === undefined ? null : invalidText()
}

function common<S extends z.ZodObject>(entry: Entry<S>): Common {
  const { result, loses, inverse, example } = entry
  const text: ColumnType = { kind: 'text', maxLength: null }
  // The chain calls these with what `args` has parsed, so the types of the entry hold.
  const typed = {
    result: typeof result === 'function' ? result : () => result,
    loses: typeof loses === 'function' ? loses : () => loses,
    inverse: typeof inverse === 'function' ? inverse : () => refuse(inverse),
    needs: entry.needs ?? (() => []),
  } as Pick<Common, 'result' | 'loses' | 'inverse' | 'needs'>
  return {
    name: entry.name,
    group: entry.group,
    summary: entry.summary,
    args: entry.args,
    accepts: entry.accepts,
    nulls: entry.nulls ?? null,
    example: { ...example, args: example.args ?? {}, types: example.types ?? example.input.map(() => text) },
    ...typed,
  }
}
