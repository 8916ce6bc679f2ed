import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { Secret } from '#lib/secret.ts'
import { SecretBox } from '#lib/secret-box.ts'
import { systemClock } from '#lib/clock.ts'
import { SYSTEM } from '#model/access.ts'
import { createStore, createStorePlace, STORE_KINDS } from '#test/harness/store.ts'
import {
  createDatasource,
  getDatasource,
  pinDatasource,
  readPassword,
  repinDatasource,
  resealPasswords,
  updateDatasource,
  type DatasourceDraft,
  type DatasourceTools,
} from './datasources.ts'
import { findBrokenAudit } from './audit.ts'
import { checkSecretKey } from './secret-check.ts'
import { Store } from './store.ts'

const OLD = randomBytes(32)
const NEW = randomBytes(32)

function draft(name: string, password = `geheim-${name}`): DatasourceDraft {
  return {
    name,
    kind: 'postgres',
    connection: {
      host: 'db.example.com',
      port: 5432,
      database: 'shop',
      user: 'app',
      ssl: null,
      ca: null,
      projectUrl: null,
    },
    password: new Secret(password),
    schemas: null,
    poolSize: 10,
    connectTimeoutMs: 1_000,
    environment: null,
    writable: false,
  }
}

async function addAll(tools: DatasourceTools, names: readonly string[]): Promise<void> {
  for (const name of names) {
    await createDatasource(tools, draft(name), { id: `ds_${name}`, actor: SYSTEM, origin: 'stored' })
  }
}

async function reveal(tools: DatasourceTools, id: string): Promise<string | null> {
  const password = await readPassword(tools, id)
  return password instanceof Secret ? password.reveal() : null
}

describe.each(STORE_KINDS)('secrets in %s', (kind) => {
  test('S43: two records whose boxes were swapped, or one with a bit changed, give no password', async () => {
    await using held = await createStore(kind)
    const { store } = held
    const tools = { store, box: new SecretBox([OLD]) }
    await addAll(tools, ['a', 'b'])
    const boxes = await store.db.selectFrom('datasource').select(['id', 'password_sealed']).orderBy('id').execute()
    const [a, b] = boxes.map(({ password_sealed: sealed }) => sealed ?? '')
    const put = (id: string, sealed: string | undefined): Promise<unknown> =>
      store.db
        .updateTable('datasource')
        .set({ password_sealed: sealed ?? null })
        .where('id', '=', id)
        .execute()
    await put('ds_a', b)
    await put('ds_b', a)
    for (const id of ['ds_a', 'ds_b']) {
      await expect(readPassword(tools, id)).rejects.toMatchObject({ code: 'secret_unreadable' })
    }
    await put('ds_a', a)
    expect(await reveal(tools, 'ds_a')).toBe('geheim-a')
    const last = a?.at(-2) === 'A' ? 'B' : 'A'
    await put('ds_a', `${a?.slice(0, -2)}${last}${a?.at(-1)}`)
    await expect(readPassword(tools, 'ds_a')).rejects.toMatchObject({ code: 'secret_unreadable' })
  })

  test('S43: keys are changed while passwords are read and written, and none is lost', async () => {
    await using held = await createStore(kind)
    const { store } = held
    const names = Array.from({ length: 20 }, (_, i) => `d${i}`)
    const before = { store, box: new SecretBox([OLD]) }
    await checkSecretKey(store, before.box)
    await addAll(before, names)
    const both = { store, box: new SecretBox([NEW, OLD]) }
    await checkSecretKey(store, both.box)
    const changed = updateDatasource(both, { id: 'ds_d3', version: null, actor: SYSTEM }, draft('d3', 'neu'))
    const [resealed, ...seen] = await Promise.all([
      resealPasswords(both, SYSTEM),
      ...names.filter((name) => name !== 'd3').map((name) => reveal(both, `ds_${name}`)),
      changed.then(() => null),
    ])
    expect(seen.slice(0, -1)).toEqual(names.filter((name) => name !== 'd3').map((name) => `geheim-${name}`))
    expect([19, 20]).toContain(resealed)
    const after = { store, box: new SecretBox([NEW]) }
    await checkSecretKey(store, after.box)
    for (const name of names) expect(await reveal(after, `ds_${name}`)).toBe(name === 'd3' ? 'neu' : `geheim-${name}`)
    await expect(readPassword(before, 'ds_d0')).rejects.toMatchObject({ code: 'secret_unreadable' })
    expect(await resealPasswords(after, SYSTEM)).toBe(0)
    expect(await findBrokenAudit(store)).toBeNull()
  })

  test('S43: with another key the service does not start', async () => {
    await using held = await createStore(kind)
    const { store } = held
    await checkSecretKey(store, new SecretBox([OLD]))
    await checkSecretKey(store, new SecretBox([OLD]))
    await expect(checkSecretKey(store, new SecretBox([NEW]))).rejects.toMatchObject({ code: 'secret_unreadable' })
    await checkSecretKey(store, new SecretBox([NEW, OLD]))
  })

  test('S44: whoever has the whole store, and not the key, has no password', async () => {
    await using place = await createStorePlace(kind)
    await using store = await Store.open(place.location, { clock: systemClock, migrate: true })
    const tools = { store, box: new SecretBox([OLD]) }
    await checkSecretKey(store, tools.box)
    await addAll(tools, ['a', 'b'])
    const rows = await store.db.selectFrom('datasource').selectAll().execute()
    const audit = await store.db.selectFrom('audit_event').selectAll().execute()
    const files = 'file' in place.location ? filesBeside(place.location.file) : ''
    const loot = `${JSON.stringify([rows, audit])}${files}`
    expect(loot).toContain('db.example.com')
    for (const secret of ['geheim', OLD.toString('base64'), OLD.toString('hex'), OLD.toString('latin1')]) {
      expect(loot).not.toContain(secret)
    }
  })

  test('S10: a stored password goes to no other host by a change of the address', async () => {
    await using held = await createStore(kind)
    const { store } = held
    const tools = { store, box: new SecretBox([OLD]) }
    await addAll(tools, ['a'])
    const { password: _, ...rest } = draft('a')
    const change = (connection: object, password?: Secret | null): Promise<unknown> =>
      updateDatasource(
        tools,
        { id: 'ds_a', version: null, actor: SYSTEM },
        { ...rest, connection: { ...rest.connection, ...connection }, ...(password === undefined ? {} : { password }) },
      )
    for (const moved of [{ host: 'evil.example.com' }, { port: 6543 }]) {
      await expect(change(moved)).rejects.toMatchObject({
        code: 'invalid_request',
        message: expect.stringContaining('password') as string,
      })
    }
    await change({ database: 'other' })
    await change({ host: 'new.example.com' }, new Secret('anew'))
    await change({ host: 'third.example.com' }, null)
    await change({ host: 'fourth.example.com' })
  })

  test('a pin stays with the first server, goes with a change of the address, and is moved only by somebody', async () => {
    await using held = await createStore(kind)
    const { store } = held
    const tools = { store, box: new SecretBox([OLD]) }
    await addAll(tools, ['a'])
    const pin = { host: 'db.example.com', identity: '1/2/shop' }
    const pinned = async (): Promise<unknown> => (await getDatasource(store, 'a')).pin
    await pinDatasource(store, 'ds_a', pin)
    await pinDatasource(store, 'ds_a', { ...pin, identity: '9/9/shop' })
    expect(await pinned()).toEqual(pin)
    const other = { ...draft('a'), connection: { ...draft('a').connection, user: 'other', ssl: 'require' as const } }
    await updateDatasource(tools, { id: 'ds_a', version: null, actor: SYSTEM }, other)
    expect(await pinned(), 'another login to the same database').toEqual(pin)
    await repinDatasource(store, { id: 'ds_a', pin: { ...pin, identity: '3/4/shop' }, actor: SYSTEM })
    expect(await pinned()).toMatchObject({ identity: '3/4/shop' })
    const moved = { ...other, connection: { ...other.connection, host: 'elsewhere.example.com' } }
    await updateDatasource(tools, { id: 'ds_a', version: null, actor: SYSTEM }, moved)
    expect(await pinned()).toBeNull()
    const events = await store.db.selectFrom('audit_event').select('action').orderBy('seq').execute()
    expect(events.map(({ action }) => action)).toContain('datasource.repin')
  })
})

function filesBeside(file: string): string {
  const folder = dirname(file)
  return readdirSync(folder)
    .map((name) => readFileSync(join(folder, name), 'latin1'))
    .join('')
}
