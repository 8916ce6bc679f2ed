/** Dumps of rows alone into tables that refer to one another: what is emptied is emptied together. */
import { expect, test } from 'vitest'

import { createDatabase } from '#test/harness/database.ts'
import { dump } from '#test/harness/dump.ts'
import { fileOf, importInto, pgDump, plan, refusal, withoutKey } from '#test/harness/import.ts'
import { sharedServers } from '#test/harness/postgres.ts'

const oldest = (): ReturnType<typeof sharedServers>['source'] => {
  const { source, target } = sharedServers()
  return source.major <= target.major ? source : target
}

test.for([
  ['tables', 'CREATE TABLE orders (id int PRIMARY KEY, c int REFERENCES customers)'],
  [
    'a partitioned table',
    `CREATE TABLE orders (id int, c int REFERENCES customers) PARTITION BY RANGE (id);
     CREATE TABLE orders_1 PARTITION OF orders FOR VALUES FROM (0) TO (10) PARTITION BY RANGE (id);
     CREATE TABLE orders_1_1 PARTITION OF orders_1 FOR VALUES FROM (0) TO (10);
     CREATE TABLE orders_2 PARTITION OF orders DEFAULT`,
  ],
  [
    'a partitioned table that is referred to',
    `DROP TABLE customers; CREATE TABLE customers (id int PRIMARY KEY, name text) PARTITION BY RANGE (id);
     CREATE TABLE customers_1 PARTITION OF customers FOR VALUES FROM (0) TO (10);
     CREATE TABLE customers_2 PARTITION OF customers DEFAULT;
     CREATE TABLE orders (id int PRIMARY KEY, c int REFERENCES customers)`,
  ],
] as const)('D16: a table without rows is emptied with the one that it refers to: %s', async ([, orders]) => {
  await using a = await createDatabase(oldest())
  await using b = await createDatabase(oldest())
  const tables = `CREATE TABLE customers (id int PRIMARY KEY, name text); ${orders};
    CREATE TABLE lines (o int, n int);`
  await a.sql(
    `${tables} INSERT INTO customers VALUES (1, 'new'), (20, 'new'); INSERT INTO orders VALUES (1, 1), (20, 20)`,
  )
  await b.sql(`${tables} INSERT INTO customers VALUES (1, 'old'), (30, 'old')`)
  for (const file of [await pgDump(a, ['--data-only']), (await dump(a, { content: 'data' })).packed]) {
    const planned = await plan(b, fileOf(file), { replace: true })
    expect([planned.refusals, planned.facts.filled.every(({ name }) => name.startsWith('customers'))]).toEqual([
      [],
      true,
    ])
    await importInto(b, file, { replace: true })
    expect(withoutKey(await pgDump(b))).toBe(withoutKey(await pgDump(a)))
    await b.sql(`DELETE FROM orders; UPDATE customers SET name = 'old'`)
  }
})

test('a table without rows that the dump does not fill is a refusal still', async () => {
  await using a = await createDatabase(oldest())
  await a.sql(`CREATE TABLE customers (id int PRIMARY KEY); INSERT INTO customers VALUES (1);
    CREATE TABLE orders (id int PRIMARY KEY, c int REFERENCES customers)`)
  const { packed } = await dump(a, { content: 'data', tables: ['customers'] })
  const error = await refusal(importInto(a, packed, { replace: true }))
  expect([error.code, error.message]).toEqual(['restore_dependents', expect.stringContaining('orders_c_fkey')])
})
