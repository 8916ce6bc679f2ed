/** Hazard D12 and drill F20: whatever is wrong in one place is found, by proof and by rows, and nothing else is. */
import { expect, test } from 'vitest'

import { sharedServers } from '#test/harness/postgres.ts'
import { createPair, mapping } from '#test/harness/sync.ts'

const { source, target } = sharedServers()

const ROWS = 2_000

const COLUMNS = `id int8 PRIMARY KEY, i int4, b int8, n numeric, f float8, r real, t text, c char(5), y bytea, s timestamp, z timestamptz,
  d date, j json, jb jsonb, u uuid, a int4[], e text, bo bool, iv interval, k varchar(40)`

/** Statements that each spoil one row `id`, in a way that is easy to overlook. */
const DRILLS: readonly ((id: number) => string)[] = [
  'i = i + 1',
  'i = NULL',
  'i = -i - 1',
  'b = b # 1',
  'b = b # (1::int8 << 62)',
  'b = 9007199254740992',
  'n = n + 0.00000000000000000001',
  'n = -n',
  "n = 'NaN'",
  'n = n * 10',
  'f = f * (1 + 2.220446049250313e-16)',
  'f = -0.0',
  "f = 'Infinity'",
  'f = NULL',
  'r = r * 1.0000002',
  "t = t || ' '",
  "t = ''",
  'e = NULL',
  't = upper(t)',
  "t = replace(t, 'é', U&'e\\0301')",
  "t = t || U&'\\200B'",
  'c = reverse(c)',
  'y = set_bit(y, 7, 1 - get_bit(y, 7))',
  "y = y || '\\x00'",
  "y = ''",
  "s = s + interval '1 microsecond'",
  "s = s + interval '1 hour'",
  "z = z - interval '1 microsecond'",
  "z = 'infinity'",
  'd = d + 1',
  "j = (j::text || ' ')::json",
  `j = replace(j::text, '1.10', '1.1')::json`,
  `jb = jb || '{"x": 9007199254740992}'`,
  "jb = jb - 'a'",
  "u = '00000000-0000-4000-8000-000000000000'",
  'a = a || NULL::int4',
  "a = '[0:1]={1,2}'",
  "a = '{}'",
  'bo = NOT bo',
  'bo = NULL',
  "iv = '30 days'",
  "iv = iv + interval '1 microsecond'",
  "k = 'NULL'",
  "k = '\\N'",
  't = e, e = t',
]
  .map((set) => (id: number) => `UPDATE t SET ${set} WHERE id = ${id}`)
  .concat([
    (id) => `DELETE FROM t WHERE id = ${id}`,
    (id) =>
      `INSERT INTO t SELECT -id, i, b, n, f, r, t, c, y, s, z, d, j, jb, u, a, e, bo, iv, k FROM t WHERE id = ${id}`,
    (id) => `UPDATE t SET id = -id WHERE id = ${id}`,
    (id) => `UPDATE t SET id = id + 100000 WHERE id = ${id}`,
    (id) => `UPDATE t SET b = x.b FROM t x WHERE x.id = ${id + 1} AND t.id = ${id}`,
  ])

test('each of a hundred corruptions is found by proof and by rows, and a sound copy never is', async () => {
  await using pair = await createPair(source, target)
  await pair.both(`CREATE TABLE t (${COLUMNS}); CREATE TABLE other (id int PRIMARY KEY, v text)`)
  await pair.source.sql(`INSERT INTO other SELECT i, i FROM generate_series(1, 100) i;
    INSERT INTO t SELECT i, i, 9007199254740993 + i, i + 0.5, i + 0.1, 1.5 + i, 'text é ' || i, 'abc', decode(md5(i::text), 'hex'),
    timestamp '2024-01-01' + i * interval '1 second', timestamptz '2024-03-10 02:30:00-05' + i * interval '1 hour', date '2024-01-01' + i,
    '{"a": 1.10}', jsonb_build_object('a', i), md5(i::text)::uuid, ARRAY[i, 2], '', i % 2 = 0, '1 mon', 'k' || i FROM generate_series(1, ${ROWS}) i`)
  await pair.run()
  const config = { tables: [mapping('t'), mapping('other')] }
  const found = async (): Promise<unknown[]> => {
    const all: unknown[] = []
    for (const by of ['proof', 'rows'] as const) {
      const { equal, tables } = await pair.compare(by, config)
      const table = tables.find(({ target: { name } }) => name === 't')
      expect(tables.find(({ target: { name } }) => name === 'other')).toMatchObject({ different: 0, onlyInSource: 0 })
      all.push([equal, table?.samples.map(({ side, key }) => `${side} ${key.join()}`).toSorted()])
    }
    expect(all[0]).toEqual(all[1])
    return all
  }
  expect(await found()).toEqual([
    [true, []],
    [true, []],
  ])
  const client = await pair.target.connect()
  await using _closing = client
  await pair.target.sql('CREATE TABLE sound AS TABLE t')
  // Several at once, on rows of their own: each must be told apart from the others.
  for (let start = 0, round = 0; round < 10; round++, start += 5) {
    const wanted: string[] = []
    for (let i = start; i < start + 10; i++) {
      const id = 7 + round * 13 + i * 17
      const before = await pair.target.sql('SELECT md5(x::text), id FROM t x')
      await client.query(DRILLS[i % DRILLS.length]?.(id) ?? '')
      const after = await pair.target.sql('SELECT md5(x::text), id FROM t x')
      const gone = new Map(before.map(([hash, key]) => [key, hash]))
      for (const [hash, key] of after) {
        if (!gone.has(key ?? '')) wanted.push(`only in target ${key}`)
        else if (gone.get(key ?? '') !== hash) wanted.push(`different ${key}`)
        gone.delete(key ?? '')
      }
      wanted.push(...[...gone.keys()].map((key) => `only in source ${key}`))
      expect(wanted.length, `${i % DRILLS.length}`).toBeGreaterThan(i - start)
    }
    const [[equal, samples] = []] = (await found()) as [boolean, string[]][]
    expect([equal, samples]).toEqual([false, wanted.toSorted()])
    await pair.target.sql('TRUNCATE t; INSERT INTO t TABLE sound')
    expect(await found()).toEqual([
      [true, []],
      [true, []],
    ])
  }
})

test('fingerprints that were made in another way are made anew, and not taken for the present ones', async () => {
  await using pair = await createPair(source, target)
  await pair.both('CREATE TABLE t (id int PRIMARY KEY, n int)')
  await pair.source.sql('INSERT INTO t SELECT n, n FROM generate_series(1, 300) n')
  const fingerprints = 'SELECT string_agg(target_fingerprint::text, $1 ORDER BY k0) FROM syncline.'
  const baseline = async (): Promise<unknown> => {
    const [[name] = []] = await pair.target.sql(
      `SELECT quote_ident(relname) FROM pg_class WHERE relname LIKE 'baseline%' AND relkind = 'r'`,
    )
    return (await pair.target.sql(fingerprints + name, [',']))[0]?.[0]
  }
  await pair.run({ baseline: 'fingerprints' })
  const before = await baseline()
  // A number that is hashed by its value becomes one that is hashed by its text.
  await pair.both('ALTER TABLE t ALTER n TYPE numeric')
  const [receipt] = (await pair.run({ baseline: 'fingerprints' })).tables
  expect(receipt).toMatchObject({ verification: { mode: 'full' }, counts: { updated: 0 } })
  expect(await baseline()).not.toEqual(before)
  const [again] = (await pair.run({ baseline: 'fingerprints' })).tables
  expect(again?.verification.mode).toBe('changed')
})
