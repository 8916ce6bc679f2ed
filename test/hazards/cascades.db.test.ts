/** Deletes that a foreign key would carry further than anybody decided (invariant 9, hazard D16). */
import { expect, test } from 'vitest'

import { sharedServers } from '#test/harness/postgres.ts'
import { createPair, mapping, MIRROR } from '#test/harness/sync.ts'

const { source, target } = sharedServers()

test.each([
  ['CASCADE', 'would be deleted with it'],
  ['SET NULL', 'would lose what points to it'],
  ['SET DEFAULT', 'would point elsewhere'],
])('invariant 9: ON DELETE %s takes no row that the sync does not carry', async (action, words) => {
  await using pair = await createPair(source, target)
  await pair.both('CREATE TABLE customer (id int PRIMARY KEY, name text)')
  await pair.target.sql(`CREATE TABLE note (id int PRIMARY KEY, customer int REFERENCES customer ON DELETE ${action});
    INSERT INTO customer SELECT n, 'customer' FROM generate_series(1, 5) n; INSERT INTO note VALUES (1, 3)`)
  await pair.source.sql(`INSERT INTO customer VALUES (1, 'customer')`)
  const receipt = await pair.run({ ...MIRROR, tables: [mapping('customer')], maxDeletePercent: 100 })
  expect(receipt.counts).toMatchObject({ deleted: 3, rejected: 1 })
  expect(receipt.tables[0]?.rejections).toMatchObject([{ key: ['3'], code: '23503' }])
  expect(receipt.tables[0]?.rejections[0]?.reason).toContain(words)
  expect(await pair.target.sql('SELECT * FROM note')).toEqual([['1', '3']])
  expect(await pair.target.sql('SELECT id FROM customer ORDER BY id')).toEqual([['1'], ['3']])
})

test('invariant 9: what the sync carries goes first, also in a tree of one table', async () => {
  await using pair = await createPair(source, target)
  await pair.both(`CREATE TABLE customer (id int PRIMARY KEY, boss int REFERENCES customer ON DELETE CASCADE);
    CREATE TABLE note (id int PRIMARY KEY, customer int REFERENCES customer ON DELETE CASCADE);
    INSERT INTO customer VALUES (1, NULL), (2, 1), (3, 2), (4, 2); INSERT INTO note VALUES (1, 3), (2, 4), (3, 1)`)
  await pair.source.sql('DELETE FROM customer WHERE id = 2')
  for (const batchSize of [1, 1_000]) {
    await pair.target.sql(`INSERT INTO customer VALUES (2, 1), (3, 2), (4, 2) ON CONFLICT DO NOTHING;
      INSERT INTO note VALUES (1, 3), (2, 4) ON CONFLICT DO NOTHING`)
    const receipt = await pair.run({ ...MIRROR, batchSize })
    expect(receipt.counts).toMatchObject({ deleted: 5, rejected: 0 })
  }
})

test('D4: a row that cannot go keeps what it points to, though it was untied to be tried', async () => {
  await using pair = await createPair(source, target)
  await pair.both(`CREATE TABLE category (id int PRIMARY KEY, parent int REFERENCES category, name text);
    INSERT INTO category VALUES (1, NULL, 'a'), (5, 1, 'e')`)
  await pair.target.sql(
    'CREATE TABLE product (id int PRIMARY KEY, category int REFERENCES category); INSERT INTO product VALUES (1, 5)',
  )
  await pair.source.sql('DELETE FROM category WHERE id = 5')
  const receipt = await pair.run({ ...MIRROR, tables: [mapping('category')] })
  expect(receipt.counts).toMatchObject({ deleted: 0, rejected: 1 })
  expect(await pair.target.sql('SELECT * FROM category ORDER BY id')).toEqual([
    ['1', null, 'a'],
    ['5', '1', 'e'],
  ])
})
