/** The connection test of a project, step by step, and datasources that are projects. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { describe, expect, test } from 'vitest'

import { createDatasource, getDatasource } from '#control/datasources.ts'
import { registerEnvironmentDatasources } from '#jobs/environment-datasources.ts'
import { openDatasource, type OpeningTools } from '#jobs/open-datasource.ts'
import { SchemaBrowser } from '#jobs/browse-schema.ts'
import { testDatasource } from '#jobs/test-datasource.ts'
import { openDatabase, parseProjectUrl, type DescribedDatabase } from '#adapters/registry.ts'
import { isForbiddenAddress } from '#lib/network-address.ts'
import { Secret } from '#lib/secret.ts'
import { SYSTEM } from '#model/access.ts'
import type { Check } from '#model/check.ts'
import type { Datasource } from '#model/datasource.ts'

import { createDatabase, type Database } from '#test/harness/database.ts'
import { createRegistry, draftOf, newDatasourceId } from '#test/harness/datasources.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { prepareProject, startRestApi, tokenOf, type RestOptions } from '#test/harness/postgrest.ts'
import { STORE_KINDS } from '#test/harness/store.ts'
import { examineProject } from './examine.ts'

const { signal } = new AbortController()
const server = sharedServers().source

async function look(place: DescribedDatabase): Promise<readonly Check[]> {
  const checks: Check[] = []
  for await (const check of examineProject(place, signal)) checks.push(check)
  return checks
}

function outcome(checks: readonly Check[]): string {
  return checks.map(({ step, state }) => `${step}: ${state}`).join(', ')
}

async function startShop(
  options: RestOptions = {},
): Promise<AsyncDisposable & { api: Awaited<ReturnType<typeof startRestApi>>; db: Database }> {
  const db = await createDatabase(server)
  await db.sql(`CREATE TABLE t (id int PRIMARY KEY, name text NOT NULL, price numeric(10,2) DEFAULT 1);
    CREATE TABLE line (id int PRIMARY KEY, t int REFERENCES t); INSERT INTO t VALUES (1, 'é', 1.10), (2, 'x', 2);
    CREATE VIEW total AS SELECT sum(price) FROM t; CREATE SCHEMA secret; CREATE TABLE secret.s (id int PRIMARY KEY)`)
  const api = await startRestApi(db, options)
  return {
    api,
    db,
    async [Symbol.asyncDispose]() {
      await api[Symbol.asyncDispose]()
      await db[Symbol.asyncDispose]()
    },
  }
}

test('UX 2: every step is told, and writing is said to be another way', async () => {
  await using shop = await startShop()
  const checks = await look(shop.api.place())
  const steps = [
    'provider',
    'host name',
    'encryption',
    'key',
    'login',
    'schema',
    'server',
    'clock',
    'latency',
    'read tables',
  ]
  expect(outcome(checks)).toBe([...steps.map((step) => `${step}: pass`), 'write tables: warn'].join(', '))
  for (const { state, next } of checks) expect(next === null).toBe(state === 'pass')
})

test.each([
  ['A14: a key that hides rows', 'key', /role anon.*row-level security/, { key: tokenOf('anon') }],
  ['a key that tells nothing', 'key', /does not tell its role/, { key: 'abc' }],
  ['a key that has expired', 'key', /expired/, { key: tokenOf('service_role', { expires: 1 }) }],
  ['a key that was made elsewhere', 'login', /wrong key/, { key: `${tokenOf('service_role').slice(0, -4)}AAAA` }],
  ['a newer key that is not known', 'login', /Unregistered/, { key: 'sb_secret_other' }],
  ['no key', 'key', /no key/, { key: '' }],
  ['a schema that is not exposed', 'schema', /Invalid schema: secret/, { schemas: ['public', 'secret'] }],
] as const)('UX 3: %s ends the way with its cause and next step', async (_name, step, found, changes) => {
  await using shop = await startShop()
  const last = (await look(shop.api.place(changes))).at(-1)
  expect(last).toMatchObject({ step, state: 'fail', found: expect.stringMatching(found), next: expect.any(String) })
})

test('UX 3: a host that is not there, a port where nothing listens, and something else that answers', async () => {
  await using shop = await startShop()
  const at = async (url: string): Promise<Check | undefined> => (await look(shop.api.place({ url }))).at(-1)
  const forbidden = shop.api.place({ url: 'https://169.254.169.254' })
  const judged = { ...forbidden, resolve: refuseForbidden }
  expect((await look(judged)).at(-1)).toMatchObject({ step: 'host name', state: 'fail' })
  expect(await at('http://127.0.0.1:1')).toMatchObject({
    step: 'login',
    state: 'fail',
    found: expect.stringMatching(/listens/),
  })
  const other = new URL(shop.api.url)
  expect(await at(`https://127.0.0.1:${other.port}`)).toMatchObject({ step: 'encryption', state: 'fail' })
})

const refuseForbidden: DescribedDatabase['resolve'] = (host) =>
  isForbiddenAddress(host) ? Promise.reject(new Error('refused')) : Promise.resolve([{ address: host, family: 4 }])

test('S35: the certificate and its name are verified, and the key is not sent where they are not', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'syncline-tls-'))
  try {
    const openssl = (...args: string[]): void => void execFileSync('openssl', args, { stdio: 'ignore', cwd: folder })
    const subject = ['-subj', '/CN=project.example.test', '-addext', 'subjectAltName=DNS:project.example.test']
    openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', 'key', '-out', 'cert', '-days', '2', ...subject)
    const [key, cert] = [readFileSync(join(folder, 'key'), 'utf8'), readFileSync(join(folder, 'cert'), 'utf8')]
    await using shop = await startShop({ tls: { key, cert } })
    const url = (host: string): string => `https://${host}:${shop.api.port}`
    const good = await look(shop.api.place({ url: url('project.example.test'), ca: cert }))
    expect(good.find(({ step }) => step === 'encryption')).toMatchObject({ state: 'pass' })
    expect(good.find(({ step }) => step === 'read tables')).toMatchObject({ state: 'pass' })
    const asked = shop.api.seen.length
    for (const place of [
      shop.api.place({ url: url('project.example.test') }),
      shop.api.place({ url: url('other.example.test'), ca: cert }),
    ]) {
      expect((await look(place)).at(-1)).toMatchObject({ step: 'encryption', state: 'fail' })
      await expect(openDatabase(place, { write: null, signal })).rejects.toMatchObject({ code: 'tls_failed' })
    }
    expect(shop.api.seen.length).toBe(asked)
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test.each([
  'postgres://localhost/x',
  'http://project.supabase.co',
  'https://user:canary@project.supabase.co',
  'https://project.supabase.co/auth/v1',
  'https://project.supabase.co/?apikey=canary',
  'nothing',
])('the project URL %s is refused', (url) => {
  expect(() => parseProjectUrl(url, null)).toThrow(expect.objectContaining({ code: 'invalid_url' }))
  expect(() => parseProjectUrl(url, null)).not.toThrow(/canary/)
})

describe.each(STORE_KINDS)('datasources in %s', (kind) => {
  async function addProject(
    tools: OpeningTools,
    url: string,
    changes: Partial<Parameters<typeof draftOf>[1]> = {},
  ): Promise<Datasource> {
    const draft = draftOf('postgres://x@localhost/x', {
      kind: 'supabase',
      connection: parseProjectUrl(url, null),
      password: new Secret(tokenOf('service_role')),
      ...changes,
    })
    return createDatasource(tools, draft, { id: newDatasourceId(), actor: SYSTEM, origin: 'stored' })
  }

  test('a project is tested, pinned, browsed and opened for reading, and for writing where it is prepared', async () => {
    await using shop = await startShop()
    await using registry = await createRegistry(kind)
    const { tools } = registry
    const project = await addProject(tools, shop.api.url, { writable: true })
    expect(await testDatasource(tools, project, signal)).toMatchObject({ ok: true })
    const kept = await getDatasource(tools.store, project.id)
    expect(kept).toMatchObject({ pin: { identity: `postgrest/127.0.0.1:${shop.api.port}` }, lastTest: { ok: true } })
    expect(kept.connection.projectUrl).toBe(shop.api.url)
    const rules = { protectedEnvironments: [] }
    await using opened = await openDatasource(tools, kept, { write: null, rules, signal })
    expect(opened).toMatchObject({ writer: null, server: { kind: 'postgrest', moments: 'bounded' } })
    const consent = { targetNamed: true, allowProtectedWrite: true }
    await expect(openDatasource(tools, kept, { write: consent, rules, signal })).rejects.toMatchObject({
      code: 'rest_not_prepared',
    })
    await prepareProject(shop.db)
    await using writable = await openDatasource(tools, kept, { write: consent, rules, signal })
    expect(writable).toMatchObject({ writer: expect.anything(), server: { readOnly: null, writes: 'requests' } })
    const browser = new SchemaBrowser(tools)
    const question = { search: null, after: null, limit: 10, fresh: false }
    const page = await browser.browse(kept, question, signal)
    expect(page.tables.map(({ table, kind: what }) => [table.name, what])).toEqual([
      ['line', 'table'],
      ['t', 'table'],
      ['total', 'view'],
    ])
    expect(page.tables[0]?.foreignKeys[0]?.references.name).toBe('t')
    const preview = await browser.preview(kept, { table: { schema: 'public', name: 't' }, limit: 5 }, signal)
    expect(preview.rows.toSorted(([a = ''], [b = '']) => Number(a) - Number(b))).toEqual([
      ['1', 'é', '1.10'],
      ['2', 'x', '2.00'],
    ])
  })

  test('the environment declares a project by two variables, whose key serves it alone', async () => {
    await using shop = await startShop()
    const variables: Record<string, string> = {
      DATASOURCE_APP_URL: shop.api.url,
      DATASOURCE_APP_SERVICE_ROLE_KEY: tokenOf('service_role'),
    }
    await using registry = await createRegistry(kind, {
      references: { readVariable: (name) => variables[name] ?? null, ownSecrets: [], directory: null, vault: null },
    })
    const { tools } = registry
    await registerEnvironmentDatasources(tools.store, variables, newDatasourceId)
    const project = await getDatasource(tools.store, 'app')
    expect(project).toMatchObject({ kind: 'supabase', writable: false })
    expect(await testDatasource(tools, project, signal)).toMatchObject({ ok: true })
    const thief = await addProject(tools, shop.api.url, {
      password: { reference: 'env:DATASOURCE_APP_SERVICE_ROLE_KEY' },
    })
    await expect(
      openDatasource(tools, thief, { write: null, rules: { protectedEnvironments: [] }, signal }),
    ).rejects.toMatchObject({ code: 'secret_unreadable' })
    const rows = await tools.store.db.selectFrom('datasource').selectAll().execute()
    expect(JSON.stringify(rows)).not.toContain(tokenOf('service_role'))
  })
})
