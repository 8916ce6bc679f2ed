/** Two tables kept in step by the pages alone, as somebody goes that way who has read nothing, on a service that is new. */
import type { Page } from 'playwright-core'
import { expect, test } from 'vitest'

import { Browser, choose, paste } from '#test/harness/browser.ts'
import { createDatabase, type Database } from '#test/harness/database.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { expectNoProgramSurvives } from '#test/harness/process.ts'
import { ServeUnderTest } from '#test/harness/serve.ts'

expectNoProgramSurvives()

/** A run takes seconds, and longer on a machine that is busy with others. */
const RUN_MS = 180_000

/** Whoever is not signed in is refused first, and browsers write every refusal down. */
const REFUSED = /status of 401/

const SHOP = `
  CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL, email text);
  CREATE TABLE orders (id int PRIMARY KEY, customer int REFERENCES customers, total numeric(10,2), note text);
  CREATE TABLE page_views (id int PRIMARY KEY, path text);
  INSERT INTO customers SELECT i, 'Customer ' || i, 'c' || i || '@example.org' FROM generate_series(1, 40) i;
  INSERT INTO orders SELECT i, 1 + i % 40, i * 1.5, 'order ' || i FROM generate_series(1, 100) i;
  INSERT INTO page_views SELECT i, '/' || i FROM generate_series(1, 10) i`

const OFFICE = `
  CREATE TABLE customers (id int PRIMARY KEY, full_name text NOT NULL, email text);
  CREATE TABLE orders (id int PRIMARY KEY, customer int, total numeric(10,2), note text);
  CREATE TABLE page_views (id int PRIMARY KEY, path text)`

interface Ends extends AsyncDisposable {
  readonly shop: Database
  readonly office: Database
  readonly browser: Browser
  /** At the dashboard of a service that knows nothing yet. */
  readonly page: Page
}

async function createEnds(): Promise<Ends> {
  await using stack = new AsyncDisposableStack()
  const shop = stack.use(await createDatabase(sharedServers().source))
  const office = stack.use(await createDatabase(sharedServers().target))
  await shop.sql(SHOP)
  await office.sql(OFFICE)
  const service = stack.use(new ServeUnderTest())
  const token = await service.startWithoutKey()
  const browser = stack.use(await Browser.start(service.url))
  const page = await browser.open('/')
  await beginWith(page, token, browser)
  const held = stack.move()
  return { shop, office, browser, page, [Symbol.asyncDispose]: () => held.disposeAsync() }
}

/** From the token that the service printed to the dashboard. */
async function beginWith(page: Page, token: string, browser: Browser): Promise<void> {
  await page.getByRole('button', { name: 'Make the first key' }).click()
  await page.getByLabel('Setup token').fill(token)
  await browser.look(page, 'newcomer-1-token')
  await page.getByRole('button', { name: 'Make the key' }).click()
  await page.getByText('It is shown this once').waitFor()
  await browser.look(page, 'newcomer-2-key')
  await page.getByRole('button', { name: 'I have kept it: sign in' }).click()
  await page.getByRole('heading', { name: 'Connect two databases first' }).waitFor()
  await browser.look(page, 'newcomer-3-start')
}

/** By its URL alone, from wherever the page offers it; all else stays as it is filled in. */
async function addDatabase(page: Page, { url, name }: Database, isWritten: boolean): Promise<void> {
  await page.getByRole('link', { name: 'Add a datasource' }).click()
  await page.getByRole('heading', { name: 'Add a datasource' }).waitFor()
  await paste(page, 'Connection URL', url)
  await expect.poll(() => page.getByLabel('Database', { exact: true }).inputValue()).toBe(name)
  if (isWritten) await page.getByLabel('Syncs may write to it').click()
  await page.getByRole('button', { name: 'Add datasource' }).click()
  await page.getByText(/^Connected/).waitFor()
}

test('SPEC 9: from the first token to rows in the target and an edit that follows, with two URLs pasted and nothing else known', async () => {
  await using all = await createEnds()
  const { shop, office, browser, page } = all
  await addDatabase(page, shop, false)
  await browser.look(page, 'newcomer-4-source')
  await page.getByRole('link', { name: 'Use it as a source' }).click()
  await page.getByRole('heading', { name: 'There is only one datasource' }).waitFor()
  await browser.look(page, 'newcomer-5-second')
  await addDatabase(page, office, true)
  await browser.look(page, 'newcomer-6-target')

  // Both ends are known by then, and so are the tables.
  await page.getByRole('link', { name: 'Use it as a target' }).click()
  await page.getByLabel('Take page_views').click()
  await page.getByText('2 of 3 tables chosen').waitFor()
  await browser.look(page, 'newcomer-7-tables')
  await page.getByRole('button', { name: 'Make it, then look at a dry run' }).click()
  await page.getByRole('button', { name: 'Start dry run' }).waitFor()
  await browser.look(page, 'newcomer-8-dry-run')
  await page.getByRole('button', { name: 'Cancel' }).click()

  await page.getByRole('tab', { name: 'Mapping' }).click()
  await page.getByText('3 of 3 columns of the target are fed').waitFor()
  await page.getByRole('button', { name: 'Try it on live rows' }).click()
  const live = page.getByRole('table', { name: 'What the mapping makes of live rows' })
  await live.getByText('Customer 1', { exact: true }).first().waitFor()
  await browser.look(page, 'newcomer-9-mapping')
  await page.getByRole('tab', { name: 'Overview' }).click()
  await page.getByRole('button', { name: 'Dry run' }).click()
  await page.getByRole('button', { name: 'Start dry run' }).click()
  const would = page.getByRole('table', { name: 'What a run would do' })
  await would.getByRole('row', { name: /customers 40 0 0/ }).waitFor({ timeout: RUN_MS })
  await would.getByRole('row', { name: /orders 100 0 0/ }).waitFor()
  await browser.look(page, 'newcomer-10-would')
  expect(await office.sql('SELECT count(*) FROM customers')).toEqual([['0']])

  await runSync(page)
  await page.getByText(/140 inserted/).waitFor({ timeout: RUN_MS })
  await browser.look(page, 'newcomer-11-ran')
  const people = 'SELECT count(*), min(full_name), max(email) FROM customers'
  expect(await office.sql(people)).toEqual([['40', 'Customer 1', 'c9@example.org']])
  expect(await office.sql('SELECT count(*), sum(total) FROM orders')).toEqual([['100', '7575.00']])
  expect(await office.sql('SELECT count(*) FROM page_views')).toEqual([['0']])

  await shop.sql(
    `UPDATE customers SET name = 'Ada Lovelace' WHERE id = 7; INSERT INTO orders VALUES (101, 7, 9.99, NULL)`,
  )
  await runSync(page)
  await page.getByText(/1 inserted, 1 updated/).waitFor({ timeout: RUN_MS })
  await browser.look(page, 'newcomer-12-again')
  expect(await office.sql('SELECT full_name FROM customers WHERE id = 7')).toEqual([['Ada Lovelace']])
  expect(await office.sql('SELECT total, note FROM orders WHERE id = 101')).toEqual([['9.99', null]])
  browser.expectQuiet(REFUSED)
})

test('a run that is refused because its target is read-only offers the way out on the spot, and then goes', async () => {
  await using all = await createEnds()
  const { shop, office, browser, page } = all
  await addDatabase(page, shop, false)
  await page.getByRole('link', { name: 'Use it as a source' }).click()
  await addDatabase(page, office, false)
  await page.getByRole('link', { name: 'Use it as a source' }).waitFor()
  // Whoever has not said which one is written says it where it is needed.
  await page.getByRole('link', { name: 'Sync configs' }).click()
  await page.getByRole('link', { name: 'New sync config' }).click()
  await choose(page, 'Source', new RegExp(shop.name))
  await choose(page, 'Target', new RegExp(office.name))
  await page.getByText('is read-only: no run may write to it yet').waitFor()
  await browser.look(page, 'newcomer-read-only-config')
  await page.getByLabel('Take customers').waitFor()
  await page.getByRole('button', { name: 'Make it, then look at a dry run' }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByText('Run sync', { exact: true }).click()
  await dialog.getByText('is read-only: no run may write to it yet').waitFor()
  expect(await dialog.getByRole('button', { name: 'Run sync' }).isDisabled()).toBe(true)
  await browser.look(page, 'newcomer-read-only-run')
  await dialog.getByRole('button', { name: `Let syncs write to ${office.name}` }).click()
  await dialog.getByRole('button', { name: 'Run sync' }).click()
  await page.getByText(/150 inserted/).waitFor({ timeout: RUN_MS })
  expect(await office.sql('SELECT count(*) FROM orders')).toEqual([['100']])
  browser.expectQuiet(REFUSED)
})

/** Runs the sync config that is shown. */
async function runSync(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Run sync' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Run sync' }).click()
}
