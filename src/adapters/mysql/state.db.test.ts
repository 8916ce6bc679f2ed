import { afterAll, beforeAll, expect, test } from 'vitest'
import type { MappingIdentity } from '#adapters/adapter.ts'
import { startMariadb, type MariadbServer } from '#test/harness/mariadb.ts'
import { Connection } from './connection.ts'
import { markSession, registerSession } from './sessions.ts'
import { claimMappings, enterPhase, isCommitted, readCommitted, readCommittedBy, recordBatch } from './state.ts'
import { ensureState } from './state-tables.ts'

let server: MariadbServer

beforeAll(async () => {
  server = await startMariadb()
}, 120_000)

afterAll(() => server[Symbol.asyncDispose]())

const RECORD = { kind: 'apply', label: '3 rows, write 1', inserted: 1, updated: 1, deleted: 1 } as const

function mapping(database: string, changes: Partial<MappingIdentity> = {}): MappingIdentity {
  return {
    mappingId: 'm1',
    source: 'a source',
    target: { schema: database, name: 't' },
    mappingHash: 'h1',
    key: ['id'],
    carried: ['id', 'name'],
    baseline: false,
    baselineDetails: [],
    columns: null,
    asItIs: false,
    ...changes,
  }
}

async function open(database: string): Promise<Connection> {
  const connection = await Connection.open(server.endpoint(database), { readOnly: false })
  await ensureState(connection)
  return connection
}

test('a claim takes over: the epoch moves, counters of an unfinished job are kept, those of a finished one are not', async () => {
  const database = await server.createDatabase()
  await using connection = await open(database)
  const first = { job: { id: 'j1', lease: null }, writer: 'w1' }
  const [claim] = await claimMappings(connection, [mapping(database)], first)
  expect(claim).toMatchObject({ jobId: 'j1', epoch: 1n, phase: 'new', hasBaseline: false })
  if (claim === undefined) throw new Error('no claim')
  await connection.transaction('write', () => enterPhase(connection, claim, 'applying'))
  expect(await connection.transaction('write', () => recordBatch(connection, claim, RECORD))).toBe(1)
  const [second] = await claimMappings(connection, [mapping(database)], { ...first, job: { id: 'j2', lease: null } })
  expect(second).toMatchObject({
    jobId: 'j1',
    epoch: 2n,
    phase: 'applying',
    committed: { inserted: 1, updated: 1, deleted: 1, batches: 1 },
  })
  expect(await readCommittedBy(connection, 'j1')).toEqual({ inserted: 1, updated: 1, deleted: 1, batches: 1 })
  expect(await readCommittedBy(connection, 'j2')).toBeNull()
  if (second === undefined) throw new Error('no claim')
  await connection.transaction('write', () => enterPhase(connection, second, 'done'))
  const [third] = await claimMappings(connection, [mapping(database)], { ...first, job: { id: 'j3', lease: null } })
  expect(third).toMatchObject({ jobId: 'j3', epoch: 3n, phase: 'new', committed: { inserted: 0, batches: 0 } })
})

test('B7 whoever was overtaken commits nothing', async () => {
  const database = await server.createDatabase()
  await using connection = await open(database)
  const claimer = { job: { id: 'j1', lease: null }, writer: 'w1' }
  const [old] = await claimMappings(connection, [mapping(database)], claimer)
  await claimMappings(connection, [mapping(database)], { ...claimer, writer: 'w2' })
  if (old === undefined) throw new Error('no claim')
  const stale = { code: 'stale_epoch' }
  await expect(connection.transaction('write', () => recordBatch(connection, old, RECORD))).rejects.toMatchObject(stale)
  await expect(connection.transaction('write', () => enterPhase(connection, old, 'done'))).rejects.toMatchObject(stale)
  await expect(connection.transaction('write', () => readCommitted(connection, old))).rejects.toMatchObject(stale)
  expect(await readCommittedBy(connection, 'j1')).toMatchObject({ batches: 0 })
})

test('B7 sessions of a writer that was overtaken are ended, with the locks that they hold', async () => {
  const database = await server.createDatabase()
  await using paused = await open(database)
  await registerSession(paused, await markSession(paused), { writer: 'w1', job: 'j1', lease: null })
  const [claim] = await claimMappings(paused, [mapping(database)], { job: { id: 'j1', lease: null }, writer: 'w1' })
  if (claim === undefined) throw new Error('no claim')
  await paused.begin('write')
  await recordBatch(paused, claim, RECORD)
  await using next = await open(database)
  const [taken] = await claimMappings(next, [mapping(database)], { job: { id: 'j2', lease: null }, writer: 'w2' })
  expect(taken).toMatchObject({ epoch: 2n, committed: { batches: 0 } })
  await expect(paused.commit()).rejects.toMatchObject({ name: 'CommitUnknown' })
  expect(await next.query(`SELECT COUNT(*) FROM syncline_session`)).toEqual([['0']])
})

test('B3 a batch is known by its number, its epoch and its label', async () => {
  const database = await server.createDatabase()
  await using connection = await open(database)
  const [claim] = await claimMappings(connection, [mapping(database)], { job: { id: 'j1', lease: null }, writer: 'w' })
  if (claim === undefined) throw new Error('no claim')
  const batch = await connection.transaction('write', () => recordBatch(connection, claim, RECORD))
  expect(await isCommitted(connection, { claim, batch, record: RECORD })).toBe(true)
  expect(await isCommitted(connection, { claim, batch: 2, record: RECORD })).toBe(false)
  const other = { ...RECORD, label: '3 rows, write 2' }
  expect(await isCommitted(connection, { claim, batch, record: other })).toBe(false)
})

test('the state goes with the database that it speaks of', async () => {
  const database = await server.createDatabase()
  await using connection = await open(database)
  await claimMappings(connection, [mapping(database)], { job: { id: 'j1', lease: null }, writer: 'w' })
  await connection.execute(`DROP DATABASE \`${database}\``)
  await connection.execute(`CREATE DATABASE \`${database}\``)
  await using again = await open(database)
  expect(await again.query('SELECT COUNT(*) FROM syncline_state')).toEqual([['0']])
})
