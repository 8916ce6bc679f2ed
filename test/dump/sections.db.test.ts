/** Parts of a dump, as pg_dump writes them: taken, or refused with the next step. */
import pg from 'pg'
import { describe, expect, test } from 'vitest'

import { withDumper } from '#adapters/postgres/ddl-sessions.ts'
import { createDatabase, type Database } from '#test/harness/database.ts'
import { EVERYTHING } from '#test/harness/everything.ts'
import { importInto, pgDump, refusal, withoutKey } from '#test/harness/import.ts'
import { sharedServers } from '#test/harness/postgres.ts'

const oldest = (): ReturnType<typeof sharedServers>['source'] => {
  const { source, target } = sharedServers()
  return source.major <= target.major ? source : target
}

/** Rows of hash partitions by an enum lie elsewhere in each database. */
const COMPARABLE = EVERYTHING.split('\n')
  .filter((line) => !/\bmoods\b|moods_/.test(line))
  .join('\n')

const RING = /^(?:ALTER TABLE parent ADD CONSTRAINT "to twin"|UPDATE parent SET twin_id).*$/gm

/** The pg_dump that the product has in it, of the newest version. */
async function ownPgDump({ url }: Database, args: readonly string[]): Promise<string> {
  const connect = async (): Promise<pg.Client> => {
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    return client
  }
  const options = { connect, signal: new AbortController().signal, timeoutMs: 60_000 }
  return await withDumper(options, ({ run }) => run(args))
}

/** Parts refresh no materialized view, and what keeps triggers quiet for rows leaves all of them on. */
async function whatPartsTell(db: Database): Promise<string[]> {
  const definitions = withoutKey(await pgDump(db, ['--schema-only'])).split('\n')
  const kept = definitions.filter((line) => line !== '' && !/^ALTER TABLE .* DISABLE TRIGGER /.test(line))
  // In which order tables of a ring are dumped, their OIDs say.
  const rows = withoutKey(await pgDump(db, ['--data-only'])).split('\n')
  return [kept.join('\n'), rows.toSorted().join('\n')]
}

const writers = [
  ['the pg_dump of the server', pgDump],
  ['the pg_dump that is built in', ownPgDump],
] as const

describe.each(writers)('P14: parts of a dump of %s', (_name, write) => {
  test.for([
    [['--schema-only'], ['--data-only']],
    [
      ['--schema-only', '--clean', '--if-exists'],
      ['--data-only', '--column-inserts'],
    ],
    [['--schema-only'], ['--data-only', '--disable-triggers']],
  ])('%o and then %o make the whole', async ([definitions = [], rows = []]) => {
    await using a = await createDatabase(oldest())
    await using b = await createDatabase(oldest())
    // Tables that refer to one another in a ring can be filled only while their triggers are quiet.
    await a.sql(rows.includes('--disable-triggers') ? COMPARABLE : COMPARABLE.replaceAll(RING, ''))
    await importInto(b, await write(a, definitions))
    await importInto(b, await write(a, rows))
    expect(await whatPartsTell(b)).toEqual(await whatPartsTell(a))
  })

  test('what rows need, and rows, are taken; what goes by them has to come along', async () => {
    await using a = await createDatabase(oldest())
    await using b = await createDatabase(oldest())
    await a.sql(`CREATE TABLE parent (id serial PRIMARY KEY, name text UNIQUE); CREATE TABLE child (p int REFERENCES parent);
      INSERT INTO parent (name) VALUES ('a'), ('b'); INSERT INTO child VALUES (2)`)
    await importInto(b, await write(a, ['--section=pre-data']))
    await importInto(b, await write(a, ['--section=data']))
    expect(await b.sql('SELECT name FROM parent ORDER BY id')).toEqual([['a'], ['b']])
    expect(await b.sql(`SELECT nextval('parent_id_seq')`)).toEqual([['3']])
    const before = withoutKey(await pgDump(b))
    const error = await refusal(importInto(b, await write(a, ['--section=post-data'])))
    expect([error.code, error.message]).toEqual([
      'dump_refused',
      expect.stringMatching(/line \d+: ALTER TABLE ONLY public\.\w+ changes public\.\w+, which the file does not make/),
    ])
    expect(error.hint).toMatch(/without --section/)
    expect(withoutKey(await pgDump(b))).toBe(before)
  })

  test('a file that makes its database is refused with the next step', async () => {
    await using a = await createDatabase(oldest())
    const error = await refusal(importInto(a, await write(a, ['--create'])))
    expect([error.code, error.hint]).toEqual(['dump_refused', expect.stringMatching(/without --create/)])
  })
})
