/** Datasources over the databases of the tests, in a control store of either kind. */
import { randomBytes } from 'node:crypto'

import { createDatasource, type DatasourceDraft } from '#control/datasources.ts'
import type { OpeningTools } from '#jobs/open-datasource.ts'
import { wallMs } from '#lib/clock.ts'
import { Secret } from '#lib/secret.ts'
import { SecretBox } from '#lib/secret-box.ts'
import { SYSTEM } from '#model/access.ts'
import type { Datasource } from '#model/datasource.ts'
import { makeId } from '#model/id.ts'

import { createStore, type StoreKind } from './store.ts'

export const newDatasourceId = (): string => makeId('datasource', wallMs(), randomBytes(10))

/** What a URL of a test says, as somebody would enter it. */
export function draftOf(url: string, changes: Partial<DatasourceDraft> = {}): DatasourceDraft {
  const { hostname, port, username, password, pathname } = new URL(url)
  return {
    name: `d-${randomBytes(4).toString('hex')}`,
    kind: 'postgres',
    connection: {
      host: hostname.replace(/^\[|\]$/g, ''),
      port: Number(port || 5432),
      database: decodeURIComponent(pathname.slice(1)),
      user: decodeURIComponent(username),
      ssl: null,
      ca: null,
      projectUrl: null,
    },
    password: password === '' ? null : new Secret(decodeURIComponent(password)),
    schemas: null,
    poolSize: 10,
    connectTimeoutMs: 5_000,
    environment: null,
    writable: false,
    ...changes,
  }
}

export interface Registry extends AsyncDisposable {
  readonly tools: OpeningTools
  add(url: string, changes?: Partial<DatasourceDraft>): Promise<Datasource>
}

export async function createRegistry(kind: StoreKind, changes: Partial<OpeningTools> = {}): Promise<Registry> {
  const held = await createStore(kind)
  const tools: OpeningTools = {
    store: held.store,
    box: new SecretBox([randomBytes(32)]),
    references: { readVariable: () => null, ownSecrets: [], directory: null, vault: null },
    ...changes,
  }
  return {
    tools,
    add: (url, draft) =>
      createDatasource(tools, draftOf(url, draft), { id: newDatasourceId(), actor: SYSTEM, origin: 'stored' }),
    [Symbol.asyncDispose]: () => held[Symbol.asyncDispose](),
  }
}
