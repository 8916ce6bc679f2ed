import { expect, test } from 'vitest'
import { differencesOf, isSame, rebase, type Document } from '#features/sync-configs/document.ts'

const BASE = {
  name: 'shop',
  source_datasource_id: 'ds_1',
  target_datasource_id: 'ds_2',
  tables: [{ source: 'a' }, { source: 'b', key: ['id'] }],
  batch_size: 10,
} satisfies Document

test('documents are the same in any order of their fields', () => {
  expect(isSame({ a: 1, b: [{ c: null, d: 2 }] }, { b: [{ d: 2, c: null }], a: 1 })).toBe(true)
  expect(isSame({ a: undefined }, {})).toBe(true)
  expect(isSame({ a: null }, {})).toBe(false)
  expect(isSame([1, 2], [2, 1])).toBe(false)
})

test('differences are said at the deepest place; a list that grew is one', () => {
  expect(differencesOf(BASE, { ...BASE, tables: [{ source: 'a' }, { source: 'b', key: ['no'] }] })).toEqual([
    { path: '/tables/1/key/0', before: 'id', after: 'no' },
  ])
  expect(differencesOf(BASE, { ...BASE, tables: [{ source: 'a' }] })).toMatchObject([{ path: '/tables' }])
  expect(differencesOf({ 'a/b': 1 }, {})).toEqual([{ path: '/a~1b', before: 1, after: null }])
})

test('my changes go on top of theirs, and what we both changed is named', () => {
  const mine: Document = { ...BASE, batch_size: 20, audit_level: 'detailed' }
  const theirs: Document = { ...BASE, batch_size: 30, max_rejections: 5 }
  expect(rebase(BASE, mine, theirs)).toEqual({
    document: { ...BASE, batch_size: 20, audit_level: 'detailed', max_rejections: 5 },
    clashes: ['batch_size'],
  })
  const { batch_size: _, ...without } = BASE
  expect(rebase(BASE, without, { ...BASE, name: 'other' })).toEqual({
    document: { ...without, name: 'other' },
    clashes: [],
  })
})
