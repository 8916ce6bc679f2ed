import { AppError } from '#model/errors.ts'
import { tableName } from '#model/table.ts'
import type { RestTable } from './description.ts'
import { differs } from './filters.ts'
import { MAX_QUERY_BYTES } from './http.ts'
import type { OwnRow } from './pages.ts'

/** Digits that a float shows at most where `extra_float_digits` cuts it; more of them prove that it does not. */
const CUT_DIGITS = { 32: 6, 64: 15 } as const
/** Values that are asked about. */
const PROBED = 60

interface Probe {
  /** How many rows meet a condition. */
  readonly count: (filter: string) => Promise<number>
  readonly key: readonly string[]
}

/**
 * Makes sure that the role writes floats whole: below 1, `extra_float_digits` cuts digits in silence. A float of many
 * digits is proof; else the server is asked whether values of the first page are what it says they are.
 * @throws AppError `ambiguous_text`
 */
export async function refuseCutFloats(table: RestTable, rows: readonly OwnRow[], { count, key }: Probe): Promise<void> {
  const { columns, ref } = table.schema
  const floats = columns.flatMap(({ type }, place) =>
    type.kind === 'float' ? [{ place, most: CUT_DIGITS[type.bits] }] : [],
  )
  const values = rows.flatMap((row) =>
    floats.flatMap(({ place, most }) => {
      const text = row[place] ?? null
      return text === null ? [] : [{ row, place, text, whole: digitsOf(text) > most }]
    }),
  )
  if (values.length === 0 || values.some(({ whole }) => whole)) return
  const places = key.map((name) => columns.findIndex((column) => column.name === name))
  const asked = values.slice(0, PROBED).map(({ row, place, text }) => ({
    key: places.map((at) => row[at] ?? ''),
    name: columns[place]?.name ?? '',
    text,
  }))
  let filter = differs(key, asked)
  while (filter.length > MAX_QUERY_BYTES / 2 && asked.length > 1) {
    asked.splice(Math.ceil(asked.length / 2))
    filter = differs(key, asked)
  }
  if ((await count(filter)) === 0) return
  throw new AppError(
    'ambiguous_text',
    `The API writes floats of ${tableName(ref)} with fewer digits than they have: the setting extra_float_digits of its role is not the default.`,
  )
}

function digitsOf(text: string): number {
  const [mantissa = ''] = text.split('e')
  return mantissa.replaceAll(/\D/g, '').replace(/^0+/, '').length
}
