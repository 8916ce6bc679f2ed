/** Demo data: from an empty installation to rows in a database, with one click and without a database of one's own. */
import { expect, test } from 'vitest'

import { Browser } from '#test/harness/browser.ts'
import { createDatabase } from '#test/harness/database.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { expectNoProgramSurvives } from '#test/harness/process.ts'
import { ServeUnderTest } from '#test/harness/serve.ts'

expectNoProgramSurvives()

/** A run takes seconds, and longer on a machine that is busy with others. */
const RUN_MS = 180_000

/** Whoever is not signed in is refused first, and browsers write every refusal down. */
const REFUSED = /status of 401/

test('UX 37, 15: one click gives databases to preview and run at once; they end with the service, come again, and go with one click', async () => {
  await using service = await new ServeUnderTest().start()
  await using browser = await Browser.start(service.url)
  const page = await browser.signIn(service.key)
  await page.getByRole('button', { name: 'Look around with demo data' }).waitFor()
  await browser.look(page, 'demo-dashboard')
  await page.setViewportSize({ width: 390, height: 800 })
  expect(await page.evaluate<number>('document.documentElement.scrollWidth')).toBe(390)
  await browser.look(page, 'demo-dashboard-phone')
  await page.setViewportSize({ width: 1280, height: 800 })
  for (const [link, empty] of [
    ['Datasources', 'No database is known yet'],
    ['Sync configs', 'Nothing is kept in step yet'],
  ] as const) {
    await page.getByRole('link', { name: link, exact: true }).click()
    await page.getByRole('heading', { name: empty }).waitFor()
    await page.getByRole('button', { name: 'Look around with demo data' }).waitFor()
    await browser.look(page, `demo-empty-${link.toLowerCase().replace(' ', '-')}`)
  }

  await page.getByRole('button', { name: 'Look around with demo data' }).click()
  await page.getByRole('heading', { name: 'demo shop to copy' }).waitFor({ timeout: RUN_MS })
  await browser.look(page, 'demo-config')
  await page.getByRole('button', { name: 'Dry run' }).click()
  await page.getByRole('button', { name: 'Start dry run' }).click()
  const would = page.getByRole('table', { name: 'What a run would do' })
  await would.getByRole('row', { name: /order_lines 9,000 0 0/ }).waitFor({ timeout: RUN_MS })
  await browser.look(page, 'demo-would')

  // The very statements that make the tables, before anything is made.
  await page.getByRole('link', { name: /statements make or alter tables of the target: see the SQL/ }).click()
  const ddl = page.getByRole('region', { name: 'Statements that change tables' })
  await ddl.getByText('CREATE TABLE "public"."customers"').waitFor()
  await browser.look(page, 'demo-ddl')
  await ddl.getByText('FOREIGN KEY ("order_id")').waitFor()
  const saved = page.waitForEvent('download')
  await ddl.getByRole('button', { name: 'Download' }).click()
  expect((await saved).suggestedFilename()).toMatch(/^job_\w+-tables\.sql$/)

  await page.getByRole('link', { name: 'Sync configs', exact: true }).click()
  await page.getByRole('link', { name: 'demo shop to copy' }).click()
  await page.getByRole('button', { name: 'Run sync' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Run sync' }).click()
  await page.getByText(/13,450 inserted/).waitFor({ timeout: RUN_MS })
  await page.getByRole('link', { name: 'Dashboard', exact: true }).click()
  await page.getByRole('region', { name: 'Sync configs' }).getByText('Succeeded').waitFor()
  await browser.look(page, 'demo-ran')

  // People edit both sides, and the next run brings them together.
  await page.getByRole('button', { name: 'Let a week go by' }).click()
  await page.getByText(/In the source, four products become dearer/).waitFor()
  await page.getByRole('link', { name: 'Open its sync config' }).click()
  await page.getByRole('button', { name: 'Dry run' }).click()
  await page.getByRole('button', { name: 'Start dry run' }).click()
  await would.getByRole('row', { name: /products 0 4 0/ }).waitFor({ timeout: RUN_MS })
  await would.getByRole('row', { name: /customers 2 3 0/ }).waitFor()
  await would.getByRole('row', { name: /orders 1 0 6/ }).waitFor()
  await browser.look(page, 'demo-week')

  // Its databases end with the service; what is registered of them waits.
  service.program.signal('SIGTERM')
  await service.program.exit
  await service.start()
  await page.goto(`${service.url}/datasources`)
  await page.getByText('The demo databases have ended with the service').waitFor()
  await browser.look(page, 'demo-ended')
  await page.getByRole('button', { name: 'Make them anew' }).click()
  await page.getByText('The databases of the demo are samples').waitFor({ timeout: RUN_MS })
  await page.getByRole('link', { name: 'Open its sync config' }).click()
  await page.getByRole('button', { name: 'Run sync' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Run sync' }).click()
  await page.getByText(/13,450 inserted/).waitFor({ timeout: RUN_MS })

  await page.getByRole('button', { name: 'Remove demo data' }).click()
  await page.getByRole('heading', { name: 'Connect two databases first' }).waitFor()
  await browser.look(page, 'demo-removed')
  await page.getByRole('link', { name: 'Datasources', exact: true }).click()
  await page.getByRole('heading', { name: 'No database is known yet' }).waitFor()
  expect((await service.ask('GET', '/api/v1/demo'))['state']).toBe('none')
  // The page of the sync config may ask for it once more while it is being removed.
  browser.expectQuiet(REFUSED, /ERR_CONNECTION_REFUSED/, /ERR_EMPTY_RESPONSE/, /status of 404/)
})

test('UX 37: whoever is no admin is offered none, and a service whose store others share says why it has none', async () => {
  await using store = await createDatabase(sharedServers().target)
  await using service = await new ServeUnderTest({ SYNCLINE_DATABASE_URL: store.url }).start()
  const { key } = await service.ask('POST', '/api/v1/keys', { name: 'operator', role: 'operator' })
  await using browser = await Browser.start(service.url)
  const page = await browser.signIn(service.key)
  await page
    .getByText('There is no demo data here. Services on several machines may share this control store')
    .waitFor()
  expect(await page.getByRole('button', { name: 'Look around with demo data' }).count()).toBe(0)
  await browser.look(page, 'demo-unavailable')
  await using others = await Browser.start(service.url)
  const seen = await others.signIn(String(key))
  await seen.getByRole('heading', { name: 'Connect two databases first' }).waitFor()
  expect(await seen.getByText('demo').count()).toBe(0)
  browser.expectQuiet(REFUSED)
})
