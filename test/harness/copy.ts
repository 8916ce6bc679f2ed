/** Databases copied into one another by the product, in the test's own process. */
import { openDatabase, type DatabasePlace } from '#adapters/registry.ts'
import { DatabaseCopy, type CopyWish } from '#dump/copy-database.ts'
import type { Imported, ImportTools } from '#dump/import-dump.ts'
import type { RestorePlan } from '#dump/plan-import.ts'
import { DEFAULT_COPY, type CopyOptions } from '#model/copy.ts'
import type { RunEvent } from '#sync/journal.ts'

import { createDatabase, type Database } from './database.ts'
import { permitWrite } from './permit.ts'
import { sharedServers, type TestServer } from './postgres.ts'

const MASK_KEY = Buffer.alloc(32, 7)

export const oldest = (): TestServer => {
  const { source, target } = sharedServers()
  return source.major <= target.major ? source : target
}

export async function databases(server = oldest()): Promise<{ a: Database; b: Database } & AsyncDisposable> {
  const [a, b] = [await createDatabase(server), await createDatabase(server)]
  return {
    a,
    b,
    async [Symbol.asyncDispose]() {
      await a[Symbol.asyncDispose]()
      await b[Symbol.asyncDispose]()
    },
  }
}

export interface Hooks extends Partial<CopyOptions>, Partial<CopyWish> {
  readonly backup?: ImportTools['backup']
  readonly onEvent?: (event: RunEvent) => void
  readonly maskKey?: Uint8Array | null
  readonly signal?: AbortSignal
  readonly beforeCommit?: ImportTools['beforeCommit']
}

/** What is copied: by its URL, or as a datasource of another kind than the URL tells. */
type Source = Pick<Database, 'url'> & { readonly place?: DatabasePlace }

/** The login of the tests is a superuser, and they trust what they have made. */
async function withCopy<T>(
  a: Source,
  b: Pick<Database, 'url'>,
  hooks: Hooks,
  body: (copy: DatabaseCopy, target: Awaited<ReturnType<typeof openDatabase>>) => Promise<T>,
): Promise<T> {
  const { backup: _, onEvent: __, maskKey = MASK_KEY, signal = new AbortController().signal, ...rest } = hooks
  await using source = await openDatabase(a.place ?? a.url, { write: null, signal })
  await using target = await openDatabase(b.url, { write: permitWrite(b.url), signal })
  const { replace = false, trusted = true } = rest
  const options = { ...DEFAULT_COPY, ...rest }
  await using copy = await DatabaseCopy.open({ source, target }, options, { replace, trusted }, { maskKey, signal })
  return await body(copy, target)
}

export function copyInto(a: Source, b: Pick<Database, 'url'>, hooks: Hooks = {}): Promise<Imported> {
  const journal = { record: (event: RunEvent): void => hooks.onEvent?.(event) }
  const { beforeCommit } = hooks
  return withCopy(a, b, hooks, (copy, target) =>
    copy.run(target, {
      journal,
      backup: hooks.backup ?? null,
      ...(beforeCommit === undefined ? {} : { beforeCommit }),
    }),
  )
}

export function planOf(a: Source, b: Pick<Database, 'url'>, hooks: Hooks = {}): Promise<RestorePlan> {
  return withCopy(a, b, hooks, async ({ plan }) => plan)
}
