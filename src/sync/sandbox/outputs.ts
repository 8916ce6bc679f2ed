import type { ColumnType } from '#model/column-type.ts'
import type { Row, Value } from '#model/value.ts'
import { floatText } from '#sync/values/float-text.ts'
import { beginWork, ExpressionFailure } from '../expressions/failure.ts'
import { isCanonical } from '../expressions/values.ts'
import type { CellForm } from './frames.ts'

/** A column that goes into code, or comes out of it. */
export interface CodeColumn {
  readonly name: string
  readonly type: ColumnType
}

/** Bytes of one row's result (S53). */
export const MAX_OUTPUT_BYTES = 1_000_000

/**
 * What a cell is in code: integers are bigints and keep all their digits, floats are numbers, booleans true or false;
 * all else is the text that the server writes, so that decimals and times lose nothing.
 */
export function cellForm(type: ColumnType): CellForm {
  switch (type.kind) {
    case 'integer':
      return 'bigint'
    case 'float':
      return 'number'
    case 'boolean':
      return 'boolean'
    default:
      return 'string'
  }
}

/**
 * Checks what came out of a sandbox for one row, cell by cell, as if an enemy had sent it.
 * @returns the row, or what is wrong with it
 */
export function checkOutput(result: unknown, outputs: readonly CodeColumn[]): Row | string {
  if (!Array.isArray(result) || result.length !== outputs.length)
    return 'The result has not the columns of the mapping.'
  const row: Value[] = []
  let bytes = 0
  for (const [i, column] of outputs.entries()) {
    const cell: unknown = result[i]
    if (cell === null) {
      row.push(null)
      continue
    }
    if (typeof cell !== 'string') return `${column.name} cannot be read.`
    bytes += Buffer.byteLength(cell)
    if (bytes > MAX_OUTPUT_BYTES) return `The result is longer than ${MAX_OUTPUT_BYTES} bytes.`
    const text = canonicalText(column.type, cell)
    if (text === null) return `${column.name} is not ${NEEDED[cellForm(column.type)]} of its type.`
    row.push(text)
  }
  return row
}

const NEEDED: Readonly<Record<CellForm, string>> = {
  bigint: 'a bigint or a whole number',
  number: 'a number',
  boolean: 'true or false',
  string: 'a text as the database writes it, or for a decimal a bigint,',
}

/** The text of a cell in the canonical form of the column's type; null where it is none of it. */
function canonicalText(type: ColumnType, cell: string): string | null {
  const [tag, text] = [cell[0], cell.slice(1)]
  const whole = tag === 'i' || (tag === 'n' && Number.isSafeInteger(Number(text)))
  switch (cellForm(type)) {
    case 'bigint':
      return whole && isOfType(type, text) ? text : null
    case 'boolean':
      return tag === 'b' && (text === 't' || text === 'f') ? text : null
    case 'number':
      return tag === 'n' ? floatCell(type, text) : null
    case 'string': {
      if (type.kind === 'decimal' && whole && isOfType(type, text)) return text
      return tag === 's' && isStorable(text) && isOfType(type, text) ? text : null
    }
  }
}

function floatCell(type: ColumnType, text: string): string | null {
  const value = Number(text)
  if (Number.isNaN(value) && text !== 'NaN') return null
  const bits = type.kind === 'float' ? type.bits : 64
  // Rounded to the 32 bits of the column here and not unseen by the server.
  if (bits === 32 && Number.isFinite(value) && !Number.isFinite(Math.fround(value))) return null
  return floatText(value, bits)
}

function isOfType(type: ColumnType, text: string): boolean {
  try {
    beginWork()
    return isCanonical(type, text)
  } catch (error) {
    if (error instanceof ExpressionFailure) return false
    throw error
  }
}

/** The text of a type that expressions do not know is let through: the target judges it. */
function isStorable(text: string): boolean {
  return text.isWellFormed() && !text.includes('\0')
}

/** Whether the code can be given the cell: text that is no valid UTF-8 has no text in JavaScript. */
export function isReadable(cell: Value): cell is string | null {
  return cell === null || typeof cell === 'string'
}
