import { expect, test } from 'vitest'
import { listTables, previewRows } from '#adapters/registry.ts'
import { resolveHost } from '#lib/network-address.ts'
import { startMariadb } from '#test/harness/mariadb.ts'
import { MysqlSide } from '#test/harness/mysql-tables.ts'

const { signal } = new AbortController()

test('the catalogue tells tables, views, columns and keys, and the preview shows values as people read them', async () => {
  await using server = await startMariadb()
  const side = await MysqlSide.make(server)
  await side.sql(
    `CREATE TABLE parent (a int NOT NULL, b varchar(9) NOT NULL DEFAULT 'x', PRIMARY KEY (a, b))`,
    `CREATE TABLE child (id int AUTO_INCREMENT PRIMARY KEY, a int, b varchar(9), bytes blob, flags bit(4), twice int AS (a * 2),
      long_one longtext, UNIQUE KEY (a, b), UNIQUE KEY part (long_one(5)), FOREIGN KEY (a, b) REFERENCES parent (a, b))`,
    'CREATE VIEW seen AS SELECT id FROM child',
    'CREATE TABLE syncline_state (id int PRIMARY KEY)',
    `INSERT INTO parent VALUES (1, 'é')`,
    `INSERT INTO child (a, b, bytes, flags, long_one) VALUES (1, 'é', x'00ff', b'0101', REPEAT('ü', 700)), (NULL, NULL, NULL, NULL, NULL)`,
  )
  const { host, port, database, user, password, ssl, ca, connectTimeoutMs } = side.endpoint
  const connection = { host, port, database, user, ssl, ca, projectUrl: null }
  const place = {
    kind: 'mysql' as const,
    connection,
    password,
    schemas: null,
    connectTimeoutMs,
    resolve: resolveHost,
  }
  const tables = (await listTables(place, signal)).filter(({ table }) => table.schema === side.name)
  expect(tables.map(({ table, kind }) => [table.name, kind])).toEqual([
    ['child', 'table'],
    ['parent', 'table'],
    ['seen', 'view'],
  ])
  const [child] = tables
  expect(child).toMatchObject({
    primaryKey: ['id'],
    uniqueKeys: [['a', 'b']],
    foreignKeys: [
      { columns: ['a', 'b'], references: { schema: side.name, name: 'parent' }, referencedColumns: ['a', 'b'] },
    ],
  })
  expect(child?.columns.map(({ name, type, generated }) => [name, type, generated])).toContainEqual([
    'twice',
    'int(11)',
    true,
  ])
  expect(child?.columns[0]).toMatchObject({ default: 'AUTO_INCREMENT', nullable: false })

  const table = side.ref('child')
  const { rows, cuts, cut } = await previewRows(place, { table, limit: 10 }, signal)
  expect(rows).toEqual([
    ['1', '1', 'é', String.raw`\x00ff`, '101', '2', 'ü'.repeat(500)],
    ['2', null, null, null, null, null, null],
  ])
  expect([cut, cuts]).toEqual([true, [{ row: 0, column: 'long_one', characters: 700 }]])
  const only = await previewRows(place, { table, limit: 10, only: { column: 'b', values: ['é', `x' OR '1`] } }, signal)
  expect(only.rows).toHaveLength(1)
  const hidden = { schema: side.name, name: 'syncline_state' }
  await expect(previewRows(place, { table: hidden, limit: 1 }, signal)).rejects.toMatchObject({
    code: 'table_not_found',
  })
})
