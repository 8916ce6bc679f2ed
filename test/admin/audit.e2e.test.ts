/** The audit page, in a real browser: who did what, what jobs wrote, why a row is as it is, and whether the log is whole. */
import { readFile } from 'node:fs/promises'

import { expect, test } from 'vitest'

import { Browser } from '#test/harness/browser.ts'
import { createDatabase } from '#test/harness/database.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { expectNoProgramSurvives } from '#test/harness/process.ts'
import { ServeUnderTest } from '#test/harness/serve.ts'

expectNoProgramSurvives()

/** Whoever is not signed in is refused first, and browsers write every refusal down. */
const REFUSED = /status of 401/

test('UX 16, 27: the log is searched and filtered by its address, counted, and checked', async () => {
  await using db = await createDatabase(sharedServers().source)
  await using service = await new ServeUnderTest().start()
  for (const name of ['shop', 'copy']) await service.ask('POST', '/api/v1/datasources', { name, url: db.url })
  await service.ask('POST', '/api/v1/datasources/shop/test')
  await using browser = await Browser.start(service.url)
  const page = await browser.signIn(service.key)
  await page.keyboard.press('g')
  await page.keyboard.press('a')
  const rows = page.getByRole('table', { name: 'Events' }).locator('tr[data-row]')
  await page.getByRole('cell', { name: 'tested a connection' }).waitFor()
  await browser.look(page, 'audit')

  await page.getByRole('combobox', { name: 'Action' }).click()
  await page.getByRole('option', { name: 'Added a datasource' }).click()
  await expect.poll(() => rows.count()).toBe(2)
  expect(page.url()).toContain('action=datasource.create')
  await page.getByRole('combobox', { name: 'Datasource' }).click()
  await page.getByRole('option', { name: 'copy' }).click()
  await expect.poll(() => rows.count()).toBe(1)
  await page.getByRole('button', { name: 'Today' }).click()
  await page.reload()
  await expect.poll(() => rows.count()).toBe(1)
  await rows.first().getByText('added a datasource').click()
  const event = page.getByRole('dialog', { name: /^Event \d+/ })
  await event.getByText('datasource.create').waitFor()
  await browser.look(page, 'audit-event')
  await page.keyboard.press('Escape')
  await page.getByLabel('To day').fill('2020-01-01')
  await page.getByText('No event fits these filters').waitFor()
  await browser.look(page, 'audit-none')
  await page.getByRole('button', { name: 'Clear the filters' }).click()
  await page.getByLabel('Search action, subject, who').fill('session')
  await page.getByRole('cell', { name: 'signed in' }).first().waitFor()
  await expect.poll(() => page.getByRole('cell', { name: 'tested a connection' }).count()).toBe(0)
  await page.getByRole('button', { name: 'Clear the filters' }).click()

  await page.getByRole('tab', { name: 'Statistics' }).click()
  await page.getByRole('list', { name: 'By action' }).getByText('Tested a connection').waitFor()
  await browser.look(page, 'audit-statistics')

  await page.getByRole('button', { name: 'Verify the log' }).click()
  await page.getByRole('button', { name: 'Check every event' }).click()
  await page.getByText(/^The log is whole: \d+ events are what was written$/).waitFor()
  await browser.look(page, 'audit-verified')
  await page.getByLabel('Head of an earlier check').fill(`1:${'0'.repeat(64)}`)
  await page.getByRole('button', { name: 'Check again' }).click()
  await page.getByText('Event 1 does not fit').waitFor()
  browser.expectQuiet(REFUSED)
})

test('SPEC 9: what a job wrote with its reports, and why a row is as it is', async () => {
  await using source = await createDatabase(sharedServers().source)
  await using target = await createDatabase(sharedServers().target)
  for (const db of [source, target]) {
    await db.sql('CREATE TABLE item (id int PRIMARY KEY, name text, price numeric(8,2))')
  }
  await source.sql(`INSERT INTO item VALUES (1, 'Pear', 1.50), (2, 'Fig', 2.00)`)
  await target.sql(`INSERT INTO item VALUES (2, 'Fig', 1.80), (3, 'Old', 9.00)`)
  await using service = await new ServeUnderTest().start()
  await service.register({ source: source.url, target: target.url })
  const config = await service.ask('GET', '/api/v1/sync-configs/shop%20copy')
  const { id: _id, version: _version, created_at: _created, updated_at: _updated, ...document } = config
  await service.ask('PUT', '/api/v1/sync-configs/shop%20copy', { ...document, audit_level: 'detailed' })
  const job = await service.run()
  await service.succeeded(job)
  await using browser = await Browser.start(service.url)
  const page = await browser.signIn(service.key)
  await page.goto(`${service.url}/audit?tab=job&job=${job}`)
  const written = page.getByRole('list', { name: 'Rows that the job wrote' })
  await written.getByText('Inserted').waitFor()
  expect(await written.getByRole('listitem').count()).toBe(3)
  await browser.look(page, 'audit-job')
  await page.getByRole('combobox', { name: 'Operation' }).click()
  await page.getByRole('option', { name: 'Updated' }).click()
  await expect.poll(() => written.getByRole('listitem').count()).toBe(1)
  await written.getByText('1.80').waitFor()
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('link', { name: 'Report as CSV' }).click(),
  ])
  expect(await readFile(await download.path(), 'utf8')).toContain('Fig')

  await page.getByRole('tab', { name: 'Why a row is as it is' }).click()
  await page.getByRole('combobox', { name: 'Written by' }).click()
  await page.getByRole('option', { name: 'shop copy' }).click()
  await page.getByLabel('Table of the target').fill('item')
  await page.getByLabel('Key of the row').fill('2')
  await page.getByRole('button', { name: 'Show its history' }).click()
  const history = page.getByRole('list', { name: 'History of the row 2' })
  await history.getByText('started by admin').waitFor()
  await browser.look(page, 'audit-row')

  const { key } = await service.ask('POST', '/api/v1/keys', { name: 'guest', role: 'viewer' })
  await using other = await Browser.start(service.url)
  const guest = await other.signIn(String(key))
  await guest.goto(page.url())
  await guest.getByText('values of rows are for operators and admins').waitFor()
  browser.expectQuiet(REFUSED)
  other.expectQuiet(REFUSED)
})
