import { expect, test } from 'vitest'

import {
  dumpFileName,
  dumpSuffix,
  formatOf,
  headLines,
  parseHead,
  parseRows,
  parseSeal,
  parseBringsBack,
  parseTakeBack,
  SEAL_BYTES,
  sealLines,
  trailerLines,
  type DumpHead,
} from './dump.ts'

const HEAD: DumpHead = {
  program: '1.2.3',
  madeAt: '2026-01-02T03:04:05.678Z',
  database: 'a\n\\! b',
  server: 'PostgreSQL 15.20',
  serverMajor: 15,
  content: 'all',
  style: 'copy',
  partial: false,
  tables: 3,
}

test('the head is two lines, whatever the name of the database is, and reads back', () => {
  const [first = '', second = '', end] = headLines(HEAD).split('\n')
  expect(end).toBe('')
  expect(formatOf(first)).toBe(1)
  expect(parseHead(second)).toEqual(HEAD)
  expect(formatOf('-- PostgreSQL database dump')).toBeNull()
  for (const line of ['', '-- {', '-- []', '-- {"content":"all"}', second.replace('"all"', '"some"'), ` ${second}`]) {
    expect(parseHead(line), line).toBeNull()
  }
})

test('a head that no store could keep, or that has no time, is none', () => {
  const lineOf = (changes: Partial<DumpHead>): string => headLines({ ...HEAD, ...changes }).split('\n')[1] ?? ''
  for (const changes of [
    { database: 'a\0b' },
    { server: '\ud800' },
    { program: 'x'.repeat(201) },
    { madeAt: 'yesterday' },
    { madeAt: '2026-13-01T00:00:00.000Z' },
  ]) {
    expect(parseHead(lineOf(changes)), JSON.stringify(changes)).toBeNull()
  }
  expect(parseHead(lineOf({ madeAt: '2026-01-02T03:04:05Z' }))).not.toBeNull()
})

test('the trailer tells each table in a line of its own', () => {
  const tables = [
    { schema: 'public', name: 'x\n-- sha256', rows: 0 },
    { schema: 's', name: 't', rows: 12 },
  ]
  const lines = trailerLines(tables).split('\n')
  expect(lines).toHaveLength(4)
  expect(lines.slice(1, 3).map(parseRows)).toEqual(tables)
  for (const line of ['-- rows {}', '-- rows {"schema":"s","name":"t","rows":-1}', '-- rows [', 'rows']) {
    expect(parseRows(line), line).toBeNull()
  }
})

test('what a dump takes back stands in lines of the trailer, and nothing but such a line says it', () => {
  const database = 'ab'.repeat(32)
  const made = [
    { object: 'relation', schema: 'public', name: 'x\n-- takes back' },
    { object: 'schema', schema: '', name: 's' },
  ] as const
  const told = trailerLines([{ schema: 'a', name: 'b', rows: 1 }], { database, made }).split('\n')
  const [, rows = '', brings = '', ...lines] = told
  expect([parseTakeBack(rows), parseTakeBack(brings)]).toEqual([null, null])
  expect([rows, brings, ...lines].map(parseBringsBack)).toEqual([null, database, null, null, null])
  expect(['-- brings back {}', 'brings back {"database":"d"}'].map(parseBringsBack)).toEqual([null, null])
  expect(lines.slice(0, 2).map(parseTakeBack)).toEqual(made.map((each) => ({ ...each, database })))
  expect(lines.slice(2)).toEqual([''])
  expect(lines.slice(0, 2).map(parseRows)).toEqual([null, null])
  for (const line of [
    '-- takes back {}',
    '-- takes back {"database":"d","object":"index","schema":"s","name":"t"}',
    '-- takes back {"object":"type","schema":"s","name":"t"}',
    'takes back',
  ]) {
    expect(parseTakeBack(line), line).toBeNull()
  }
})

test('the last two lines have always as many bytes, and nothing but them is an end', () => {
  const digest = 'ab'.repeat(32)
  const seal = sealLines(digest)
  expect(Buffer.byteLength(seal)).toBe(SEAL_BYTES)
  expect(parseSeal(seal)).toBe(digest)
  for (const text of [seal.slice(0, -1), seal.slice(1), `${seal}\n`, seal.replace('a', 'A'), '']) {
    expect(parseSeal(text), text).toBeNull()
  }
})

test('a file is named by database, time and content, and by nothing that a path would take for a step', () => {
  const wish = { id: 'dmp_0123456789abcdefghjkmnpqrs', createdAt: HEAD.madeAt, content: 'schema' } as const
  expect(dumpFileName({ ...wish, database: 'shop' }, dumpSuffix('zstd', true))).toBe(
    'shop_2026-01-02T03-04-05_schema_jkmnpqrs.sql.zst.sealed',
  )
  for (const database of ['../../etc', '', '.', 'ä/ö', 'x'.repeat(500), '-rf', HEAD.database]) {
    const name = dumpFileName({ ...wish, database }, '.sql')
    expect(name).toMatch(/^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$/)
    expect(name).not.toContain('..')
  }
})
