/** Rows of many megabytes, loaded and changed, within the memory that is promised (P10, F12). */
import { readFileSync } from 'node:fs'

import { expect, test } from 'vitest'

import { createDatabase, type Database } from '#test/harness/database.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { expectNoProgramSurvives, startNode, startProgram } from '#test/harness/process.ts'

expectNoProgramSurvives()

/** What a job may have resident, in MB (invariant 6); and where pg_dump was brought into it, to make tables. */
const CEILING_MB = 200
const CREATING_MB = 256

/** Runs a mirror to its end; returns the most memory that it ever had resident, in MB. */
async function peakOf(source: Database, target: Database): Promise<number> {
  const flags = [
    '--yes',
    '--json',
    '--create',
    '--delete',
    '--delete-scope',
    'mirror',
    '--max-overwrite-percent',
    '100',
  ]
  await using program = startProgram(['sync', source.url, target.url, ...flags])
  let peak = 0
  const look = setInterval(() => {
    try {
      const [, kilobytes = '0'] = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${program.pid}/status`, 'utf8')) ?? []
      peak = Math.max(peak, Number(kilobytes) / 1024)
    } catch {
      // It has ended.
    }
  }, 10)
  const exit = await program.exit
  clearInterval(look)
  expect(exit, exit.stdout + exit.stderr).toMatchObject({ code: 0 })
  return peak
}

/** Random enough that no compression makes it small on the way; a megabyte is repeated. */
const MEGABYTE = "(SELECT string_agg(md5(i::text), '') FROM generate_series(1, 32768) i)"
/** The same length in bytes, of characters of two, three and four bytes, with a backslash and a tab. */
const CHARACTERS = `repeat(E'é☯😀\\\\\\t→€ñ', 52429)`

/** What fills the column v of `rows` rows, with `mark` somewhere in it. */
const VALUES = {
  'text of 16 MB': { type: 'text', rows: 1, sql: (mark: string) => `'${mark}' || repeat(${MEGABYTE}, 16)` },
  'text of 64 MB': { type: 'text', rows: 1, sql: (mark: string) => `'${mark}' || repeat(${MEGABYTE}, 64)` },
  'text of 16 M characters of two to four bytes': {
    type: 'text',
    rows: 1,
    sql: (mark: string) => `'${mark}' || repeat(${CHARACTERS}, 40)`,
  },
  'bytea of 16 MB': {
    type: 'bytea',
    rows: 1,
    sql: (mark: string) => `decode(repeat(md5('${mark}') || ${MEGABYTE} || ${MEGABYTE}, 16), 'hex')`,
  },
  'bytea of 64 MB': {
    type: 'bytea',
    rows: 1,
    sql: (mark: string) => `decode(repeat(md5('${mark}') || ${MEGABYTE} || ${MEGABYTE}, 64), 'hex')`,
  },
  'jsonb of 16 MB': {
    type: 'jsonb',
    rows: 1,
    sql: (mark: string) =>
      `(SELECT jsonb_object_agg('${mark}' || i, jsonb_build_array(i, md5(i::text), E'\\n☯"')) FROM generate_series(1, 250000) i)`,
  },
  'an array of eight texts of 2 MB': {
    type: 'text[]',
    rows: 1,
    sql: (mark: string) => `array_fill('${mark}, "' || repeat(${MEGABYTE}, 2), ARRAY[8])`,
  },
  'ten rows of 4 MB': { type: 'text', rows: 10, sql: (mark: string) => `i || '${mark}' || repeat(${MEGABYTE}, 4)` },
} as const

test.each(Object.keys(VALUES))('%s by load and by batch (P10)', async (name) => {
  const { type, rows, sql } = VALUES[name as keyof typeof VALUES]
  await using source = await createDatabase(sharedServers().source)
  await using target = await createDatabase(sharedServers().target)
  const peakOfRun = async (): Promise<number> => {
    const peak = await peakOf(source, target)
    expect(await digestOf(target)).toEqual(await digestOf(source))
    return peak
  }
  await source.sql(`CREATE TABLE t (id int PRIMARY KEY, v ${type})`)
  await source.sql(`INSERT INTO t SELECT i, ${sql('first')} FROM generate_series(1, ${rows}) i`)
  const creating = await peakOfRun()

  await target.sql('DROP SCHEMA syncline CASCADE; TRUNCATE t')
  const loading = await peakOfRun()

  await source.sql(`UPDATE t SET v = x.v FROM (SELECT i, ${sql('second')} AS v FROM generate_series(1, ${rows}) i) x
    WHERE x.i = id; INSERT INTO t (id) VALUES (0)`)
  const writing = await peakOfRun()

  const told = [creating, loading, writing].map(Math.round).join(', ')
  console.log(`${name}, in MB to create and load it, to load it, to change it: ${told}`)
  expect(creating).toBeLessThan(CREATING_MB)
  expect(Math.max(loading, writing)).toBeLessThan(CEILING_MB)
})

async function digestOf(db: Database): Promise<unknown> {
  return db.sql('SELECT id, octet_length(v::text), md5(v::text) FROM t ORDER BY id')
}

/** A mapping looks at values and has them whole: so much of one it must be able to bear. */
test.each(['carried', 'computed'])('text of 12 MB, %s by a mapping (P10)', async (how) => {
  await using source = await createDatabase(sharedServers().source)
  await using target = await createDatabase(sharedServers().target)
  for (const db of [source, target]) await db.sql('CREATE TABLE t (id int PRIMARY KEY, v text, n text)')
  const peakOfRun = async (): Promise<number> => {
    await using run = startNode([
      '--max-semi-space-size=2',
      '--max-old-space-size=400',
      'test/harness/mapped-run.ts',
      source.url,
      target.url,
      how === 'computed' ? 'v' : 'n',
    ])
    const exit = await run.exit
    expect(exit, exit.stderr).toMatchObject({ code: 0 })
    const wanted = how === 'computed' ? 'md5(upper(v)), n' : 'md5(v), upper(n)'
    expect(await target.sql('SELECT id, md5(v), n FROM t ORDER BY id')).toEqual(
      await source.sql(`SELECT id, ${wanted} FROM t ORDER BY id`),
    )
    return Number(exit.stdout)
  }
  await source.sql(`INSERT INTO t SELECT 1, 'first' || repeat(${MEGABYTE}, 12), 'a'`)
  const loading = await peakOfRun()
  await source.sql(`UPDATE t SET v = 'second' || v; INSERT INTO t VALUES (2, 'b', NULL)`)
  const writing = await peakOfRun()
  console.log(`${how} by a mapping, in MB to load it, to change it: ${loading}, ${writing}`)
  expect(Math.max(loading, writing)).toBeLessThan(256)
})
