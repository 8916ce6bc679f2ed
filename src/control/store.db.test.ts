import { DatabaseSync } from 'node:sqlite'
import { describe, expect, test } from 'vitest'
import { sql } from 'kysely'
import { systemClock } from '#lib/clock.ts'
import { armFailpoint } from '#lib/failpoint.ts'
import { startFaultProxyFor } from '#test/harness/fault-proxy.ts'
import { createStorePlace, STORE_KINDS } from '#test/harness/store.ts'
import { isStoreAway, MIGRATIONS, Store, type Migrations } from './store.ts'

const options = { clock: systemClock, migrate: true }

/** A version that this program does not have yet. */
const NEXT: Migrations = [
  ...MIGRATIONS,
  [
    'CREATE TABLE later (id TEXT PRIMARY KEY)',
    `INSERT INTO later VALUES ('one')`,
    'ALTER TABLE breaker ADD COLUMN later TEXT',
  ],
]

describe.each(STORE_KINDS)('the store on %s', (kind) => {
  test('B13, P19: an older store is copied before it is migrated, and what is in it stays', async () => {
    await using place = await createStorePlace(kind)
    {
      await using store = await Store.open(place.location, options)
      expect(store.copy).toBeNull()
      await store.db.insertInto('setup_token').values({ hash: 'a', expires_at: 'b', used_at: null }).execute()
    }
    await expect(Store.open(place.location, { ...options, migrate: false, migrations: NEXT })).rejects.toMatchObject({
      code: 'store_not_migrated',
    })
    await using store = await Store.open(place.location, { ...options, migrations: NEXT })
    expect(store.copy).toMatch(/version/)
    expect(await store.db.selectFrom('setup_token').select('hash').execute()).toEqual([{ hash: 'a' }])
    await using old = await openCopy(place.location, store.copy ?? '')
    expect(await old.hashes()).toEqual(['a'])
  })

  test('P19: a program refuses a store that is newer than itself, and leaves it as it is', async () => {
    await using place = await createStorePlace(kind)
    await using _newer = await Store.open(place.location, { ...options, migrations: NEXT })
    await expect(Store.open(place.location, options)).rejects.toMatchObject({ code: 'store_too_new' })
    await using again = await Store.open(place.location, { ...options, migrations: NEXT })
    expect(again.copy).toBeNull()
  })

  test('B13: a migration that fails at any statement leaves the store as it was', async () => {
    await using place = await createStorePlace(kind)
    {
      await using _made = await Store.open(place.location, options)
    }
    const statements = (NEXT.at(-1)?.length ?? 0) + 1
    for (let at = 1; at <= statements; at++) {
      armFailpoint(`store.migrate:${at}:throw`)
      await expect(Store.open(place.location, { ...options, migrations: NEXT })).rejects.toMatchObject({
        code: 'store_failed',
      })
      await using old = await Store.open(place.location, options)
      expect(await old.db.selectFrom('breaker').selectAll().execute()).toEqual([])
    }
    await using store = await Store.open(place.location, { ...options, migrations: NEXT })
    expect(store.copy).not.toBeNull()
  })

  test('any number of programs can open a new store at once', async () => {
    await using place = await createStorePlace(kind)
    const stores = await Promise.all(Array.from({ length: 8 }, () => Store.open(place.location, options)))
    for (const store of stores) expect(await store.db.selectFrom('job').selectAll().execute()).toEqual([])
    await Promise.all(stores.map((store) => store[Symbol.asyncDispose]()))
  })

  test('a transaction that fails leaves nothing, and the next one is not held up', async () => {
    await using place = await createStorePlace(kind)
    await using store = await Store.open(place.location, options)
    const token = { hash: 'a', expires_at: 'b', used_at: null }
    await expect(
      store.write(async (tx) => {
        await tx.insertInto('setup_token').values(token).execute()
        await tx.insertInto('setup_token').values(token).execute()
      }),
    ).rejects.toThrow(/unique|UNIQUE/)
    expect(await store.db.selectFrom('setup_token').selectAll().execute()).toEqual([])
    await store.write((tx) => tx.insertInto('setup_token').values(token).execute())
  })
})

test('what is no store is refused with the reason', async () => {
  await expect(Store.open({ file: '/dev/null/here.sqlite' }, options)).rejects.toMatchObject({
    code: 'store_failed',
  })
  await expect(Store.open({ url: 'postgres://nobody@127.0.0.1:1/none' }, options)).rejects.toMatchObject({
    code: 'store_failed',
  })
})

/** The copy that a migration left: a file, or a schema of the same database. */
async function openCopy(
  location: Parameters<typeof Store.open>[0],
  copy: string,
): Promise<{ hashes: () => Promise<string[]> } & AsyncDisposable> {
  const inFile = 'file' in location
  const store = await Store.open(inFile ? { file: copy } : location, {
    ...options,
    migrations: inFile ? MIGRATIONS : NEXT,
  })
  const table = inFile ? 'setup_token' : `${copy.replace('schema ', '')}.setup_token`
  return {
    hashes: async () => {
      const { rows } = await sql<{ hash: string }>`SELECT hash FROM ${sql.table(table)}`.execute(store.db)
      return rows.map(({ hash }) => hash)
    },
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  }
}

test('another program that writes to the file for long is waited for, and holds up nothing else', async () => {
  await using place = await createStorePlace('sqlite')
  const { file } = place.location as { file: string }
  await using store = await Store.open({ file }, options)
  const token = { hash: 'a', expires_at: 'b', used_at: null }
  const other = new DatabaseSync(file)
  other.exec('BEGIN IMMEDIATE')
  const written = Promise.all([
    store.write((tx) => tx.insertInto('setup_token').values(token).execute()),
    store.db.deleteFrom('breaker').execute(),
  ])
  // Comes to its turn only where this thread does not wait.
  setImmediate(() => other.exec('ROLLBACK'))
  await written
  other.close()
  expect(await store.db.selectFrom('setup_token').selectAll().execute()).toEqual([token])
})

test('B10: a connection to the store that falls silent is given up, and the next statement has a new one', async () => {
  await using place = await createStorePlace('postgres')
  const { url } = place.location as { url: string }
  await using proxy = await startFaultProxyFor(url)
  const store = await Store.open({ url: proxy.url(url) }, { ...options, silenceMs: 500 })
  const read = (): Promise<unknown> => store.db.selectFrom('breaker').selectAll().execute()
  expect(await read()).toEqual([])
  for (const how of ['silence', 'rst'] as const) {
    const lost = await store
      .write(async (tx) => {
        await tx.selectFrom('breaker').selectAll().execute()
        proxy.cut(how)
        await tx.selectFrom('breaker').selectAll().execute()
      })
      .catch((error: unknown) => error)
    expect(isStoreAway(lost), String(lost)).toBe(true)
  }
  expect(await store.write(read)).toEqual([])
  await proxy.faults.set({ connect: 'silent' })
  proxy.cut('silence')
  const unreached = await Promise.all(Array.from({ length: 7 }, () => read().catch((error: unknown) => error)))
  expect(unreached.map(isStoreAway)).not.toContain(false)
  await store[Symbol.asyncDispose]()
})
