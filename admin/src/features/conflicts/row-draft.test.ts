import { expect, test } from 'vitest'
import {
  choiceOf,
  fieldsOf,
  mergedChoice,
  mergedDraft,
  missing,
  type Cell,
  type Draft,
} from '#features/conflicts/row-draft.ts'

const NAMES = ['id', 'name', 'note']

type Row = readonly Cell[] | null

function cells(row: Row) {
  return row === null ? null : row.map((value, i) => ({ column: NAMES[i] ?? '', value }))
}

interface Given {
  readonly source: Row
  readonly target: Row
  readonly base?: Row
  readonly merged?: Row
  readonly by?: 'both' | 'unknown'
  readonly conflict?: readonly string[]
}

function given({ source, target, base = null, merged = null, by = 'both', conflict = NAMES }: Given) {
  const both = source !== null && target !== null
  const differences = NAMES.flatMap((column, i) =>
    both && source[i] !== target[i]
      ? [
          {
            column,
            source: source[i] ?? null,
            target: target[i] ?? null,
            base: null,
            changed_by: by,
            in_conflict: conflict.includes(column),
          },
        ]
      : [],
  )
  return fieldsOf({
    columns: NAMES.map((name) => ({ name, type: 'text', nullable: true })),
    key_columns: ['id'],
    source_row: cells(source),
    target_row: cells(target),
    base_row: cells(base),
    merged_row: cells(merged),
    built_row: null,
    differences,
  })
}

test('a draft is the row of a side where it is all of that side, else what differs from one', () => {
  const fields = given({ source: ['1', 'ours', 'a'], target: ['1', 'theirs', 'b'], base: ['1', 'before', 'a'] })
  expect(fields.filter(({ differs }) => differs).map(({ name }) => name)).toEqual(['name', 'note'])
  const from = (name: 'source' | 'target' | 'base', note: 'source' | 'target'): Draft => ({
    name: { from: name },
    note: { from: note },
  })
  expect(choiceOf(fields, from('source', 'source'))).toEqual({ take: 'source' })
  expect(choiceOf(fields, from('target', 'target'))).toEqual({ take: 'target' })
  expect(choiceOf(fields, from('source', 'target'))).toEqual({ take: 'row', values: { note: 'b' }, rest: 'source' })
  expect(choiceOf(fields, from('base', 'source'))).toEqual({ take: 'row', values: { name: 'before' }, rest: 'source' })
  const own: Draft = { name: { from: 'own', value: null }, note: { from: 'target' } }
  expect(choiceOf(fields, own)).toEqual({ take: 'row', values: { name: null }, rest: 'target' })
})

test('what is still to be chosen is named; the key never is', () => {
  const fields = given({ source: ['1', 'ours', 'a'], target: ['1', 'theirs', 'b'] })
  expect(missing(fields, { name: { from: 'source' } })).toEqual(['note'])
  expect(missing(fields, { name: { from: 'source' }, note: { from: 'base' } })).toEqual(['note'])
})

test('a row that only one side has is compared with what both agreed on last', () => {
  const fields = given({ source: null, target: ['1', 'kept', 'changed'], base: ['1', 'kept', 'before'] })
  expect(fields.filter(({ differs }) => differs)).toMatchObject([{ name: 'note', changedBy: 'target', base: 'before' }])
  expect(choiceOf(fields, { note: { from: 'base' } })).toEqual({
    take: 'row',
    values: { note: 'before' },
    rest: 'target',
  })
})

test('a merge is offered where it is another row than the target has', () => {
  const rows = { source: ['1', 'ours', 'a'], target: ['1', 'theirs', 'b'] }
  expect(mergedChoice(given({ ...rows, merged: ['1', 'theirs', 'a'] }))).toEqual({
    take: 'row',
    values: {},
    rest: 'merged',
  })
  expect(mergedChoice(given({ ...rows, merged: ['1', 'theirs', 'b'] }))).toBeNull()
  expect(mergedChoice(given(rows))).toBeNull()
})

test('of a row that merges it is known which side changed a field, also without what it was before', () => {
  const fields = given({
    source: ['1', 'ours', 'a'],
    target: ['1', 'theirs', 'b'],
    merged: ['1', 'theirs', 'a'],
    by: 'unknown',
    conflict: ['name'],
  })
  expect(fields.map(({ changedBy }) => changedBy)).toEqual([null, 'both', 'source'])
  expect(mergedDraft(fields)).toEqual({ note: { from: 'source' } })
})
