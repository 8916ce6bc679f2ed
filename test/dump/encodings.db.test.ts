/** Databases in other encodings than UTF-8: dumps, copies and syncs carry their texts, and take equal ones for equal. */
import { expect, test } from 'vitest'

import { written } from '#model/counts.ts'

import { copyInto, oldest } from '#test/harness/copy.ts'
import { createDatabase, type Database } from '#test/harness/database.ts'
import { dump, restoreByPsql } from '#test/harness/dump.ts'
import { importInto, refusal } from '#test/harness/import.ts'
import { pairOf } from '#test/harness/sync.ts'

/** A name of a table and of a column, a comment, a default, a label of an enum, a key, NULL and the empty text, and a long one. */
const shop = (texts: readonly string[]): string => `
  CREATE TYPE "fé" AS ENUM ('${texts[0]}', 'plain');
  CREATE TABLE "prénom" (id text PRIMARY KEY, "âge" int, t text DEFAULT '${texts[1]}', e "fé", n text);
  COMMENT ON TABLE "prénom" IS '${texts.join('')}';
  INSERT INTO "prénom" SELECT t || n, n, repeat(t, n), CASE WHEN n % 2 = 0 THEN '${texts[0]}' END::"fé", ''
    FROM unnest(ARRAY['${texts.join("','")}', 'ascii']) t, generate_series(1, 60) n`

const ROWS = `SELECT id, "âge", t, e, n FROM "prénom" ORDER BY id COLLATE "C"`
const sorted = async (db: Database): Promise<string[]> =>
  (await db.sql(ROWS)).map((row) => JSON.stringify(row)).toSorted()

const ENCODINGS = [
  ['LATIN1', ['été', 'naïve', 'über']],
  ['LATIN9', ['€5', 'œuvre', 'é']],
  ['WIN1252', ['€5', '“quoted”', 'é']],
  ['EUC_KR', ['한국', 'あ', '어']],
] as const

const NAMES_FIT = ['LATIN1', 'LATIN9', 'WIN1252']

/** Names are French, whatever the texts are. */
const fitting = (encoding: string, sql: string): string =>
  NAMES_FIT.includes(encoding) ? sql : sql.replaceAll(/[à-ÿ]/g, 'e')

test.for(ENCODINGS)('%s: a dump, a copy and a sync bring every text', async ([encoding, texts]) => {
  await using a = await createDatabase(oldest(), encoding)
  await a.sql(fitting(encoding, shop(texts)))
  const rows = async (db: Database): Promise<string[]> =>
    (await db.sql(fitting(encoding, ROWS))).map((row) => JSON.stringify(row)).toSorted()
  const before = await rows(a)
  expect(before.join('')).toContain(texts[0])

  const { sql, packed } = await dump(a)
  await using byPsql = await createDatabase(oldest())
  await restoreByPsql(byPsql, sql)
  expect(await rows(byPsql)).toEqual(before)
  await using byImport = await createDatabase(oldest())
  await importInto(byImport, packed)
  expect(await rows(byImport)).toEqual(before)
  await using byCopy = await createDatabase(oldest())
  await copyInto(a, byCopy)
  expect(await rows(byCopy)).toEqual(before)
  await using back = await createDatabase(oldest(), encoding)
  await copyInto(byCopy, back)
  expect(await rows(back)).toEqual(before)
})

test.for(ENCODINGS)('%s: a sync takes equal texts for equal, and finds what has changed', async ([encoding, texts]) => {
  const table = fitting(encoding, '"prénom"')
  await using pair = pairOf(await createDatabase(oldest(), encoding), await createDatabase(oldest()))
  const { source, target } = pair
  await source.sql(fitting(encoding, shop(texts)))
  const config = { create: true }
  const rows = (db: Database): Promise<unknown> =>
    db.sql(`SELECT * FROM ${table} ORDER BY id COLLATE "C"`).then((r) => r.map(String).toSorted())
  const counts = async (): Promise<number[]> => {
    const { tables } = await pair.run(config)
    return tables.map(({ counts: each }) => written(each))
  }
  expect(await counts()).toEqual([240])
  expect(await rows(target)).toEqual(await rows(source))
  expect(await counts()).toEqual([0])
  await source.sql(`UPDATE ${table} SET t = '${texts[2]}' WHERE n = '' AND id LIKE 'ascii7'`)
  await source.sql(`INSERT INTO ${table} (id) VALUES ('${texts[0]}')`)
  expect(await counts()).toEqual([2])
  expect(await rows(target)).toEqual(await rows(source))
  for (const by of ['rows', 'proof'] as const) expect(await pair.compare(by)).toMatchObject({ equal: true })
})

test('two databases of one encoding are compared by their own hashes', async () => {
  await using pair = pairOf(await createDatabase(oldest(), 'LATIN1'), await createDatabase(oldest(), 'LATIN1'))
  const sql = shop(ENCODINGS[0][1])
  await pair.both(sql)
  expect((await pair.run()).tables.map(({ counts }) => written(counts))).toEqual([0])
  await pair.source.sql(`UPDATE "prénom" SET t = 'é' WHERE id = 'ascii3'`)
  expect((await pair.run()).tables.map(({ counts }) => written(counts))).toEqual([1])
  expect(await sorted(pair.target)).toEqual(await sorted(pair.source))
})

test('SQL_ASCII, of which nobody knows what its bytes mean, is refused', async () => {
  await using a = await createDatabase(oldest(), 'SQL_ASCII')
  expect((await refusal(dump(a))).code).toBe('server_not_supported')
})
