/** The page that is looked at first, and the ways that lead to all others. */
import { expect, test } from 'vitest'

import { Browser } from '#test/harness/browser.ts'
import { createDatabase } from '#test/harness/database.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { expectNoProgramSurvives } from '#test/harness/process.ts'
import { ServeUnderTest } from '#test/harness/serve.ts'

expectNoProgramSurvives()

/** Whoever is not signed in is refused first, and browsers write every refusal down. */
const REFUSED = /status of 401/

test('S1.39, S1.40, S3.63: what runs, what needs a person, how fresh each target is, and what was written', async () => {
  const servers = sharedServers()
  await using source = await createDatabase(servers.source)
  await using target = await createDatabase(servers.target)
  for (const database of [source, target]) await database.sql('CREATE TABLE goods (id int PRIMARY KEY, name text)')
  await source.sql(`INSERT INTO goods SELECT n, 'thing ' || n FROM generate_series(1, 1234) n`)
  await using service = await new ServeUnderTest().start()
  await using browser = await Browser.start(service.url)
  const page = await browser.signIn(service.key)
  await page.getByRole('heading', { name: 'Connect two databases first' }).waitFor()
  await browser.look(page, 'dashboard-first')

  await service.register({ source: source.url, target: target.url })
  const id = String((await service.ask('GET', '/api/v1/sync-configs/shop%20copy'))['id'])
  const config = await service.ask('GET', `/api/v1/sync-configs/${id}`)
  const { id: _, version: _version, created_at: _created, updated_at: _updated, ...document } = config
  await service.ask('PUT', `/api/v1/sync-configs/${id}`, { ...document, commit_mode: 'approval' })
  const job = await service.run()
  await service.until(job, ['awaiting_approval'])
  await page.reload()
  const needs = page.getByRole('region', { name: 'Needs a person' })
  await needs.getByText('Approve').waitFor()
  await page.getByText('Nothing runs, 1 thing needs a person.').waitFor()
  await browser.look(page, 'dashboard-needs')
  await needs.getByRole('link', { name: 'shop copy' }).click()
  await page.waitForURL(`**/jobs/${job}**`)

  await service.ask('POST', `/api/v1/jobs/${job}/approve`, {})
  await service.succeeded(job)
  await page.goto(service.url)
  await page.getByText('Nothing runs, nothing needs a person.').waitFor()
  await page.getByRole('region', { name: 'Last 14 days' }).getByText('1,234', { exact: true }).waitFor()
  await page.getByRole('region', { name: 'Recent jobs' }).getByText('Succeeded').waitFor()
  await page.getByRole('region', { name: 'Sync configs' }).getByText('Succeeded').waitFor()
  await browser.look(page, 'dashboard')
  await page.setViewportSize({ width: 390, height: 800 })
  await browser.look(page, 'dashboard-phone')
  await page.setViewportSize({ width: 1280, height: 800 })

  // By a few letters of its name, and by its id.
  await page.keyboard.press('Control+k')
  await page.getByPlaceholder('Search or go to').fill('shop co')
  await page.getByRole('button', { name: 'shop copy' }).waitFor()
  await page.keyboard.press('Enter')
  await page.waitForURL(`**/sync-configs/${id}**`)
  await page.keyboard.press('Control+k')
  await page.getByPlaceholder('Search or go to').fill(job)
  await page.getByText('Open this job').waitFor()
  await page.keyboard.press('Enter')
  await page.waitForURL(`**/jobs/${job}**`)
  browser.expectQuiet(REFUSED)
})

test('SPEC 9: addresses that others know lead to the pages that they mean', async () => {
  await using service = await new ServeUnderTest().start()
  await using browser = await Browser.start(service.url)
  const page = await browser.signIn(service.key)
  const job = `job_${'0'.repeat(26)}`
  const leads: readonly (readonly [string, string])[] = [
    ['/sync/dashboard', '/'],
    ['/sync/terra_fusion', '/'],
    ['/sync/terra_fusion/dashboard', '/'],
    ['/dashboard/database', '/'],
    ['/sync/jobs', '/jobs'],
    ['/sync/conflicts', '/conflicts'],
    [`/sync/job/${job}`, `/jobs/${job}`],
    [`/sync/terra_fusion/job/${job}`, `/jobs/${job}`],
    [`/sync/terra_fusion/conflicts/${job}`, `/conflicts?job=${job}`],
  ]
  for (const [from, to] of leads) {
    await page.goto(`${service.url}${from}`)
    await page.waitForURL(({ pathname, search }) => `${pathname}${search}`.startsWith(to) && pathname !== from)
    expect(page.url().startsWith(`${service.url}${to}`), from).toBe(true)
  }
  // There is no such job: the page says so, and the browser writes the refusal down.
  browser.expectQuiet(REFUSED, /status of 404/)
})
