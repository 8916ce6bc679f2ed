/** Jobs of dumps and copies over the API: what they say that they were asked for, and who sees what is tried by itself. */
import { describe, expect, test } from 'vitest'

import { createApi, type ApiUnderTest } from '#test/harness/api.ts'
import { STORE_KINDS } from '#test/harness/store.ts'

interface Shop extends AsyncDisposable {
  readonly api: ApiUnderTest
  readonly operator: string
  readonly datasource: string
}

/** Nothing is opened by these tests: there is no server behind the names. */
async function createShop(
  kind: (typeof STORE_KINDS)[number],
  variables: Readonly<Record<string, string>> = {},
): Promise<Shop> {
  await using stack = new AsyncDisposableStack()
  const api = stack.use(await createApi(kind, { variables }))
  const admin = (await api.key('admin')).secret
  const operator = (await api.key('operator')).secret
  const ids: string[] = []
  for (const name of ['shop', 'local']) {
    const body = { name, url: 'postgres://nobody@127.0.0.1:1/none', writable: name === 'local' }
    ids.push(String((await api.send(admin, 'POST', '/api/datasources', { body })).json<{ id: string }>().id))
  }
  const held = stack.move()
  return { api, operator, datasource: ids[0] ?? '', [Symbol.asyncDispose]: () => held.disposeAsync() }
}

const READING = {
  content: 'all',
  schemas: null,
  exclude_schemas: [],
  tables: null,
  exclude_tables: [],
  owners: false,
  grants: false,
  same_provider: false,
  parallel: 1,
}

const NOTHING = { export: null, import: null, copy: null, drill: null }

describe.each(STORE_KINDS)('with the store in %s', (kind) => {
  test('UX 43: a job says what it was asked for, with what stood for what was left out', async () => {
    await using shop = await createShop(kind)
    const { api, operator } = shop
    const ask = async (path: string, body: object): Promise<unknown> => {
      const started = await api.send(operator, 'POST', path, { body })
      expect(started.statusCode, started.body).toBe(202)
      return (await api.send(operator, 'GET', started.json<{ status_url: string }>().status_url)).json()
    }
    const masks = [
      { table: 'customer', column: 'email', transforms: ['trim', { mask_email: { to_domain: 'x.example' } }] },
    ]
    const filters = [{ table: 'public.o*', where: 'total > 100' }]
    expect(
      await ask('/api/sync/copy', { source: 'shop', target: 'local', masks, filters, replace: true, parallel: 2 }),
    ).toMatchObject({
      ...NOTHING,
      source_datasource_id: shop.datasource,
      copy: { ...READING, parallel: 2, masks, filters, replace: true, backup: true, trust_source: false },
    })
    expect(
      await ask('/api/sync/export', { datasource: 'shop', tables: ['item'], passphrase_reference: 'env:DUMP_KEY' }),
    ).toMatchObject({
      ...NOTHING,
      export: {
        ...READING,
        tables: ['item'],
        style: 'copy',
        compression: 'zstd',
        passphrase_reference: 'env:DUMP_KEY',
      },
    })
  })

  test('S9: who may see the datasource is told on which server new exports are tried', async () => {
    await using shop = await createShop(kind, { DUMP_DRILL_INTO: 'shop' })
    const { api, operator, datasource } = shop
    const drillsOf = async (of: ApiUnderTest, secret: string): Promise<unknown> =>
      (await of.send(secret, 'GET', '/api/dumps')).json<{ drills: unknown }>().drills
    const seen = { into: 'shop', datasource_id: datasource }
    expect(await drillsOf(api, operator)).toEqual(seen)
    expect(await drillsOf(api, (await api.key('viewer', [datasource])).secret)).toEqual(seen)
    expect(await drillsOf(api, (await api.key('viewer', ['ds_other'])).secret)).toBeNull()
    await using without = await createShop(kind)
    expect(await drillsOf(without.api, without.operator)).toBeNull()
    await using lost = await createShop(kind, { DUMP_DRILL_INTO: 'nowhere' })
    expect(await drillsOf(lost.api, lost.operator)).toEqual({ into: 'nowhere', datasource_id: null })
  })
})
