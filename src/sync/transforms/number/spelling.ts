/** Numbers as people and programs write them. */
import { z } from 'zod'

import type {} from '#model/column-type.ts'

import { fail, ofText, refuse, type Transform } from '#sync/transforms/transform.ts'
import { BIGINT, DECIMAL, integer, INTEGER, number, text, TEXT } from '#sync/transforms/types.ts'
import { Decimal, readNumber, ROUNDING, rounding, scaleOf, writeInteger, writeNumber } from './decimal.ts'

const parse = ofText({
  name: 'parse_number',
  group: 'Numbers',
  summary: 'Reads a number as people write it, with currency signs, groups and percent; brackets mean negative.',
  args: z
    .strictObject({
      decimal: z.enum(['.', ',']).default('.').meta({ description: 'The decimal point.' }),
      group: z
        .enum(['.', ',', ' ', "'", '_', ''])
        .default(',')
        .meta({ description: 'What stands between thousands; a space may be any.' }),
      percent: z.enum(['fraction', 'number']).default('fraction').meta({ description: '12 % is 0.12, or 12.' }),
      miss: z
        .enum(['reject', 'null'])
        .default('reject')
        .meta({ description: 'What becomes of text that is no number.' }),
    })
    .refine(({ decimal, group }) => decimal !== group, {
      error: 'Point and group separator are the same.',
      path: ['group'],
    }),
  accepts: text,
  result: DECIMAL,
  loses: 'signs of currency, groups and spaces',
  inverse: 'the former spelling is not kept',
  example: { args: { decimal: ',', group: '.' }, input: ['1.234,50 €'], output: '1234.50' },
  make: ({ decimal, group, percent, miss }) => {
    const separator =
      group === ''
        ? null
        : group === ' '
          ? '[ \\u00a0\\u202f\\u2009]'
          : `\\${group}`.replace("\\'", "['’]").replace('\\_', '_')
    const whole = separator === null ? '\\d+' : `(?:\\d{1,3}(?:${separator}\\d{2,3})+|\\d+)`
    const shape = new RegExp(`^(${whole})?(?:\\${decimal}(\\d*))?([eE][+-]?\\d{1,3})?$`)
    return (value) => {
      const { body, negative, isPercent } = withoutSigns(value)
      const [, before = '', after = '', exponent = ''] = shape.exec(body) ?? []
      const digits = before.replace(/\D/g, '')
      if (digits === '' && after === '') return miss === 'null' ? null : fail('the text is no number in this spelling')
      const sign = negative ? '-' : ''
      const number = readNumber(`${sign}${digits || '0'}${after === '' ? '' : `.${after}`}${exponent}`)
      if (!isPercent || percent === 'number') return writeNumber(number, exponent === '' ? after.length : undefined)
      return writeNumber(number.div(100))
    }
  },
})

function withoutSigns(value: string): { body: string; negative: boolean; isPercent: boolean } {
  const bare = value
    .trim()
    .replace(/^\p{Sc}\s*|\s*\p{Sc}$/gu, '')
    .replace(/^[A-Z]{3}\s+|\s+[A-Z]{3}$/g, '')
  const isPercent = bare.endsWith('%')
  const number = isPercent ? bare.slice(0, -1).trim() : bare
  const brackets = number.startsWith('(') && number.endsWith(')')
  const inner = brackets ? number.slice(1, -1).trim() : number
  const minus = /^[-−]|[-−]$/.test(inner)
  const body = inner.replace(/^[-−+]\s*|\s*[-−]$/g, '').replace(/^\p{Sc}\s*/u, '')
  return { body, negative: brackets !== minus, isPercent }
}

const format = ofText({
  name: 'format_number',
  group: 'Numbers',
  summary: 'Writes a number for people, with groups and a chosen decimal point.',
  args: z.strictObject({
    digits: z
      .int()
      .min(0)
      .max(100)
      .optional()
      .meta({ description: 'Digits after the point; as many as there are where not given.' }),
    mode: rounding.default('half_up'),
    decimal: z.enum(['.', ',']).default('.').meta({ description: 'The decimal point.' }),
    group: z.string().max(1).default(',').meta({ description: 'What stands between thousands; empty for nothing.' }),
    percent: z.boolean().default(false).meta({ description: 'Writes 0.12 as 12%.' }),
  }),
  accepts: number,
  result: TEXT,
  loses: ({ digits }) => (digits === undefined ? null : `digits beyond ${digits} after the point`),
  inverse: ({ digits, decimal, group, percent }, [type]) => {
    const read =
      ['.', ',', ' ', "'", '_', ''].includes(group) &&
      group !== decimal &&
      type?.kind === 'decimal' &&
      type.precision === null
    if (digits !== undefined || percent || !read) return refuse('the digits or the type are not kept')
    return { name: 'parse_number', args: { decimal, group } }
  },
  example: {
    args: { digits: 2, decimal: ',', group: '.' },
    types: [DECIMAL],
    input: ['-1234567.891'],
    output: '-1.234.567,89',
  },
  make:
    ({ digits, mode, decimal, group, percent }) =>
    (value) => {
      const given = percent ? readNumber(value).mul(100) : readNumber(value)
      const rounded = digits === undefined ? given : given.toDecimalPlaces(digits, ROUNDING[mode])
      const plain = writeNumber(rounded, digits ?? (percent ? undefined : scaleOf(value)))
      const [whole = '', after] = plain.split('.')
      const grouped = group === '' ? whole : whole.replace(/\B(?=(?:\d{3})+$)/g, () => group)
      return grouped + (after === undefined ? '' : decimal + after) + (percent ? '%' : '')
    },
})

const toBase = ofText({
  name: 'to_base',
  group: 'Numbers',
  summary: 'Writes an integer with other digits: binary, hexadecimal, base 36.',
  args: z.strictObject({
    base: z.int().min(2).max(36).meta({ description: 'How many digits there are.' }),
    length: z.int().min(1).max(64).default(1).meta({ description: 'Filled with zeros up to so many digits.' }),
  }),
  accepts: integer,
  result: TEXT,
  loses: null,
  inverse: ({ base }, [type]) =>
    type?.kind === 'integer' && type.bits === 64
      ? { name: 'from_base', args: { base } }
      : refuse('the way back gives 64-bit integers'),
  example: { args: { base: 16, length: 4 }, types: [INTEGER], input: ['255'], output: '00ff' },
  make:
    ({ base, length }) =>
    (value) => {
      const digits = BigInt(value).toString(base)
      return digits.startsWith('-') ? `-${digits.slice(1).padStart(length, '0')}` : digits.padStart(length, '0')
    },
})

const fromBase = ofText({
  name: 'from_base',
  group: 'Numbers',
  summary: 'Reads an integer that is written with other digits.',
  args: z.strictObject({ base: z.int().min(2).max(36).meta({ description: 'How many digits there are.' }) }),
  accepts: text,
  result: BIGINT,
  loses: 'leading zeros and the case of the digits',
  inverse: 'leading zeros are not kept',
  example: { args: { base: 16 }, input: ['00FF'], output: '255' },
  make:
    ({ base }) =>
    (value) => {
      const [, sign = '', digits = ''] =
        /^([+-]?)([0-9a-z]{1,80})$/i.exec(value.trim()) ?? fail('the text is no integer')
      let whole = 0n
      for (const digit of digits) {
        const worth = Number.parseInt(digit, 36)
        if (worth >= base) return fail(`the text has a digit that base ${base} lacks`)
        whole = whole * BigInt(base) + BigInt(worth)
      }
      return writeInteger(new Decimal(String(sign === '-' ? -whole : whole)), BIGINT)
    },
})

export const NUMBER_TEXTS: readonly Transform[] = [parse, format, toBase, fromBase]
