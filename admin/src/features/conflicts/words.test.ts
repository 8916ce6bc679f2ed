import { expect, test } from 'vitest'
import { effectOf, tableName, type Ends } from '#features/conflicts/words.ts'

test('what taking a side writes is said by where it goes, and by which rows are there', () => {
  const said = (sides: Ends['sides'], twoWay: boolean) => [
    effectOf('source', { sides, twoWay }),
    effectOf('target', { sides, twoWay }),
  ]
  const both = { source: 'kept', target: 'kept' } as const
  const deletedThere = { source: 'kept', target: 'none' } as const
  const deletedHere = { source: 'none', target: 'kept' } as const
  expect(said(both, false)).toEqual(['written to the target', 'stays as it is'])
  expect(said(both, true)).toEqual(['written to the target', 'written to the source'])
  expect(said(deletedThere, false)).toEqual(['inserted into the target', 'stays without the row'])
  expect(said(deletedThere, true)).toEqual(['inserted into the target', 'row deleted in the source'])
  expect(said(deletedHere, false)).toEqual(['row deleted in the target', 'stays as it is'])
  expect(said(deletedHere, true)).toEqual(['row deleted in the target', 'inserted into the source'])
})

test('tables are named as filters of the API read them', () => {
  expect(tableName({ schema: 'public', name: 'order' })).toBe('order')
  expect(tableName({ schema: 'shop', name: 'order' })).toBe('shop.order')
  expect(tableName({ schema: 'public', name: 'a.b "c"' })).toBe('"a.b ""c"""')
})
