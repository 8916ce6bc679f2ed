/** A control store with a job in it, and what change sets are kept with: `await using held = await createChangeSets(kind)`. */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import type { ChangeSetTools } from '#control/change-set-tools.ts'
import { openChangeSet } from '#control/change-sets.ts'
import { insertJob } from '#control/jobs.ts'
import type { Store } from '#control/store.ts'
import { wallMs } from '#lib/clock.ts'
import { SecretBox } from '#lib/secret-box.ts'
import type { ChangeSetFacts, ChangeSetTable, ImagedChange, SetChange, StagingKind } from '#model/change-set.ts'
import { makeId } from '#model/id.ts'
import type { TableRef } from '#model/table.ts'
import type { ChangeSet } from '#sync/change-set.ts'

import { createStore, type StoreKind } from './store.ts'

const ROOM = 2 ** 31

export interface KeptChangeSets extends AsyncDisposable {
  readonly store: Store
  readonly tools: ChangeSetTools
  readonly jobId: string
}

export async function createChangeSets(
  kind: StoreKind,
  parts: Partial<Pick<ChangeSetTools, 'limits' | 'redis'>> = {},
): Promise<KeptChangeSets> {
  await using stack = new AsyncDisposableStack()
  const { store } = stack.use(await createStore(kind))
  const folder = mkdtempSync(join(tmpdir(), 'syncline-change-sets-'))
  stack.defer(() => rmSync(folder, { recursive: true, force: true }))
  const tools: ChangeSetTools = {
    store,
    box: new SecretBox([randomBytes(32)]),
    folder: join(folder, 'change-sets'),
    limits: { embedded: ROOM, redis: ROOM },
    redis: null,
    ...parts,
  }
  const jobId = await addJob(store)
  const held = stack.move()
  return { store, tools, jobId, [Symbol.asyncDispose]: () => held.disposeAsync() }
}

/** A job for a change set to belong to. */
export async function addJob(store: Store): Promise<string> {
  const id = makeId('job', wallMs(), randomBytes(10))
  await insertJob(store, {
    id,
    kind: 'sync',
    configId: null,
    configVersion: null,
    sourceDatasourceId: 'ds_1',
    targetDatasourceId: 'ds_2',
    lane: id,
    request: {
      policies: {},
      dryRun: true,
      tables: null,
      mode: 'incremental',
      allowProtectedWrite: false,
      targetNamed: false,
      approvedDeletes: null,
      approvedOverwrites: null,
    },
    requestedBy: 'system',
  })
  return id
}

export const ref = (name: string): TableRef => ({ schema: 'public', name })

/** What is said of tables with one column `id` as the key and one column `v`. */
export function factsOf(names: readonly string[]): ChangeSetFacts {
  return { tables: names.map(tableOf), notes: [], stop: null, position: 'here' }
}

function tableOf(name: string): ChangeSetTable {
  const type = { kind: 'text', maxLength: null } as const
  return {
    source: ref(name),
    target: ref(name),
    mappingId: name,
    mappingHash: name,
    key: ['id'],
    columns: ['id', 'v'].map((column) => ({ name: column, type })),
    created: false,
    inserts: 0,
    updates: 0,
    deletes: 0,
    changedColumns: [],
    unchanged: 0,
    kept: 0,
    rejected: 0,
  }
}

export function update(key: string, before: string, after: string): ImagedChange {
  return {
    op: 'update',
    key: [key],
    expect: `expect ${before}`,
    source: `source ${after}`,
    bytes: key.length + after.length,
    before: [key, before],
    after: [key, after],
    large: false,
  }
}

export function insert(key: string, after: string): ImagedChange {
  return { ...update(key, '', after), op: 'insert', expect: null, before: null }
}

export function remove(key: string, before: string): ImagedChange {
  return { ...update(key, before, ''), op: 'delete', source: null, after: null }
}

/** A sealed change set of these changes by table, the tables being `t0`, `t1` … */
export async function sealed(
  tools: ChangeSetTools,
  { jobId, staging = 'embedded' }: { jobId: string; staging?: StagingKind },
  tables: readonly (readonly ImagedChange[])[],
): Promise<ChangeSet & AsyncDisposable> {
  const set = openChangeSet(tools, { jobId, staging })
  await set.begin()
  for (const [table, changes] of tables.entries()) await set.append(table, changes)
  await set.seal(factsOf(tables.map((_, table) => `t${table}`)))
  return set
}

export async function readAll(set: ChangeSet, table: number): Promise<readonly SetChange[]> {
  const all: SetChange[] = []
  for await (const batch of set.read(table)) all.push(...batch)
  return all
}
