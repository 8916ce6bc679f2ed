import { expect, test } from 'vitest'
import type { Document } from '#features/sync-configs/document.ts'
import { covers, refOf } from '#features/sync-configs/table-names.ts'
import { pickAll, pickedBy, pickTables, setTableField, tablesInWords } from '#features/sync-configs/tables.ts'
import { formatTableName } from '#lib/table-name.ts'

const ALL: Document = { name: 'shop', source_datasource_id: 'ds_1', target_datasource_id: 'ds_2' }
const ORDERS = { schema: 'public', name: 'orders' }
const LOG = { schema: 'shop', name: 'log_1' }

test('names and patterns are read as the service reads them', () => {
  expect(refOf('orders')).toEqual(ORDERS)
  expect(refOf('"a.b"."c""d*"')).toEqual({ schema: 'a.b', name: 'c"d*' })
  for (const text of ['log_*', 'a.b.c', '', 'a.', '"a']) expect(refOf(text), text).toBeNull()
  expect(formatTableName({ schema: 'a.b', name: 'c"d*' })).toBe('"a.b"."c""d*"')
  expect(covers('shop.log_*', LOG)).toBe(true)
  expect(covers('log_*', LOG)).toBe(false)
  expect(covers('*.*', ORDERS)).toBe(true)
  expect(covers('shop."log_*"', LOG)).toBe(false)
  expect(covers('a+*', { schema: 'public', name: 'aab' })).toBe(false)
})

test('a table that is spoken of where all take part leaves the others in', () => {
  const spoken = setTableField(ALL, 'orders', 'filter', 'id > 1')
  expect(spoken.tables).toEqual([{ source: '*.*' }, { source: 'orders', filter: 'id > 1' }])
  expect(pickedBy(spoken, LOG)).toEqual({ by: 'pattern', pattern: '*.*' })
  expect(tablesInWords(spoken)).toBe('all tables')
  expect(setTableField(spoken, 'public.orders', 'filter', undefined).tables?.[1]).toEqual({ source: 'orders' })
})

test('tables are taken in by name and left out by name, and what is said of them stays until then', () => {
  const without = pickTables(ALL, [ORDERS], false)
  expect(without).toEqual({ ...ALL, exclude_tables: ['orders'] })
  expect(pickedBy(without, ORDERS)).toBeNull()
  expect(pickTables(without, [ORDERS], true)).toEqual(ALL)

  const named: Document = { ...ALL, tables: [{ source: 'orders', key: ['id'] }, { source: 'shop.*' }] }
  expect(pickTables(named, [LOG], false).exclude_tables).toEqual(['shop.log_1'])
  expect(pickTables(named, [ORDERS], false).tables).toEqual([{ source: 'shop.*' }])
  expect(pickTables({ ...ALL, tables: [] }, [LOG, ORDERS], true).tables).toEqual([
    { source: 'shop.log_1' },
    { source: 'orders' },
  ])
  expect(pickAll(named).tables).toEqual([{ source: '*.*' }, { source: 'orders', key: ['id'] }])
})
