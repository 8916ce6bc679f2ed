/** Copies of databases and trials of dumps on the admin pages: planned first, followed live, told wholly, with the way back. */
import { writeFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import type { Page } from 'playwright-core'
import { expect, test } from 'vitest'

import { Browser, choose } from '#test/harness/browser.ts'
import { createDatabase, type Database } from '#test/harness/database.ts'
import { pgDump, withoutKey } from '#test/harness/import.ts'
import { Keyboard } from '#test/harness/keyboard.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { expectNoProgramSurvives } from '#test/harness/process.ts'
import { ServeUnderTest, type Answer } from '#test/harness/serve.ts'

expectNoProgramSurvives()

/** Whoever is not signed in is refused first, and browsers write every refusal down. */
const REFUSED = /status of 401/

/** How long one job may take on a machine that has much else to do. */
const ONE_JOB = { timeout: 180_000 } as const

/** What is restored into what must be no newer than it. */
const server = () => sharedServers().source

const SHOP = `
  CREATE SCHEMA sales;
  CREATE TABLE customer (id int PRIMARY KEY, email text UNIQUE, city text);
  CREATE TABLE sales.invoice (id int PRIMARY KEY, customer int REFERENCES customer, total int);
  CREATE VIEW sales.rich AS SELECT c.email, i.total FROM customer c JOIN sales.invoice i ON i.customer = c.id;
  CREATE TABLE log (id int PRIMARY KEY, line text);
  INSERT INTO customer SELECT i, 'c' || i || '@staging.example', 'Oslo' FROM generate_series(1, 300) i;
  INSERT INTO sales.invoice SELECT i, i, i FROM generate_series(1, 200) i;
  INSERT INTO log SELECT i, 'line ' || i FROM generate_series(1, 50) i; ANALYZE`

const OWN = `CREATE TABLE customer (id int PRIMARY KEY, old text);
  INSERT INTO customer SELECT i, 'old ' || i FROM generate_series(1, 20) i; CREATE TABLE mine (id int)`

const MASK_KEY = Buffer.alloc(32, 3).toString('base64')

interface Shops extends AsyncDisposable {
  readonly source: Database
  readonly target: Database
  readonly service: ServeUnderTest
}

/** `staging`, which is staging, and `copy`, writable, of the environment that is given. */
async function shops(environment: string, env: Readonly<Record<string, string>> = {}): Promise<Shops> {
  await using stack = new AsyncDisposableStack()
  const source = stack.use(await createDatabase(server()))
  const target = stack.use(await createDatabase(server()))
  await source.sql(SHOP)
  await target.sql(OWN)
  const service = stack.use(await new ServeUnderTest({ DUMP_FREE_BYTES: '0', MASK_KEY, ...env }).start())
  await service.ask('POST', '/api/v1/datasources', { name: 'staging', url: source.url, environment: 'staging' })
  await service.ask('POST', '/api/v1/datasources', { name: 'copy', url: target.url, writable: true, environment })
  const held = stack.move()
  return { source, target, service, [Symbol.asyncDispose]: () => held.disposeAsync() }
}

const planned = (page: Page) => page.getByText('Nothing is written yet, and nothing stands against it').waitFor(ONE_JOB)

test('SPEC 7, UX 9, 13: a database is copied without its mails by a plan and a typed name, and its backup brings all back', async () => {
  await using held = await shops('staging')
  const { target, service } = held
  const before = withoutKey(await pgDump(target, ['--no-owner']))
  await using browser = await Browser.start(service.url)
  const page = await browser.signIn(service.key)
  await page.getByRole('link', { name: 'Dumps', exact: true }).click()
  await page.getByRole('link', { name: 'Copy a database' }).click()
  await page.getByRole('heading', { name: 'Copy a database' }).waitFor()
  await choose(page, 'Source', /^staging/)
  await choose(page, 'Target', /^staging/)
  await page.getByText('A database is not copied into itself.').waitFor()
  expect(await page.getByRole('button', { name: 'Show the plan' }).isEnabled()).toBe(false)
  await choose(page, 'Target', /^copy/)
  await page.getByText('Protected against writes: its name has to be typed.').waitFor()
  await page.getByText('3 tables in 2 schemas').waitFor()
  await browser.look(page, 'copy')

  await page.getByRole('button', { name: 'Add a filter' }).click()
  await page.getByRole('combobox', { name: 'Table of filter 1' }).fill('sales.invoice')
  await page.keyboard.press('Escape')
  await page.getByLabel('Condition of filter 1').fill('total > 100')
  await page.getByRole('button', { name: 'Mask a column' }).click()
  const mask = page.getByRole('dialog', { name: 'Mask a column' })
  await mask.getByRole('combobox', { name: 'Table' }).fill('customer')
  await page.keyboard.press('Escape')
  await choose(page, 'Column', 'email')
  await choose(page, 'Add a step', /^mask_email/)
  await mask.getByLabel('to_domain').fill('local.example')
  await browser.look(page, 'copy-mask')
  await mask.getByRole('button', { name: 'Mask it' }).click()
  await page.getByRole('table', { name: 'Masked columns' }).getByText('mask_email').waitFor()
  await browser.look(page, 'copy-rules')
  await page.getByRole('button', { name: 'Show the plan' }).click()
  await page.getByText('Nothing is written, and it would be refused').waitFor(ONE_JOB)
  await page.getByText(/The login of .* is a superuser/).waitFor()
  await browser.look(page, 'copy-plan-refused')
  await page.getByRole('button', { name: 'Replace it, and plan again' }).click()
  await page.getByText('The copy would replace').waitFor({ state: 'detached', ...ONE_JOB })
  await page.getByRole('button', { name: 'Trust the source, and plan again' }).click(ONE_JOB)
  await planned(page)
  await page.getByText('with 1 filter and 1 masked column').waitFor()
  await page.getByText('copy is protected against writes').waitFor()
  await page.getByRole('table', { name: 'What would be replaced' }).getByText('public.customer').waitFor()
  await browser.look(page, 'copy-plan')
  // The form comes back as it was.
  await page.getByRole('button', { name: 'Change what is copied' }).click()
  expect(await page.getByLabel('Replace what is there already').isChecked()).toBe(true)
  expect(await page.getByLabel('Condition of filter 1').inputValue()).toBe('total > 100')
  await page.getByRole('table', { name: 'Masked columns' }).getByText('mask_email').waitFor()
  await page.getByRole('button', { name: 'Show the plan' }).click()
  await page.getByRole('button', { name: 'Copy into copy' }).click(ONE_JOB)
  const dialog = page.getByRole('dialog', { name: 'Copy into copy' })
  await dialog.getByText('1 thing that is there now is replaced').waitFor()
  expect(await dialog.getByRole('button', { name: 'Copy', exact: true }).isEnabled()).toBe(false)
  await dialog.getByLabel('Type copy to go on').fill('copy')
  await browser.look(page, 'copy-agree')
  await dialog.getByRole('button', { name: 'Copy', exact: true }).click()
  await page.getByText('450 rows of 3 tables are copied, all of it in one transaction').waitFor(ONE_JOB)
  await browser.look(page, 'copied')
  expect(await target.sql(`SELECT count(*), min(email) LIKE '%@local.example' FROM customer`)).toEqual([['300', 't']])
  expect(await target.sql('SELECT count(*) FROM sales.rich')).toEqual([['100']])

  await page.getByRole('link', { name: 'Jobs', exact: true }).click()
  await page.getByRole('link', { name: 'staging → copy' }).first().click()
  await page.getByText('450 rows of 3 tables are copied').waitFor()
  await browser.look(page, 'job-copy')
  // What the copy made needs what is brought back: one step all the same.
  await page.getByRole('button', { name: 'Restore the backup' }).click()
  const back = page.getByRole('dialog', { name: 'Restore the backup' })
  await back.getByLabel('Type copy to go on').fill('copy')
  await browser.look(page, 'copy-restore')
  await back.getByRole('button', { name: 'Restore the backup' }).click()
  await page.getByText('20 rows of 1 table are in').waitFor(ONE_JOB)
  await page.getByRole('table', { name: 'What was taken back' }).getByText('sales.invoice').waitFor()
  await browser.look(page, 'copy-restored')
  expect(withoutKey(await pgDump(target, ['--no-owner']))).toBe(before)
  browser.expectQuiet(REFUSED)
})

test('UX 18, 20, 21: a copy is followed live by table, over a reload, and a cancelled one leaves nothing', async () => {
  await using held = await shops('local')
  const { source, target, service } = held
  // The check of one row waits for a lock that the test holds in the target.
  await source.sql(`CREATE FUNCTION hold(id int) RETURNS boolean LANGUAGE plpgsql AS
      $$ BEGIN IF id = 20000 THEN PERFORM pg_advisory_xact_lock_shared(42); END IF; RETURN true; END $$;
    CREATE TABLE slow (id int PRIMARY KEY, line text);
    INSERT INTO slow SELECT i, repeat('x', 100) FROM generate_series(1, 20000) i;
    ALTER TABLE slow ADD CONSTRAINT held CHECK (public.hold(id)); ANALYZE`)
  const before = withoutKey(await pgDump(target, ['--no-owner']))
  await using holder = await target.connect()
  await holder.query('SELECT pg_advisory_lock(42)')
  await using browser = await Browser.start(service.url)
  const page = await browser.signIn(service.key)
  const begin = async (): Promise<void> => {
    await page.goto(`${service.url}/dumps/copy`)
    await choose(page, 'Source', /^staging/)
    await choose(page, 'Target', /^copy/)
    await page.getByLabel('Replace what is there already').click()
    await page.getByLabel('Trust the source').click()
    await page.getByRole('button', { name: 'Show the plan' }).click()
    await page.getByRole('button', { name: 'Copy into copy' }).click(ONE_JOB)
    await page.getByRole('dialog').getByRole('button', { name: 'Copy', exact: true }).click()
  }
  await begin()
  const tables = page.getByRole('table', { name: 'Progress by table' })
  await tables.getByRole('row', { name: /^customer .*Done/ }).waitFor(ONE_JOB)
  await tables.getByRole('row', { name: /^slow .*Rows/ }).waitFor()
  await page.reload()
  await tables.getByRole('row', { name: /^slow .*Rows/ }).waitFor()
  await browser.look(page, 'copying')
  await page.getByRole('button', { name: 'Cancel the job' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Cancel the job' }).click()
  await page.getByText('Cancelled').waitFor(ONE_JOB)
  expect(withoutKey(await pgDump(target, ['--no-owner']))).toBe(before)
  await begin()
  await tables.getByRole('row', { name: /^slow .*Rows/ }).waitFor(ONE_JOB)
  await holder.query('SELECT pg_advisory_unlock(42)')
  await page.getByText('20,550 rows of 4 tables are copied').waitFor(ONE_JOB)
  browser.expectQuiet(REFUSED)
})

test('P14: a dump is tried from its line; the list says what came of it, and why one does not work', async () => {
  await using held = await shops('local')
  const { service } = held
  const dumps: string[] = []
  for (const content of ['all', 'all'] as const) {
    const { job_id: job } = await service.ask('POST', '/api/v1/sync/export', {
      datasource: 'staging',
      content,
      compression: 'none',
    })
    await service.succeeded(String(job))
    const { receipt } = await service.ask('GET', `/api/v1/jobs/${String(job)}/receipt`)
    dumps.push(String(((receipt as Answer)['dump'] as Answer)['file']))
  }
  const damaged = join(service.folder, 'dumps', dumps[0] ?? '')
  writeFileSync(damaged, readFileSync(damaged, 'utf8').replace('line 7', 'line 8'))
  await using browser = await Browser.start(service.url)
  const page = await browser.signIn(service.key)
  const list = page.getByRole('table', { name: 'Dumps' })
  for (const [file = '', end] of [
    [dumps[1], 'It works: it was restored, and what was restored is what the dump says'],
    [dumps[0], 'It does not work'],
  ] as const) {
    await page.goto(`${service.url}/dumps`)
    await list.getByRole('button', { name: `Actions of ${file}` }).click()
    await page.getByRole('menuitem', { name: 'Try a restore' }).click()
    await page.getByRole('heading', { name: 'Try a restore' }).waitFor()
    await choose(page, 'On the server of', /^staging/)
    await page.getByText('Read-only: choose one that is writable').waitFor()
    await choose(page, 'On the server of', /^copy/)
    await page.getByLabel('Trust the file').click()
    if (end.startsWith('It works')) await browser.look(page, 'drill')
    await page.getByRole('button', { name: 'Try it' }).click()
    const dialog = page.getByRole('dialog', { name: 'Try a restore on the server of copy' })
    await dialog.getByText('It makes a database on the server of copy').waitFor()
    if (end.startsWith('It works')) await browser.look(page, 'drill-agree')
    await dialog.getByRole('button', { name: 'Try it' }).click()
    await page.getByText(end, { exact: true }).waitFor(ONE_JOB)
    await browser.look(page, end.startsWith('It works') ? 'drilled' : 'drilled-damaged')
  }
  await page.goto(`${service.url}/dumps`)
  await list.getByText('Works', { exact: true }).waitFor()
  const bad = list.getByText('Does not work', { exact: true })
  expect(await bad.getAttribute('title')).toMatch(/digest is another/)
  await browser.look(page, 'dumps-tried')
  await page.getByRole('link', { name: 'Jobs', exact: true }).click()
  await page.getByRole('link', { name: 'Trial of a dump on copy' }).last().click()
  await page.getByRole('table', { name: 'Rows that were compared' }).getByText('sales.invoice').waitFor()
  await browser.look(page, 'job-drill')
  browser.expectQuiet(REFUSED)
})

test('the list says on which server new exports are tried by themselves', async () => {
  await using held = await shops('local', { DUMP_DRILL_INTO: 'copy', DUMP_DRILL_TRUST: 'true' })
  const { service } = held
  await using browser = await Browser.start(service.url)
  const page = await browser.signIn(service.key)
  await page.goto(`${service.url}/dumps`)
  await page.getByText('The newest export of each database is tried by itself on the server of copy.').waitFor()
  await page.getByRole('link', { name: 'copy', exact: true }).waitFor()
  await browser.look(page, 'dumps-schedule')
  browser.expectQuiet(REFUSED)
})

test('SPEC 7: an import lets others read until its end where somebody wants that', async () => {
  await using held = await shops('local')
  const { target, service } = held
  const { job_id: job } = await service.ask('POST', '/api/v1/sync/export', { datasource: 'staging' })
  await service.succeeded(String(job))
  await using browser = await Browser.start(service.url)
  const page = await browser.signIn(service.key)
  await page.goto(`${service.url}/dumps`)
  await page.getByRole('button', { name: /^Actions of/ }).click()
  await page.getByRole('menuitem', { name: 'Import' }).click()
  await choose(page, 'Target', /^copy/)
  await page.getByLabel('Replace what is there already').click()
  await page.getByLabel('Let others read until the end').click()
  await page.getByLabel('Trust the file').click()
  await browser.look(page, 'dump-import-swap')
  await page.getByRole('button', { name: 'Show the plan' }).click()
  // `mine` is in the schema, and not in the dump.
  await page.getByText(/In the way: .*mine/).waitFor(ONE_JOB)
  await page.getByRole('button', { name: 'Let readers wait, and plan again' }).waitFor()
  await browser.look(page, 'dump-plan-unswappable')
  await target.sql('DROP TABLE mine')
  await page.getByRole('button', { name: 'Change what is imported' }).click()
  expect(await page.getByLabel('Let others read until the end').isChecked()).toBe(true)
  await page.getByRole('button', { name: 'Show the plan' }).click()
  await page.getByRole('button', { name: 'Import into copy' }).click(ONE_JOB)
  await page.getByRole('dialog').getByRole('button', { name: 'Import', exact: true }).click()
  await page.getByText('550 rows of 3 tables are in').waitFor(ONE_JOB)
  const [imported] = (await service.ask('GET', '/api/v1/jobs?kind=import&limit=1'))['items'] as Answer[]
  expect(imported).toMatchObject({ import: { swap: true } })
  browser.expectQuiet(REFUSED)
})

test('UX 39: a copy by keys alone', async () => {
  await using held = await shops('local')
  const { target, service } = held
  await target.sql('DROP TABLE customer')
  await using browser = await Browser.start(service.url)
  const page = await browser.signIn(service.key)
  const keys = new Keyboard(page)
  await keys.press('g', 'u')
  await page.getByRole('heading', { name: 'No database is dumped yet' }).waitFor()
  await keys.use(page.getByRole('link', { name: 'Copy a database' }))
  await page.getByRole('heading', { name: 'Copy a database' }).waitFor()
  await keys.choose(page.getByRole('combobox', { name: 'Source' }), 'staging')
  await keys.choose(page.getByRole('combobox', { name: 'Target' }), 'copy')
  await keys.goTo(page.getByLabel('Trust the source'))
  await page.keyboard.press('Space')
  await keys.use(page.getByRole('button', { name: 'Show the plan' }))
  await planned(page)
  await keys.use(page.getByRole('button', { name: 'Copy into copy' }))
  const dialog = page.getByRole('dialog', { name: 'Copy into copy' })
  await dialog.waitFor()
  await keys.use(dialog.getByRole('button', { name: 'Copy', exact: true }))
  await page.getByText('550 rows of 3 tables are copied').waitFor(ONE_JOB)
  expect(await target.sql('SELECT count(*) FROM customer')).toEqual([['300']])
  browser.expectQuiet(REFUSED)
})
