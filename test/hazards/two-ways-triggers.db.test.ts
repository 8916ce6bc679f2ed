/** Two ways between tables whose triggers change what is written: each run ends, and says what they did (hazard D7). */
import { describe, expect, test } from 'vitest'

import { written } from '#model/counts.ts'
import type { Receipt } from '#model/receipt.ts'
import type { SyncConfig } from '#model/sync-config.ts'
import { field } from '#test/harness/fields.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { createPair, mapping, type Pair } from '#test/harness/sync.ts'
import { expectQuiet, runTwoWays as run } from '#test/harness/two-ways.ts'

const { source, target } = sharedServers()

describe('D7: triggers that answer', () => {
  const answering = (side: string, sql: string) => `
    CREATE FUNCTION answer() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.a := ${sql}; RETURN NEW; END $$;
    CREATE TRIGGER answer_${side} BEFORE INSERT OR UPDATE ON item FOR EACH ROW EXECUTE FUNCTION answer();
    ALTER TABLE item ENABLE ALWAYS TRIGGER answer_${side}`

  async function items(config: Partial<SyncConfig> = {}): Promise<Pair> {
    const pair = await createPair(source, target)
    await pair.both('CREATE TABLE item (id int PRIMARY KEY, a text)')
    await pair.source.sql(`INSERT INTO item VALUES (1, 'a'), (2, 'b')`)
    await run(pair, config)
    return pair
  }

  const told = ({ notes }: Receipt) => notes.filter((note) => note.includes('sent and came back changed')).join()

  test.each(['mapped', 'as they are'] as const)(
    'one that has its way is told, and both sides settle on it: rows %s',
    async (how) => {
      const fields = [field('id', { columns: ['id'] }), field('a', { columns: ['a'] }, [['affix', { before: '-' }]])]
      const config = how === 'mapped' ? { tables: [mapping('item', { fields })] } : {}
      await using pair = await items(config)
      await pair.source.sql(answering('source', 'upper(NEW.a)'))
      await pair.target.sql(`UPDATE item SET a = '-edit' WHERE id = 1`)
      expect(told(await run(pair, config))).toContain('(1)')
      const made = how === 'mapped' ? ['EDIT', '-EDIT'] : ['-EDIT', '-EDIT']
      // What was not turned round goes to the other side in the next run.
      if (how === 'as they are') await run(pair, config)
      expect(
        [
          ...(await pair.source.sql('SELECT a FROM item WHERE id = 1')),
          ...(await pair.target.sql('SELECT a FROM item WHERE id = 1')),
        ].flat(),
      ).toEqual(made)
      await expectQuiet(pair, config)
    },
  )

  test('two that answer one another end each run, and every run names the rows', async () => {
    await using pair = await items()
    await pair.source.sql(answering('source', "NEW.a || 's'"))
    await pair.target.sql(answering('target', "NEW.a || 't'"))
    await pair.target.sql(`UPDATE item SET a = 'x' WHERE id = 1`)
    for (const there of ['xts', 'xtst', 'xtsts', 'xtstst']) {
      const receipt = await run(pair, {})
      expect(written(receipt.counts), there).toBe(1)
      expect(told(receipt), there).toContain('(1)')
      const rows = await Promise.all([pair.source, pair.target].map((db) => db.sql('SELECT a FROM item WHERE id = 1')))
      expect(rows.flat(2)).toContain(there)
    }
    expect(await pair.source.sql('SELECT a FROM item WHERE id = 2')).toEqual([['b']])
  })
})
