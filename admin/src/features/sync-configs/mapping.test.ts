import { expect, test } from 'vitest'
import {
  accept,
  addColumn,
  connect,
  fieldsOf,
  isNews,
  readRule,
  removeColumn,
  toKind,
  unmappedOf,
  withFields,
  writeRule,
  writeStep,
  type Column,
  type Field,
} from '#features/sync-configs/mapping.ts'

function columns(...names: readonly string[]): readonly Column[] {
  return names.map((name) => ({ name, type: 'text', nullable: true, default: null, generated: false }))
}

const SOURCE = columns('id', 'first', 'last', 'secret')
const TARGET = columns('id', 'name', 'secret', 'made')

test('columns of the same name belong together, but for what a table leaves out and renames', () => {
  const table = { source: 't', exclude: ['secret'], rename: { first: 'name' } }
  expect(fieldsOf(table, SOURCE, TARGET)).toEqual([
    { target: 'id', column: 'id' },
    { target: 'name', column: 'first' },
  ])
  const own = withFields({ ...table, filter: 'id > 1' }, fieldsOf(table, SOURCE, TARGET))
  expect(own).toEqual({ source: 't', filter: 'id > 1', field_mappings: fieldsOf(own, SOURCE, TARGET) })
  expect(unmappedOf(fieldsOf(own, SOURCE, TARGET), SOURCE, TARGET)).toMatchObject({
    source: ['last', 'secret'],
    target: [{ name: 'secret' }, { name: 'made' }],
  })
  expect(withFields(own, [])).toEqual({ source: 't', filter: 'id > 1' })
})

test('a new line keeps rules, and steps that still have one value to work on', () => {
  const field: Field = { target: 'name', column: 'first', transforms: ['trim'], rules: ['required'] }
  expect(connect(field, 'name', 'last')).toEqual({ ...field, column: 'last' })
  const many: Field = { target: 'name', columns: ['first', 'last'], transforms: ['concat'], rules: ['required'] }
  expect(connect(many, 'name', 'id')).toEqual({ target: 'name', column: 'id', rules: ['required'] })
  expect(addColumn(many, 'id').columns).toEqual(['first', 'last', 'id'])
  expect(removeColumn(many, 'first')).toMatchObject({ column: 'last', rules: ['required'] })
  expect(removeColumn(field, 'first')).toBeNull()
})

test('a field of another kind keeps what that kind can have', () => {
  const field: Field = { target: 'name', column: 'first', rules: ['required'] }
  expect(toKind(field, 'columns', SOURCE)).toEqual({ target: 'name', columns: ['first'], rules: ['required'] })
  expect(toKind(field, 'code', SOURCE)).toMatchObject({ code: 'return row.first' })
  expect(toKind({ target: 'secret' }, 'column', SOURCE)).toEqual({ target: 'secret', column: 'secret' })
})

test('suggestions take no step away that somebody chose, and no rule', () => {
  const mine: Field = { target: 'name', column: 'first', transforms: ['trim'], rules: ['required'] }
  expect(isNews(mine, { target: 'name', column: 'first' })).toBe(false)
  expect(isNews(mine, { target: 'name', column: 'last' })).toBe(true)
  expect(isNews({ target: 'name', column: 'first' }, { target: 'name', column: 'first', transforms: ['lower'] })).toBe(
    true,
  )
  expect(accept(mine, { target: 'name', column: 'last' })).toEqual({
    target: 'name',
    column: 'last',
    rules: ['required'],
  })
})

test('steps and rules are written in their shortest form', () => {
  expect(writeStep({ name: 'trim', args: {} })).toBe('trim')
  expect(writeStep({ name: 'truncate', args: { length: 3 } })).toEqual({ truncate: { length: 3 } })
  for (const rule of ['required', { range: { min: 0 }, on_fail: 'warn' }, { one_of: ['a'] }]) {
    expect(writeRule(readRule(rule))).toEqual(rule)
  }
})
