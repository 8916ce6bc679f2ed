/**
 * A condition on the columns of a row that a database can answer exactly as we would. Truth is three-valued, as in SQL:
 * `compare` is null where the column is null; `is null`, and whatever it makes, is not. A row is selected where the
 * condition is true.
 */
export type Condition =
  | { readonly kind: 'and' | 'or'; readonly of: readonly Condition[] }
  | { readonly kind: 'not'; readonly of: Condition }
  /** True or false, and never null: null is equal to nothing that stands here. */
  | { readonly kind: 'equal'; readonly column: string; readonly value: Constant }
  | { readonly kind: 'one of'; readonly column: string; readonly values: readonly Constant[] }
  /** Null where the column is null. Texts are ordered by code point. */
  | { readonly kind: 'order'; readonly column: string; readonly operator: Order; readonly value: Constant }
  | { readonly kind: 'is null'; readonly column: string }
  /** Null where the column is null. */
  | { readonly kind: 'starts with'; readonly column: string; readonly prefix: string }

export type Order = '<' | '<=' | '>' | '>='

/** A constant: never null, in the canonical text of what it is (model/column-type.ts). */
export interface Constant {
  readonly type:
    | 'integer'
    | 'decimal'
    | 'float'
    | 'boolean'
    | 'text'
    | 'uuid'
    | 'bytes'
    | 'timestamp'
    | 'timestamp with zone'
    | 'date'
    | 'time'
  readonly text: string
}
