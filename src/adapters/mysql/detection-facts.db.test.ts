import { afterAll, beforeAll, expect, test } from 'vitest'
import { must } from '#lib/assert.ts'
import { startMariadb, type MariadbServer } from '#test/harness/mariadb.ts'
import { MysqlSide } from '#test/harness/mysql-tables.ts'

let server: MariadbServer

beforeAll(async () => {
  server = await startMariadb()
}, 120_000)

afterAll(() => server[Symbol.asyncDispose]())

const TABLE = `CREATE TABLE t (
  id bigint AUTO_INCREMENT PRIMARY KEY,
  made timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP,
  touched datetime(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3),
  seen datetime(6) NULL, version int NOT NULL DEFAULT 0, KEY by_touched (touched))`
const NAMES = ['id', 'made', 'touched', 'seen', 'version']

test('what the server itself does to a column, what finds it, and what rows hold', async () => {
  const side = await MysqlSide.make(server)
  await side.sql(
    TABLE,
    'CREATE TRIGGER seen_first BEFORE INSERT ON t FOR EACH ROW SET NEW.seen = UTC_TIMESTAMP(6)',
    'CREATE TRIGGER seen_again BEFORE UPDATE ON t FOR EACH ROW SET NEW.`seen` = UTC_TIMESTAMP(6);',
    'CREATE TRIGGER counted BEFORE UPDATE ON t FOR EACH ROW IF NEW.version > 5 THEN SET NEW.version = OLD.version + 1; END IF',
    "INSERT INTO t (made, touched, version) SELECT '2024-01-01', IF(seq = 3, '2999-01-01', '2024-01-02'), seq DIV 4 FROM seq_1_to_10",
  )
  await using adapter = await side.open()
  await adapter.describe([side.ref('t')])
  const { sessions, tables } = await adapter.detectionFacts([{ table: side.ref('t'), columns: NAMES }])
  expect(sessions).toMatchObject({ complete: true, remedy: null })
  const [facts] = tables
  expect(facts).toMatchObject({ sample: { rows: 10, whole: true }, writes: null })
  const of = (name: string) =>
    must(
      facts?.columns.find(({ column }) => column === name),
      name,
    )
  expect(of('id')).toMatchObject({
    onInsert: { value: 'sequence', when: 'omitted' },
    index: 'PRIMARY',
    sample: { nulls: 0, future: null, distinct: 10, mostOfOne: 1, disorder: 0 },
  })
  expect(of('made')).toMatchObject({ onInsert: { value: 'clock', when: 'omitted' }, onUpdate: null, index: null })
  expect(of('touched')).toMatchObject({
    onInsert: { value: 'local clock' },
    onUpdate: { value: 'local clock', when: 'omitted', by: 'ON UPDATE CURRENT_TIMESTAMP(3)' },
    index: 'by_touched',
    sample: { future: 1, distinct: 2, mostOfOne: 9, disorder: 1 },
  })
  expect(of('seen')).toMatchObject({
    onInsert: { value: 'clock', when: 'always', by: 'trigger "seen_first"' },
    onUpdate: { value: 'clock', when: 'always', by: 'trigger "seen_again"' },
  })
  expect(of('version')).toMatchObject({ onInsert: null, onUpdate: { value: 'other', when: 'perhaps' } })
})

test('what would make a cursor of a column does so', async () => {
  const side = await MysqlSide.make(server)
  await side.sql(
    'CREATE TABLE t (id int PRIMARY KEY, `at it` datetime(6) NULL, v int)',
    'INSERT INTO t VALUES (1, NULL, 0)',
  )
  const read = async () => {
    await using adapter = await side.open()
    await adapter.describe([side.ref('t')])
    const { tables } = await adapter.detectionFacts([{ table: side.ref('t'), columns: ['at it'] }])
    return must(tables[0]?.columns[0], 'a column')
  }
  const { remedies } = await read()
  const statements = [remedies.index, ...(remedies.trigger?.split(/(?<=;) /) ?? [])].map((sql) => sql ?? '')
  expect(statements).toHaveLength(3)
  await side.sql(...statements, 'UPDATE t SET v = 1')
  const after = await read()
  expect(after).toMatchObject({
    index: 'by_at it',
    onInsert: { when: 'always' },
    onUpdate: { value: 'clock', when: 'always' },
  })
  expect(after.sample).toMatchObject({ nulls: 0, future: 0 })
})
