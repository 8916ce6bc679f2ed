/** Dumps on the admin pages: a database becomes a file and another database, what stands against it is told first, and the way back is one step. */
import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import type { Page } from 'playwright-core'
import { expect, test } from 'vitest'

import { Browser, choose } from '#test/harness/browser.ts'
import { createDatabase, type Database } from '#test/harness/database.ts'
import { isWhole, unpack } from '#test/harness/dump.ts'
import { pgDump, withoutKey } from '#test/harness/import.ts'
import { Keyboard } from '#test/harness/keyboard.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { expectNoProgramSurvives } from '#test/harness/process.ts'
import { ServeUnderTest, type Answer } from '#test/harness/serve.ts'

expectNoProgramSurvives()

/** Whoever is not signed in is refused first, and browsers write every refusal down. */
const REFUSED = /status of 401/

const SHOP = `
  CREATE SCHEMA sales;
  CREATE TYPE mood AS ENUM ('sad', 'glad');
  CREATE TABLE customer (id int PRIMARY KEY, name text NOT NULL, feels mood);
  CREATE TABLE sales.invoice (id int PRIMARY KEY, customer int REFERENCES customer, total numeric(12,2));
  CREATE TABLE log (id int PRIMARY KEY, line text);
  CREATE VIEW sales.rich AS SELECT * FROM sales.invoice WHERE total > 100;
  CREATE INDEX ON sales.invoice (total);
  INSERT INTO customer SELECT i, 'customer ' || i, 'glad' FROM generate_series(1, 300) i;
  INSERT INTO sales.invoice SELECT i, i, i FROM generate_series(1, 200) i;
  INSERT INTO log SELECT i, 'line ' || i FROM generate_series(1, 50) i; ANALYZE`

/** How long one job may take on a machine that has much else to do. */
const ONE_JOB = { timeout: 180_000 } as const

const COUNTS = `SELECT (SELECT count(*) FROM customer), (SELECT count(*) FROM sales.invoice), (SELECT count(*) FROM log),
  (SELECT count(*) FROM sales.rich)`

/** What is restored into what must be no newer than it. */
const server = () => sharedServers().source

/** A database of a login that owns it and may do no more than that. */
async function ownedDatabase(): Promise<{ readonly db: Database; readonly url: string } & AsyncDisposable> {
  const db = await createDatabase(server())
  const role = `owner_${db.name}`
  await db.sql(
    `CREATE ROLE ${role} LOGIN; ALTER DATABASE ${db.name} OWNER TO ${role}; GRANT ALL ON SCHEMA public TO ${role}`,
  )
  const url = new URL(db.url)
  url.username = role
  return {
    db,
    url: url.href,
    [Symbol.asyncDispose]: async () => {
      await db[Symbol.asyncDispose]()
      await using other = await createDatabase(server())
      await other.sql(`DROP ROLE ${role}`)
    },
  }
}

async function exported(service: ServeUnderTest, body: object): Promise<string> {
  const { job_id: job } = await service.ask('POST', '/api/v1/sync/export', body)
  await service.succeeded(String(job))
  const { receipt } = await service.ask('GET', `/api/v1/jobs/${String(job)}/receipt`)
  return String(((receipt as Answer)['dump'] as Answer)['id'])
}

async function openImport(page: Page, service: ServeUnderTest, dump: string, target: string): Promise<void> {
  await page.goto(`${service.url}/dumps/import?dump=${dump}`)
  await page.getByRole('heading', { name: 'Import a dump' }).waitFor()
  await choose(page, 'Target', new RegExp(`^${target}`))
}

test('SPEC 7, UX 43: a database becomes a file, which is taken along, and another database by a plan and a typed name', async () => {
  await using source = await createDatabase(server())
  await using target = await createDatabase(server())
  await source.sql(SHOP)
  await using service = await new ServeUnderTest({ DUMP_FREE_BYTES: '0' }).start()
  await service.ask('POST', '/api/v1/datasources', { name: 'shop', url: source.url })
  await service.ask('POST', '/api/v1/datasources', {
    name: 'copy',
    url: target.url,
    writable: true,
    environment: 'staging',
  })
  await using browser = await Browser.start(service.url)
  const page = await browser.signIn(service.key)
  await page.getByRole('link', { name: 'Dumps', exact: true }).click()
  await page.getByRole('heading', { name: 'No database is dumped yet' }).waitFor()
  await browser.look(page, 'dumps-empty')

  await page.getByRole('link', { name: 'Export a database' }).click()
  await choose(page, 'Database', 'shop')
  await page.getByText('3 tables in 2 schemas').waitFor()
  await page.getByText('Some tables').click()
  await page
    .getByRole('textbox', { name: 'Tables' })
    .or(page.getByRole('combobox', { name: 'Tables' }))
    .first()
    .click()
  await page.getByRole('option', { name: 'sales.invoice' }).click()
  await page.keyboard.type('cust*')
  await page.keyboard.press('Enter')
  await browser.look(page, 'dump-export-some')
  await page.getByText('All of it').click()
  await page.getByRole('button', { name: 'Copy as' }).click()
  await page.getByRole('menuitem', { name: 'command line' }).waitFor()
  await page.keyboard.press('Escape')
  await browser.look(page, 'dump-export')
  await page.getByRole('button', { name: 'Export', exact: true }).click()
  await page.getByText('550 rows of 3 tables are in the file, which is whole').waitFor(ONE_JOB)
  await browser.look(page, 'dump-exported')

  const download = page.waitForEvent('download')
  await page.getByRole('link', { name: /^Download/ }).click()
  const packed = readFileSync(await (await download).path())
  expect((await download).suggestedFilename()).toMatch(/^syncline_test_[\w-]+_all_\w{8}\.sql\.zst$/)
  expect(isWhole(unpack(packed, 'zstd'))).toBe(true)
  await page.getByRole('link', { name: 'Open the dump' }).click()
  await page.getByText(createHash('sha256').update(packed).digest('hex')).waitFor()
  await browser.look(page, 'dump')

  await page.getByRole('link', { name: 'Import', exact: true }).click()
  await choose(page, 'Target', /^copy/)
  await browser.look(page, 'dump-import')
  await page.getByRole('button', { name: 'Show the plan' }).click()
  await page.getByText('Nothing is written, and it would be refused').waitFor(ONE_JOB)
  await page.getByText(/The login of .* is a superuser/).waitFor()
  await browser.look(page, 'dump-plan-superuser')
  expect(await target.sql(`SELECT count(*) FROM pg_class WHERE relname = 'customer'`)).toEqual([['0']])
  await page.getByRole('button', { name: 'Trust the file, and plan again' }).click()
  await page.getByText('Nothing is written yet, and nothing stands against it').waitFor(ONE_JOB)
  await page.getByText('Nothing: none of it is there yet.').waitFor()
  await browser.look(page, 'dump-plan')
  await page.getByRole('button', { name: 'Import into copy' }).click()
  const dialog = page.getByRole('dialog', { name: 'Import into copy' })
  expect(await dialog.getByRole('button', { name: 'Import', exact: true }).isEnabled()).toBe(false)
  await dialog.getByLabel('Type copy to go on').fill('copy')
  await browser.look(page, 'dump-agree')
  await dialog.getByRole('button', { name: 'Import', exact: true }).click()
  await page.getByText('550 rows of 3 tables are in, all of it in one transaction').waitFor(ONE_JOB)
  await browser.look(page, 'dump-imported')
  expect(await target.sql(COUNTS)).toEqual(await source.sql(COUNTS))
  expect(await target.sql(`SELECT feels FROM customer WHERE id = 7`)).toEqual([['glad']])

  await page.getByRole('link', { name: 'Jobs', exact: true }).click()
  await page.getByRole('link', { name: 'Import into copy' }).first().click()
  await page.getByText('550 rows of 3 tables are in').waitFor()
  await browser.look(page, 'job-import')
  await page.getByRole('tab', { name: 'Log' }).click()
  await page.getByText(/committed as transaction/).waitFor()
  await page.getByRole('link', { name: 'Jobs', exact: true }).click()
  await page.getByRole('link', { name: 'Export of shop' }).click()
  await page.getByText('550 rows of 3 tables are in the file').waitFor()
  await page.getByRole('tab', { name: 'Progress' }).click()
  await page.getByRole('table', { name: 'Progress by table' }).getByText('sales.invoice').waitFor()
  await browser.look(page, 'job-export')
  await page.getByRole('tab', { name: 'Audit' }).click()
  await page.getByText('dump.create').waitFor()
  browser.expectQuiet(REFUSED)
})

test('UX 13: what would be replaced is listed with what needs it, kept first, and brought back in one step', async () => {
  await using source = await createDatabase(server())
  await using target = await ownedDatabase()
  await source.sql(SHOP)
  await target.db.sql(`SET ROLE owner_${target.db.name}; CREATE TABLE customer (id int PRIMARY KEY, old text);
    INSERT INTO customer SELECT i, 'old ' || i FROM generate_series(1, 20) i;
    CREATE VIEW who AS SELECT old FROM customer; RESET ROLE`)
  const before = await pgDump(target.db, [])
  await using service = await new ServeUnderTest({ DUMP_FREE_BYTES: '0' }).start()
  await service.ask('POST', '/api/v1/datasources', { name: 'shop', url: source.url })
  await service.ask('POST', '/api/v1/datasources', { name: 'copy', url: target.url })
  const dump = await exported(service, { datasource: 'shop', tables: ['customer', 'log'] })
  await using browser = await Browser.start(service.url)
  const page = await browser.signIn(service.key)
  await openImport(page, service, dump, 'copy')
  await page.getByRole('button', { name: 'Show the plan' }).click()
  await page.getByText('Nothing is written, and it would be refused').waitFor(ONE_JOB)
  await page.getByText('copy is read-only: nothing is written to it yet').waitFor()
  await page.getByRole('table', { name: 'What would be replaced' }).getByText('public.customer').waitFor()
  await page.getByRole('region', { name: 'What needs what would be replaced' }).getByText(/who/).waitFor()
  await browser.look(page, 'dump-plan-refused')
  await target.db.sql('DROP VIEW who')
  await service.ask('PUT', '/api/v1/datasources/copy', { name: 'copy', url: target.url, writable: true })
  await page.getByRole('button', { name: 'Replace it, and plan again' }).click()
  await page.getByText('Nothing is written yet, and nothing stands against it').waitFor(ONE_JOB)
  await page.reload()
  await page.getByText('1 table.', { exact: true }).waitFor()
  await browser.look(page, 'dump-plan-replace')
  await page.getByRole('button', { name: 'Change what is imported' }).click()
  expect(await page.getByLabel('Replace what is there already').isChecked()).toBe(true)
  await page.getByRole('button', { name: 'Show the plan' }).click()
  await page.getByRole('button', { name: 'Import into copy' }).click(ONE_JOB)
  const dialog = page.getByRole('dialog', { name: 'Import into copy' })
  await dialog.getByText('1 thing that is there now is replaced').waitFor()
  await dialog.getByText('A backup of it is kept first').waitFor()
  await dialog.getByRole('button', { name: 'Import', exact: true }).click()
  await page.getByText('350 rows of 2 tables are in').waitFor(ONE_JOB)
  await browser.look(page, 'dump-imported-backup')
  expect(await target.db.sql('SELECT count(*), max(name) FROM customer')).toEqual([['300', 'customer 99']])

  await page.getByRole('button', { name: 'Restore the backup' }).click()
  const back = page.getByRole('dialog', { name: 'Restore the backup' })
  await browser.look(page, 'dump-restore')
  await back.getByRole('button', { name: 'Restore the backup' }).click()
  await page.getByText('20 rows of 1 table are in').waitFor(ONE_JOB)
  expect(await target.db.sql('SELECT count(*), max(old) FROM customer')).toEqual([['20', 'old 9']])
  // What the import had made besides is gone with it.
  await page.getByRole('table', { name: 'What was taken back' }).getByText('public.log').waitFor()
  await target.db.sql(`SET ROLE owner_${target.db.name}; CREATE VIEW who AS SELECT old FROM customer`)
  expect(withoutKey(await pgDump(target.db, []))).toBe(withoutKey(before))
  await page.getByRole('link', { name: 'Dumps', exact: true }).click()
  const list = page.getByRole('table', { name: 'Dumps' })
  await expect.poll(() => list.getByText('Backup', { exact: true }).count()).toBe(2)
  browser.expectQuiet(REFUSED)
})

test('SPEC 7: a file is brought with its progress, is what its first bytes say, and one that is no dump says so in its plan', async () => {
  await using target = await ownedDatabase()
  await using source = await createDatabase(server())
  await source.sql(SHOP)
  await using service = await new ServeUnderTest({ DUMP_FREE_BYTES: '0' }).start()
  await service.ask('POST', '/api/v1/datasources', { name: 'copy', url: target.url, writable: true })
  await using browser = await Browser.start(service.url)
  const page = await browser.signIn(service.key)
  const [ours, noise] = [join(service.folder, 'shop.sql'), join(service.folder, 'noise.bin')]
  writeFileSync(ours, await pgDump(source, ['--no-owner']))
  writeFileSync(noise, Buffer.concat([Buffer.from('PGDMP'), Buffer.alloc(100_000, 7)]))
  // The list is known to be empty only when the dialog is open: it stays.
  const listed = Promise.withResolvers<undefined>()
  await page.route('**/api/v1/dumps?*', async (route) => {
    await listed.promise
    await route.continue()
  })
  await page.goto(`${service.url}/dumps`)
  await page.getByRole('button', { name: 'Upload a file' }).click()
  const dialog = page.getByRole('dialog', { name: 'Upload a file' })
  await dialog.waitFor()
  listed.resolve(undefined)
  await page.getByText('No database is dumped yet').waitFor()
  await browser.look(page, 'dump-upload')
  const gate = Promise.withResolvers<undefined>()
  await page.route('**/api/v1/dumps', async (route) => {
    await gate.promise
    // The page has given it up by then.
    await route.abort().catch(() => undefined)
  })
  await dialog.locator('input[type=file]').setInputFiles(noise)
  await dialog.getByText('noise.bin', { exact: true }).waitFor()
  await browser.look(page, 'dump-uploading')
  await dialog.getByRole('button', { name: 'Cancel the upload' }).click()
  await dialog.getByText('The upload was cancelled.').waitFor()
  gate.resolve(undefined)
  await page.unroute('**/api/v1/dumps')
  await dialog.locator('input[type=file]').setInputFiles(noise)
  await page.getByRole('heading', { name: 'Unknown database' }).waitFor()
  await browser.look(page, 'dump-uploaded')
  await page.getByRole('link', { name: 'Import', exact: true }).click()
  await choose(page, 'Target', 'copy')
  await page.getByRole('button', { name: 'Show the plan' }).click()
  await page.getByText('not_a_dump').waitFor(ONE_JOB)
  await browser.look(page, 'dump-plan-failed')

  // In the wizard itself: a file of pg_dump.
  await page.getByRole('button', { name: 'Change what is imported' }).click()
  await page.locator('input[type=file]').setInputFiles(ours)
  await expect.poll(() => page.getByRole('button', { name: 'Show the plan' }).isEnabled()).toBe(true)
  await expect.poll(async () => (await service.ask('GET', '/api/v1/dumps'))['items']).toHaveLength(2)
  await page.getByRole('button', { name: 'Show the plan' }).click()
  await page.getByRole('button', { name: 'Import into copy' }).click(ONE_JOB)
  await page.getByRole('dialog').getByRole('button', { name: 'Import', exact: true }).click()
  await page.getByText('550 rows of 3 tables are in').waitFor(ONE_JOB)
  expect(await target.db.sql(COUNTS)).toEqual(await source.sql(COUNTS))
  browser.expectQuiet(REFUSED)
})

test('UX 18, 20, 21: an import is followed live by table, over a reload, and a cancelled one leaves nothing', async () => {
  await using source = await createDatabase(server())
  await using target = await ownedDatabase()
  // The check of one row waits for a lock that the test holds in the target.
  await source.sql(`
    CREATE FUNCTION hold(id int) RETURNS boolean LANGUAGE plpgsql AS
      $$ BEGIN IF id = 20000 THEN PERFORM pg_advisory_xact_lock_shared(42); END IF; RETURN true; END $$;
    CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a SELECT generate_series(1, 1000);
    CREATE TABLE b (id int PRIMARY KEY, line text, CONSTRAINT held CHECK (public.hold(id)));
    INSERT INTO b SELECT i, repeat('x', 100) FROM generate_series(1, 19999) i; CREATE TABLE c (id int); ANALYZE`)
  await source.sql(`ALTER TABLE b DROP CONSTRAINT held; INSERT INTO b VALUES (20000, 'held');
    ALTER TABLE b ADD CONSTRAINT held CHECK (public.hold(id))`)
  await using service = await new ServeUnderTest({ DUMP_FREE_BYTES: '0' }).start()
  await service.ask('POST', '/api/v1/datasources', { name: 'shop', url: source.url })
  await service.ask('POST', '/api/v1/datasources', { name: 'copy', url: target.url, writable: true })
  const dump = await exported(service, { datasource: 'shop' })
  await using holder = await target.db.connect()
  await holder.query('SELECT pg_advisory_lock(42)')
  await using browser = await Browser.start(service.url)
  const page = await browser.signIn(service.key)
  const begin = async (): Promise<void> => {
    await openImport(page, service, dump, 'copy')
    await page.getByRole('button', { name: 'Show the plan' }).click()
    await page.getByRole('button', { name: 'Import into copy' }).click(ONE_JOB)
    await page.getByRole('dialog').getByRole('button', { name: 'Import', exact: true }).click()
  }
  await begin()
  const tables = page.getByRole('table', { name: 'Progress by table' })
  await tables.getByRole('row', { name: /^a .*Done/ }).waitFor(ONE_JOB)
  await tables.getByRole('row', { name: /^b .*Rows/ }).waitFor()
  await page.reload()
  await tables.getByRole('row', { name: /^b .*Rows/ }).waitFor()
  await browser.look(page, 'dump-importing')
  await page.getByRole('button', { name: 'Cancel the job' }).click()
  await page.getByRole('dialog').getByText('What it had begun is taken back.').waitFor()
  await page.getByRole('dialog').getByRole('button', { name: 'Cancel the job' }).click()
  await page.getByText('Cancelled').waitFor(ONE_JOB)
  expect(await target.db.sql(`SELECT count(*) FROM pg_class WHERE relname IN ('a', 'b', 'c')`)).toEqual([['0']])
  await begin()
  await tables.getByRole('row', { name: /^b .*Rows/ }).waitFor(ONE_JOB)
  await holder.query('SELECT pg_advisory_unlock(42)')
  await page.getByText('21,000 rows of 3 tables are in').waitFor(ONE_JOB)
  expect(await target.db.sql('SELECT count(*) FROM b')).toEqual([['20000']])
  browser.expectQuiet(REFUSED)
})

test('UX 27, S9: dumps are found by filters in the address, deleted after a question, and a viewer only looks', async () => {
  await using source = await createDatabase(server())
  await source.sql(SHOP)
  await using service = await new ServeUnderTest({ DUMP_FREE_BYTES: '0' }).start()
  await service.ask('POST', '/api/v1/datasources', { name: 'shop', url: source.url })
  for (const content of ['all', 'schema', 'data']) await exported(service, { datasource: 'shop', content })
  const inPart = { datasource: 'shop', tables: ['customer'], style: 'insert', compression: 'gzip' }
  await exported(service, inPart)
  await using browser = await Browser.start(service.url)
  const page = await browser.signIn(service.key)
  await page.goto(`${service.url}/dumps`)
  const list = page.getByRole('table', { name: 'Dumps' })
  const rows = () => list.locator('tr[data-row]').count()
  await list.getByText('All, in part').waitFor()
  await page.getByText(/^4 dumps, .* of the 100 GiB/).waitFor()
  await browser.look(page, 'dumps')
  await page.getByLabel('Search file, database, day').fill('_schema_')
  await expect.poll(rows).toBe(1)
  expect(new URL(page.url()).searchParams.get('search')).toBe('_schema_')
  await page.reload()
  await expect.poll(rows).toBe(1)
  await choose(page, 'Made by', 'Backup')
  await page.getByRole('heading', { name: 'No dump is like that' }).waitFor()
  await browser.look(page, 'dumps-none')
  await page.getByRole('button', { name: 'Clear the filters' }).click()
  await expect.poll(rows).toBe(4)
  await list.getByRole('button', { name: /^Actions of .*_data_/ }).click()
  await page.getByRole('menuitem', { name: 'Delete' }).click()
  const dialog = page.getByRole('dialog', { name: 'Delete the dump' })
  await browser.look(page, 'dump-delete')
  await dialog.getByRole('button', { name: 'Delete', exact: true }).click()
  await expect.poll(rows).toBe(3)
  browser.expectQuiet(REFUSED)

  const { key } = await service.ask('POST', '/api/v1/keys', { name: 'guest', role: 'viewer' })
  await using other = await Browser.start(service.url)
  const guest = await other.signIn(String(key))
  await guest.getByRole('link', { name: 'Dumps', exact: true }).click()
  await guest.getByRole('table', { name: 'Dumps' }).getByText('All, in part').waitFor()
  for (const name of [/^Actions of/, 'Upload a file']) {
    expect(await guest.getByRole('button', { name }).count()).toBe(0)
  }
  for (const name of ['Import', 'Export a database']) {
    expect(await guest.getByRole('link', { name, exact: true }).count()).toBe(0)
  }
  await guest.getByRole('link', { name: source.name }).first().click()
  await guest.getByRole('heading', { name: 'What it is' }).waitFor()
  expect(await guest.getByRole('link', { name: 'Download' }).count()).toBe(0)
  await other.look(guest, 'dump-viewer')
  other.expectQuiet(REFUSED)
})

test('UX 39: export, plan and import by keys alone', async () => {
  await using source = await createDatabase(server())
  await using target = await ownedDatabase()
  await source.sql(SHOP)
  await using service = await new ServeUnderTest({ DUMP_FREE_BYTES: '0' }).start()
  await service.ask('POST', '/api/v1/datasources', { name: 'shop', url: source.url })
  await service.ask('POST', '/api/v1/datasources', { name: 'copy', url: target.url, writable: true })
  await using browser = await Browser.start(service.url)
  const page = await browser.signIn(service.key)
  const keys = new Keyboard(page)
  await keys.press('g', 'u')
  // What is still on the page that one leaves has no focus to be seen.
  await page.getByRole('heading', { name: 'No database is dumped yet' }).waitFor()
  await keys.use(page.getByRole('link', { name: 'Export a database' }))
  await page.getByRole('heading', { name: 'Export a database' }).waitFor()
  await keys.choose(page.getByRole('combobox', { name: 'Database' }), 'shop')
  await keys.goTo(page.getByRole('radio', { name: 'Definitions and rows' }))
  await keys.use(page.getByRole('button', { name: 'Export', exact: true }))
  await page.getByText('550 rows of 3 tables are in the file').waitFor(ONE_JOB)
  await keys.use(page.getByRole('link', { name: 'Open the dump' }))
  await page.getByRole('heading', { name: 'What it is' }).waitFor()
  await keys.use(page.getByRole('link', { name: 'Import', exact: true }))
  await page.getByRole('heading', { name: 'Import a dump' }).waitFor()
  await keys.choose(page.getByRole('combobox', { name: 'Target' }), 'copy')
  await keys.use(page.getByRole('button', { name: 'Show the plan' }))
  await page.getByText('nothing stands against it').waitFor(ONE_JOB)
  await keys.use(page.getByRole('button', { name: 'Import into copy' }))
  const dialog = page.getByRole('dialog', { name: 'Import into copy' })
  await dialog.waitFor()
  await keys.use(dialog.getByRole('button', { name: 'Import', exact: true }))
  await page.getByText('550 rows of 3 tables are in, all').waitFor(ONE_JOB)
  expect(await target.db.sql(COUNTS)).toEqual(await source.sql(COUNTS))
  browser.expectQuiet(REFUSED)
})
