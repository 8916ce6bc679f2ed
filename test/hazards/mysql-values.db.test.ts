/** Values on their way into MariaDB: texts that look like something else, and values that are too large to stand in memory. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { IntoMysql } from '#test/harness/into-mysql.ts'
import { startMariadb, type MariadbServer } from '#test/harness/mariadb.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { wroteNothing } from '#test/harness/sync.ts'

const { source } = sharedServers()
let server: MariadbServer

beforeAll(async () => {
  server = await startMariadb()
}, 120_000)

afterAll(() => server[Symbol.asyncDispose]())

const TEXTS = [
  '',
  'NULL',
  '\\N',
  '\\\\N',
  '""',
  "'",
  '\t',
  '\r',
  '\n',
  '\\.',
  ' ',
  'a ',
  '☯',
  '😀',
  'é',
  'é',
  '\\x00',
  'a\\',
  '\b\f\v',
  '\v',
  '\\v\\\f',
]

describe.each(['load', 'batches'] as const)('by %s', (way) => {
  test('C13: no text is taken for another one, nor for NULL', async () => {
    await using into = await IntoMysql.make(source, server)
    await into.pair.source.sql('CREATE TABLE t (id int PRIMARY KEY, v varchar(20), k text NOT NULL)')
    await into.side.sql(
      'CREATE TABLE t (id int PRIMARY KEY, v varchar(20) COLLATE utf8mb4_bin, k longtext CHARACTER SET utf8mb4 NOT NULL)',
    )
    if (way === 'batches') {
      await into.pair.source.sql("INSERT INTO t VALUES (-1, 'x', 'x')")
      await into.run(['t'])
    }
    for (const [i, text] of [...TEXTS, null].entries()) {
      await into.pair.source.sql('INSERT INTO t VALUES ($1::text::int, $2::text, coalesce($2::text, $1::text))', [
        String(i),
        text,
      ])
    }
    await into.run(['t'], { baseline: 'images' })
    const { source: there, target } = await into.rows('t')
    expect(target).toEqual(there)
    expect(wroteNothing(await into.run(['t'], { baseline: 'images' }))).toBe(true)
  })

  test('large values arrive whole', async () => {
    await using into = await IntoMysql.make(source, server)
    await into.pair.source.sql('CREATE TABLE t (id int PRIMARY KEY, v text, b bytea, n int)')
    await into.side.sql('CREATE TABLE t (id int PRIMARY KEY, v longtext CHARACTER SET utf8mb4, b longblob, n int)')
    if (way === 'batches') {
      await into.pair.source.sql("INSERT INTO t VALUES (-1, 'x', 'x')")
      await into.run(['t'], { baseline: 'fingerprints' })
    }
    await into.pair.source.sql(`INSERT INTO t VALUES
      (1, repeat(E'☯\\\\\\n\\t' || chr(11), 300000), decode(repeat('00ff0a5c', 300000), 'hex'), 1),
      (2, NULL, decode(repeat('ab', 3000000), 'hex'), 2), (3, repeat('x', 3000000), NULL, 3), (4, '', '', 4)`)
    await into.run(['t'], { baseline: 'fingerprints' })
    await into.pair.source.sql(`UPDATE t SET v = v || 'end', n = 10 WHERE id IN (1, 3)`)
    await into.run(['t'], { baseline: 'fingerprints' })
    const there = await into.pair.source.sql('SELECT id, md5(v), md5(b), n FROM t ORDER BY id')
    expect(await into.side.sql('SELECT id, MD5(v), MD5(b), n FROM t ORDER BY id')).toEqual(there.map((row) => [...row]))
    expect(wroteNothing(await into.run(['t'], { baseline: 'fingerprints' }))).toBe(true)
  })
})
