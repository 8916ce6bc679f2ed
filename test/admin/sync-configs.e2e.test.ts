/** Sync configs in the admin pages: made, mapped by lines and by a table, tried, run, edited as text, and taken back. */
import type { Page } from 'playwright-core'
import { expect, test } from 'vitest'

import { Browser } from '#test/harness/browser.ts'
import { createDatabase, type Database } from '#test/harness/database.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { expectNoProgramSurvives } from '#test/harness/process.ts'
import { ServeUnderTest } from '#test/harness/serve.ts'

expectNoProgramSurvives()

/** Whoever is not signed in is refused first, and browsers write every refusal down. */
const REFUSED = /status of 401/

const SOURCE = `CREATE TABLE kunden (kundennummer int PRIMARY KEY, vorname text, nachname text, e_mail text, notiz text);
  INSERT INTO kunden SELECT i, 'V' || i, 'N' || i, 'MAIL' || i || '@EXAMPLE.ORG', 'note ' || i FROM generate_series(1, 12) i;
  CREATE TABLE artikel (id int PRIMARY KEY, name text); INSERT INTO artikel VALUES (1, 'Ring')`
const TARGET = `CREATE TABLE customers (id int PRIMARY KEY, full_name text, email text, note varchar(6), region text);
  CREATE TABLE artikel (id int PRIMARY KEY, name text)`

interface Ends extends AsyncDisposable {
  readonly source: Database
  readonly target: Database
  readonly service: ServeUnderTest
  readonly browser: Browser
}

async function open(): Promise<Ends> {
  await using stack = new AsyncDisposableStack()
  const source = stack.use(await createDatabase(sharedServers().source))
  const target = stack.use(await createDatabase(sharedServers().target))
  await source.sql(SOURCE)
  await target.sql(TARGET)
  const service = stack.use(await new ServeUnderTest().start())
  await service.ask('POST', '/api/v1/datasources', { name: 'erp', url: source.url })
  await service.ask('POST', '/api/v1/datasources', { name: 'crm', url: target.url, writable: true })
  const browser = stack.use(await Browser.start(service.url))
  const held = stack.move()
  return { source, target, service, browser, [Symbol.asyncDispose]: () => held.disposeAsync() }
}

/** Chooses in a list of the kit: opens it, and takes the option. */
async function choose(page: Page, label: string | RegExp, option: string | RegExp): Promise<void> {
  await page.getByRole('combobox', { name: label }).or(page.getByRole('textbox', { name: label })).first().click()
  await page.getByRole('option', { name: option }).first().click()
}

async function drag(page: Page, from: string, to: string): Promise<void> {
  const [start, end] = [page.getByTitle(`${from}: drag to a column of the target`), page.getByTitle(`${to}: what is dragged here feeds it`)]
  await start.hover()
  await page.mouse.down()
  await end.hover()
  await page.mouse.up()
}

test('UX 8, 11, 29, 30: a config is made, its columns are mapped by lines and by the table, tried on rows, run dry and run', async () => {
  await using all = await open()
  const { browser, service, target } = all
  const page = await browser.signIn(service.key)
  page.setDefaultTimeout(8_000)
  await page.getByRole('link', { name: 'Sync configs' }).click()
  await page.getByText('Nothing is kept in step yet').waitFor()
  await browser.look(page, 'configs-empty')
  await page.getByRole('link', { name: 'New sync config' }).first().click()
  await choose(page, 'Source', /erp/)
  await choose(page, 'Target', /crm/)
  await page.getByLabel('Take kunden').waitFor()
  await browser.look(page, 'configs-new')
  await page.getByRole('button', { name: 'Make it, then look at a dry run' }).click()
  await page.getByRole('dialog', { name: 'Dry run: erp to crm' }).waitFor()
  await browser.look(page, 'configs-run-dialog')
  await page.getByRole('button', { name: 'Cancel' }).click()
  await browser.look(page, 'configs-overview-new')

  await page.getByRole('tab', { name: 'Mapping' }).click()
  await choose(page, 'Table', 'kunden')
  await page.getByTitle('Edit full_name').waitFor()
  await page.getByText('looked at value by value').or(page.getByText('lossless')).first().waitFor()
  await browser.look(page, 'configs-mapping-lines')
  await drag(page, 'notiz', 'note')
  await page.getByText('1 unsaved').waitFor()
  await page.getByTitle('Edit note').click()
  const drawer = page.getByRole('dialog', { name: 'note' })
  await drawer.getByText('value by value').waitFor()
  await drawer.getByRole('table', { name: 'note on live rows' }).getByText('note 1', { exact: true }).waitFor()
  await choose(page, 'Add a step', /truncate/)
  await drawer.getByLabel('length').fill('6')
  await choose(page, 'Add a rule', /required/)
  await drawer.getByRole('table', { name: 'note on live rows' }).getByText('note 1', { exact: true }).waitFor()
  await browser.look(page, 'configs-field')
  await page.keyboard.press('Escape')
  await page.getByText('Table', { exact: true }).last().click()
  await browser.look(page, 'configs-mapping-table')
  await page.getByRole('button', { name: 'Try it on live rows' }).click()
  await page.getByRole('table', { name: 'What the mapping makes of live rows' }).getByText('V1 N1', { exact: true }).waitFor()
  await browser.look(page, 'configs-preview')
  await page.getByRole('button', { name: 'Save' }).click()
  await page.getByText('version 2').first().waitFor()
  for (const tab of ['Overview', 'Tables', 'Conflicts', 'Deletes', 'Writing', 'Detection', 'Versions', 'YAML']) {
    await page.getByRole('tab', { name: tab }).click()
    await page.getByRole('tabpanel', { name: tab }).locator('*').nth(5).waitFor()
    await browser.look(page, `configs-tab-${tab.toLowerCase()}`)
  }
  browser.expectQuiet(REFUSED)
  expect(await target.sql('SELECT count(*) FROM customers')).toEqual([['0']])
})
