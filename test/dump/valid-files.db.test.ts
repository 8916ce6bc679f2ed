/** Files that pg_dump writes of ordinary databases, which nothing in them makes unfit. */
import { describe, expect, test } from 'vitest'

import { createDatabase, type Database } from '#test/harness/database.ts'
import { dump, restoreByPsql } from '#test/harness/dump.ts'
import { fileOf, importInto, pgDump, plan, refusal, withoutKey } from '#test/harness/import.ts'
import { sharedServers } from '#test/harness/postgres.ts'

const oldest = (): ReturnType<typeof sharedServers>['source'] => {
  const { source, target } = sharedServers()
  return source.major <= target.major ? source : target
}

interface Given extends AsyncDisposable {
  readonly source: Database
  readonly target: Database
  /** Two roles, of which the first has given the second what it had been given. */
  readonly giver: string
  readonly taker: string
}

/** A table whose rights somebody else than the owner has given. */
async function given(): Promise<Given> {
  const [source, target] = [await createDatabase(oldest()), await createDatabase(oldest())]
  const giver = `giver_${source.name}`
  const taker = `taker_${source.name}`
  await source.sql(`CREATE ROLE ${giver}; CREATE ROLE ${taker}; CREATE TABLE t (id int, v text); INSERT INTO t VALUES (1, 'x');
    GRANT SELECT ON t TO ${giver} WITH GRANT OPTION; SET ROLE ${giver}; GRANT SELECT ON t TO ${taker}; RESET ROLE`)
  return {
    source,
    target,
    giver,
    taker,
    [Symbol.asyncDispose]: async () => {
      await target[Symbol.asyncDispose]()
      await source.sql(`DROP OWNED BY ${taker}, ${giver} CASCADE; DROP ROLE ${taker}; DROP ROLE ${giver}`)
      await source[Symbol.asyncDispose]()
    },
  }
}

describe('rights that somebody else than the owner has given', () => {
  const mayRead = `SELECT has_table_privilege($1, 't', 'SELECT'), current_user = session_user`

  test('are in a file of pg_dump, and are given by the login, which stays who it is', async () => {
    await using at = await given()
    const { source, target, taker, giver } = at
    const text = await pgDump(source)
    expect(text).toMatch(/SET SESSION AUTHORIZATION .*GRANT.*RESET SESSION AUTHORIZATION/s)
    const notes = (await importInto(target, text, { grants: true })).notes.join()
    expect(notes).toMatch(/1 statement to go on as somebody else is not run/)
    expect(await target.sql(mayRead, [taker])).toEqual([['t', 't']])
    expect(await target.sql(mayRead, [giver])).toEqual([['t', 't']])
  })

  test('are left out where nobody wants rights, without a word of who gave them', async () => {
    await using at = await given()
    const { source, target, taker } = at
    const { notes } = await importInto(target, await pgDump(source), { grants: false, owners: false })
    expect(notes.join()).not.toContain('somebody else')
    expect(await target.sql(mayRead, [taker])).toEqual([['f', 't']])
  })

  test('are in an export, with a note, and psql restores it', async () => {
    await using at = await given()
    const { source, target, taker, giver } = at
    const { sql, notes } = await dump(source, { grants: true })
    expect(sql).not.toContain('AUTHORIZATION')
    expect(notes.join()).toContain(giver)
    await restoreByPsql(target, sql)
    expect(await target.sql(mayRead, [taker])).toEqual([['t', 't']])
  })

  test('pg_dump --use-set-session-authorization: everything belongs to the login', async () => {
    await using at = await given()
    const { source, target } = at
    const text = await pgDump(source, ['--use-set-session-authorization'])
    await importInto(target, text)
    expect(await target.sql('SELECT count(*), current_user = session_user FROM t')).toEqual([['1', 't']])
  })
})

describe('what only files that somebody trusts may do', () => {
  const PARSER = `CREATE TEXT SEARCH PARSER parser (START = prsd_start, GETTOKEN = prsd_nexttoken, END = prsd_end, LEXTYPES = prsd_lextype)`
  test.for([
    ['a cast between types of the server', 'CREATE CAST (text AS integer) WITH INOUT', 'converts between types'],
    ['a parser', `${PARSER}; COMMENT ON TEXT SEARCH PARSER parser IS 'parser'`, 'no statement of a dump'],
    ['a template', `CREATE TEXT SEARCH TEMPLATE template (LEXIZE = dsimple_lexize)`, 'no statement of a dump'],
    [
      'rights on a language',
      'GRANT USAGE ON LANGUAGE plpgsql TO PUBLIC; REVOKE ALL ON LANGUAGE plpgsql FROM PUBLIC',
      'plpgsql',
    ],
    [
      'rights on a function of an extension',
      'CREATE EXTENSION pg_trgm; REVOKE ALL ON FUNCTION similarity FROM PUBLIC',
      'similarity',
    ],
  ] as const)('%s', async ([, sql, refused]) => {
    await using source = await createDatabase(oldest())
    await source.sql(`${sql}; CREATE TABLE t (id int)`)
    const text = await pgDump(source)
    await using target = await createDatabase(oldest())
    const error = await refusal(plan(target, fileOf(text), { trusted: false }))
    expect([error.code, error.message]).toEqual(['dump_refused', expect.stringContaining(refused)])
    await importInto(target, text)
    expect(withoutKey(await pgDump(target))).toBe(withoutKey(text))
    await importInto(target, text, { replace: true })
    expect(withoutKey(await pgDump(target))).toBe(withoutKey(text))
  })

  test('a partition of a table that another file makes', async () => {
    await using source = await createDatabase(oldest())
    const parent = `CREATE SCHEMA app; CREATE SCHEMA par; CREATE TABLE par.p (id int) PARTITION BY RANGE (id)`
    await source.sql(`${parent}; CREATE TABLE app.p1 PARTITION OF par.p DEFAULT; INSERT INTO par.p VALUES (1)`)
    const text = await pgDump(source, ['--schema=app'])
    await using target = await createDatabase(oldest())
    await target.sql(`${parent}; DROP SCHEMA app`)
    expect((await refusal(plan(target, fileOf(text), { trusted: false }))).message).toContain('par.p')
    await importInto(target, text)
    expect(await target.sql('SELECT * FROM par.p')).toEqual([['1']])
  })
})
