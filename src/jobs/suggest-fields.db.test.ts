import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, test, vi } from 'vitest'
import { Connection } from '#adapters/postgres/connection.ts'
import { toFieldMapping } from '#model/field-document.ts'
import { SuggestDraftInput } from '#api/contract/suggestions.ts'
import { presentSuggestions } from '#api/present-suggestions.ts'
import { createDatabase, type Database } from '#test/harness/database.ts'
import { createRegistry } from '#test/harness/datasources.ts'
import { eachServer, sharedServers } from '#test/harness/postgres.ts'
import type { TestServer } from '#test/harness/postgres.ts'
import { suggestMappings, type SuggestQuestion, type SuggestTools } from './suggest-fields.ts'

const { signal } = new AbortController()
const RULES = { protectedEnvironments: [] } as const

const SOURCE = `
  CREATE TABLE wp_posts ("ID" int8 PRIMARY KEY, post_title text NOT NULL, post_name varchar(200) NOT NULL,
    post_status varchar(20) NOT NULL, post_date timestamp NOT NULL, price_cents int4, comment_open bool NOT NULL);
  INSERT INTO wp_posts SELECT i, 'Post ' || i, 'post-' || i, CASE WHEN i % 2 = 0 THEN 'publish' ELSE 'draft' END,
    '2024-01-01'::timestamp + i * interval '1 hour', i * 100 + 99, i % 3 = 0 FROM generate_series(1, 5000) i;
  CREATE TABLE sessions_tmp (token text PRIMARY KEY)`

const TARGET = `
  CREATE TABLE articles (id int8 PRIMARY KEY, title text NOT NULL, slug text NOT NULL, state text NOT NULL,
    published_at timestamptz NOT NULL, price numeric(10,2), comments_allowed bool NOT NULL, site text NOT NULL);
  INSERT INTO articles SELECT i, 'Post ' || i, 'post-' || i, CASE WHEN i % 2 = 0 THEN 'live' ELSE 'hidden' END,
    ('2024-01-01'::timestamp + i * interval '1 hour') AT TIME ZONE 'UTC', i + 0.99, i % 3 = 0, 'blog'
    FROM generate_series(5000, 1, -1) i`

interface World extends AsyncDisposable {
  readonly source: Database
  readonly target: Database
  ask(question?: Partial<SuggestQuestion>, tools?: Partial<SuggestTools>): ReturnType<typeof suggestMappings>
}

async function createWorld(server: TestServer): Promise<World> {
  await using stack = new AsyncDisposableStack()
  const source = stack.use(await createDatabase(server))
  const target = stack.use(await createDatabase(server))
  const registry = stack.use(await createRegistry('sqlite'))
  await source.sql(SOURCE)
  await target.sql(TARGET)
  const ends = { source: await registry.add(source.url), target: await registry.add(target.url) }
  const held = stack.move()
  return {
    source,
    target,
    ask: (question = {}, tools = {}) =>
      suggestMappings(
        { ...registry.tools, rules: RULES, model: null, ...tools },
        { ...ends, tables: null, refine: true, ...question },
        signal,
      ),
    [Symbol.asyncDispose]: () => held[Symbol.asyncDispose](),
  }
}

describe.each(eachServer().map((server) => [server.major, server] as const))('PostgreSQL %i', (_major, server) => {
  test('rows with the same key on both sides prove what feeds what, wherever they lie in their tables', async () => {
    await using world = await createWorld(server)
    const { tables, unmatched } = await world.ask()
    expect(unmatched.map(({ name }) => name)).toEqual(['sessions_tmp'])
    const [pair] = tables
    expect(pair).toMatchObject({ source: { name: 'wp_posts' }, target: { name: 'articles' } })
    // The target's rows lie in the opposite order: its first hundred are not those of the source.
    expect(pair?.sampled).toEqual({ source: 100, target: 100, matched: 100 })
    const fields = presentSuggestions({ tables, leftOut: [], unmatched, askedModel: false }).tables[0]?.fields ?? []
    expect(fields.map(({ mapping }) => mapping)).toEqual([
      { target: 'id', column: 'ID' },
      { target: 'title', column: 'post_title' },
      { target: 'slug', column: 'post_name' },
      {
        target: 'state',
        column: 'post_status',
        transforms: [{ map: { values: { draft: 'hidden', publish: 'live' }, as: 'text' } }],
      },
      { target: 'published_at', column: 'post_date', transforms: [{ from_local_time: { zone: 'UTC' } }] },
      { target: 'price', column: 'price_cents', transforms: [{ scale: { power: -2 } }] },
      { target: 'comments_allowed', column: 'comment_open' },
      { target: 'site', constant: 'blog' },
    ])
    expect(fields.every(({ verified_rows: rows }) => rows === 100)).toBe(true)
    // What is suggested can be read back as a mapping of a config.
    for (const { mapping } of fields) expect(toFieldMapping(mapping).target).toBe(mapping.target)
  })
})

test('both sides are only read, whatever they hold, and a table that may not be read is said', async () => {
  await using world = await createWorld(sharedServers().source)
  await world.source.sql(`
    CREATE TABLE log (n int); CREATE TABLE secrets (id int PRIMARY KEY, name text);
    CREATE FUNCTION spy() RETURNS int LANGUAGE plpgsql AS $$ BEGIN INSERT INTO log VALUES (1); RETURN 1; END $$;
    CREATE VIEW traps AS SELECT 1 AS id, spy() AS name`)
  await world.target.sql('CREATE TABLE traps (id int PRIMARY KEY, name text)')
  const trap = { schema: 'public', name: 'traps' }
  const { tables } = await world.ask({ tables: [{ source: trap, target: trap }] })
  expect(tables[0]?.notes.join()).toMatch(/Rows of public\.traps could not be read/)
  expect(tables[0]?.mapping.fields.map(({ target }) => target)).toEqual(['id', 'name'])
  expect(await world.source.sql('SELECT count(*) FROM log')).toEqual([['0']])
})

test('a sample is bounded in rows and bytes, however large the values are', async () => {
  await using world = await createWorld(sharedServers().source)
  await world.source.sql(
    `CREATE TABLE big AS SELECT i AS id, repeat('x', 2000000) AS body FROM generate_series(1, 30) i`,
  )
  await world.target.sql('CREATE TABLE big (id int PRIMARY KEY, body text)')
  const big = { schema: 'public', name: 'big' }
  await world.target.sql(`INSERT INTO big SELECT i, repeat('x', 600) FROM generate_series(1, 30) i`)
  using statements = vi.spyOn(Connection.prototype, 'query')
  const { tables } = await world.ask({ tables: [{ source: big, target: null }] })
  const answers = await Promise.all(statements.mock.results.map(({ value }) => value))
  expect(JSON.stringify(answers).length).toBeLessThan(200_000)
  expect(tables[0]).toMatchObject({ score: 1, reasons: ['the same name'], target: big })
  // What was cut looks alike and is not: it proves nothing.
  expect(tables[0]?.mapping.fields).toMatchObject([{ target: 'id' }, { target: 'body', verified: null }])
})

test('rows that share nothing but a number are not taken for the same', async () => {
  await using world = await createWorld(sharedServers().source)
  const make = (what: string): string =>
    `CREATE TABLE people (id int PRIMARY KEY, first_name text, town text);
     INSERT INTO people SELECT i, '${what}' || i, '${what} town ' || i FROM generate_series(1, 40) i`
  await world.source.sql(make('a'))
  await world.target.sql(make('b'))
  const people = { schema: 'public', name: 'people' }
  const { tables } = await world.ask({ tables: [{ source: people, target: people }] })
  expect(tables[0]).toMatchObject({ sampled: { matched: 0 }, notes: [expect.stringContaining('same key')] })
  expect(tables[0]?.mapping.fields.map(({ target }) => target)).toEqual(['id', 'first_name', 'town'])
})

test('a table that there is not is refused by name', async () => {
  await using world = await createWorld(sharedServers().source)
  const ref = (name: string): { schema: string; name: string } => ({ schema: 'public', name })
  const missing = world.ask({ tables: [{ source: ref('nothing'), target: ref('articles') }] })
  await expect(missing).rejects.toMatchObject({
    code: 'table_not_found',
    message: expect.stringContaining('nothing') as string,
  })
})

test('on the whole way from the databases to the model, no value of a row leaves unless it is allowed', async () => {
  await using world = await createWorld(sharedServers().source)
  const bodies: string[] = []
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk: Buffer) => void (body += chunk.toString()))
    request.on('end', () => {
      bodies.push(body)
      response.writeHead(500).end()
    })
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const { port } = server.address() as AddressInfo
  const model = { url: `http://127.0.0.1:${port}`, model: 'm', key: null, sendSamples: false }
  const offline = await world.ask()
  const asked = await world.ask({}, { model })
  await world.ask({}, { model: { ...model, sendSamples: true } })
  await world.ask({ refine: false }, { model })
  server.close()
  expect(bodies).toHaveLength(2)
  expect(bodies[0]).toContain('post_title')
  for (const value of ['Post ', 'post-', 'draft', 'hidden', '2024-01', 'blog']) expect(bodies[0]).not.toContain(value)
  expect(bodies[1]).toContain('draft')
  // A model that fails changes nothing, and is told.
  expect(asked.tables[0]?.mapping).toEqual(offline.tables[0]?.mapping)
  expect(asked).toMatchObject({ askedModel: true, tables: [{ notes: [expect.stringContaining('answered 500')] }] })
})

test('the request of a draft takes no more tables than are looked into at once', () => {
  const tables = Array.from({ length: 101 }, (_, i) => ({ source: `t${i}` }))
  expect(SuggestDraftInput.safeParse({ source_datasource_id: 'a', target_datasource_id: 'b', tables }).success).toBe(
    false,
  )
})
