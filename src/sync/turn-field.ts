import { judgePair, type ColumnType, type Form } from '#model/column-type.ts'
import type { Column } from '#model/table.ts'
import { ValueRefused } from '#model/value.ts'
import { isSameCell } from './conflicts/compare.ts'
import { fitValue } from './fit-value.ts'
import type { Bind } from './plan-fields.ts'
import { compileChain, type Chain } from './transforms/chain.ts'

/** How a field is turned round: what the target has in it becomes the value of one column of the source, or why not. */
export type Turn =
  | {
      readonly column: Column
      /** How the source's side is read, compared and written. */
      readonly form: Form
      /** Null: the value comes back as it is. */
      readonly bind: Bind | null
    }
  | { readonly oneWay: string }

/** Of a column that is carried as it is. */
export function turnDirect(source: Column, target: Column, form: Form): Turn {
  if (source.generated !== null) return computedThere(source)
  const back = judgePair(target.type, source.type)
  if (back.ok && back.form === form) return { column: source, form, bind: null }
  const fit = fitValue(target.type, source.type)
  if ('reason' in fit) return { oneWay: fit.reason }
  // Both sides write the form alike; a padded text is filled up by the source itself.
  const padded = source.type.kind === 'padded text'
  const bind: Bind =
    () =>
    ([value = null]) => {
      const written = fit.convert(value)
      if (padded || isSameCell(written, value)) return value
      throw new ValueRefused(ANOTHER)
    }
  return { column: source, form, bind }
}

/** Of a column that a chain of transforms makes another value of; `forth` is the way to the target. */
export function turnChain(of: {
  readonly columns: readonly Column[]
  readonly chain: Chain
  readonly target: ColumnType
  readonly forth: Bind
}): Turn {
  const { columns, chain, target, forth } = of
  if ('refused' in chain.inverse) return { oneWay: chain.inverse.refused }
  const [column] = columns
  if (column === undefined || columns.length > 1) return { oneWay: 'it is made of several columns' }
  if (column.generated !== null) return computedThere(column)
  const compiled = compileChain(chain.inverse, [chain.result])
  if ('problems' in compiled) return { oneWay: compiled.problems[0]?.message ?? 'its transforms cannot be undone' }
  const { chain: inverse } = compiled
  if (inverse.needs.length > 0) return { oneWay: 'to turn it round, values would have to be looked up' }
  const [begin, end] = [fitValue(target, chain.result), fitValue(inverse.result, column.type)]
  if ('reason' in begin) return { oneWay: begin.reason }
  if ('reason' in end) return { oneWay: end.reason }
  const bind: Bind = (context) => {
    const [back, again] = [inverse.bind(context), forth(context)]
    return ([value = null]) => {
      const turned = end.convert(back([begin.convert(value)]))
      // Else the two sides would hand it to one another for ever (invariant 4).
      if (isSameCell(again([turned]), value)) return turned
      throw new ValueRefused(ANOTHER)
    }
  }
  return { column, form: end.form, bind }
}

const ANOTHER = 'would come to the target again as another value'

function computedThere({ name }: Column): Turn {
  return { oneWay: `the source computes "${name}" by itself` }
}
