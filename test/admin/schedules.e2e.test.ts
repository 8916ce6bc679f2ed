/** Schedules in the admin pages: typed, told in words with their next runs, run by themselves, paused and allowed. */
import { expect, test } from 'vitest'

import { Browser, choose } from '#test/harness/browser.ts'
import { createDatabase } from '#test/harness/database.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { expectNoProgramSurvives } from '#test/harness/process.ts'
import { ServeUnderTest } from '#test/harness/serve.ts'

expectNoProgramSurvives()

/** Whoever is not signed in is refused first, and so is a schedule that cannot be read; browsers write refusals down. */
const REFUSED = /status of 40[01]/

async function open(fields: object = {}) {
  await using stack = new AsyncDisposableStack()
  const source = stack.use(await createDatabase(sharedServers().source))
  const target = stack.use(await createDatabase(sharedServers().target))
  for (const each of [source, target]) await each.sql('CREATE TABLE goods (id int PRIMARY KEY, name text)')
  await source.sql(`INSERT INTO goods SELECT n, 'thing ' || n FROM generate_series(1, 20) n`)
  const service = stack.use(await new ServeUnderTest().start())
  await service.ask('POST', '/api/v1/datasources', { name: 'shop', url: source.url })
  await service.ask('POST', '/api/v1/datasources', { name: 'copy', url: target.url, writable: true, ...fields })
  const made = await service.ask('POST', '/api/v1/sync-configs', {
    name: 'shop copy',
    source_datasource_id: 'shop',
    target_datasource_id: 'copy',
  })
  const id = String(made['id'])
  const browser = stack.use(await Browser.start(service.url))
  const page = await browser.signIn(service.key)
  await page.goto(`${service.url}/sync-configs/${id}?tab=schedule`)
  await page.getByText('Nothing runs by itself').waitFor()
  const held = stack.move()
  return { target, service, browser, page, id, [Symbol.asyncDispose]: () => held.disposeAsync() }
}

test('UX 42: a cron text is told in words with its next five runs while it is typed, and saved', async () => {
  await using it = await open()
  const { page, browser, service, id } = it
  await page.getByText('At certain times').click()
  const times = page.getByRole('textbox', { name: 'Times' })
  await times.fill('0 25 * * *')
  await page.getByText('hour: 25 is not one of 0 to 23.').waitFor()
  await browser.look(page, 'schedule-wrong')
  await times.fill('30 2 * * MON-FRI')
  await page
    .getByRole('textbox', { name: 'Time zone' })
    .or(page.getByRole('combobox', { name: 'Time zone' }))
    .first()
    .fill('berlin')
  await page.getByRole('option', { name: 'Europe/Berlin' }).click()
  await page.getByRole('heading', { name: 'At 02:30, Monday through Friday (Europe/Berlin)' }).waitFor()
  const runs = page.getByRole('table', { name: 'Next runs' }).getByRole('row')
  expect(await runs.count()).toBe(6)
  expect(await runs.nth(1).textContent()).toMatch(/02:30/)
  await page.getByText(/^Clocks in Europe\/Berlin go (forward|back) on/).waitFor()
  await browser.look(page, 'schedule-cron')
  await page.getByRole('button', { name: 'Save' }).click()
  await page.getByRole('button', { name: 'Pause schedule' }).waitFor()
  expect(await service.ask('GET', `/api/v1/sync-configs/${id}`)).toMatchObject({
    version: 2,
    schedule: { cron: '30 2 * * MON-FRI', time_zone: 'Europe/Berlin' },
  })

  await page.getByRole('button', { name: 'Pause schedule' }).click()
  await page.getByText('Nothing runs by itself since').waitFor()
  await browser.look(page, 'schedule-paused')
  const told = await service.cli(['configs', 'schedule', 'shop copy'])
  expect(told.stdout).toMatch(/At 02:30, Monday through Friday \(Europe\/Berlin\)[^]*Paused since .* by admin/)
  await page.goto(service.url)
  await page.getByRole('table', { name: 'Sync configs' }).getByText('paused').waitFor()
  const resumed = await service.cli(['configs', 'schedule', 'shop copy', '--resume'])
  expect(resumed.stdout).toMatch(/Next runs:\n {2}\S+T02:30:00\+0[12]:00/)
  await page.reload()
  await page
    .getByRole('table', { name: 'Sync configs' })
    .getByText(/^(in|tomorrow)/)
    .waitFor()
  await browser.look(page, 'dashboard-next-run')
  const shown = await service.cli(['configs', 'show', 'shop copy'])
  expect(shown.stdout).toMatch(/"time_zone": "Europe\/Berlin"[^]*Next runs:/)
  browser.expectQuiet(REFUSED)
})

test('S2.192: every ten seconds it runs by itself, and what became of it is told', async () => {
  await using it = await open()
  const { page, browser } = it
  await page.getByText('Every so often').click()
  await page.getByRole('heading', { name: 'Every 5 minutes' }).waitFor()
  await choose(page, 'Unit', 'seconds')
  await page.getByLabel('Every', { exact: true }).fill('3')
  await page.getByText('This must be at least 10.').waitFor()
  await page.getByLabel('Every', { exact: true }).fill('10')
  await page.getByRole('heading', { name: 'Every 10 seconds' }).waitFor()
  await page.getByRole('button', { name: 'Save' }).click()
  await page
    .getByRole('table', { name: 'Last times of shop copy' })
    .getByText('Succeeded')
    .first()
    .waitFor({ timeout: 60_000 })
  await browser.look(page, 'schedule-ticks')
  expect(await it.target.sql('SELECT count(*)::int AS n FROM goods')).toEqual([['20']])
  browser.expectQuiet(REFUSED)
})

test('runs that would write to production are refused until somebody lets them, by the name of the target', async () => {
  await using it = await open({ environment: 'production' })
  const { page, browser, service, id } = it
  await page.getByText('At certain times').click()
  await page.getByRole('heading', { name: /^At 02:00, every day/ }).waitFor()
  await page.getByRole('button', { name: 'Save' }).click()
  await page.getByText('Its runs would be refused').waitFor()
  await browser.look(page, 'schedule-refused')
  await page.getByRole('button', { name: 'Let its runs write there' }).click()
  const dialog = page.getByRole('dialog', { name: 'Let its runs write to what is protected' })
  await dialog.getByLabel('Type copy to confirm').fill('copy')
  await browser.look(page, 'schedule-consent')
  await dialog.getByRole('button', { name: 'Let them write' }).click()
  await page.getByText('let its runs write to what is protected').first().waitFor()
  expect(await service.ask('GET', `/api/v1/sync-configs/${id}/schedule`)).toMatchObject({
    refused_for: null,
    consent: { allow_protected_write: true, holds: true, by: 'admin' },
  })
  await page.getByRole('button', { name: 'No longer let its runs write there' }).click()
  await page.getByText('Its runs would be refused').waitFor()
  browser.expectQuiet(REFUSED)
})
