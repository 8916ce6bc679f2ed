/** Schedules of the whole program: as a file and back, and over the end of the service. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'

import { addMs } from '#lib/clock.ts'

import { createDatabase } from '#test/harness/database.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { expectNoProgramSurvives } from '#test/harness/process.ts'
import { ServeUnderTest, type Answer } from '#test/harness/serve.ts'

expectNoProgramSurvives()

const HOUR_MS = 3_600_000

async function open() {
  await using stack = new AsyncDisposableStack()
  const source = stack.use(await createDatabase(sharedServers().source))
  const target = stack.use(await createDatabase(sharedServers().target))
  for (const each of [source, target]) await each.sql('CREATE TABLE goods (id int PRIMARY KEY)')
  await source.sql('INSERT INTO goods SELECT generate_series(1, 7)')
  const service = stack.use(await new ServeUnderTest().start())
  await service.register({ source: source.url, target: target.url })
  const folder = mkdtempSync(join(tmpdir(), 'syncline-schedules-'))
  stack.defer(() => rmSync(folder, { recursive: true, force: true }))
  const held = stack.move()
  return { target, service, folder, [Symbol.asyncDispose]: () => held.disposeAsync() }
}

async function schedule(service: ServeUnderTest): Promise<Answer> {
  return service.ask('GET', '/api/v1/sync-configs/shop%20copy/schedule')
}

test('a schedule is the same in the file, the API, the command line and the file that is written', async () => {
  await using it = await open()
  const { service } = it
  const file = join(it.folder, 'syncline.yaml')
  writeFileSync(
    file,
    `sync_configs:
  - name: shop copy
    source_datasource_id: shop
    target_datasource_id: copy
    schedule: { cron: 30 2 * * MON-FRI, time_zone: Europe/Berlin }
    overlap_policy: skip
`,
  )
  expect(await service.cli(['validate', file])).toMatchObject({ code: 0 })
  expect(await service.cli(['apply', '-f', file])).toMatchObject({ code: 0 })
  const told = { words: 'At 02:30, Monday through Friday (Europe/Berlin)', time_zone: 'Europe/Berlin', ticks: [] }
  expect(await schedule(service)).toMatchObject(told)
  const shown = await service.cli(['configs', 'show', 'shop copy', '--json'])
  expect(JSON.parse(shown.stdout)).toMatchObject({ result: { overlap_policy: 'skip', schedule_state: told } })
  const written = join(it.folder, 'written.yaml')
  writeFileSync(written, (await service.cli(['export-config'])).stdout)
  expect(readFileSync(written, 'utf8')).toMatch(/cron: .?30 2 \* \* MON-FRI/)
  await service.cli(['configs', 'schedule', 'shop copy', '--pause'])
  const again = await service.cli(['apply', '-f', written])
  expect(again).toMatchObject({ code: 0 })
  // What was written changes nothing, and ends no pause.
  expect(await service.ask('GET', '/api/v1/sync-configs/shop%20copy')).toMatchObject({ version: 2 })
  expect(await schedule(service)).toMatchObject({ paused_by: 'admin', next_runs: [] })
})

test('consent for one end of a schedule leaves that for the other as it is', async () => {
  await using it = await open()
  const { service, folder } = it
  const file = join(folder, 'syncline.yaml')
  writeFileSync(
    file,
    `sync_configs:
  - { name: shop copy, source_datasource_id: shop, target_datasource_id: copy, sync_interval: 3600 }
`,
  )
  expect(await service.cli(['apply', '-f', file])).toMatchObject({ code: 0 })
  const consent = async (...flags: readonly string[]): Promise<unknown> => {
    const { code, stderr } = await service.cli(['configs', 'schedule', 'shop copy', ...flags, '--confirm', 'copy'])
    expect(code, stderr).toBe(0)
    return (await schedule(service))['consent']
  }
  const both = { allow_protected_write: true, allow_protected_source_write: true }
  expect(await consent('--allow-protected-write')).toMatchObject({ ...both, allow_protected_source_write: false })
  expect(await consent('--allow-protected-source-write')).toMatchObject(both)
  expect(await consent('--no-allow-protected-write')).toMatchObject({ ...both, allow_protected_write: false })
  expect(await consent('--no-allow-protected-source-write')).toBeNull()
})

test('what was missed while the service was killed runs once at its next start, and is told as late', async () => {
  await using it = await open()
  const { service } = it
  const { id } = await service.ask('GET', '/api/v1/sync-configs/shop%20copy')
  await service.ask('PUT', `/api/v1/sync-configs/${String(id)}`, {
    name: 'shop copy',
    source_datasource_id: 'shop',
    target_datasource_id: 'copy',
    sync_interval: 600,
  })
  await service.program.kill()
  // As if it had been killed an hour ago.
  const store = new DatabaseSync(join(service.folder, 'control.sqlite'))
  const { since } = store.prepare('SELECT since FROM schedule').get() as { since: string }
  const killed = addMs(since, -HOUR_MS)
  store.prepare('UPDATE schedule SET since = ?, next_at = ?').run(killed, addMs(killed, 600_000))
  store.close()
  await service.start()
  const ticks = async (): Promise<readonly Answer[]> => (await schedule(service))['ticks'] as readonly Answer[]
  await expect.poll(ticks, { timeout: 60_000 }).toMatchObject([{ outcome: 'started', missed: 5 }])
  const [tick] = await ticks()
  expect(tick).toMatchObject({ tick: addMs(killed, HOUR_MS), reason: null })
  await service.succeeded(String(tick?.['job_id']))
  expect(await it.target.sql('SELECT count(*)::int FROM goods')).toEqual([['7']])
  await service.program.kill()
  await service.start()
  await service.cli(['configs', 'schedule', 'shop copy'])
  expect(await ticks()).toHaveLength(1)
})

test('a database is exported by itself: set up on the command line, missed while nothing ran, and made up for', async () => {
  await using it = await open()
  const { service } = it
  const run = async (...args: readonly string[]) => {
    const { code, stdout, stderr } = await service.cli(['dumps', 'schedule', ...args])
    return { code, text: `${stdout}${stderr}` }
  }
  expect(await run('shop')).toMatchObject({
    code: 2,
    text: expect.stringContaining('There is no scheduled export of shop') as string,
  })
  expect(await run('shop', '--compress', 'gzip')).toMatchObject({
    code: 2,
    text: expect.stringContaining('--cron') as string,
  })
  expect(await run('--pause')).toMatchObject({
    code: 2,
    text: expect.stringContaining('Name the datasource') as string,
  })
  const nightly = ['--cron', '30 2 * * *', '--time-zone', 'Europe/Berlin', '--compress', 'gzip']
  const made = await run('shop', ...nightly)
  expect(made.code, made.text).toBe(0)
  expect(made.text).toMatch(
    /^At 02:30, every day \(Europe\/Berlin\)[^]*Next runs:[^]*02:30:00[^]*Newest export: none$/m,
  )
  expect((await run('shop', '--pause')).text).toContain('Paused since')
  expect((await run('shop', '--resume')).text).not.toContain('Paused')
  await service.program.kill()
  const store = new DatabaseSync(join(service.folder, 'control.sqlite'))
  const { since } = store.prepare('SELECT since FROM schedule').get() as { since: string }
  const killed = addMs(since, -48 * HOUR_MS)
  store.prepare('UPDATE schedule SET since = ?, next_at = ?').run(killed, addMs(killed, HOUR_MS))
  store.close()
  await service.start()
  const dumps = async () => (await service.ask('GET', '/api/v1/dumps'))['items'] as readonly Answer[]
  await expect
    .poll(dumps, { timeout: 60_000 })
    .toMatchObject([{ created_by: 'schedule of exports of shop', compression: 'gzip' }])
  const [dump] = await dumps()
  expect((await run('shop')).text).toMatch(
    new RegExp(`started, succeeded[^]*Newest export: ${String(dump?.['id'])} of `),
  )
  expect((await run()).text).toMatch(/shop +At 02:30[^]*1 scheduled export/)
  expect(await run('shop', '--remove')).toMatchObject({ code: 0, text: expect.stringContaining('no longer') as string })
  expect((await run()).text).toContain('0 scheduled exports')
})
