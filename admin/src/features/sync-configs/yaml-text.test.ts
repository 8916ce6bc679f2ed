import { expect, test } from 'vitest'
import type { Document } from '#features/sync-configs/document.ts'
import { tabOfPlace } from '#features/sync-configs/places.ts'
import { lineOf, readText, writeText } from '#features/sync-configs/yaml-text.ts'

const DOCUMENT: Document = {
  name: 'shop',
  source_datasource_id: 'ds_1',
  target_datasource_id: 'ds_2',
  tables: [
    { source: 'a' },
    { source: 'b', rename: { 'x/y': 'z' }, field_mappings: [{ target: 'id', constant: null }] },
  ],
}

test('a document comes back from its text, with fields that no form knows', () => {
  const text = `${writeText(DOCUMENT)}later: { than: this page }\n`
  expect(readText(text)).toEqual({ document: { ...DOCUMENT, later: { than: 'this page' } }, problems: null })
})

test('what cannot be read, or has not the shape of a config, is named by its line', () => {
  expect(readText('name: shop\ntables: [').problems).toMatchObject([{ line: 2 }])
  expect(readText('- 1').problems).toMatchObject([{ line: 1 }])
  const bad = writeText(DOCUMENT).replace('source: a', 'source: [a]')
  expect(readText(bad).problems).toEqual([{ line: 5, message: 'tables › 0 › source must be a text.' }])
  expect(readText('name: shop').problems?.map(({ message }) => message)).toEqual([
    'source_datasource_id is missing.',
    'target_datasource_id is missing.',
  ])
})

test('places lead to lines, and to the tab where they are edited', () => {
  const text = writeText(DOCUMENT)
  expect(lineOf(text, 'name')).toBe(1)
  expect(lineOf(text, 'tables/1/rename/x~1y')).toBe(8)
  expect(lineOf(text, 'tables/1/field_mappings/0/rules')).toBe(lineOf(text, 'tables/1/field_mappings/0'))
  expect(lineOf(text, 'nothing')).toBeNull()
  expect(tabOfPlace('body#/tables/1/field_mappings/0/rules')).toBe('mapping')
  expect(tabOfPlace('body#/tables/1/filter')).toBe('tables')
  expect(tabOfPlace('body#/max_parallel_tables')).toBe('writing')
  expect(tabOfPlace('body#/later')).toBe('yaml')
})
