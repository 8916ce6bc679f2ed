/** The pages of datasources, in a real browser on real servers: from a URL that was pasted to the rows of a table. */
import { expect, test } from 'vitest'

import { Browser, paste } from '#test/harness/browser.ts'
import { createDatabase, type Database } from '#test/harness/database.ts'
import { startMariadb } from '#test/harness/mariadb.ts'
import { MysqlSide } from '#test/harness/mysql-tables.ts'
import { sharedServers, startPrivateServer } from '#test/harness/postgres.ts'
import { expectNoProgramSurvives } from '#test/harness/process.ts'
import { ServeUnderTest } from '#test/harness/serve.ts'

expectNoProgramSurvives()

/** Whoever is not signed in is refused first, and so is a URL that cannot be used; browsers write every refusal down. */
const REFUSED = /status of (401|422)/

async function createShop(db: Database): Promise<void> {
  await db.sql(`
    CREATE TABLE customer (id bigint PRIMARY KEY, name text NOT NULL, email text UNIQUE, note text DEFAULT 'none');
    CREATE TABLE invoice (id bigint PRIMARY KEY, customer bigint REFERENCES customer, total numeric(12,2));
    CREATE VIEW richest AS SELECT * FROM customer;
    INSERT INTO customer VALUES (1, 'Ada', 'ada@example.com', NULL), (2, ' Bob ', NULL, '');
    ANALYZE`)
}

test('UX 1 to 8: a pasted URL fills the form, the test says step by step, and the datasource is there', async () => {
  await using db = await createDatabase(sharedServers().source)
  await createShop(db)
  await using service = await new ServeUnderTest().start()
  await using browser = await Browser.start(service.url)
  const page = await browser.signIn(service.key)
  await page.keyboard.press('g')
  await page.keyboard.press('s')
  await page.getByRole('heading', { name: 'No database is known yet' }).waitFor()
  await browser.look(page, 'datasources-empty')
  await page.getByRole('link', { name: 'Add datasource' }).click()

  const url = new URL(db.url)
  url.password = 'p@ss'
  await paste(page, 'Connection URL', `DATABASE_URL="${url.href.replace('p%40ss', 'p@ss/#1')}?application_name=x"`)
  await expect.poll(() => page.getByLabel('Host').inputValue()).toBe(url.hostname)
  expect(await page.getByLabel('Database', { exact: true }).inputValue()).toBe(db.name)
  expect(await page.getByLabel('Password', { exact: true }).inputValue()).toBe('p@ss/#1')
  expect(await page.getByLabel('Connection URL').inputValue()).not.toContain('p@ss')
  await page.getByText('write @ as %40').waitFor()
  await browser.look(page, 'datasource-pasted')

  // The form makes the URL, as the URL made the form.
  await page.getByLabel('Port', { exact: true }).fill('1')
  await expect.poll(() => page.getByLabel('Connection URL').inputValue()).toContain(':1/')
  await page.getByRole('button', { name: 'Test connection' }).click()
  await page.getByText('Failed at: port').waitFor()
  await browser.look(page, 'datasource-wrong-port')
  await page.getByLabel('Port', { exact: true }).fill(url.port)
  await page.getByText('The form was changed since').waitFor()
  await page.getByRole('button', { name: 'Test connection' }).click()
  await page.getByText(/^Connected/).waitFor()
  await page.getByText('for a round trip').waitFor()
  await page.getByRole('combobox', { name: 'Environment' }).click()
  await page.getByRole('option', { name: 'Staging' }).click()
  await page.getByLabel('Syncs may write to it').click()
  await browser.look(page, 'datasource-tested')
  await page.getByLabel('Name').fill('shop')
  await page.getByRole('button', { name: 'Add datasource' }).click()
  await page.getByRole('heading', { name: 'shop', exact: true }).waitFor()
  await page.getByText(/^Connected/).waitFor()
  await page.getByText('staging', { exact: true }).first().waitFor()
  await browser.look(page, 'datasource')
  const [made] = (await service.ask('GET', '/api/v1/datasources'))['items'] as Record<string, unknown>[]
  expect(made).toMatchObject({ name: 'shop', writable: true, environment: 'staging', has_password: true })

  await page.getByRole('link', { name: 'Datasources' }).first().click()
  await page.getByRole('row', { name: /shop/ }).getByText('Protected').waitFor()
  await browser.look(page, 'datasources')
  browser.expectQuiet(REFUSED)
})

test('UX 3: each failure has a cause and a next step', async () => {
  await using db = await createDatabase(sharedServers().source)
  await using service = await new ServeUnderTest().start()
  await using browser = await Browser.start(service.url)
  const page = await browser.signIn(service.key)
  await page.goto(`${service.url}/datasources/new`)
  const role = `login_${db.name}`
  await db.sql(`CREATE ROLE ${role} LOGIN; CREATE TABLE hidden (id int PRIMARY KEY)`)
  try {
    const { hostname, port } = new URL(db.url)
    await paste(page, 'Connection URL', `postgres://nobody_at_all:wrong@${hostname}:${port}/${db.name}`)
    await expect.poll(() => page.getByLabel('User').inputValue()).toBe('nobody_at_all')
    await page.getByRole('button', { name: 'Test connection' }).click()
    await page.getByText('Failed at: login').waitFor()
    await browser.look(page, 'datasource-wrong-login')

    await page.getByLabel('Host').fill('no-such-host.invalid')
    await page.getByRole('button', { name: 'Test connection' }).click()
    await page.getByText('Failed at: host name').waitFor()
    await page.getByLabel('Host').fill(hostname)

    await page.getByLabel('User').fill(role)
    await page.getByRole('button', { name: 'Test connection' }).click()
    await page
      .getByText(/GRANT SELECT ON .*hidden/)
      .first()
      .waitFor()
    await page.getByRole('button', { name: 'Copy the SQL' }).first().waitFor()
    await browser.look(page, 'datasource-missing-rights')
  } finally {
    await db.sql(`DROP OWNED BY ${role}; DROP ROLE ${role}`)
  }
  await paste(page, 'Connection URL', 'oracle://app@example.com/shop')
  await page.getByText('There is no adapter for oracle').waitFor()
  await browser.look(page, 'datasource-wrong-url')
  await paste(page, 'Connection URL', 'postgres://app@ep-cool-sun-1-pooler.eu-central-1.aws.neon.tech/neondb')
  await page.getByText('the same host without -pooler').waitFor()
  await paste(page, 'Connection URL', 'https://abcdefghijklmnop.supabase.co')
  await expect.poll(() => page.getByLabel('Project URL').inputValue()).toBe('https://abcdefghijklmnop.supabase.co')
  await page.getByText('Refer to').click()
  await page.getByLabel('Reference').fill('env:NOT_THERE')
  await browser.look(page, 'datasource-project')
  browser.expectQuiet(REFUSED)
})

test('UX 3: a wrong password is told from everything else, and the right one goes on from there', async () => {
  await using server = await startPrivateServer({ password: 'right' })
  await using service = await new ServeUnderTest().start()
  await using browser = await Browser.start(service.url)
  const page = await browser.signIn(service.key)
  await page.goto(`${service.url}/datasources/new`)
  const url = new URL(server.url())
  url.password = 'wrong'
  await paste(page, 'Connection URL', url.href)
  await expect.poll(() => page.getByLabel('Password', { exact: true }).inputValue()).toBe('wrong')
  await page.getByRole('button', { name: 'Test connection' }).click()
  await page.getByText('password authentication failed').waitFor()
  await page.getByText('Check user and password').waitFor()
  await browser.look(page, 'datasource-wrong-password')
  await page.getByLabel('Password', { exact: true }).fill('right')
  await page.getByRole('button', { name: 'Test connection' }).click()
  await page.getByText(/^Connected/).waitFor()
  browser.expectQuiet(REFUSED)
})

test('UX 27, SPEC 3: tables with columns, keys and first rows, under addresses that can be shared; thousands of them', async () => {
  await using db = await createDatabase(sharedServers().source)
  await createShop(db)
  await db.sql(
    `DO $$ BEGIN FOR i IN 1..3000 LOOP EXECUTE format('CREATE TABLE many_%s (id int PRIMARY KEY)', lpad(i::text, 4, '0')); IF i % 500 = 0 THEN COMMIT; END IF; END LOOP; END $$`,
  )
  await using service = await new ServeUnderTest().start()
  const { id } = await service.ask('POST', '/api/v1/datasources', { name: 'shop', url: db.url })
  await using browser = await Browser.start(service.url)
  const page = await browser.signIn(service.key)
  await page.goto(`${service.url}/datasources/${id}?tab=tables`)
  await page.getByText('3,003 tables').waitFor()
  await page.getByRole('button', { name: 'Show more' }).click()
  await page.getByLabel('Search schema or table').fill('invoice')
  await page.getByText('1 table with “invoice”').waitFor()
  await page.getByRole('row', { name: /^invoice/ }).click()
  await page.getByRole('heading', { name: 'invoice' }).waitFor()
  await page.getByText('numeric(12,2)').waitFor()
  await page.getByRole('button', { name: 'customer', exact: true }).click()
  await page.getByRole('heading', { name: 'customer' }).waitFor()
  await browser.look(page, 'datasource-table')
  await page.getByRole('tab', { name: 'First rows' }).click()
  await page.getByRole('cell', { name: 'ada@example.com' }).waitFor()
  await browser.look(page, 'datasource-rows')
  await page.reload()
  await page.getByRole('cell', { name: 'ada@example.com' }).waitFor()
  expect(await page.getByText('NULL', { exact: true }).count()).toBe(2)
  browser.expectQuiet(REFUSED)
})

test('UX 5, 9, 45: settings are changed around a password that stays, leaving asks, and removing wants the name', async () => {
  await using db = await createDatabase(sharedServers().source)
  await using service = await new ServeUnderTest().start()
  const made = await service.ask('POST', '/api/v1/datasources', {
    name: 'shop',
    url: db.url.replace('@', ':secret@').replace(/:[^:@/]*:secret@/, ':secret@'),
  })
  await using browser = await Browser.start(service.url)
  const page = await browser.signIn(service.key)
  await page.goto(`${service.url}/datasources/${made['id']}?tab=settings`)
  await page.getByText('Kept sealed; nobody can read it.').waitFor()
  await page.getByLabel('Name').fill('shop of record')
  await page.getByRole('link', { name: 'Dashboard' }).click()
  await page.getByRole('dialog', { name: 'Leave without saving' }).waitFor()
  await browser.look(page, 'datasource-leave')
  await page.getByRole('button', { name: 'Stay here' }).click()
  await page.getByLabel('Syncs may write to it').click()
  await browser.look(page, 'datasource-settings')
  await page.getByRole('button', { name: 'Save changes' }).click()
  await page.getByRole('heading', { name: 'shop of record' }).waitFor()
  expect(await service.ask('GET', `/api/v1/datasources/${made['id']}`)).toMatchObject({
    name: 'shop of record',
    writable: true,
    has_password: true,
  })
  await page.getByRole('button', { name: 'Remove datasource' }).click()
  const dialog = page.getByRole('dialog', { name: 'Remove shop of record' })
  expect(await dialog.getByRole('button', { name: 'Remove datasource' }).isDisabled()).toBe(true)
  await dialog.getByLabel('Type shop of record to confirm').fill('shop of record')
  await browser.look(page, 'datasource-remove')
  await dialog.getByRole('button', { name: 'Remove datasource' }).click()
  await page.getByRole('heading', { name: 'No database is known yet' }).waitFor()
  browser.expectQuiet(REFUSED)
})

test('a viewer sees datasources and tables, and is offered nothing that the key may not do', async () => {
  await using db = await createDatabase(sharedServers().source)
  await createShop(db)
  await using service = await new ServeUnderTest().start()
  const { id } = await service.ask('POST', '/api/v1/datasources', { name: 'shop', url: db.url })
  const { key } = await service.ask('POST', '/api/v1/keys', { name: 'guest', role: 'viewer' })
  await using browser = await Browser.start(service.url)
  const page = await browser.signIn(String(key))
  await page.getByRole('link', { name: 'Datasources' }).click()
  await page.getByRole('link', { name: 'shop' }).waitFor()
  expect(await page.getByRole('link', { name: 'Add datasource' }).count()).toBe(0)
  await page.goto(`${service.url}/datasources/${id}?tab=tables&table=customer`)
  await page.getByRole('cell', { name: 'bigint' }).first().waitFor()
  for (const name of ['First rows', 'Settings']) expect(await page.getByRole('tab', { name }).count()).toBe(0)
  expect(await page.getByRole('button', { name: 'Test connection' }).count()).toBe(0)
  await browser.look(page, 'datasource-viewer')
  browser.expectQuiet(REFUSED)
})

test('D11: a datasource that leads to another database than before is stopped, until somebody types its name', async () => {
  await using db = await createDatabase(sharedServers().source)
  await using admin = await createDatabase(sharedServers().source)
  await using service = await new ServeUnderTest().start()
  const { id } = await service.ask('POST', '/api/v1/datasources', { name: 'shop', url: db.url })
  await service.ask('POST', '/api/v1/datasources/shop/test')
  await admin.sql(`DROP DATABASE ${db.name} WITH (FORCE)`)
  await admin.sql(`CREATE DATABASE ${db.name}`)
  await using browser = await Browser.start(service.url)
  const page = await browser.signIn(service.key)
  await page.goto(`${service.url}/datasources/${id}`)
  await page.getByRole('button', { name: 'Test connection' }).click()
  await page.getByText('Another database answers at this address').waitFor()
  await browser.look(page, 'datasource-moved')
  await page.getByRole('button', { name: 'Take this database for the right one' }).click()
  const dialog = page.getByRole('dialog', { name: 'Another database for shop' })
  await dialog.getByLabel('Type shop to confirm').fill('shop')
  await dialog.getByRole('button', { name: 'Take this database' }).click()
  await page.getByText(/^Connected/).waitFor()
  expect(await page.getByText('Another database answers at this address').count()).toBe(0)
  browser.expectQuiet(REFUSED)
})

test('a URL of MariaDB fills the form, its test says step by step, and its tables are looked through', async () => {
  await using server = await startMariadb()
  const shop = new MysqlSide(server.endpoint(await server.createDatabase()))
  await shop.sql(
    'CREATE TABLE customer (id int AUTO_INCREMENT PRIMARY KEY, name varchar(40) NOT NULL)',
    `INSERT INTO customer (name) VALUES ('Ada')`,
  )
  await using service = await new ServeUnderTest().start()
  await using browser = await Browser.start(service.url)
  const page = await browser.signIn(service.key)
  await page.goto(`${service.url}/datasources/new`)
  await page.getByText('MySQL or MariaDB').click()
  expect(await page.getByLabel('Port', { exact: true }).inputValue()).toBe('3306')
  await page.getByText('PostgreSQL', { exact: true }).click()
  expect(await page.getByLabel('Port', { exact: true }).inputValue()).toBe('5432')
  await paste(page, 'Connection URL', server.url(shop.name))
  await expect.poll(() => page.getByLabel('Port', { exact: true }).inputValue()).toBe(String(server.port))
  await expect.poll(() => page.getByLabel('Connection URL').inputValue()).toMatch(/^mysql:\/\/admin@127\.0\.0\.1:/)
  await page.getByRole('button', { name: 'Test connection' }).click()
  await page.getByText(/^Connected/).waitFor()
  await page.getByText('by LOAD DATA LOCAL').waitFor()
  await browser.look(page, 'datasource-mariadb')
  await page.getByLabel('Name').fill('shop')
  await page.getByRole('button', { name: 'Add datasource' }).click()
  await page.getByRole('heading', { name: 'shop', exact: true }).waitFor()
  const [made] = (await service.ask('GET', '/api/v1/datasources'))['items'] as Record<string, unknown>[]
  expect(made).toMatchObject({ name: 'shop', kind: 'mysql', port: server.port })
  await page.goto(`${service.url}/datasources/${String(made?.['id'])}?tab=tables`)
  await page.getByRole('row', { name: /customer/ }).click()
  await page.getByText('varchar(40)').waitFor()
  await browser.look(page, 'schema-mariadb')
  browser.expectQuiet(REFUSED)
})
