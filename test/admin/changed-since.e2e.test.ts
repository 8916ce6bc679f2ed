/** What has changed since: tables since a mapping was looked over, and a sync config since one of its jobs ran. */
import { expect, test } from 'vitest'

import { Browser } from '#test/harness/browser.ts'
import { createDatabase } from '#test/harness/database.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { expectNoProgramSurvives } from '#test/harness/process.ts'
import { ServeUnderTest } from '#test/harness/serve.ts'

expectNoProgramSurvives()

const RUN_MS = 180_000

const GOODS = 'CREATE TABLE goods (id int PRIMARY KEY, name text, price numeric(10,2))'

/** The document of `shop copy`, and where it is changed. */
async function readConfig(service: ServeUnderTest): Promise<{ readonly at: string; readonly document: object }> {
  const config = await service.ask('GET', '/api/v1/sync-configs/shop%20copy')
  const { id, version: _version, created_at: _created, updated_at: _updated, ...document } = config
  return { at: `/api/v1/sync-configs/${String(id)}`, document }
}

test('UX 33: a banner names what has changed in the tables, on the dashboard too, and goes once it is accepted', async () => {
  await using source = await createDatabase(sharedServers().source)
  await using target = await createDatabase(sharedServers().target)
  for (const database of [source, target]) await database.sql(GOODS)
  await source.sql(`INSERT INTO goods VALUES (1, 'one', 1)`)
  await using service = await new ServeUnderTest().start()
  await service.register({ source: source.url, target: target.url })
  const { at, document } = await readConfig(service)
  await service.ask('PUT', at, { ...document, sync_interval: 3_600 })
  await service.succeeded(await service.run())
  await source.sql('ALTER TABLE goods ADD COLUMN weight int; ALTER TABLE goods RENAME COLUMN name TO title')
  await target.sql('ALTER TABLE goods ALTER COLUMN price SET NOT NULL')
  // A run that stops at it has looked as well as one that goes on.
  await service.until(await service.run(), ['failed'])
  await using browser = await Browser.start(service.url)
  const page = await browser.signIn(service.key)
  const needs = page.getByRole('region', { name: 'Needs a person' })
  await needs.getByText(/"name" in public.goods of the source is called "title" now, and 2 more/).waitFor()
  await browser.look(page, 'drift-dashboard')
  await needs.getByRole('listitem').filter({ hasText: 'Look over' }).getByRole('link').click()
  const title = page.getByText('3 things in the tables have changed since the mapping was looked over')
  await title.waitFor()
  await page.getByText('public.goods of the source has a new column "weight": integer').waitFor()
  await page.getByText('"price" in public.goods of the target has become numeric(10,2) NOT NULL').waitFor()
  await browser.look(page, 'drift-banner')
  await page.setViewportSize({ width: 390, height: 800 })
  expect(await page.evaluate<number>('document.documentElement.scrollWidth')).toBe(390)
  await browser.look(page, 'drift-banner-phone')
  await page.setViewportSize({ width: 1280, height: 800 })
  await page.getByRole('button', { name: 'Look the mapping over' }).click()
  await page.waitForURL(/tab=mapping/)
  await page.getByRole('button', { name: 'Pause the schedule' }).click()
  await page.waitForURL(/tab=schedule/)

  // Another change in between: what was shown is not what would be accepted.
  await target.sql('ALTER TABLE goods ADD COLUMN colour text')
  await service.ask('POST', `${at}/schema-drift/look`, {})
  await page.getByRole('button', { name: 'Accept', exact: true }).click()
  await page.getByText('The tables have changed again since they were shown').waitFor()
  await page.getByText('4 things in the tables have changed since the mapping was looked over').waitFor()
  await page.getByRole('button', { name: 'Accept', exact: true }).click()
  await page.getByText(/things in the tables have changed/).waitFor({ state: 'hidden' })
  expect(await service.ask('GET', `${at}/schema-drift`)).toMatchObject({ changes: [] })

  // Opened after a while, the page looks by itself.
  await source.sql('ALTER TABLE goods DROP COLUMN weight')
  const { key } = await service.ask('POST', '/api/v1/keys', { name: 'viewer', role: 'viewer' })
  await service.ask('POST', `${at}/schema-drift/look`, {})
  await using others = await Browser.start(service.url)
  const seen = await others.signIn(String(key))
  await seen.goto(`${service.url}/sync-configs/shop%20copy`)
  await seen.getByText('public.goods of the source has no column "weight" any more').waitFor()
  expect(await seen.getByRole('button', { name: 'Accept', exact: true }).count()).toBe(0)
  browser.expectQuiet(/status of 412/)
  others.expectQuiet()
})

test('UX 33: a page that is opened looks at tables that nobody has looked at', async () => {
  await using source = await createDatabase(sharedServers().source)
  await using target = await createDatabase(sharedServers().target)
  for (const database of [source, target]) await database.sql(GOODS)
  await using service = await new ServeUnderTest().start()
  await service.register({ source: source.url, target: target.url })
  const { at } = await readConfig(service)
  await using browser = await Browser.start(service.url)
  const page = await browser.signIn(service.key)
  await page.goto(`${service.url}/sync-configs/shop%20copy`)
  await page.getByRole('heading', { name: 'shop copy' }).waitFor()
  await expect.poll(async () => (await service.ask('GET', `${at}/schema-drift`))['seen_at']).not.toBeNull()
  browser.expectQuiet()
})

test('UX 22: a job whose config has been changed since is run again with that of now or with that of then', async () => {
  await using source = await createDatabase(sharedServers().source)
  await using target = await createDatabase(sharedServers().target)
  for (const database of [source, target]) await database.sql(`${GOODS}; CREATE TABLE people (id int PRIMARY KEY)`)
  await source.sql(`INSERT INTO goods VALUES (1, 'one', 1), (2, 'two', 2); INSERT INTO people VALUES (1)`)
  await using service = await new ServeUnderTest().start()
  await service.register({ source: source.url, target: target.url })
  const { at, document } = await readConfig(service)
  await service.ask('PUT', at, { ...document, tables: [{ source: 'goods' }] })
  const first = await service.run({ dry_run: true })
  await service.succeeded(first)
  await using browser = await Browser.start(service.url)
  const page = await browser.signIn(service.key)
  await page.goto(`${service.url}/jobs/${first}`)
  await page.getByRole('button', { name: 'Run again' }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByText('with its sync config').waitFor()
  expect(await dialog.getByRole('radio').count()).toBe(0)
  await page.keyboard.press('Escape')
  await dialog.waitFor({ state: 'hidden' })

  await service.ask('PUT', at, { ...document, tables: [{ source: 'people' }] })
  await page.reload()
  await page.getByRole('button', { name: 'Run again' }).click()
  await dialog.getByRole('radio', { name: 'As it is now (version 3)' }).waitFor()
  await dialog.getByText('What has been changed since').click()
  await dialog.getByRole('row', { name: /tables › 0 › source/ }).waitFor()
  await browser.look(page, 'job-again')
  await dialog.getByRole('radio', { name: 'As it was for this job (version 2)' }).click()
  await dialog.getByRole('button', { name: 'Run again' }).click()
  await page.waitForURL((url) => !url.pathname.includes(first))
  await page.getByRole('tab', { name: /^Changes/ }).click()
  const changes = page.getByRole('table', { name: 'Changes by table' })
  await changes.getByRole('row', { name: /goods/ }).waitFor({ timeout: RUN_MS })
  expect(await changes.getByRole('row', { name: /people/ }).count()).toBe(0)

  await service.ask('DELETE', `${at}?confirm=shop%20copy`)
  await page.reload()
  await page.getByRole('button', { name: 'Run again' }).click()
  await dialog.getByText('Its sync config has been removed').waitFor()
  await browser.look(page, 'job-again-removed')
  await dialog.getByRole('button', { name: 'Run again' }).click()
  await page.waitForURL(/jobs\/job_/)
  browser.expectQuiet(/status of 404/)
})
