/** The whole way from the demo by its pages alone, as somebody goes it who has read nothing. */
import pg from 'pg'
import type { Page } from 'playwright-core'
import { expect, test } from 'vitest'

import { Browser, choose } from '#test/harness/browser.ts'
import { expectNoProgramSurvives, startProgram } from '#test/harness/process.ts'

expectNoProgramSurvives()

/** A run takes seconds, and longer on a machine that is busy with others. */
const RUN_MS = 180_000

const CRM = 'CREATE TABLE customers (id bigint PRIMARY KEY, full_name text, mail text, contact text)'

/** Runs a statement as whoever works on a database meanwhile; the rows as texts. */
async function sql(url: string, statement: string): Promise<readonly (readonly unknown[])[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query<unknown[]>({ text: statement, rowMode: 'array' })).rows
  } finally {
    await client.end()
  }
}

async function drag(page: Page, from: string, to: string): Promise<void> {
  await page.getByTitle(`${from}: drag to a column of the target`).hover()
  await page.mouse.down()
  await page.getByTitle(`${to}: what is dragged here feeds it`).hover()
  await page.mouse.up()
}

/** Runs the sync config that is shown, to its end. */
async function runIt(page: Page, ended: RegExp): Promise<void> {
  await page.getByRole('button', { name: 'Run sync' }).click()
  await page
    .getByRole('dialog', { name: /^Run sync/ })
    .getByRole('button', { name: 'Run sync' })
    .click()
  await page.getByText(ended).waitFor({ timeout: RUN_MS })
}

test('from the demo: two databases, a mapping by drag, a preview, a run, a conflict, its resolution, and all of it undone', async () => {
  await using demo = startProgram(['demo'])
  const [link = ''] = await demo.untilOutput(/http:\/\/\S+\/sign-in#\S+/)
  const [, source = ''] = await demo.untilOutput(/source {2}(postgres:\/\/\S+)/)
  const [, copy = ''] = await demo.untilOutput(/target {2}(postgres:\/\/\S+)/)
  const { origin, pathname, hash } = new URL(link)
  const crm = new URL(copy)
  crm.pathname = '/crm'
  await sql(copy, 'CREATE DATABASE crm')
  await sql(crm.href, CRM)

  await using browser = await Browser.start(origin)
  const page = await browser.open(`${pathname}${hash}`)
  await page.getByRole('region', { name: 'Recent jobs' }).getByText('shop to copy').first().waitFor()
  await browser.look(page, 'journey-start')

  // A second database to write to.
  await page.getByRole('link', { name: 'Datasources' }).click()
  await page.getByRole('link', { name: 'Add datasource' }).click()
  await page.getByLabel('Connection URL').fill(crm.href)
  await page.getByLabel('Connection URL').blur()
  await expect.poll(() => page.getByLabel('Database', { exact: true }).inputValue()).toBe('crm')
  await page.getByLabel('Syncs may write to it').click()
  await page.getByRole('button', { name: 'Test connection' }).click()
  await page.getByText(/^Connected/).waitFor()
  await page.getByLabel('Name').fill('crm')
  await page.getByRole('button', { name: 'Add datasource' }).click()
  await page.getByRole('heading', { name: 'crm', exact: true }).waitFor()

  // What flows where, drawn.
  await page.getByRole('link', { name: 'Sync configs' }).click()
  await page.getByRole('link', { name: 'New sync config' }).click()
  await choose(page, 'Source', /shop/)
  await choose(page, 'Target', /crm/)
  await page.getByLabel('Take customers').waitFor()
  await browser.look(page, 'journey-new')
  await page.getByRole('button', { name: 'Make it, then look at a dry run' }).click()
  await page.getByRole('button', { name: 'Cancel' }).click()
  await page.getByRole('tab', { name: 'Mapping' }).click()
  await page.getByTitle('contact: what is dragged here feeds it').waitFor()
  await drag(page, 'name', 'full_name')
  await drag(page, 'email', 'mail')
  await drag(page, 'phone', 'contact')
  await page.getByText('4 of 4 columns of the target are fed').waitFor()
  await browser.look(page, 'journey-mapping')
  await page.getByRole('button', { name: 'Try it on live rows' }).click()
  const live = page.getByRole('table', { name: 'What the mapping makes of live rows' })
  await live.getByText('customer1@example.org', { exact: true }).waitFor()
  await page.getByRole('tab', { name: 'Conflicts' }).click()
  await choose(page, 'A row that both sides changed', /^Manual/)
  await page.getByRole('tab', { name: 'Writing' }).click()
  await choose(page, 'What is kept of a run', /^Rows before and after/)
  await page.getByRole('button', { name: 'Save', exact: true }).click()
  await page.getByText('version 2', { exact: true }).waitFor()

  // Looked at before anything is written, then run.
  await page.getByRole('tab', { name: 'Overview' }).click()
  await page.getByRole('button', { name: 'Dry run' }).click()
  await page.getByRole('button', { name: 'Start dry run' }).click()
  const would = page.getByRole('table', { name: 'What a run would do' })
  await would.getByRole('row', { name: /customers 1,202 0 0/ }).waitFor({ timeout: RUN_MS })
  expect(await sql(crm.href, 'SELECT count(*) FROM customers')).toEqual([['0']])
  await runIt(page, /1,202 inserted/)
  const one = 'SELECT full_name, contact FROM customers WHERE id = 5'
  expect(await sql(crm.href, one)).toEqual([['Customer 5', '+49 30 100005']])

  // Both sides change the same row, and somebody decides.
  await sql(source, `UPDATE customers SET name = 'Ann Source' WHERE id = 5`)
  await sql(crm.href, `UPDATE customers SET full_name = 'Ann Target' WHERE id = 5`)
  await runIt(page, /1 in conflict/)
  await page.getByRole('link', { name: 'Conflicts', exact: true }).click()
  await page.getByRole('heading', { level: 2, name: 'customers id 5' }).waitFor()
  await browser.look(page, 'journey-conflict')
  await page.keyboard.press('a')
  await page.getByRole('button', { name: 'Carry out 1 decision' }).click()
  const carry = page.getByRole('dialog', { name: 'Carry out decisions' })
  await carry.getByRole('button', { name: 'Carry out 1 decision' }).click()
  await page.getByText('The run that carries out decisions has ended').waitFor({ timeout: RUN_MS })
  expect(await sql(crm.href, one)).toEqual([['Ann Source', '+49 30 100005']])

  // And that run is undone: the target has what it had before.
  await page.getByRole('link', { name: 'Jobs', exact: true }).click()
  await page.getByRole('table', { name: 'Jobs' }).getByRole('link').first().click()
  await page.getByRole('button', { name: 'Undo' }).click()
  await page
    .getByRole('dialog', { name: 'Undo what this job wrote' })
    .getByRole('button', { name: 'Compute the undo' })
    .click()
  await page.getByRole('button', { name: /^Approve 1 change/ }).click({ timeout: RUN_MS })
  await page
    .getByRole('dialog', { name: /^Approve/ })
    .getByRole('button', { name: /^Apply/ })
    .click()
  await page.getByText('Succeeded').first().waitFor({ timeout: RUN_MS })
  expect(await sql(crm.href, one)).toEqual([['Ann Target', '+49 30 100005']])
  await browser.look(page, 'journey-undone')
  browser.expectQuiet()
})
