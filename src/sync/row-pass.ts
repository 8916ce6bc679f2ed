/** Rows of a table on their way into another table of the same shape: some are left out, and some columns are masked. */
import type { Transform } from 'node:stream'
import { must } from '#lib/assert.ts'
import type { Condition } from '#model/condition.ts'
import { AppError } from '#model/errors.ts'
import type { FieldMapping, TransformStep } from '#model/field-mapping.ts'
import { publicReason } from '#model/rejection.ts'
import { plainMapping } from '#model/sync-config.ts'
import { tableName, type TableSchema } from '#model/table.ts'
import { compileFilter } from './expressions/filter.ts'
import { planFields, type ComputedFeed, type Field } from './plan-fields.ts'
import type { Problem } from './plan.ts'
import { Mapper, type BoundField } from './stages/map.ts'
import { TextLayout } from './stages/row-layout.ts'
import { cellsToldApart, partsOf, RowMapper } from './stages/row-mapper.ts'
import type { Context } from './transforms/transform.ts'

export interface RowPassWish {
  readonly schema: TableSchema
  /** The columns of the rows that pass, in their order. */
  readonly columns: readonly string[]
  /** CEL conditions, all of which a row has to meet. */
  readonly filters: readonly string[]
  /** What becomes of columns, by their names. */
  readonly masks: ReadonlyMap<string, readonly TransformStep[]>
  /** See `RunTools`. */
  readonly maskKey: Uint8Array | null
}

export interface RowPass {
  /** What the database may be asked for every row: it never leaves out a row that passes. */
  readonly pushdown: Condition | null
  /** What is still to be done to the rows that it sends; null where that is nothing. */
  readonly open: (() => PassingRows) | null
}

/** A stream of lines in the text format of COPY that becomes another one. It fails at a value that cannot be masked. */
export interface PassingRows {
  readonly stream: Transform
  /** Rows that came in, and rows that came out. */
  counts(): { readonly taken: number; readonly given: number }
}

/** Plans how the rows of a table pass, or says everything that stands in the way. */
export function planRowPass(wish: RowPassWish): RowPass | { readonly problems: readonly Problem[] } {
  const problems: Problem[] = []
  const masked = maskedFields(wish, problems)
  const filter = filterOf(wish, problems)
  if (problems.length > 0 || filter === null) return { problems }
  const { pushdown, rest } = filter
  if (rest === null && masked.size === 0) return { pushdown, open: null }
  const { columns } = wish
  const context = contextOf(wish)
  const fields = columns.map((name, place): BoundField => {
    const feed = masked.get(name)
    if (feed === undefined) return { name, inputs: [place], compute: null, code: null }
    const inputs = feed.columns.map((input) => columns.indexOf(input.name))
    return { name, inputs, compute: feed.bind(context), code: null }
  })
  const parts = partsOf(
    fields.map(({ inputs, compute }) => ({ inputs, carried: compute === null })),
    columns.map((_, place) => place),
  )
  const looked = [...(rest?.inputs ?? []), ...fields.flatMap(({ inputs, compute }) => (compute === null ? [] : inputs))]
  const told = cellsToldApart(columns.length, parts, looked)
  const open = (): PassingRows => {
    const mapper = new Mapper({ fields, filter: rest, rules: null, code: null })
    const stream = new RowMapper(mapper, new TextLayout(columns.length, told), {
      parts,
      listener: {
        reject: (_, { fault: { code, reason } }) => {
          const what = publicReason({ code, reason })
          throw new AppError('mask_failed', `A row of ${tableName(wish.schema.ref)} cannot be carried: ${what}`)
        },
        warn: () => undefined,
      },
    })
    return { stream, counts: () => ({ taken: stream.taken, given: stream.given }) }
  }
  return { pushdown, open }
}

/** Nothing is looked up in other tables: what would be is refused. */
function contextOf({ maskKey }: RowPassWish): Context {
  return {
    lookup: () => {
      throw new AppError('internal', 'A mask looks nothing up.')
    },
    get maskKey() {
      if (maskKey === null) throw new AppError('mask_key_missing', 'A column is masked, and there is no key for that.')
      return maskKey
    },
  }
}

/** What feeds the columns that are masked: their own values, through the transforms, back into their own types. */
function maskedFields({ schema, masks }: RowPassWish, problems: Problem[]): ReadonlyMap<string, ComputedFeed> {
  const fields = [...masks].map(([target, transforms]): FieldMapping => ({
    target,
    from: { kind: 'columns', columns: [target] },
    transforms,
    rules: [],
  }))
  const target = { ...schema, columns: schema.columns.filter(({ name }) => masks.has(name)) }
  const mapping = { ...plainMapping(schema.ref, schema.ref), fields }
  const planned = planFields(mapping, { source: schema, target, across: false }, { problems, notes: [], pairs: [] })
  return new Map(planned.flatMap((field) => computedOf(field, schema, problems)))
}

function computedOf(
  { target, feed }: Field,
  { ref }: TableSchema,
  problems: Problem[],
): readonly (readonly [string, ComputedFeed])[] {
  if (feed.kind === 'direct') return []
  if (feed.needs.length === 0) return [[target.name, feed]]
  const message = `${tableName(ref)}.${target.name}: a mask cannot look values up in other tables.`
  problems.push({ code: 'invalid_transform', message })
  return []
}

interface PlannedFilter {
  readonly pushdown: Condition | null
  readonly rest: ConstructorParameters<typeof Mapper>[0]['filter']
}

function filterOf({ schema, columns, filters }: RowPassWish, problems: Problem[]): PlannedFilter | null {
  if (filters.length === 0) return { pushdown: null, rest: null }
  const text = filters.map((filter) => `(${filter}\n)`).join(' && ')
  const [only] = filters
  const compiled = compileFilter(filters.length === 1 ? must(only, 'a filter') : text, schema.columns)
  if ('problem' in compiled) {
    const { message, line, column } = compiled.problem
    const where = `(line ${line}, column ${column} of the filter)`
    problems.push({ code: 'invalid_expression', message: `${tableName(schema.ref)}: ${message} ${where}` })
    return null
  }
  const { uses, pushdown, rest } = compiled
  if (rest === null) return { pushdown, rest: null }
  const missing = uses.find((name) => !columns.includes(name))
  if (missing !== undefined) {
    const message = `${tableName(schema.ref)}: the filter needs ${missing}, which the server computes by itself: ask for the columns that it is computed from.`
    problems.push({ code: 'invalid_expression', message })
    return null
  }
  return { pushdown, rest: { inputs: uses.map((name) => columns.indexOf(name)), matches: rest } }
}
