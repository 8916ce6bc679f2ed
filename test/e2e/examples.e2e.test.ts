/** The files of `examples/`, applied and run as their first lines say. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

import { expect, test } from 'vitest'

import { createDatabase, type Database } from '#test/harness/database.ts'
import { startMariadb } from '#test/harness/mariadb.ts'
import { MysqlSide } from '#test/harness/mysql-tables.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { expectNoProgramSurvives } from '#test/harness/process.ts'
import { ServeUnderTest } from '#test/harness/serve.ts'

expectNoProgramSurvives()

const EXAMPLES = join(import.meta.dirname, '../../examples')

/** A music store: every third customer has no company, addresses have gaps, and some invoices have no lines. */
async function fillStore(store: Database): Promise<void> {
  await store.sql(`
    CREATE TABLE customer (customer_id int PRIMARY KEY, first_name varchar(40) NOT NULL, last_name varchar(20) NOT NULL,
      company varchar(80), address varchar(70), city varchar(40), state varchar(40), country varchar(40),
      postal_code varchar(10), phone varchar(24), fax varchar(24), email varchar(60) NOT NULL, support_rep_id int);
    CREATE TABLE invoice (invoice_id int PRIMARY KEY, customer_id int NOT NULL REFERENCES customer, invoice_date timestamp NOT NULL,
      billing_address varchar(70), billing_city varchar(40), billing_state varchar(40), billing_country varchar(40),
      billing_postal_code varchar(10), total numeric(10,2) NOT NULL);
    CREATE TABLE invoice_line (invoice_line_id int PRIMARY KEY, invoice_id int NOT NULL REFERENCES invoice, track_id int NOT NULL,
      unit_price numeric(10,2) NOT NULL, quantity int NOT NULL);
    INSERT INTO customer SELECT i, 'Åsa ' || i, 'O''Neil', CASE WHEN i % 3 = 0 THEN 'Company, "' || i || '"' END, i || ' Main Street', 'Town',
      NULL, (ARRAY['Norway', 'USA', 'Atlantis'])[1 + i % 3], CASE WHEN i % 2 = 0 THEN '0' || i END, NULL, NULL, 'Asa.' || i || '@Mail.Example', 1
      FROM generate_series(1, 60) i;
    INSERT INTO invoice SELECT i, 1 + i % 60, timestamp '2024-01-01 13:14:15' + i * interval '1 day', NULL, NULL, NULL,
      (ARRAY['Norway', 'USA', 'Atlantis'])[1 + i % 3], NULL, i * 0.99 FROM generate_series(1, 400) i;
    INSERT INTO invoice_line SELECT i, 1 + i % 390, i % 50, 0.99, 1 + i % 3 FROM generate_series(1, 2000) i`)
}

test('music-store.yaml: customers and invoices arrive as people and sales, and stay in step', async () => {
  await using store = await createDatabase(sharedServers().source)
  await using crm = await createDatabase(sharedServers().target)
  await fillStore(store)
  await crm.sql(readFileSync(join(EXAMPLES, 'music-store-crm.sql'), 'utf8'))
  await using service = await new ServeUnderTest().start()
  await service.ask('POST', '/api/v1/datasources', { name: 'store', url: store.url })
  await service.ask('POST', '/api/v1/datasources', { name: 'crm', url: crm.url, writable: true })
  const file = join(EXAMPLES, 'music-store.yaml')
  expect(await service.cli(['validate', file])).toMatchObject({ code: 0 })
  expect(await service.cli(['apply', '-f', file])).toMatchObject({ code: 0 })
  const looked = await service.cli(['configs', 'preview', 'store to crm', '--table', 'customer', '--limit', '3'])
  expect(looked).toMatchObject({ code: 0 })
  expect(looked.stdout).toContain(`full_name       "Åsa 1 O'Neil"`)
  const run = async (): Promise<unknown> => {
    const { job_id: id } = await service.ask('POST', '/api/v1/sync/store%20to%20crm', {})
    return (await service.succeeded(String(id)))['counts']
  }
  expect(await run()).toMatchObject({ inserted: 460, rejected: 0 })
  expect(await crm.sql('SELECT * FROM person WHERE person_id = 3')).toEqual([
    [
      '3',
      `Åsa 3 O'Neil`,
      'Åsa 3',
      `O'Neil`,
      'Å.O.',
      'asa.3',
      'mail.example',
      '3 Main Street, Town, Norway',
      'Company, "3"',
      'organisation',
    ],
  ])
  expect(
    await crm.sql('SELECT person_id, sold_on, total_cents, country, lines->0 FROM sale WHERE sale_id = 7'),
  ).toEqual([['8', '2024-01-08', '693', 'US', '{"price": 0.99, "track": 6, "quantity": 1}']])
  expect(await crm.sql(`SELECT count(*), sum(jsonb_array_length(lines)) FROM sale`)).toEqual([['400', '2000']])
  expect(await run()).toMatchObject({ inserted: 0, updated: 0, deleted: 0, unchanged: 460 })
  await store.sql(`UPDATE invoice_line SET quantity = 9 WHERE invoice_line_id = 6; UPDATE customer SET last_name = 'Öz' WHERE customer_id = 1;
    DELETE FROM invoice_line WHERE invoice_id = 5; DELETE FROM invoice WHERE invoice_id = 5`)
  expect(await run()).toMatchObject({ inserted: 0, updated: 2, deleted: 1, unchanged: 457 })
  expect(await crm.sql(`SELECT full_name, initials FROM person WHERE person_id = 1`)).toEqual([['Åsa 1 Öz', 'Å.Ö.']])
})

test('mariadb-mirror.yaml: every table is made in MariaDB, and later runs bring what has changed, deletes too', async () => {
  await using store = await createDatabase(sharedServers().source)
  await using server = await startMariadb()
  const mirror = new MysqlSide(server.endpoint(await server.createDatabase()))
  await fillStore(store)
  await using service = await new ServeUnderTest().start()
  await service.ask('POST', '/api/v1/datasources', { name: 'shop', url: store.url })
  await service.ask('POST', '/api/v1/datasources', { name: 'mirror', url: server.url(mirror.name), writable: true })
  expect(await service.cli(['apply', '-f', join(EXAMPLES, 'mariadb-mirror.yaml')])).toMatchObject({ code: 0 })
  const run = async (): Promise<unknown> => {
    const { job_id: id } = await service.ask('POST', '/api/v1/sync/shop%20to%20mirror', {})
    return (await service.succeeded(String(id)))['counts']
  }
  expect(await run()).toMatchObject({ inserted: 2460, rejected: 0 })
  expect(await mirror.sql('SELECT first_name, company FROM customer WHERE customer_id = 3')).toEqual([
    ['Åsa 3', 'Company, "3"'],
  ])
  await store.sql(
    `UPDATE customer SET city = 'Elsewhere' WHERE customer_id = 1; DELETE FROM invoice_line WHERE invoice_id = 5`,
  )
  expect(await run()).toMatchObject({ inserted: 0, updated: 1, deleted: 6 })
  expect(await mirror.sql('SELECT city FROM customer WHERE customer_id = 1')).toEqual([['Elsewhere']])
})

test('shop-analytics.yaml: the orders of a shop on MariaDB arrive in PostgreSQL, filtered and changed on their way', async () => {
  await using server = await startMariadb()
  const shop = new MysqlSide(server.endpoint(await server.createDatabase()))
  await using analytics = await createDatabase(sharedServers().target)
  await shop.sql(
    `CREATE TABLE customers (id int unsigned AUTO_INCREMENT PRIMARY KEY, email varchar(190) NOT NULL, country_code char(2),
      is_business tinyint(1) NOT NULL DEFAULT 0)`,
    `CREATE TABLE orders (id int unsigned AUTO_INCREMENT PRIMARY KEY, customer_id int unsigned NOT NULL REFERENCES customers (id),
      ordered_at datetime NOT NULL, total decimal(10,2) NOT NULL, status char(1) NOT NULL, is_test tinyint(1) NOT NULL DEFAULT 0)`,
    `INSERT INTO customers (email, country_code, is_business) VALUES (' Ada@Example.com', 'de', 1), ('bob@example.com', NULL, 0)`,
    `INSERT INTO orders (customer_id, ordered_at, total, status, is_test) VALUES (1, '2024-07-01 12:00:00', 12.34, 'p', 0),
      (1, '2024-01-01 12:00:00', 5, 's', 1), (2, '2024-01-01 12:00:00', 0, 'n', 0), (2, '2024-01-01 12:00:00', 99.9, 'n', 0)`,
  )
  await analytics.sql(readFileSync(join(EXAMPLES, 'shop-analytics.sql'), 'utf8'))
  await using service = await new ServeUnderTest().start()
  await service.ask('POST', '/api/v1/datasources', { name: 'shop', url: server.url(shop.name) })
  await service.ask('POST', '/api/v1/datasources', { name: 'analytics', url: analytics.url, writable: true })
  const file = join(EXAMPLES, 'shop-analytics.yaml')
  expect(await service.cli(['validate', file])).toMatchObject({ code: 0 })
  expect(await service.cli(['apply', '-f', file])).toMatchObject({ code: 0 })
  const run = async (): Promise<unknown> => {
    const { job_id: id } = await service.ask('POST', '/api/v1/sync/shop%20to%20analytics', {})
    return (await service.succeeded(String(id)))['counts']
  }
  expect(await run()).toMatchObject({ inserted: 4, rejected: 0 })
  expect(await analytics.sql('SELECT * FROM analytics.sale ORDER BY sale_id')).toEqual([
    ['1', '1', '2024-07-01 10:00:00+00', '1234', 'paid'],
    ['4', '2', '2024-01-01 11:00:00+00', '9990', 'new'],
  ])
  expect(
    await analytics.sql(
      `SELECT kind, country, mail_hash = encode(sha256('ada@example.com'), 'hex') FROM analytics.customer ORDER BY 1`,
    ),
  ).toEqual([
    ['business', 'DE', 't'],
    ['private', null, 'f'],
  ])
  await shop.sql(`UPDATE orders SET is_test = 1 WHERE id = 1`, `UPDATE orders SET status = 's' WHERE id = 4`)
  expect(await run()).toMatchObject({ inserted: 0, updated: 1, deleted: 1 })
})

test('two-ways-mariadb.yaml: contacts are edited on PostgreSQL and on MariaDB, and both have what either wrote', async () => {
  await using crm = await createDatabase(sharedServers().source)
  await using server = await startMariadb()
  const site = new MysqlSide(server.endpoint(await server.createDatabase()))
  await crm.sql(`CREATE TABLE contacts (id int PRIMARY KEY, name varchar(80) NOT NULL, phone varchar(40), mail varchar(120));
    INSERT INTO contacts SELECT n, 'Name ' || n, NULL, n || '@example.com' FROM generate_series(1, 20) n`)
  await site.sql(
    'CREATE TABLE contacts (id int PRIMARY KEY, name varchar(80) NOT NULL, phone varchar(40), mail varchar(120))',
  )
  await using service = await new ServeUnderTest().start()
  await service.ask('POST', '/api/v1/datasources', { name: 'crm', url: crm.url, writable: true })
  await service.ask('POST', '/api/v1/datasources', { name: 'site', url: server.url(site.name), writable: true })
  expect(await service.cli(['apply', '-f', join(EXAMPLES, 'two-ways-mariadb.yaml')])).toMatchObject({ code: 0 })
  const run = async (): Promise<void> => {
    const { job_id: id } = await service.ask('POST', '/api/v1/sync/crm%20and%20site', {})
    await service.succeeded(String(id))
  }
  await run()
  await crm.sql(`UPDATE contacts SET phone = '1' WHERE id IN (1, 2); DELETE FROM contacts WHERE id = 4`)
  await site.sql(
    `UPDATE contacts SET mail = 'new' WHERE id IN (2, 3)`,
    `INSERT INTO contacts VALUES (30, 'Site', NULL, NULL)`,
  )
  await run()
  const rows = 'SELECT id, name, phone, mail FROM contacts ORDER BY id'
  const there = await site.sql(rows)
  expect(there).toEqual(await crm.sql(rows))
  expect(there.filter(([id]) => ['1', '2', '3', '4', '30'].includes(String(id)))).toEqual([
    ['1', 'Name 1', '1', '1@example.com'],
    ['2', 'Name 2', '1', 'new'],
    ['3', 'Name 3', null, 'new'],
    ['30', 'Site', null, null],
  ])
})
