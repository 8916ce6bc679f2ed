import { expect, test } from 'vitest'

import { readDumpEntries } from './dump-entries.ts'

function dump(...entries: string[]): string {
  return `--\n-- PostgreSQL database dump\n--\n\n\\restrict k\n\nSET a = 1;\nSELECT pg_catalog.set_config('search_path', '', false);\n
${entries.map((entry, i) => `--\n-- TOC entry ${i + 1} (class 1259 OID ${i + 10})\n-- Name: x\n--\n\n${entry}\n\n`).join('')}
--\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict k\n`
}

function sqlOf(text: string): string[] {
  return readDumpEntries(text).flatMap((entry) => entry.statements.map((statement) => statement.sql))
}

test('an entry has the numbers of its header, its dependencies and its statements', () => {
  const text = dump('CREATE TABLE a ();\nALTER TABLE a ADD b int;\nSET c = 2;', 'CREATE INDEX i ON a (b);').replace(
    'OID 11)',
    'OID 11)\n-- Dependencies: 1 22',
  )
  expect(readDumpEntries(text)).toMatchObject([
    { id: '1', classId: '1259', objectId: '10', dependencies: [], statements: [{ sql: 'CREATE TABLE a ()' }, {}] },
    { id: '2', classId: '1259', objectId: '11', dependencies: ['1', '22'], statements: [{}] },
  ])
})

test('a header inside of a value is none', () => {
  const body = `COMMENT ON TABLE a IS '\n--\n-- TOC entry 9 (class 1 OID 1)\n-- Name: evil\n--\n\nDROP TABLE a;\n'`
  expect(sqlOf(dump(`${body};`))).toEqual([body])
})

test('the option that servers keep for themselves goes, and nothing with it', () => {
  const set = (options: string): string => `ALTER TABLE ONLY "a" ALTER COLUMN "pg_attver" SET (${options})`
  expect(sqlOf(dump(`${set('pg_attver=3')};`))).toEqual([])
  expect(sqlOf(dump(`${set(`"pg_attver"='3'`)};`))).toEqual([])
  expect(sqlOf(dump(`${set('n_distinct=-0.5, pg_attver=3, n_distinct_inherited=4')};`))).toEqual([
    set('n_distinct=-0.5, n_distinct_inherited=4'),
  ])
  const other = `ALTER TABLE a SET ("x"='pg_attver=3')`
  expect(sqlOf(dump(`${other};`))).toEqual([other])
})

test('what is no definition is refused', () => {
  expect(() => readDumpEntries(dump('DROP TABLE a;'))).toThrow('unknown statement')
  expect(() => readDumpEntries(dump('DO $$ BEGIN END $$;'))).toThrow('unknown statement')
  expect(() => readDumpEntries(dump('\\! ls'))).toThrow('command of psql')
  expect(() => readDumpEntries(dump('CREATE TABLE a ();').slice(0, -60))).toThrow('cut')
})
