import { describe, expect, test } from 'vitest'
import { openDatabase } from '#adapters/registry.ts'
import { getDatasource, updateDatasource } from '#control/datasources.ts'
import { createConfig } from '#control/sync-configs.ts'
import { Secret } from '#lib/secret.ts'
import { SYSTEM } from '#model/access.ts'
import type { Datasource } from '#model/datasource.ts'
import { ENVIRONMENTS } from '#model/environment.ts'
import { AppError } from '#model/errors.ts'
import { WritePermit, type WriteConsent } from '#model/write-protection.ts'
import { createDatabase } from '#test/harness/database.ts'
import { createRegistry, draftOf, newDatasourceId, type Registry } from '#test/harness/datasources.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { STORE_KINDS } from '#test/harness/store.ts'
import { registerEnvironmentDatasources } from './environment-datasources.ts'
import { openDatasource } from './open-datasource.ts'
import { confirmServer } from './test-datasource.ts'

const { signal } = new AbortController()
const RULES = { protectedEnvironments: ['production', 'staging'] } as const

async function open(registry: Registry, datasource: Datasource, write: WriteConsent | null): Promise<string> {
  try {
    await using adapter = await openDatasource(registry.tools, datasource, { write, rules: RULES, signal })
    return adapter.writer === null ? 'reads' : 'writes'
  } catch (error) {
    if (error instanceof AppError) return error.code
    throw error
  }
}

test('D11: labels × writable × named × consent, at the door that every writer goes through', async () => {
  await using registry = await createRegistry('sqlite')
  await using db = await createDatabase(sharedServers().target)
  const table: string[] = []
  for (const environment of [...ENVIRONMENTS, null]) {
    for (const writable of [false, true]) {
      const datasource = await registry.add(db.url, { environment, writable })
      expect(await open(registry, datasource, null)).toBe('reads')
      for (const targetNamed of [false, true]) {
        for (const allowProtectedWrite of [false, true]) {
          const outcome = await open(registry, datasource, { targetNamed, allowProtectedWrite })
          const guarded = environment === 'production' || environment === 'staging'
          const expected =
            !writable && !targetNamed
              ? 'target_not_writable'
              : guarded && !allowProtectedWrite
                ? 'target_protected'
                : 'writes'
          table.push(outcome)
          expect(outcome, JSON.stringify({ environment, writable, targetNamed, allowProtectedWrite })).toBe(expected)
        }
      }
    }
  }
  expect(new Set(table)).toEqual(new Set(['target_not_writable', 'target_protected', 'writes']))
  expect(await db.sql(`SELECT to_regnamespace('syncline')`)).toEqual([[null]])
})

test('D11: a permit for one database opens no other, and without one there is no writer', async () => {
  const { target } = sharedServers()
  await using here = await createDatabase(target)
  await using there = await createDatabase(target)
  const consent = { targetNamed: true, allowProtectedWrite: true }
  await using registry = await createRegistry('sqlite')
  const permit = WritePermit.forDatasource(await registry.add(here.url), consent, RULES)
  await expect(openDatabase(there.url, { write: permit, signal })).rejects.toMatchObject({ code: 'internal' })
  await using writing = await openDatabase(here.url, { write: permit, signal })
  await using reading = await openDatabase(here.url, { write: null, signal })
  expect([writing.writer === null, reading.writer]).toEqual([false, null])
})

describe.each(STORE_KINDS)('datasources in %s', (kind) => {
  test('D11: another server under the same name is refused until somebody confirms it', async () => {
    const { source } = sharedServers()
    await using first = await createDatabase(source)
    await using second = await createDatabase(source)
    await using registry = await createRegistry(kind)
    const { store } = registry.tools
    const datasource = await registry.add(first.url, { writable: true, environment: 'local' })
    const now = (): Promise<Datasource> => getDatasource(store, datasource.id)
    const consent = { targetNamed: false, allowProtectedWrite: false }
    expect(await open(registry, datasource, null)).toBe('reads')
    const { pin } = await now()
    expect(pin?.identity).toContain(first.name)
    // Behind our back: the record leads elsewhere, and nobody went through an update.
    const connection = JSON.stringify(draftOf(second.url).connection)
    await store.db.updateTable('datasource').set({ connection }).where('id', '=', datasource.id).execute()
    expect(await open(registry, await now(), null)).toBe('wrong_server')
    expect(await open(registry, await now(), consent)).toBe('wrong_server')
    expect(await second.sql(`SELECT to_regnamespace('syncline')`)).toEqual([[null]])
    expect(await confirmServer(registry.tools, await now(), { actor: SYSTEM, signal })).toContain(second.name)
    expect(await open(registry, await now(), consent)).toBe('writes')
    // An update says so itself.
    const back = draftOf(first.url, { name: datasource.name, writable: true, environment: 'local' })
    await updateDatasource(registry.tools, { id: datasource.id, version: null, actor: SYSTEM }, back)
    expect(await open(registry, await now(), consent)).toBe('writes')
    expect((await now()).pin?.identity).toContain(first.name)
  })

  test('D11: of two first openings that meet two servers, one is refused', async () => {
    const { source } = sharedServers()
    await using first = await createDatabase(source)
    await using second = await createDatabase(source)
    await using registry = await createRegistry(kind)
    const datasource = await registry.add(first.url)
    const elsewhere = { ...datasource, connection: draftOf(second.url).connection }
    const outcomes = await Promise.all([open(registry, datasource, null), open(registry, elsewhere, null)])
    expect(outcomes.toSorted()).toEqual(['reads', 'wrong_server'])
  })

  test('DATASOURCE_<NAME>_URL registers a read-only datasource, whose password stays where it is', async () => {
    const { source } = sharedServers()
    await using db = await createDatabase(source)
    await using other = await createDatabase(source)
    const login = `login_${db.name}`
    await db.sql(`CREATE ROLE ${login} LOGIN PASSWORD 'geheim/1'; GRANT CONNECT ON DATABASE ${db.name} TO ${login}`)
    try {
      const urlOf = (url: string): string => url.replace(/\/\/[^@]*@/, `//${login}:geheim%2F1@`)
      const variables: Record<string, string> = {
        DATASOURCE_SHOP_EU_URL: urlOf(db.url),
        DATASOURCE_SHOP_EU_ENVIRONMENT: 'prod',
        DATASOURCE_OLD_URL: db.url,
      }
      const references = {
        readVariable: (name: string) => variables[name] ?? null,
        ownSecrets: [],
        directory: null,
        vault: null,
      }
      await using registry = await createRegistry(kind, { references })
      const { store } = registry.tools
      const register = () => registerEnvironmentDatasources(store, variables, newDatasourceId)
      expect(await register()).toEqual({ registered: ['shop-eu', 'old'], removed: [] })
      const shop = await getDatasource(store, 'shop-eu')
      expect(shop).toMatchObject({ origin: 'environment', environment: 'production', writable: false, version: 1 })
      expect(shop.password).toEqual({ kind: 'reference', reference: 'env:DATASOURCE_SHOP_EU_URL' })
      const rows = await store.db.selectFrom('datasource').selectAll().execute()
      expect(JSON.stringify(rows)).not.toContain('geheim')
      expect(await open(registry, shop, null)).toBe('reads')
      expect(await open(registry, shop, { targetNamed: false, allowProtectedWrite: true })).toBe('target_not_writable')
      await register()
      expect((await getDatasource(store, 'shop-eu')).version).toBe(1)
      // Another server behind the variable is for somebody to confirm.
      variables['DATASOURCE_SHOP_EU_URL'] = urlOf(other.url)
      await other.sql(`GRANT CONNECT ON DATABASE ${other.name} TO ${login}`)
      await register()
      const moved = await getDatasource(store, 'shop-eu')
      expect(moved).toMatchObject({ id: shop.id, version: 2, connection: { database: other.name } })
      expect(await open(registry, moved, null)).toBe('wrong_server')
      // What nothing refers to goes with its variable.
      await createConfig(
        store,
        { name: 'c', source_datasource_id: shop.id, target_datasource_id: shop.id },
        { id: 'cfg_1', actor: SYSTEM },
      )
      delete variables['DATASOURCE_SHOP_EU_URL']
      delete variables['DATASOURCE_OLD_URL']
      expect(await register()).toEqual({ registered: [], removed: ['old'] })
      expect(await open(registry, await getDatasource(store, 'shop-eu'), null)).toBe('secret_unreadable')
      variables['DATASOURCE_TAKEN_URL'] = db.url
      await registry.add(db.url, { name: 'taken' })
      await expect(register()).rejects.toMatchObject({ code: 'name_taken' })
      variables['DATASOURCE_TAKEN_URL'] = 'postgres://u:geheim@h/d?sslkey=/etc/passwd'
      await expect(register()).rejects.toMatchObject({
        code: 'invalid_url',
        message: expect.not.stringContaining('geheim') as string,
      })
    } finally {
      await db.sql(`REVOKE ALL ON DATABASE ${db.name}, ${other.name} FROM ${login}; DROP ROLE ${login}`)
    }
  })

  test('a password that is sealed, referred to or wrong', async () => {
    await using registry = await createRegistry(kind, {
      references: {
        readVariable: (name) => (name === 'PASSWORD' ? 'x' : null),
        ownSecrets: ['API_KEY'],
        directory: null,
        vault: null,
      },
    })
    await using db = await createDatabase(sharedServers().source)
    const attempts = [
      new Secret('x'),
      { reference: 'env:PASSWORD' },
      { reference: 'env:NOT_SET' },
      { reference: 'env:API_KEY' },
    ]
    const outcomes: string[] = []
    for (const password of attempts) outcomes.push(await open(registry, await registry.add(db.url, { password }), null))
    expect(outcomes).toEqual(['reads', 'reads', 'secret_unreadable', 'secret_unreadable'])
  })
})
