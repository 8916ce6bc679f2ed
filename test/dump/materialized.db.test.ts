/** Materialized views in dumps of definitions alone and of rows alone: they are filled with rows, and by nothing else. */
import { expect, test } from 'vitest'

import { copyInto, databases, planOf } from '#test/harness/copy.ts'
import { dump, restoreByPsql } from '#test/harness/dump.ts'

const VIEWS = `
  CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 7);
  CREATE MATERIALIZED VIEW z_first AS SELECT id FROM t; CREATE UNIQUE INDEX ON z_first (id);
  CREATE MATERIALIZED VIEW a_then AS SELECT count(*) AS n FROM z_first;
  CREATE MATERIALIZED VIEW empty AS SELECT id FROM t WITH NO DATA;
  CREATE SCHEMA s2; CREATE MATERIALIZED VIEW s2.far AS SELECT max(id) FROM public.t`

const FILLED = `SELECT relname, relispopulated FROM pg_class WHERE relkind = 'm' ORDER BY 1`

test('definitions alone fill none, as with pg_dump', async () => {
  await using pair = await databases()
  const { a, b } = pair
  await a.sql(VIEWS)
  const { sql } = await dump(a, { content: 'schema' })
  expect(sql).not.toContain('REFRESH')
  await copyInto(a, b, { content: 'schema' })
  expect(new Set((await b.sql(FILLED)).map(([, filled]) => filled))).toEqual(new Set(['f']))
})

test('rows alone fill none either: the note says what is to be filled, in its order', async () => {
  await using pair = await databases()
  const { a, b } = pair
  await a.sql(VIEWS)
  const [definitions, rows] = [await dump(a, { content: 'schema' }), await dump(a, { content: 'data' })]
  expect(rows.sql).not.toContain('REFRESH')
  expect(rows.notes).toEqual([expect.stringContaining(': z_first, a_then, s2.far.')])
  await restoreByPsql(b, definitions.sql)
  await restoreByPsql(b, rows.sql)
  for (const view of ['z_first', 'a_then', 's2.far']) await b.sql(`REFRESH MATERIALIZED VIEW ${view}`)
  expect(await b.sql(FILLED)).toEqual(await a.sql(FILLED))
  expect(await b.sql('SELECT n FROM a_then')).toEqual([['7']])
  expect((await dump(a, { content: 'data', tables: ['t'] })).notes).toEqual([])
  expect((await planOf(a, b, { content: 'data' })).notes).toContainEqual(expect.stringContaining('z_first'))
})

test('definitions with rows fill those that were filled', async () => {
  await using pair = await databases()
  const { a, b } = pair
  await a.sql(VIEWS)
  await restoreByPsql(b, (await dump(a)).sql)
  expect(await b.sql(FILLED)).toEqual(await a.sql(FILLED))
})
