import { describeType, type ColumnType, type Form } from '#model/column-type.ts'
import { ValueRefused, type Value } from '#model/value.ts'
import { fitValue } from './fit-value.ts'
import { converter } from './transforms/cast/convert.ts'
import { readJson, writeJson } from './transforms/json/tree.ts'

const TEXT: ColumnType = { kind: 'text', maxLength: null }

/** Types whose every value has one spelling that is known here. */
const SPELLED: readonly ColumnType['kind'][] = [
  'integer',
  'decimal',
  'float',
  'text',
  'padded text',
  'boolean',
  'date',
  'timestamp',
  'time',
  'uuid',
  'enum',
  'json',
]

/**
 * A text that a person gave for a column, as the target's server would write it back in a form.
 * @throws ValueRefused in words that follow the name of the column, without the value
 */
export function fitEdit(
  text: string | null,
  { type, nullable, form }: { type: ColumnType; nullable: boolean; form?: Form | undefined },
): Value {
  if (text === null) {
    if (nullable) return null
    throw new ValueRefused('cannot be NULL')
  }
  const value = read(text, type)
  const fit = fitValue(type, type)
  const fitted = 'reason' in fit ? value : fit.convert(value)
  return form === 'own' && type.kind === 'decimal' && typeof fitted === 'string' ? padded(fitted, type.scale) : fitted
}

/** A number with a scale is written with all its places. */
function padded(number: string, scale: number | null): string {
  if (scale === null || scale <= 0 || !/^-?\d+(\.\d+)?$/.test(number)) return number
  const [whole = '', fraction = ''] = number.split('.')
  return `${whole}.${fraction.padEnd(scale, '0')}`
}

/** Whether what `fitEdit` makes of a text is what the server will say, letter by letter. */
export function isSpelledByUs(type: ColumnType): boolean {
  return (
    SPELLED.includes(type.kind) && !(type.kind === 'timestamp' && type.zoned) && !(type.kind === 'time' && type.zoned)
  )
}

function read(text: string, type: ColumnType): string | null {
  if (type.kind === 'text' || type.kind === 'padded text' || type.kind === 'enum') return text
  if (!SPELLED.includes(type.kind)) {
    if (text.includes('\0')) throw new ValueRefused('holds a NUL character')
    return text
  }
  if (type.kind === 'json') {
    const tree = attempt(() => readJson(text), type)
    return type.binary ? writeJson(tree, true) : text
  }
  const convert = converter(TEXT, type, { rounding: 'reject', overflow: 'reject' })
  if (typeof convert !== 'function') return text
  return attempt(() => convert(text), type)
}

function attempt<T>(make: () => T, type: ColumnType): T {
  try {
    return make()
  } catch (error) {
    if (!(error instanceof Error)) throw error
    throw new ValueRefused(`is not of type ${describeType(type)}`, { cause: error })
  }
}
