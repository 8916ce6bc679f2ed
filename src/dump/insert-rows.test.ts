import fc from 'fast-check'
import { expect, test } from 'vitest'

import type { DumpTable } from '#adapters/dump-source.ts'
import { InsertRows } from './insert-rows.ts'

const ref = { schema: 'public', name: 'a"b' }

function tableOf(literals: readonly ('number' | 'boolean' | 'text')[], hasIdentity = false): DumpTable {
  const columns = literals.map((literal, i) => ({ name: `c${i}`, literal }))
  return { ref, into: ref, parents: [], columns, hasIdentity, rowEstimate: null, bytes: 0 }
}

function insertsOf(table: DumpTable, text: string, size = Infinity): string {
  const rows = new InsertRows(table)
  const bytes = Buffer.from(text, 'utf8')
  const parts: Buffer[] = []
  for (let at = 0; at < bytes.length; at += size) parts.push(rows.take(bytes.subarray(at, at + size)))
  return Buffer.concat(parts).toString('utf8') + rows.end()
}

test('values become literals: quotes are doubled, backslashes and line ends stand for themselves, NULL is no text', () => {
  const table = tableOf(['number', 'boolean', 'text'])
  const text = "1\tt\tit''s \\\\ \\n\\t\\b\n\\N\t\\N\t\\N\n-7\tf\t\nNaN\tt\t\\\\N\n-0\tt\t\\\\.\n"
  expect(insertsOf(table, text)).toBe(
    `INSERT INTO "public"."a""b" ("c0", "c1", "c2") VALUES\n` +
      `(1, true, 'it''''s \\ \n\t\b'),\n(NULL, NULL, NULL),\n(-7, false, ''),\n('NaN', true, '\\N'),\n('-0', true, '\\.');\n`,
  )
})

test('identity columns say so, and tables without columns have rows too', () => {
  expect(insertsOf(tableOf(['number'], true), '1\n')).toContain('("c0") OVERRIDING SYSTEM VALUE VALUES\n(1);')
  expect(insertsOf(tableOf([]), '\n\n')).toBe('INSERT INTO "public"."a""b" DEFAULT VALUES;\n'.repeat(2))
  expect(insertsOf(tableOf(['text']), '')).toBe('')
  expect(insertsOf(tableOf(['text']), '\n')).toContain(`('');`)
})

test('a statement ends after 500 rows or 64 KiB', () => {
  const many = insertsOf(tableOf(['number']), '1\n'.repeat(1_001))
  expect(many.match(/INSERT/g)).toHaveLength(3)
  const wide = insertsOf(tableOf(['text']), `${'x'.repeat(40_000)}\n`.repeat(4))
  expect(wide.match(/INSERT/g)).toHaveLength(2)
})

test('a number of any length is kept, and so is what only looks like one', () => {
  const long = `${'9'.repeat(200_000)}`
  expect(insertsOf(tableOf(['number']), `${long}\n`)).toContain(`('${long}');`)
  for (const text of ['1e5', '+1', '1.', '.5', '00', 'Infinity', "1'2"]) {
    expect(insertsOf(tableOf(['number']), `${text}\n`)).toContain(`('${text.replaceAll("'", "''")}');`)
  }
})

test('wherever the rows are cut into pieces, the statements are the same', () => {
  const cell = fc.oneof(
    fc.constant(null),
    fc.string({ unit: 'binary', maxLength: 12 }).map((text) => text.replaceAll('\0', '')),
    fc.constantFrom('\\', '\\N', "'", '\t', '\n', "\\'", '\\.', ''),
  )
  const rows = fc.array(fc.tuple(cell, cell), { maxLength: 20 })
  fc.assert(
    fc.property(rows, fc.integer({ min: 1, max: 9 }), (all, size) => {
      const text = all.map((row) => `${row.map(copyCell).join('\t')}\n`).join('')
      const table = tableOf(['text', 'text'])
      const whole = insertsOf(table, text)
      expect(insertsOf(table, text, size)).toBe(whole)
      const values = all.map((row) => `(${row.map(sqlCell).join(', ')})`).join(',\n')
      const head = `INSERT INTO "public"."a""b" ("c0", "c1") VALUES\n`
      expect(whole).toBe(all.length === 0 ? '' : `${head}${values};\n`)
    }),
  )
})

function copyCell(cell: string | null): string {
  if (cell === null) return '\\N'
  const marks: Readonly<Record<string, string>> = {
    '\\': '\\\\',
    '\b': '\\b',
    '\f': '\\f',
    '\n': '\\n',
    '\r': '\\r',
    '\t': '\\t',
    '\v': '\\v',
  }
  return cell.replaceAll(/[\\\b\f\n\r\t\v]/g, (mark) => marks[mark] ?? mark)
}

function sqlCell(cell: string | null): string {
  return cell === null ? 'NULL' : `'${cell.replaceAll("'", "''")}'`
}
