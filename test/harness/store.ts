/** A control store of each kind, empty and for one test: `await using store = await createStore(kind)`. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { Store, type StoreLocation } from '#control/store.ts'
import { systemClock } from '#lib/clock.ts'

import { createDatabase } from './database.ts'
import { sharedServers, type TestServer } from './postgres.ts'
import { printedSeed } from './seed.ts'

export const STORE_KINDS = ['sqlite', 'postgres'] as const

export type StoreKind = (typeof STORE_KINDS)[number]

/** For suites that take minutes with each: one by the seed, and all with SYNCLINE_TEST_STORES=all. */
export function someStores(): readonly StoreKind[] {
  if (process.env['SYNCLINE_TEST_STORES'] === 'all') return STORE_KINDS
  return [STORE_KINDS[printedSeed() % STORE_KINDS.length] ?? 'sqlite']
}

/** A place for a store that goes away with its holder. */
export interface StorePlace extends AsyncDisposable {
  readonly location: StoreLocation
}

/** `kind` may be a server of the test's own, to keep the store on. */
export async function createStorePlace(kind: StoreKind | TestServer): Promise<StorePlace> {
  if (kind !== 'sqlite') {
    const database = await createDatabase(kind === 'postgres' ? sharedServers().target : kind)
    return { location: { url: database.url }, [Symbol.asyncDispose]: () => database[Symbol.asyncDispose]() }
  }
  const folder = mkdtempSync(join(tmpdir(), 'syncline-store-'))
  return {
    location: { file: join(folder, 'control.sqlite') },
    [Symbol.asyncDispose]: () => Promise.resolve(rmSync(folder, { recursive: true, force: true })),
  }
}

/** An open store and its place. */
export async function createStore(kind: StoreKind): Promise<{ readonly store: Store } & AsyncDisposable> {
  await using stack = new AsyncDisposableStack()
  const { location } = stack.use(await createStorePlace(kind))
  const store = stack.use(await Store.open(location, { clock: systemClock, migrate: true }))
  const held = stack.move()
  return { store, [Symbol.asyncDispose]: () => held.disposeAsync() }
}
