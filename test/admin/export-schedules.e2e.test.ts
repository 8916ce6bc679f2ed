/** Exports by themselves in the admin pages: set up, told with their next runs, held back, changed and forgotten. */
import { expect, test } from 'vitest'

import { Browser, choose } from '#test/harness/browser.ts'
import { createDatabase } from '#test/harness/database.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { expectNoProgramSurvives } from '#test/harness/process.ts'
import { ServeUnderTest } from '#test/harness/serve.ts'

expectNoProgramSurvives()

/** Whoever is not signed in is refused first; what is not exported by itself is not found; a time that is none is refused. */
const REFUSED = /status of 40[014]/

test('UX 42: a database is exported by itself: from the list to the form, and what comes of it', async () => {
  await using source = await createDatabase(sharedServers().source)
  await source.sql(`CREATE TABLE goods (id int PRIMARY KEY, name text); CREATE TABLE log (id int);
    INSERT INTO goods SELECT n, 'thing ' || n FROM generate_series(1, 20) n`)
  await using service = await new ServeUnderTest().start()
  const { id } = await service.ask('POST', '/api/v1/datasources', { name: 'shop', url: source.url })
  await using browser = await Browser.start(service.url)
  const page = await browser.signIn(service.key)
  await page.goto(`${service.url}/dumps`)
  await page.getByRole('link', { name: 'No export is scheduled' }).click()
  await page.getByText('No export is scheduled yet').waitFor()
  await browser.look(page, 'export-schedules-empty')
  await page.getByRole('link', { name: 'Schedule an export' }).click()
  await choose(page, 'Database', 'shop')
  const times = page.getByRole('textbox', { name: 'Times' })
  await times.fill('0 25 * * *')
  await page.getByText('hour: 25 is not one of 0 to 23.').waitFor()
  await times.fill('30 2 * * *')
  await page.getByRole('heading', { name: /^At 02:30, every day/ }).waitFor()
  await page.getByText('gzip', { exact: true }).click()
  await browser.look(page, 'export-schedule-form')
  await page.getByRole('button', { name: 'Set it up' }).click()
  await page.getByRole('heading', { name: 'Scheduled export of shop' }).waitFor()
  await page.getByRole('button', { name: 'Pause schedule' }).waitFor()
  expect(await page.getByRole('button', { name: 'Save' }).isDisabled()).toBe(true)
  const path = `/api/v1/datasources/${String(id)}/export-schedule`
  expect(await service.ask('GET', path)).toMatchObject({
    words: expect.stringMatching(/^At 02:30, every day/) as string,
    export: { content: 'all', compression: 'gzip', style: 'copy' },
  })

  await page.getByRole('button', { name: 'Pause schedule' }).click()
  await page.getByText('It is not exported since').waitFor()
  await page.getByRole('button', { name: 'Resume schedule' }).click()
  await page.getByText('It is not exported since').waitFor({ state: 'detached' })
  // A change is told before it is kept, and takes no other along.
  await times.fill('0 * * * *')
  await page.getByRole('heading', { name: /^Every hour|On the hour/ }).waitFor()
  await page.getByRole('button', { name: 'Save' }).click()
  await expect.poll(() => service.ask('GET', path)).toMatchObject({ schedule: { cron: '0 * * * *' } })
  expect(await service.ask('GET', path)).toMatchObject({ export: { compression: 'gzip' } })
  await browser.look(page, 'export-schedule-kept')

  await page.goto(`${service.url}/dumps`)
  await page.getByRole('link', { name: '1 scheduled export' }).click()
  const row = page.getByRole('table', { name: 'Scheduled exports' }).getByRole('row').nth(1)
  await row.getByText('none').waitFor()
  await browser.look(page, 'export-schedules')
  await row.getByRole('link', { name: 'shop' }).click()
  await page.getByRole('button', { name: 'Remove schedule' }).click()
  await browser.look(page, 'export-schedule-remove')
  await page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click()
  await page.getByRole('heading', { name: 'Schedule an export' }).waitFor()
  expect(await service.ask('GET', '/api/v1/export-schedules')).toEqual({ items: [] })
  expect(browser.complaints.filter((text) => !REFUSED.test(text))).toEqual([])
})
