import fc from 'fast-check'
import { InvalidArgumentError } from 'commander'
import { expect, test } from 'vitest'

import { printedSeed } from '#test/harness/seed.ts'

import { TableFlags } from './table-options.ts'

const plain = (text: string): { text: string; literal: boolean } => ({ text, literal: false })

test('a table is named with its schema, or lies in public', () => {
  const flags = new TableFlags()
  flags.addTable('orders')
  flags.addTable('Shop.Order Lines:archive.lines')
  expect(flags.include).toEqual([
    { source: { schema: { text: 'public', literal: true }, name: plain('orders') }, target: null, query: null },
    {
      source: { schema: plain('Shop'), name: plain('Order Lines') },
      target: { schema: 'archive', name: 'lines' },
      query: null,
    },
  ])
})

test('columns, keys and names go to their table', () => {
  const flags = new TableFlags()
  flags.addColumns('orders=id,total')
  flags.addExcluded('shop.orders=note')
  flags.addKey('orders=id')
  flags.addRename('shop.orders.total=amount')
  flags.addRename('orders.total=amount')
  expect(flags.options.map(({ table }) => `${table.schema}.${table.name}`)).toEqual([
    'public.orders',
    'shop.orders',
    'public.orders',
    'shop.orders',
    'public.orders',
  ])
  expect(flags.options[0]?.columns).toEqual(['id', 'total'])
  expect(flags.options[1]?.exclude).toEqual(['note'])
  expect(flags.options[2]?.key).toEqual(['id'])
  expect(flags.options[3]?.rename).toEqual(new Map([['total', 'amount']]))
})

test.each(['', '.', 'a.b.c', 'a:', 'a.', '"a', 'a"b', '""', 'a=b', 'a*:b'])('%j names no table', (text) => {
  expect(() => new TableFlags().addTable(text)).toThrow(InvalidArgumentError)
})

test.each(['orders', 'orders=', 'orders=a,', '=a', 'orders=a=b', 'a*=b'])('%j names no columns', (text) => {
  expect(() => new TableFlags().addColumns(text)).toThrow(InvalidArgumentError)
})

test.each(['total=amount', 'a.b.c.d=e', 'a.b'])('%j renames nothing', (text) => {
  expect(() => new TableFlags().addRename(text)).toThrow(InvalidArgumentError)
})

test('any name whatever can be said in double quotes', () => {
  const name = fc.string({ minLength: 1, unit: 'grapheme' })
  const quoted = (text: string): string => `"${text.replaceAll('"', '""')}"`
  fc.assert(
    fc.property(name, name, name, name, (schema, table, column, other) => {
      const flags = new TableFlags()
      flags.addTable(`${quoted(schema)}.${quoted(table)}:${quoted(table)}.${quoted(schema)}`)
      flags.addRename(`${quoted(schema)}.${quoted(table)}.${quoted(column)}=${quoted(other)}`)
      flags.addColumns(`${quoted(table)}=${quoted(column)},${quoted(other)}`)
      const literal = (text: string): { text: string; literal: boolean } => ({ text, literal: true })
      expect(flags.include).toEqual([
        {
          source: { schema: literal(schema), name: literal(table) },
          target: { schema: table, name: schema },
          query: null,
        },
      ])
      expect(flags.options[0]?.table).toEqual({ schema, name: table })
      expect(flags.options[0]?.rename).toEqual(new Map([[column, other]]))
      expect(flags.options[1]?.columns).toEqual([column, other])
    }),
    { seed: printedSeed() },
  )
})
