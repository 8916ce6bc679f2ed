import type { ColumnType } from '#model/column-type.ts'
import type { Value } from '#model/value.ts'
import { compile, type ExpressionColumn, type ExpressionProblem } from './compile.ts'
import { beginWork } from './failure.ts'
import { columnTypeOf, type Cel } from './types.ts'
import { writer } from './values.ts'

/** An expression whose types were checked, ready for any number of rows. */
export interface Expression {
  /** The columns whose cells it needs, in the order in which `evaluate` takes them. */
  readonly uses: readonly string[]
  /** What it gives: a column's own type where it is a column as it is. */
  readonly result: ColumnType
  /**
   * The cell that it gives for a row, as the canonical text of `result`. Pure: the same cells give the same cell.
   * @throws ExpressionFailure where it has no value for the row
   */
  readonly evaluate: (cells: readonly Value[]) => Value
}

/**
 * Compiles an expression of the Common Expression Language over the columns of a row. A column is named as it is, where
 * its name is an identifier, or as `row["any name"]`.
 *
 * Values are exact: integers have 64 bits and overflow is a failure, decimals have all their digits, times their
 * microseconds, JSON its numbers. Types do not mix by themselves, but integers with decimals, and constants with doubles.
 *
 * NULL is `null`. Operators and functions give null where an operand is null, with these exceptions: `==`, `!=` and `in`
 * take null for a value like any other; `&&` and `||` are decided by one side alone; `?:` takes a null condition for
 * false; `coalesce`, `nullIf`, `least`, `greatest` and `has` look at nulls; `join` leaves them out. A part of JSON that
 * is not there is null. What fails: overflow, division by zero, a conversion of what does not convert, an element of a
 * list that is not there, and whatever grows beyond its bounds.
 */
export function compileExpression(
  text: string,
  columns: readonly ExpressionColumn[],
): Expression | { readonly problem: ExpressionProblem } {
  const compiled = compile(text, columns)
  if (!('node' in compiled)) return { problem: compiled }
  const { node, uses } = compiled
  const names = uses.map(({ name }) => name)
  const whole = node.column === undefined ? undefined : uses[node.column]
  if (whole !== undefined) return { uses: names, result: whole.type, evaluate: ([cell]) => cell ?? null }
  const write = writer(node.type)
  const frame = { cells: [] as readonly Value[], locals: [] as Cel[] }
  const evaluate = (cells: readonly Value[]): Value => {
    beginWork()
    frame.cells = cells
    return write(node.run(frame))
  }
  return { uses: names, result: columnTypeOf(node.type), evaluate }
}
