import { mkdirSync } from 'node:fs'
import { resealPasswords } from '#control/datasources.ts'
import { checkSecretKey } from '#control/secret-check.ts'
import { Store } from '#control/store.ts'
import { systemClock } from '#lib/clock.ts'
import type { SecretBox } from '#lib/secret-box.ts'
import { SYSTEM } from '#model/access.ts'
import type { WriteRules } from '#model/write-protection.ts'
import { readConfig, type Config } from './config.ts'
import { openSecretBox } from './secret-key.ts'

/** What every part of the service stands on, in whichever process. */
export interface Base extends AsyncDisposable {
  readonly config: Config
  readonly store: Store
  readonly box: SecretBox
  readonly rules: WriteRules
}

/** Opens the store and the secrets. @throws AppError */
export async function openBase({ migrate }: { migrate: boolean }): Promise<Base> {
  const config = readConfig()
  // Whatever this process writes is for its user alone.
  process.umask(0o077)
  mkdirSync(config.dataDirectory, { recursive: true, mode: 0o700 })
  const box = openSecretBox(config)
  const store = await Store.open(config.store, { clock: systemClock, migrate })
  try {
    await checkSecretKey(store, box)
  } catch (error) {
    await store[Symbol.asyncDispose]()
    throw error
  }
  return {
    config,
    store,
    box,
    rules: { protectedEnvironments: config.protectedEnvironments },
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  }
}

/** Seals all passwords with the current key. Returns how many were sealed with another one. */
export async function rotateSecretKey(): Promise<number> {
  await using base = await openBase({ migrate: false })
  return await resealPasswords(base, SYSTEM)
}
