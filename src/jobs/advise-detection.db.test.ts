import { expect, test } from 'vitest'
import type { ConfigPolicies } from '#model/config-document.ts'
import { createDatabase } from '#test/harness/database.ts'
import { createRegistry } from '#test/harness/datasources.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { adviseTables, type AdvisedTable, type AdviseQuestion } from './advise-detection.ts'

const { signal } = new AbortController()

test('tables are advised on as their config carries them, and as they are where there is none', async () => {
  await using db = await createDatabase(sharedServers().source)
  await using other = await createDatabase(sharedServers().target)
  await using registry = await createRegistry('sqlite')
  const tables = `CREATE TABLE a (id int PRIMARY KEY, at timestamptz DEFAULT now(), note text);
    CREATE TABLE b (id int, at timestamptz NOT NULL DEFAULT now())`
  await other.sql(`${tables}; CREATE TABLE q (id int PRIMARY KEY, at timestamptz)`)
  await db.sql(`${tables}; CREATE TABLE alone (id int PRIMARY KEY); CREATE VIEW seen AS SELECT * FROM a;
    INSERT INTO a SELECT n FROM generate_series(1, 60) n`)
  const [source, target] = [await registry.add(db.url), await registry.add(other.url)]
  const ask = async (question: Pick<AdviseQuestion, 'config' | 'tables'>): Promise<Record<string, AdvisedTable>> => {
    const tools = { ...registry.tools, rules: { protectedEnvironments: [] } }
    const answer = await adviseTables(tools, { source, ...question }, signal)
    expect(answer.leftOut).toEqual([])
    return Object.fromEntries(answer.tables.map((each) => [each.source.name, each]))
  }
  const by = (policies: ConfigPolicies, wanted: AdviseQuestion['tables'] = null) =>
    ask({ config: { target, policies }, tables: wanted })
  const ref = (name: string) => ({ schema: 'public', name })
  const required = (table: AdvisedTable | undefined) => table?.advice.proposals[0]?.needs.map(({ text }) => text)

  const before = await ask({ config: null, tables: null })
  expect(Object.keys(before)).toEqual(['a', 'alone', 'b'])
  expect(before['a']).toMatchObject({
    current: null,
    notes: [],
    advice: { proposals: [{ strategy: 'hash' }, {}, {}, {}] },
  })
  expect(required(before['b'])).toEqual([expect.stringMatching(/^a key:/)])
  expect(Object.keys(await ask({ config: null, tables: [ref('seen')] }))).toEqual(['seen'])
  await expect(ask({ config: null, tables: [ref('none')] })).rejects.toMatchObject({ code: 'table_not_found' })

  // Without a word on tables, those that both sides have; what the config says is told, also where it cannot be.
  const plain = await by({ detection_strategy: 'timestamp', cursor_column: 'no' })
  expect(Object.keys(plain).toSorted()).toEqual(['a', 'b'])
  expect(plain['a']).toMatchObject({ current: { strategy: 'timestamp', cursorColumn: 'no' }, notes: [] })

  const own = await by({
    commit_mode: 'approval',
    tables: [
      {
        source: 'a',
        field_mappings: [
          { target: 'id', column: 'id' },
          { target: 'note', expression: "'x' + note" },
        ],
      },
      { source: 'b', key: ['id'], detection_strategy: 'full' },
      { source: 'q', query: 'SELECT id, at FROM public.a', target: 'q', key: ['id'] },
      { source: 'alone' },
    ],
  })
  expect(own['a']?.advice.proposals.map(({ strategy }) => strategy)).toEqual(['hash', 'full', 'content'])
  expect(own['a']?.advice.proposals[0]?.cost).toContain('through the mapping')
  expect(own['b']).toMatchObject({ current: { strategy: 'full', cursorColumn: null } })
  expect(required(own['b'])).toEqual([])
  expect(own['q']?.advice.unknown).toEqual(['Of a query no writes are counted.'])
  expect(own['alone']?.notes).toEqual([expect.stringContaining('The target has no table public.alone')])
  const some = await by({ tables: [{ source: '*' }] }, [ref('a')])
  expect(Object.keys(some)).toEqual(['a'])
  await expect(by({ tables: [{ source: 'a' }] }, [ref('b')])).rejects.toMatchObject({ code: 'table_not_found' })
})
