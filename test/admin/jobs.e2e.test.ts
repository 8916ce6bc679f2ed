/** Jobs on the admin pages: followed live, looked through and ticked out, approved, undone, mended and gone on with. */
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'

import { expect, test } from 'vitest'

import { Browser } from '#test/harness/browser.ts'
import { createDatabase } from '#test/harness/database.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { expectNoProgramSurvives } from '#test/harness/process.ts'
import { ServeUnderTest } from '#test/harness/serve.ts'

expectNoProgramSurvives()

const TABLES = `
  CREATE TABLE product (id int PRIMARY KEY, title text, price numeric(10,2), about text, data jsonb);
  CREATE TABLE audit_log (id int PRIMARY KEY, note text)`

const ABOUT = 'A lamp of brass with a shade of linen that throws a warm light over the whole table'

const ROWS = `${TABLES};
  INSERT INTO product SELECT i, 'product ' || i, i, '${ABOUT}', '{"colour": "green", "parts": 3}'
    FROM generate_series(1, 300) i;
  INSERT INTO audit_log SELECT i, 'note ' || i FROM generate_series(1, 10) i; ANALYZE`

const EDITS = `
  UPDATE product SET price = price + 0.5 WHERE id <= 60;
  UPDATE product SET title = ' a title with spaces ', about = replace('${ABOUT}', 'linen', 'silk'),
    data = '{"colour": "red", "parts": 3}' WHERE id = 3;
  UPDATE product SET title = NULL WHERE id = 4;
  UPDATE product SET title = '' WHERE id = 5;
  INSERT INTO product VALUES (301, 'a new one', 31, NULL, '{}');
  DELETE FROM product WHERE id = 300;
  UPDATE audit_log SET note = 'edited'`

test('UX 11, 17, 43: a dry run is looked through, ticked out, approved by the typed name, and undone', async () => {
  await using source = await createDatabase(sharedServers().source)
  await using target = await createDatabase(sharedServers().target)
  await source.sql(`${ROWS}; ${EDITS}`)
  await target.sql(ROWS)
  await using service = await new ServeUnderTest().start()
  await service.register({ source: source.url, target: target.url })
  await changeConfig(service, { audit_level: 'detailed' })
  await using browser = await Browser.start(service.url)
  const page = await browser.signIn(service.key)
  await page.getByRole('link', { name: 'Jobs', exact: true }).click()
  await page.getByRole('heading', { name: 'Nothing has run yet' }).waitFor()
  await browser.look(page, 'jobs-none')

  const planned = await service.run({ dry_run: true })
  await service.succeeded(planned)
  await page.getByRole('link', { name: 'shop copy' }).click()
  const summary = page.getByRole('table', { name: 'Changes by table' })
  await summary.getByRole('button', { name: 'price 60' }).waitFor()
  await browser.look(page, 'job-changes')
  await summary.getByRole('button', { name: 'title 3' }).click()
  const rows = page.getByRole('table', { name: 'Changes', exact: true })
  await expect.poll(() => rows.getByRole('row').count()).toBe(4)
  expect(new URL(page.url()).searchParams.get('column')).toBe('title')
  await browser.look(page, 'job-changes-filtered')
  await page.getByRole('button', { name: 'Clear the filters' }).click()
  await summary.getByRole('checkbox', { name: 'Apply the changes of audit_log' }).click()
  await summary.getByText('All left out').waitFor()
  await page.getByRole('textbox', { name: 'Key' }).fill('4')
  await expect.poll(() => rows.getByRole('row').count()).toBe(3)
  await rows.getByRole('checkbox', { name: 'Apply the update of id=4 in product' }).click()
  await summary.getByText('1 left out').waitFor()
  await page.getByRole('button', { name: 'Approve 61 changes' }).waitFor()

  const download = page.waitForEvent('download')
  await page.getByRole('button', { name: 'Download' }).click()
  await page.getByRole('menuitem', { name: 'CSV, a line for each cell' }).click()
  expect((await download).suggestedFilename()).toBe(`${planned}-changes.csv`)

  await service.ask('PUT', '/api/v1/datasources/copy', {
    name: 'copy',
    url: target.url,
    writable: true,
    environment: 'production',
  })
  await page.reload()
  await page.getByRole('button', { name: 'Approve 61 changes' }).click()
  const dialog = page.getByRole('dialog', { name: 'Approve 61 changes' })
  const apply = dialog.getByRole('button', { name: 'Apply 61 changes' })
  expect(await apply.isEnabled()).toBe(false)
  await browser.look(page, 'job-approve')
  await dialog.getByLabel('Type copy to go on').fill('copy')
  await apply.click()
  await page.getByRole('table', { name: 'Receipt by table' }).waitFor({ timeout: 60_000 })
  await browser.look(page, 'job-receipt')
  expect(await target.sql(`SELECT title FROM product WHERE id IN (3, 4) ORDER BY id`)).toEqual([
    [' a title with spaces '],
    ['product 4'],
  ])
  expect(await target.sql(`SELECT count(*) FROM audit_log WHERE note = 'edited'`)).toEqual([['0']])
  await page.getByRole('tab', { name: 'Audit' }).click()
  await page.getByText('job.start').waitFor()
  await browser.look(page, 'job-audit')

  await target.sql(`UPDATE product SET price = 77 WHERE id = 7`)
  await page.getByRole('button', { name: 'Undo' }).click()
  const undo = page.getByRole('dialog', { name: 'Undo what this job wrote' })
  await undo.getByLabel('Type copy to go on').fill('copy')
  await undo.getByRole('button', { name: 'Compute the undo' }).click()
  await page.getByText('It waits for somebody who approves its changes').waitFor({ timeout: 60_000 })
  await summary.getByRole('row').nth(1).waitFor()
  await browser.look(page, 'job-undo')
  await page.getByRole('button', { name: /^Approve \d+ changes$/ }).click()
  const approve = page.getByRole('dialog', { name: /^Approve/ })
  await approve.getByLabel('Type copy to go on').fill('copy')
  await approve.getByRole('button', { name: /^Apply/ }).click()
  await page.getByText('Succeeded').first().waitFor({ timeout: 60_000 })
  expect(await target.sql(`SELECT count(*) FROM product WHERE price <> id`)).toEqual([['1']])
  expect(await target.sql(`SELECT price FROM product WHERE id = 7`)).toEqual([['77.00']])
  await page.getByRole('link', { name: 'Jobs', exact: true }).click()
  await page.getByRole('table', { name: 'Jobs' }).getByText('Undo').waitFor()
  await browser.look(page, 'jobs')
  browser.expectQuiet()
})

/** Changes policies of the sync config that `register` made. */
async function changeConfig(service: ServeUnderTest, policies: object): Promise<void> {
  const config = await service.ask('GET', '/api/v1/sync-configs/shop%20copy')
  const { id, version: _version, created_at: _created, updated_at: _updated, ...document } = config
  await service.ask('PUT', `/api/v1/sync-configs/${String(id)}`, { ...document, ...policies })
}

test('UX 18 to 23: a load is followed live over a stop, a reload, and the end and return of the service', async () => {
  await using source = await createDatabase(sharedServers().source)
  await using target = await createDatabase(sharedServers().target)
  const tables = `CREATE TABLE a_small (id int PRIMARY KEY, note text); CREATE TABLE big (id int PRIMARY KEY, note text)`
  await source.sql(`${tables};
    INSERT INTO a_small SELECT i, 'note ' || i FROM generate_series(1, 2000) i;
    INSERT INTO big SELECT i, repeat('x', 200) FROM generate_series(1, 60000) i; ANALYZE`)
  await target.sql(tables)
  const port = String(await freePort())
  await using service = await new ServeUnderTest({ PORT: port }).start()
  await service.register({ source: source.url, target: target.url })
  await using browser = await Browser.start(service.url)
  const page = await browser.signIn(service.key)
  const lock = await target.connect()
  await lock.query('BEGIN; LOCK TABLE big IN SHARE MODE')
  const id = await service.run()
  await page.goto(`${service.url}/jobs/${id}`)
  const progress = page.getByRole('table', { name: 'Progress by table' })
  await progress.getByRole('row', { name: /a_small/ }).waitFor({ timeout: 60_000 })
  await progress.getByRole('row', { name: /big.*of about 60,000/ }).waitFor({ timeout: 60_000 })
  await browser.look(page, 'job-running')
  await page.getByRole('tab', { name: 'Log' }).click()
  await page.getByLabel('Search the log').fill('a_small')
  await page
    .getByRole('region', { name: 'Log' })
    .getByText(/a_small: /)
    .first()
    .waitFor()
  await browser.look(page, 'job-log')

  await page.getByRole('button', { name: 'Stop' }).click()
  await page.getByText('Stopped', { exact: true }).waitFor({ timeout: 120_000 })
  await page.getByText('it goes on from the last committed batch').waitFor()
  await browser.look(page, 'job-stopped')
  await page.getByRole('button', { name: 'Resume' }).click()
  await page.getByText('Running', { exact: true }).waitFor({ timeout: 60_000 })
  await page.reload()
  await page.getByRole('tab', { name: 'Progress' }).click()
  await progress.getByRole('row', { name: /big/ }).waitFor({ timeout: 60_000 })

  await service.program.kill()
  await page.getByText('The service does not answer.', { exact: false }).waitFor({ timeout: 60_000 })
  await browser.look(page, 'job-away')
  await service.start()
  await lock.query('COMMIT')
  await lock.end()
  await page.getByText('Succeeded', { exact: true }).waitFor({ timeout: 120_000 })
  await page.getByRole('tab', { name: 'Log' }).click()
  await page.getByLabel('Search the log').fill('')
  await page.getByText('Interrupted. It goes on from the checkpoint by itself.').waitFor()
  await page.getByText('Running again, resumed from the checkpoint.').last().waitFor()
  expect(await target.sql('SELECT count(*) FROM big')).toEqual([['60000']])
  browser.expectQuiet(/ERR_CONNECTION_REFUSED|ERR_INCOMPLETE|ERR_EMPTY_RESPONSE|ERR_CONNECTION_RESET|status of 503/)
})

test('UX 25: rejected rows are shown by cause, one is mended, and a replay writes it', async () => {
  await using source = await createDatabase(sharedServers().source)
  await using target = await createDatabase(sharedServers().target)
  await source.sql(`CREATE TABLE person (id int PRIMARY KEY, mail text);
    INSERT INTO person SELECT i, CASE WHEN i <= 3 THEN 'wrong' || i ELSE 'mail' || i END FROM generate_series(1, 40) i`)
  await target.sql(`CREATE TABLE person (id int PRIMARY KEY, mail text CHECK (mail NOT LIKE 'wrong%'))`)
  await using service = await new ServeUnderTest().start()
  await service.register({ source: source.url, target: target.url })
  const id = await service.run()
  await service.succeeded(id)
  await using browser = await Browser.start(service.url)
  const page = await browser.signIn(service.key)
  await page.goto(`${service.url}/jobs/${id}`)
  await page.getByRole('tab', { name: 'Rejections 3' }).click()
  const rows = page.getByRole('table', { name: 'Rejected rows' })
  await expect.poll(() => rows.getByRole('row').count()).toBe(4)
  await browser.look(page, 'job-rejections')
  await rows.getByRole('row').nth(1).click()
  const drawer = page.getByRole('dialog', { name: 'Rejected row' })
  await drawer.getByLabel('mail', { exact: true }).fill('mended@example.org')
  await browser.look(page, 'job-rejection')
  await drawer.getByRole('button', { name: 'Keep these values' }).click()
  await drawer.getByText('Edited').waitFor()
  await drawer.getByRole('button', { name: 'Replay this row' }).click()
  await page.getByRole('dialog', { name: 'Replay 1 row' }).getByRole('button', { name: 'Replay 1 row' }).click()
  await page.getByText('Replay of rejected rows', { exact: false }).waitFor()
  await page.getByText('Succeeded', { exact: true }).waitFor({ timeout: 60_000 })
  expect(await target.sql(`SELECT mail FROM person WHERE id < 4`)).toEqual([['mended@example.org']])
  await page.goto(`${service.url}/jobs?status=failed`)
  await page.getByText('No job is like that').waitFor()
  await page.getByRole('button', { name: 'Clear the filters' }).click()
  await expect.poll(() => page.getByRole('table', { name: 'Jobs' }).getByRole('row').count()).toBe(3)
  browser.expectQuiet()
})

test('UX 14, 22: rows that moved since are decided on, a brake names its number, and a viewer is offered nothing', async () => {
  await using source = await createDatabase(sharedServers().source)
  await using target = await createDatabase(sharedServers().target)
  await source.sql(
    `${ROWS}; UPDATE product SET title = 'ours ' || id WHERE id <= 3; DELETE FROM product WHERE id > 150`,
  )
  await target.sql(ROWS)
  await using service = await new ServeUnderTest().start()
  await service.register({ source: source.url, target: target.url })
  await changeConfig(service, { max_delete_percent: 10 })
  const planned = await service.run({ dry_run: true })
  await service.succeeded(planned)
  await target.sql(`UPDATE product SET title = 'theirs' WHERE id IN (1, 2)`)
  await using browser = await Browser.start(service.url)
  const page = await browser.signIn(service.key)
  await page.goto(`${service.url}/jobs/${planned}`)
  await page.getByText('The run would delete 150', { exact: false }).waitFor()
  await page.getByRole('button', { name: 'Approve 153 changes' }).click()
  const dialog = page.getByRole('dialog', { name: 'Approve 153 changes' })
  await dialog.getByText('You approve exactly 150 deletes.').waitFor()
  await dialog.getByLabel('Type copy to go on').fill('copy')
  await browser.look(page, 'job-brake')
  await dialog.getByRole('button', { name: 'Apply 153 changes' }).click()
  await page.getByText('Needs decisions').waitFor({ timeout: 60_000 })
  await page.getByRole('button', { name: 'Apply the change of id=1' }).waitFor({ timeout: 30_000 })
  await browser.look(page, 'job-moved')
  await page.getByRole('button', { name: 'Apply the change of id=1' }).click()
  await page.getByRole('button', { name: 'Leave the row id=2' }).click()
  await page.getByText('Succeeded', { exact: true }).waitFor({ timeout: 60_000 })
  expect(await target.sql(`SELECT title FROM product WHERE id <= 3 ORDER BY id`)).toEqual([
    ['ours 1'],
    ['theirs'],
    ['ours 3'],
  ])
  browser.expectQuiet()

  const again = await service.run({ dry_run: true })
  await service.succeeded(again)
  const viewer = await service.ask('POST', '/api/v1/keys', { name: 'looker', role: 'viewer' })
  await using other = await Browser.start(service.url)
  const seen = await other.signIn(String(viewer['key']))
  await seen.goto(`${service.url}/jobs/${again}?tab=changes`)
  await seen.getByText('values are for operators', { exact: false }).first().waitFor()
  expect(await seen.getByRole('button', { name: /Approve|Run again|Leave out|Download/ }).count()).toBe(0)
  other.expectQuiet()
})

test('a job leads to the conflicts that it found', async () => {
  await using source = await createDatabase(sharedServers().source)
  await using target = await createDatabase(sharedServers().target)
  await source.sql(ROWS)
  await target.sql(ROWS)
  await using service = await new ServeUnderTest().start()
  await service.register({ source: source.url, target: target.url })
  await changeConfig(service, { conflict_strategy: 'manual' })
  await service.succeeded(await service.run())
  await source.sql(`UPDATE product SET title = 'ours' WHERE id = 1`)
  await target.sql(`UPDATE product SET title = 'theirs' WHERE id = 1`)
  const id = await service.run()
  await service.succeeded(id)
  await using browser = await Browser.start(service.url)
  const page = await browser.signIn(service.key)
  await page.goto(`${service.url}/jobs/${id}`)
  await page.getByRole('tab', { name: 'Conflicts 1' }).click()
  await page.getByRole('table', { name: 'Conflicts by cause' }).getByText('1 open').waitFor()
  await browser.look(page, 'job-conflicts')
  await page.getByRole('link', { name: 'Decide on 1 conflict' }).click()
  await page.getByRole('heading', { name: 'Conflicts', exact: true }).waitFor()
  expect(new URL(page.url()).searchParams.get('job')).toBe(id)
  browser.expectQuiet()
})

/** A port that nobody listens on, so that a service comes back where it was. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** What a finger hits (WCAG 2.5.8 wants 24 px; what stops a job is larger). */
const FINGER_PX = 40

test('UX 47: on a phone what runs is seen, stopped, resumed and cancelled by touch', async () => {
  await using source = await createDatabase(sharedServers().source)
  await using target = await createDatabase(sharedServers().target)
  const table = 'CREATE TABLE big (id int PRIMARY KEY, note text)'
  await source.sql(`${table}; INSERT INTO big SELECT i, repeat('x', 200) FROM generate_series(1, 20000) i; ANALYZE`)
  await target.sql(table)
  await using service = await new ServeUnderTest().start()
  await service.register({ source: source.url, target: target.url })
  await using browser = await Browser.start(service.url, { width: 390, height: 844 }, true)
  const page = await browser.open('/sign-in')
  await page.getByLabel('API key').fill(service.key)
  await page.getByRole('button', { name: 'Sign in', exact: true }).tap()
  await page.getByRole('heading', { name: 'Dashboard' }).waitFor()
  const lock = await target.connect()
  await lock.query('BEGIN; LOCK TABLE big IN SHARE MODE')
  const id = await service.run()
  const fits = async (): Promise<void> =>
    expect(await page.evaluate<number>('document.documentElement.scrollWidth')).toBe(390)

  // From the dashboard to the job.
  const running = page.getByRole('region', { name: 'Running now' })
  await running.getByText('Running', { exact: true }).waitFor({ timeout: 60_000 })
  await fits()
  await browser.look(page, 'phone-dashboard')
  await running.getByRole('link').tap()
  const progress = page.getByRole('table', { name: 'Progress by table' })
  await progress.getByRole('row', { name: /big.*of about 20,000/ }).waitFor({ timeout: 60_000 })
  await fits()
  await browser.look(page, 'phone-job')

  const stop = page.getByRole('button', { name: 'Stop', exact: true })
  expect((await stop.boundingBox())?.height).toBeGreaterThanOrEqual(FINGER_PX)
  await stop.tap()
  await page.getByText('Stopped', { exact: true }).waitFor({ timeout: 120_000 })
  await browser.look(page, 'phone-stopped')
  await page.getByRole('button', { name: 'Resume' }).tap()
  await page.getByText('Running', { exact: true }).waitFor({ timeout: 60_000 })
  await page.getByRole('button', { name: 'Cancel the job' }).tap()
  const dialog = page.getByRole('dialog', { name: 'Cancel the job' })
  const cancel = dialog.getByRole('button', { name: 'Cancel the job' })
  await browser.look(page, 'phone-cancel')
  await fits()
  expect((await cancel.boundingBox())?.height).toBeGreaterThanOrEqual(FINGER_PX)
  await cancel.tap()
  await page.getByText('Cancelled', { exact: true }).waitFor({ timeout: 120_000 })
  await lock.end()

  // And the list of jobs, by the navigation.
  await page.getByRole('button', { name: 'Navigation' }).tap()
  await page.getByRole('link', { name: 'Jobs', exact: true }).tap()
  await page.getByRole('table', { name: 'Jobs' }).getByText('Cancelled').waitFor()
  await fits()
  await browser.look(page, 'phone-jobs')
  expect(await service.until(id, ['cancelled'])).toMatchObject({ status: 'cancelled' })
  browser.expectQuiet()
})

test('UX 40: of many thousand changes only those in sight are drawn, and one is told from all others', async () => {
  await using source = await createDatabase(sharedServers().source)
  await using target = await createDatabase(sharedServers().target)
  const table = 'CREATE TABLE item (id int PRIMARY KEY, name text)'
  await source.sql(`${table}; INSERT INTO item SELECT i, 'name ' || i FROM generate_series(1, 100000) i`)
  await target.sql(`${table}; INSERT INTO item SELECT i, 'old ' || i FROM generate_series(1, 100000, 2) i`)
  await using service = await new ServeUnderTest().start()
  await service.register({ source: source.url, target: target.url })
  const planned = await service.run({ dry_run: true })
  await service.succeeded(planned)
  await using browser = await Browser.start(service.url)
  const page = await browser.signIn(service.key)
  await page.goto(`${service.url}/jobs/${planned}?tab=changes`)
  const rows = page.getByRole('table', { name: 'Changes', exact: true }).getByRole('row')
  await page.getByText('the first 50', { exact: true }).waitFor()
  for (const loaded of ['1,050', '2,050', '3,050']) {
    await page.getByRole('button', { name: 'Show more' }).click()
    await page.getByText(`the first ${loaded}`, { exact: true }).waitFor()
    expect(await rows.count()).toBeLessThan(200)
  }
  await page.keyboard.press('End')
  const last = page.locator('tr[aria-rowindex="3051"]').getByRole('checkbox')
  await last.click()
  await page.getByRole('button', { name: 'Approve 99,999 changes' }).waitFor()
  // What is loaded stays loaded, and is as it was said.
  await page.getByText('the first 3,050', { exact: true }).waitFor()
  await expect.poll(() => last.isChecked()).toBe(false)
  await page.getByRole('textbox', { name: 'Key' }).fill('100000')
  await page.getByRole('row', { name: /id=100000/ }).waitFor()
  await browser.look(page, 'job-changes-many')
  browser.expectQuiet()
})
