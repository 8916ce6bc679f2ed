import { MIGRATIONS, Store, type StoreLocation } from '#control/store.ts'
import { systemClock } from '#lib/clock.ts'
import { armFailpoint } from '#lib/failpoint.ts'
import { readConfig } from './config.ts'

/** Brings the control store to this program's version. */
export async function migrateStore(): Promise<{ place: string; version: number; copy: string | null }> {
  const { store: location, failpoint } = readConfig()
  if (failpoint !== null) armFailpoint(failpoint)
  await using store = await Store.open(location, { clock: systemClock, migrate: true })
  return { place: describeStore(location), version: MIGRATIONS.length, copy: store.copy }
}

/** For people, without secrets. */
export function describeStore(location: StoreLocation): string {
  if ('file' in location) return location.file
  const { host, pathname } = new URL(location.url)
  return `postgres://${host}${pathname}`
}
