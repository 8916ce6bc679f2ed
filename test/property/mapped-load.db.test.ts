/** First loads of rows that are computed on their way: as cells between servers of one major version, as lines between others. */
import { expect, test } from 'vitest'

import { TEXT_ROWS, type CopyFormat } from '#adapters/adapter.ts'
import type { FieldMapping } from '#model/field-mapping.ts'

import { sharedServers, type TestServer } from '#test/harness/postgres.ts'
import { createPair, mapping } from '#test/harness/sync.ts'

const column = (target: string, source = target): FieldMapping => ({
  target,
  from: { kind: 'columns', columns: [source] },
  transforms: [],
  rules: [],
})

const expression = (target: string, text: string): FieldMapping => ({
  target,
  from: { kind: 'expression', text },
  transforms: [],
  rules: [],
})

const { source, target } = sharedServers()
const directions: readonly (readonly [string, TestServer, TestServer])[] = [
  [`${source.major} to ${source.major}`, source, source],
  [`${source.major} to ${target.major}`, source, target],
  [`${target.major} to ${target.major}`, target, target],
]

const AWKWARD = `ARRAY['', E'\\\\', E'\\\\.', E'\\\\N', E'a\\tb', E'new\\nline', E'\\r', 'é😀', ' x ', NULL, repeat('ü', 70000), E'\\b\\f\\x0b']`

test.each(directions)('every awkward text arrives beside a computed one (PostgreSQL %s)', async (_, from, to) => {
  await using pair = await createPair(from, to)
  await pair.source.sql(`
    CREATE DOMAIN short AS varchar(20);
    CREATE TABLE t (id bigint PRIMARY KEY, kind short, first text, n smallint, last text, at timestamptz, doc jsonb, flag boolean, ref uuid, price numeric(10,2), tags text[]);
    INSERT INTO t SELECT i, 'k' || i % 10, w[1 + i % 12], CASE WHEN i % 9 > 0 THEN i % 100 - 50 END, w[1 + i / 12 % 12],
        '2020-01-01 00:00Z'::timestamptz + i * interval '1.5 seconds', jsonb_build_object('i', i, 'w', left(w[1 + i % 12], 10)),
        i % 3 = 0, md5('' || i)::uuid, i / 7.0, ARRAY[left(w[1 + i % 12], 5), NULL]
      FROM generate_series(-200, 1500) i, (SELECT ${AWKWARD} AS w) s WHERE i <> 0`)
  // The computed columns come first, in the middle and last; one column is carried twice, one is looked at and carried.
  await pair.target
    .sql(`CREATE TABLE t (joined text, id bigint PRIMARY KEY, kind varchar(20), first text, again text, next int, at timestamptz,
      doc jsonb, flag boolean, ref uuid, price numeric(10,2), tags text[], last text)`)
  const fields = [
    expression(
      'joined',
      `text(id) + '|' + text(ref) + '|' + (flag ? 'yes' : 'no') + '|' + (first == null ? '-' : first)`,
    ),
    ...['id', 'kind', 'first', 'at', 'doc', 'flag', 'ref', 'price', 'tags'].map((name) => column(name)),
    column('again', 'first'),
    expression('next', 'n == null ? null : n + 1'),
    { ...column('last'), transforms: [{ name: 'replace', args: { search: 'x', with: '\\.\t' } }] },
  ]
  const config = { tables: [mapping('t', { fields })] }
  const formats: CopyFormat[] = []
  const beforeLoad = async (_piece: number, { format }: { format: CopyFormat }): Promise<void> =>
    void formats.push(format)
  const receipt = await pair.run(config, { beforeLoad })
  expect(formats.map((format) => (format === TEXT_ROWS ? 'lines' : 'cells'))).toEqual([
    from.major === to.major ? 'cells' : 'lines',
  ])
  expect(receipt.counts).toMatchObject({ inserted: 1700, rejected: 0 })
  expect(receipt.tables[0]?.verification).toMatchObject({ mode: 'full', rows: 1700, changedSince: 0 })
  // By SQL alone: neither the mapping nor the proof of ours takes part.
  const digest = (made: string): string => `SELECT md5(string_agg(r::text, '' ORDER BY id)) FROM (${made}) r`
  const wanted = await pair.source.sql(
    digest(`SELECT id, id || '|' || ref || '|' || CASE WHEN flag THEN 'yes' ELSE 'no' END || '|' || coalesce(first, '-') AS joined,
      kind, first, first AS again, n + 1 AS next, at AT TIME ZONE 'UTC' AS at, doc, flag, ref, price, tags, replace(last, 'x', E'\\\\.\\t') AS last FROM t`),
  )
  const got = await pair.target.sql(
    digest(
      `SELECT id, joined, kind, first, again, next, at AT TIME ZONE 'UTC' AS at, doc, flag, ref, price, tags, last FROM t`,
    ),
  )
  expect(got).toEqual(wanted)
})

test.each(directions)(
  'rows that do not fit, or that the target refuses, are set aside by their key (PostgreSQL %s)',
  async (_, from, to) => {
    await using pair = await createPair(from, to)
    await pair.source.sql(`
    CREATE TABLE t (ref uuid, n bigint, label text, note text, PRIMARY KEY (ref, n));
    INSERT INTO t SELECT md5('' || i)::uuid, i * 10000000000, 'label ' || i, 'n' FROM generate_series(1, 3000) i;
    UPDATE t SET label = repeat('ü', 21) WHERE n = 170000000000;
    UPDATE t SET note = NULL WHERE n = 180000000000`)
    await pair.target.sql('CREATE TABLE t (ref uuid, n bigint, label varchar(20), note text, PRIMARY KEY (ref, n))')
    const noted = { ...column('note'), rules: [{ name: 'required', args: true, onFail: 'reject' as const }] }
    const config = { tables: [mapping('t', { fields: [column('ref'), column('n'), column('label'), noted] })] }
    const first = await pair.run(config)
    expect(first.counts).toMatchObject({ inserted: 2998, rejected: 2 })
    expect(first.tables[0]?.rejections).toMatchObject([
      { key: ['70efdf2e-c9b0-8607-9795-c442636b55fb', '170000000000'], column: 'label', value: 'ü'.repeat(21) },
      { key: ['6f4922f4-5568-161a-8cdf-4ad2299f6d23', '180000000000'], column: 'note', value: null },
    ])
    await pair.target.sql(`TRUNCATE t; ALTER TABLE t ADD CHECK (label <> 'label 7')`)
    const second = await pair.run(config)
    expect(second.counts).toMatchObject({ inserted: 2997, rejected: 3 })
    expect(await pair.target.sql('SELECT count(*) FROM t')).toEqual([['2997']])
  },
)
