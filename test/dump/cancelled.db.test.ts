/** Exports and table definitions that somebody stops while pg_dump waits for a lock: nothing of them is left on the server. */
import { expect, test } from 'vitest'

import { openDatabase } from '#adapters/registry.ts'
import { AppError } from '#model/errors.ts'

import { oldest } from '#test/harness/copy.ts'
import { createDatabase, type Database } from '#test/harness/database.ts'
import { dump } from '#test/harness/dump.ts'
import { refusal } from '#test/harness/import.ts'

const WAITING = `SELECT count(*) FROM pg_stat_activity
  WHERE datname = current_database() AND application_name = 'syncline' AND wait_event_type = 'Lock'`

async function waiting(db: Database): Promise<number> {
  return Number((await db.sql(WAITING))[0]?.[0])
}

const stopped = (): AppError => new AppError('interrupted', 'Somebody has cancelled the job.')

test('an export of definitions', async () => {
  const content = 'schema'
  await using db = await createDatabase(oldest())
  await db.sql('CREATE TABLE t (id int)')
  await using locker = await db.connect()
  await locker.query('BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE')
  const controller = new AbortController()
  const ending = refusal(dump(db, { content }, { signal: controller.signal }))
  await expect.poll(() => waiting(db)).toBe(1)
  controller.abort(stopped())
  expect((await ending).code).toBe('interrupted')
  await expect.poll(() => db.sessions(), { timeout: 5_000 }).toEqual([])
  await locker.query('ROLLBACK')
  expect((await dump(db, { content })).sql).toContain('"public"."t"')
})

test('definitions of tables for a sync', async () => {
  await using db = await createDatabase(oldest())
  await db.sql('CREATE TABLE t (id int)')
  await using locker = await db.connect()
  const controller = new AbortController()
  await using adapter = await openDatabase(db.url, { write: null, signal: controller.signal })
  await using snapshot = await adapter.snapshot(1, controller.signal)
  await locker.query('BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE')
  const tables = [{ schema: 'public', name: 't' }]
  const ending = refusal(Promise.resolve(adapter.ddl?.(tables, snapshot, adapter.server)))
  await expect.poll(() => waiting(db)).toBe(1)
  controller.abort(stopped())
  expect((await ending).code).toBe('interrupted')
  await expect.poll(() => db.sessions(), { timeout: 5_000 }).toEqual([])
})
