/** What MySQL 8 takes, warns of or names otherwise than MariaDB: said of the text of our statements, where no server is. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { isReadOnly } from './adapter.ts'
import { mergingCollation, pads } from './collations.ts'
import { failingWarning } from './errors.ts'
import { fromForm, inForm } from './forms.ts'
import { isOwnKey } from './introspect.ts'
import { explainSql } from './read.ts'
import { pinSql, zeroDatesSql } from './session.ts'
import { columnType } from './types.ts'

const FILES = readdirSync(import.meta.dirname)
  .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
  .map((name) => ({ name, text: readFileSync(join(import.meta.dirname, name), 'utf8') }))

test.each([
  ['the operator BINARY, deprecated since 8.0.27', /(?<!AS )\bBINARY (?:t\.|\$\{|\()/],
  ['VALUES() of a column, deprecated since 8.0.20', /UPDATE \w+ = VALUES\(/],
  ['SQL_CALC_FOUND_ROWS, deprecated since 8.0.17', /SQL_CALC_FOUND_ROWS|FOUND_ROWS\(\)/],
  ['RETURNING, which MySQL has not', /\bRETURNING\b/],
  ['CREATE OR REPLACE TABLE, which MySQL has not', /CREATE OR REPLACE/],
  ['LOCK IN SHARE MODE, which FOR SHARE replaces', /LOCK IN SHARE MODE/],
  ['sequences, which MySQL has not', /\bNEXTVAL\b|NEXT VALUE FOR/],
  ['a temporary table without a key, which sql_require_primary_key refuses', /CREATE TEMPORARY TABLE \$\{own\} ENGINE/],
])('no statement of ours uses %s', (_, pattern) => {
  expect(FILES.length).toBeGreaterThan(40)
  expect(FILES.filter(({ text }) => pattern.test(text)).map(({ name }) => name)).toEqual([])
})

test('MySQL is pinned to what it knows, and statistics of now', () => {
  const [mysql, mariadb] = [true, false].map((isMysql) => pinSql({ mariadb: !isMysql, readOnly: true }).join('\n'))
  expect(mysql).toContain('information_schema_stats_expiry = 0')
  expect(mysql).toContain('max_execution_time = 0')
  expect(mysql).not.toContain('max_statement_time')
  expect(mariadb).toContain('max_statement_time = 0')
  expect(mariadb).not.toContain('information_schema_stats_expiry')
})

test('strict mode stands whether or not days of zeros are taken', () => {
  for (const takes of [true, false]) {
    expect(zeroDatesSql(takes)).toMatch(/'STRICT_ALL_TABLES,.*ERROR_FOR_DIVISION_BY_ZERO.*'/)
    expect(zeroDatesSql(takes).includes('NO_ZERO')).toBe(!takes)
  }
})

test('the plan of a statement is a table on either server', () => {
  expect(explainSql({ mariadb: false }, 'SELECT 1')).toBe('EXPLAIN FORMAT=TRADITIONAL SELECT 1')
  expect(explainSql({ mariadb: true }, 'SELECT 1')).toBe('EXPLAIN SELECT 1')
})

test.each([
  ['0', false],
  ['OFF', false],
  ['1', true],
  ['ON', true],
  ['NO_LOCK', true],
  ['NO_LOCK_NO_ADMIN', true],
])('read_only = %s: %s', (value, readOnly) => {
  expect(isReadOnly(value)).toBe(readOnly)
})

test('a key that the server made for itself is no column', () => {
  expect(isOwnKey('my_row_id', 'auto_increment INVISIBLE')).toBe(true)
  expect(isOwnKey('my_row_id', 'auto_increment')).toBe(false)
  expect(isOwnKey('id', 'auto_increment INVISIBLE')).toBe(false)
})

test.each([
  ['utf8mb4_0900_ai_ci', true, false],
  ['utf8mb4_0900_bin', false, false],
  ['utf8mb4_0900_as_cs', true, false],
  ['utf8mb4_general_ci', true, true],
  ['utf8mb4_bin', true, true],
  ['utf8mb4_nopad_bin', false, false],
  ['utf8mb4_uca1400_nopad_ai_ci', true, false],
  ['utf8mb4_uca1400_ai_ci', true, true],
] as const)('%s takes texts for one: %s; pads: %s', (collation, merges, padded) => {
  expect(mergingCollation({ collation, dataType: 'varchar' }) !== null).toBe(merges)
  expect(pads(collation)).toBe(padded)
})

test('labels are told apart by their type', () => {
  expect(mergingCollation({ collation: 'utf8mb4_general_ci', dataType: 'enum' })).toBeNull()
})

test('types are read as MySQL 8 spells them, without widths and with names of its own', () => {
  const read = (spelled: string) => columnType({ spelled, charset: null, isJson: false })
  expect(read('int')).toEqual({ kind: 'integer', bits: 32 })
  expect(read('bigint unsigned')).toEqual({ kind: 'integer', bits: 64, unsigned: true })
  expect(read('year')).toEqual({ kind: 'integer', bits: 16, year: true })
  expect(read('json')).toEqual({ kind: 'json', binary: false, dialect: 'mysql' })
  expect(read('geomcollection')).toEqual(read('geometrycollection'))
})

test('x comes first in shapes, which MySQL has to be told and MariaDB does not know', () => {
  const point = columnType({ spelled: 'point', charset: null, isJson: false })
  const option = "/*!80000 , 'axis-order=long-lat' */"
  expect(inForm('t.p', point, 'own')).toContain(option)
  expect(fromForm('s.c0', point, 'own')).toContain(option)
})

test('deprecations alone are no failures', () => {
  const told = (...codes: readonly number[]) =>
    failingWarning(codes.map((code) => ['Warning', String(code), `w${code}`]))
  // 'BINARY expr' and VALUES(), widths of integers, the name utf8, collations of utf8mb3.
  expect(told(1287, 1681, 3719, 3778)).toBeNull()
  // A value that was cut, out of range, or no number.
  for (const errno of [1264, 1265, 1292, 1366, 1406]) expect(told(1287, errno)).toMatchObject({ errno })
  expect(failingWarning([['Note', '1265', 'rounded']])).toBeNull()
  expect(failingWarning([])).toMatchObject({ errno: 1105 })
})
