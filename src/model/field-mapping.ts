/** Where one field of the target comes from, and what happens to it on the way. */
export interface FieldMapping {
  /** A column of the target. */
  readonly target: string
  readonly from: FieldSource
  /** Named transforms, the first one first. */
  readonly transforms: readonly TransformStep[]
  /** What the value that arrives must satisfy. */
  readonly rules: readonly RuleStep[]
}

export type FieldSource =
  /** Columns of the source: one as it is, or several where the first transform takes several. */
  | { readonly kind: 'columns'; readonly columns: readonly string[] }
  /** The same text in every row; null for NULL. */
  | { readonly kind: 'constant'; readonly value: string | null }
  /** A CEL expression over the columns of the source. */
  | { readonly kind: 'expression'; readonly text: string }
  /** The body of a JavaScript function over the columns of the source, run in a sandbox. */
  | { readonly kind: 'code'; readonly text: string }

/** A transform as a mapping names it: see `docs/transforms.md`. */
export interface TransformStep {
  readonly name: string
  readonly args: Readonly<Record<string, unknown>>
}

/** A data rule as a mapping names it: see `docs/rules.md`. */
export interface RuleStep {
  readonly name: string
  readonly args: unknown
  /** `warn` counts and carries the row, `reject` sets it aside, `stop` ends the table. */
  readonly onFail: 'warn' | 'reject' | 'stop'
}
