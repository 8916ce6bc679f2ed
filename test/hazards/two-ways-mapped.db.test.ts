/**
 * Two ways between tables that look different: fields that have an inverse go both ways, all others are the source's to
 * decide on, and after each run the next one finds nothing to do (RELIABILITY I1, I2, I3, invariant 4).
 */
import { describe, expect, test } from 'vitest'

import { AppError } from '#model/errors.ts'
import type { FieldMapping } from '#model/field-mapping.ts'
import { written } from '#model/counts.ts'
import { MemoryConflicts } from '#test/harness/conflicts.ts'
import { field } from '#test/harness/fields.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { createPair, mapping, type Pair } from '#test/harness/sync.ts'
import { expectQuiet, runTwoWays as run, TWO_WAYS } from '#test/harness/two-ways.ts'

const { source, target } = sharedServers()

const CUSTOMER = `CREATE TABLE customer (
  id int PRIMARY KEY, first_name text NOT NULL, last_name text NOT NULL, total numeric(10,2) NOT NULL DEFAULT 0,
  vip boolean NOT NULL DEFAULT false, code text, note varchar(10))`
const PERSON = `CREATE TABLE person (
  nr bigint PRIMARY KEY, first text, full_name text, cents integer, kind text, sku text, memo text, origin text,
  theirs text DEFAULT 'own')`

const FIELDS: readonly FieldMapping[] = [
  field('nr', { columns: ['id'] }),
  field('first', { columns: ['first_name'] }),
  field('full_name', { columns: ['first_name', 'last_name'] }, [['concat', { separator: ' ' }]]),
  field('cents', { columns: ['total'] }, [['scale', { power: 2 }]]),
  field('kind', { expression: "vip ? 'vip' : 'plain'" }),
  field('sku', { columns: ['code'] }, [['affix', { before: 'SKU-' }]]),
  field('memo', { columns: ['note'] }),
  field('origin', { constant: 'shop' }),
]

const MAPPED = { tables: [mapping('customer', { as: 'person', fields: FIELDS })] } as const

async function customers(): Promise<Pair> {
  const pair = await createPair(source, target)
  await pair.source.sql(CUSTOMER.replace('last_name text NOT NULL', "last_name text NOT NULL DEFAULT ''"))
  await pair.target.sql(PERSON)
  await pair.source.sql(`INSERT INTO customer VALUES (1, 'Ada', 'Lovelace', 10.50, true, 'a', 'n1'),
    (2, 'Alan', 'Turing', 0, false, 'b', NULL), (3, 'Grace', 'Hopper', 7, false, NULL, 'n3')`)
  await run(pair, MAPPED)
  return pair
}

const inSource = (pair: Pair) => pair.source.sql('SELECT * FROM customer ORDER BY id')
const inTarget = (pair: Pair) => pair.target.sql('SELECT * FROM person ORDER BY nr')

describe('fields that can be turned round', () => {
  test('I1, I3: an edit of the target comes back through the inverse, and what the source decides follows it', async () => {
    await using pair = await customers()
    await expectQuiet(pair, MAPPED)
    await pair.target.sql(`UPDATE person SET first = 'Augusta', cents = 1999, sku = 'SKU-z' WHERE nr = 1;
      UPDATE person SET memo = 'edited' WHERE nr = 2; INSERT INTO person (nr, first, cents, sku) VALUES (4, 'Edsger', 5, 'SKU-d');
      DELETE FROM person WHERE nr = 3`)
    await run(pair, MAPPED)
    expect(await inSource(pair)).toEqual([
      ['1', 'Augusta', 'Lovelace', '19.99', 't', 'z', 'n1'],
      ['2', 'Alan', 'Turing', '0.00', 'f', 'b', 'edited'],
      ['4', 'Edsger', '', '0.05', 'f', 'd', null],
    ])
    expect(await inTarget(pair)).toEqual([
      ['1', 'Augusta', 'Augusta Lovelace', '1999', 'vip', 'SKU-z', 'n1', 'shop', 'own'],
      ['2', 'Alan', 'Alan Turing', '0', 'plain', 'SKU-b', 'edited', 'shop', 'own'],
      ['4', 'Edsger', 'Edsger ', '5', 'plain', 'SKU-d', null, 'shop', 'own'],
    ])
    await expectQuiet(pair, MAPPED)
  })

  test('what the target changed in fields that the source decides is not lost silently: it is told, and set again', async () => {
    await using pair = await customers()
    await pair.target.sql(`UPDATE person SET kind = 'mine', origin = 'else' WHERE nr = 2;
      UPDATE person SET kind = 'mine', memo = 'too' WHERE nr = 3;
      INSERT INTO person (nr, first, kind, cents) VALUES (4, 'Edsger', 'mine', 0), (5, 'Tony', NULL, 0)`)
    const { notes, counts } = await run(pair, MAPPED)
    const told = notes.filter((note) => note.includes('fields that the source decides')).join('\n')
    for (const [key, isTold] of [
      ['2', true],
      ['3', true],
      ['4', true],
      ['5', false],
    ] as const) {
      expect(told.includes(`(${key})`), key).toBe(isTold)
    }
    expect(counts).toMatchObject({ rejected: 0, conflicted: 0 })
    expect((await inTarget(pair)).map(([nr, , , , kind, , memo, origin]) => [nr, kind, memo, origin])).toEqual([
      ['1', 'vip', 'n1', 'shop'],
      ['2', 'plain', null, 'shop'],
      ['3', 'plain', 'too', 'shop'],
      ['4', 'plain', null, 'shop'],
      ['5', 'plain', null, 'shop'],
    ])
    await expectQuiet(pair, MAPPED)
  })

  test('the plan says of each field whether it goes one way, and why', async () => {
    await using pair = await customers()
    const { notes } = await run(pair, MAPPED)
    const oneWay = notes.filter((note) => note.includes('goes one way')).map((note) => note.split(' ')[0])
    expect(oneWay).toEqual(['public.person.full_name', 'public.person.kind', 'public.person.origin'])
    const { tables } = await pair.validate({ ...TWO_WAYS, ...MAPPED })
    const ways = tables.flatMap(({ fields }) =>
      fields.map(({ target: name, way, oneWay: why }) => [name, way === 'two_way' ? null : why]),
    )
    expect(ways).toEqual([
      ['nr', null],
      ['first', null],
      ['full_name', '"concat" cannot be undone: the separator may stand in the texts as well'],
      ['cents', null],
      ['kind', 'an expression cannot be turned round'],
      ['sku', null],
      ['memo', null],
      ['origin', 'a constant holds nothing of the source'],
    ])
  })

  test('a dry run says what would be done to either side, and does nothing', async () => {
    await using pair = await customers()
    await pair.source.sql(`UPDATE customer SET first_name = 's' WHERE id = 1`)
    await pair.target.sql(`UPDATE person SET first = 't' WHERE nr = 2; UPDATE person SET sku = 'no prefix' WHERE nr = 3;
      INSERT INTO person (nr, first, cents) VALUES (4, 'new', 0), (5, 'new', 0)`)
    const before = [await inSource(pair), await inTarget(pair)]
    const { tables, notes } = await pair.preview({ ...TWO_WAYS, ...MAPPED })
    expect(tables.map(({ inserts, updates, deletes }) => [inserts, updates, deletes])).toEqual([[0, 1, 0]])
    expect(notes).toContain(
      'In the source, public.customer would get 2 inserts, 1 updates and 0 deletes; 1 rows cannot come back.',
    )
    expect([await inSource(pair), await inTarget(pair)]).toEqual(before)
  })

  test('a column of the source comes back by one field, and the others follow it', async () => {
    const fields = [
      field('nr', { columns: ['id'] }),
      field('cents', { columns: ['total'] }, [['scale', { power: 2 }]]),
      field('memo', { columns: ['total'] }, [['cast', { to: 'text' }]]),
      field('first', { columns: ['first_name'] }),
    ]
    const tables = [mapping('customer', { as: 'person', fields })]
    await using pair = await createPair(source, target)
    await pair.source.sql(CUSTOMER.replace('last_name text NOT NULL', 'last_name text'))
    await pair.target.sql(PERSON)
    await pair.source.sql(`INSERT INTO customer (id, first_name, total) VALUES (1, 'Ada', 10.5)`)
    await run(pair, { tables })
    await pair.target.sql(`UPDATE person SET cents = 250, memo = 'no number'`)
    await run(pair, { tables })
    expect(await pair.source.sql('SELECT total FROM customer')).toEqual([['2.50']])
    expect(await pair.target.sql('SELECT cents, memo FROM person')).toEqual([['250', '2.50']])
    await expectQuiet(pair, { tables })
  })

  test('a value that has no way back is rejected with its reason, and neither side loses what it has', async () => {
    await using pair = await customers()
    await pair.target
      .sql(`UPDATE person SET sku = 'no prefix' WHERE nr = 1; UPDATE person SET memo = 'longer than ten' WHERE nr = 2;
      INSERT INTO person (nr, first, cents) VALUES (5000000000, 'far', 1); UPDATE person SET first = 'G' WHERE nr = 3`)
    const first = await run(pair, MAPPED)
    expect(first.counts.rejected).toBe(3)
    const rejections = first.tables.flatMap((table) => table.rejections)
    expect(new Set(rejections.map(({ key, column }) => `${key[0]} ${column}`))).toEqual(
      new Set(['1 sku', '2 memo', '5000000000 nr']),
    )
    expect(rejections.every(({ reason }) => reason.includes('cannot come back to'))).toBe(true)
    expect((await inSource(pair)).map(([id, name, , , , code, note]) => [id, name, code, note])).toEqual([
      ['1', 'Ada', 'a', 'n1'],
      ['2', 'Alan', 'b', null],
      ['3', 'G', null, 'n3'],
    ])
    expect((await inTarget(pair)).map(([nr, , , , , sku, memo]) => [nr, sku, memo])).toEqual([
      ['1', 'no prefix', 'n1'],
      ['2', 'SKU-b', 'longer than ten'],
      ['3', null, 'n3'],
      ['5000000000', null, null],
    ])
    const again = await run(pair, MAPPED)
    expect([written(again.counts), again.counts.rejected]).toEqual([0, 3])
    await pair.target.sql(`UPDATE person SET sku = 'SKU-ok' WHERE nr = 1; UPDATE person SET memo = 'short' WHERE nr = 2;
      DELETE FROM person WHERE nr = 5000000000`)
    expect((await run(pair, MAPPED)).counts.rejected).toBe(0)
    expect((await inSource(pair)).map(([, , , , , code, note]) => [code, note])).toEqual([
      ['ok', 'n1'],
      ['b', 'short'],
      [null, 'n3'],
    ])
    await expectQuiet(pair, MAPPED)
  })

  test.each(['source', 'target', 'row'] as const)(
    'a conflict is one only in fields that go both ways, and %s reaches both sides',
    async (taken) => {
      await using pair = await customers()
      await pair.source.sql(`UPDATE customer SET first_name = 's', vip = true WHERE id IN (2, 3)`)
      await pair.target.sql(
        `UPDATE person SET first = 't', kind = 'mine' WHERE nr = 2; UPDATE person SET kind = 'mine' WHERE nr = 3`,
      )
      const conflicts = new MemoryConflicts()
      await run(pair, MAPPED, { conflicts })
      expect(conflicts.open.map(({ key }) => key[0])).toEqual(['2'])
      expect((await inTarget(pair))[2]?.slice(0, 5)).toEqual(['3', 's', 's Hopper', '700', 'vip'])
      if (taken === 'row') conflicts.resolve('row', { row: ['2', 'b', 'any', '5', 'any', 'SKU-n', null, 'any'] })
      else conflicts.resolve(taken)
      await run(pair, MAPPED, { conflicts })
      const wanted = {
        source: ['2', 's', 'Turing', '0.00', 't', 'b'],
        target: ['2', 't', 'Turing', '0.00', 't', 'b'],
        row: ['2', 'b', 'Turing', '0.05', 't', 'n'],
      }[taken]
      expect((await inSource(pair))[1]?.slice(0, 6)).toEqual(wanted)
      const [, name, , , , code] = wanted
      expect((await inTarget(pair))[1]).toEqual([
        '2',
        name,
        `${name} Turing`,
        taken === 'row' ? '5' : '0',
        'vip',
        `SKU-${code}`,
        null,
        'shop',
        'own',
      ])
      await expectQuiet(pair, MAPPED, { conflicts })
    },
  )

  test('I7: merge keeps what either side changed of a row, through its transforms', async () => {
    await using pair = await customers()
    const config = { ...MAPPED, conflictStrategy: 'merge' } as const
    await run(pair, config)
    await pair.source.sql(`UPDATE customer SET first_name = 's' WHERE id < 3`)
    await pair.target.sql(
      `UPDATE person SET cents = 77, kind = 'mine' WHERE nr = 1; UPDATE person SET first = 't' WHERE nr = 2`,
    )
    const conflicts = new MemoryConflicts()
    await run(pair, config, { conflicts })
    expect(conflicts.open.map(({ key, fields }) => [key[0], ...fields])).toEqual([['2', 'first']])
    expect((await inSource(pair))[0]?.slice(0, 5)).toEqual(['1', 's', 'Lovelace', '0.77', 't'])
    expect((await inTarget(pair))[0]?.slice(0, 5)).toEqual(['1', 's', 's Lovelace', '77', 'vip'])
    await expectQuiet(pair, config, { conflicts })
  })
})

describe('rules', () => {
  const tables = [
    mapping('customer', {
      as: 'person',
      fields: FIELDS.map((each) =>
        each.target === 'cents'
          ? { ...each, rules: [{ name: 'range', args: { min: 0 }, onFail: 'reject' as const }] }
          : each,
      ),
    }),
  ]

  test('a row that breaks one on either side is neither overwritten nor sent', async () => {
    await using pair = await customers()
    await run(pair, { tables })
    await pair.source.sql(`UPDATE customer SET total = -1 WHERE id = 1`)
    await pair.target.sql(`UPDATE person SET memo = 'mine' WHERE nr = 1; UPDATE person SET cents = -5 WHERE nr = 2`)
    const { counts, tables: told } = await run(pair, { tables })
    expect(counts).toMatchObject({ rejected: 2, conflicted: 0, inserted: 0, updated: 0 })
    const broken = told.flatMap((table) => table.rejections.map(({ key, code }) => `${key[0]} ${code}`))
    expect(new Set(broken)).toEqual(new Set(['1 rule_range', '2 rule_range']))
    expect((await inSource(pair)).map(([, , , total]) => total)).toEqual(['-1.00', '0.00', '7.00'])
    expect((await inTarget(pair)).map(([, , , cents, , , memo]) => [cents, memo])).toEqual([
      ['1050', 'mine'],
      ['-5', null],
      ['700', 'n3'],
    ])
  })
})

describe('filters', () => {
  const filtered = (filterExit: 'ignore' | 'delete', fields: readonly FieldMapping[] = FIELDS) => ({
    tables: [mapping('customer', { as: 'person', filter: "code != 'x'", filterExit, fields })],
  })

  async function some(filterExit: 'ignore' | 'delete'): Promise<Pair> {
    const pair = await createPair(source, target)
    await pair.source.sql(CUSTOMER.replace('last_name text NOT NULL', "last_name text NOT NULL DEFAULT ''"))
    await pair.target.sql(PERSON)
    await pair.source
      .sql(`INSERT INTO customer (id, first_name, code) VALUES (1, 'a', 'a'), (2, 'b', 'b'), (3, 'c', 'c'),
      (4, 'd', 'd'), (5, 'hidden', 'x'), (6, 'hidden', 'x')`)
    await run(pair, filtered(filterExit))
    await pair.source.sql(`UPDATE customer SET code = 'x' WHERE id IN (1, 3)`)
    await pair.target.sql(`UPDATE person SET sku = 'SKU-x' WHERE nr = 2; UPDATE person SET memo = 'late' WHERE nr = 3;
      INSERT INTO person (nr, first, cents, sku) VALUES (5, 'own', 1, 'SKU-o'), (7, 'out', 1, 'SKU-x'), (8, 'in', 1, 'SKU-i')`)
    return pair
  }

  const short = async (pair: Pair) => ({
    source: (await pair.source.sql('SELECT id, first_name, code, note FROM customer ORDER BY id')).map((row) =>
      row.join(' '),
    ),
    target: (await pair.target.sql('SELECT nr, first, sku, memo FROM person ORDER BY nr')).map((row) => row.join(' ')),
  })

  test('a row that leaves the filter on either side stays in the target, and what does not belong to it stays there', async () => {
    await using pair = await some('ignore')
    const { notes } = await run(pair, filtered('ignore'))
    const after = {
      source: ['1 a x ', '2 b x ', '3 c x ', '4 d d ', '5 hidden x ', '6 hidden x ', '8 in i '],
      target: [
        '1 a SKU-a ',
        '2 b SKU-x ',
        '3 c SKU-c late',
        '4 d SKU-d ',
        '5 own SKU-o ',
        '7 out SKU-x ',
        '8 in SKU-i ',
      ],
    }
    expect(await short(pair)).toEqual(after)
    expect(notes.filter((note) => note.includes('do not meet the filter')).join()).toContain('(7)')
    await expectQuiet(pair, filtered('ignore'))
    await pair.source.sql(`UPDATE customer SET code = 'back', first_name = 'B' WHERE id IN (1, 2, 3)`)
    await run(pair, filtered('ignore'))
    expect((await short(pair)).target.slice(0, 3)).toEqual(['1 B SKU-back ', '2 B SKU-back ', '3 B SKU-back '])
    await expectQuiet(pair, filtered('ignore'))
  })

  test('with filter_exit delete it goes from the target, unless the target has changed it meanwhile', async () => {
    await using pair = await some('delete')
    await run(pair, filtered('delete'))
    expect(await short(pair)).toEqual({
      source: ['1 a x ', '2 b x ', '3 c x ', '4 d d ', '5 hidden x ', '6 hidden x ', '8 in i '],
      target: ['3 c SKU-c late', '4 d SKU-d ', '5 own SKU-o ', '7 out SKU-x ', '8 in SKU-i '],
    })
    await expectQuiet(pair, filtered('delete'))
  })

  test('rows that the target deletes go from the source, but for those that do not belong to the filter', async () => {
    await using pair = await some('ignore')
    await run(pair, filtered('ignore'))
    await pair.target.sql('DELETE FROM person WHERE nr IN (1, 4, 5)')
    await run(pair, filtered('ignore'))
    expect((await short(pair)).source).toEqual(['1 a x ', '2 b x ', '3 c x ', '5 hidden x ', '6 hidden x ', '8 in i '])
    await expectQuiet(pair, filtered('ignore'))
  })

  test('the same of a filter of a table whose columns are carried as they are', async () => {
    await using pair = await createPair(source, target)
    await pair.both('CREATE TABLE item (id int PRIMARY KEY, kind text, n int)')
    await pair.source.sql(`INSERT INTO item VALUES (1, 'a', 1), (2, 'a', 2), (3, 'x', 3)`)
    const config = { tables: [mapping('item', { filter: "kind == 'a'" })] }
    await run(pair, config)
    await pair.target.sql(`UPDATE item SET n = 10 WHERE id = 1; UPDATE item SET kind = 'y' WHERE id = 2;
      INSERT INTO item VALUES (3, 'a', 30), (4, 'z', 4), (5, 'a', 5)`)
    await run(pair, config)
    expect(await pair.source.sql('SELECT id, kind, n FROM item ORDER BY id')).toEqual([
      ['1', 'a', '10'],
      ['2', 'y', '2'],
      ['3', 'x', '3'],
      ['5', 'a', '5'],
    ])
    await expectQuiet(pair, config)
  })
})

describe('what is refused before anything is written', () => {
  const key = field('nr', { columns: ['id'] })
  const name = field('first', { columns: ['first_name'] })
  const last = field('full_name', { columns: ['last_name'] })
  test.each([
    [
      'a query',
      { query: 'SELECT id, first_name, last_name FROM public.customer', key: ['id'], fields: [key, name, last] },
      'a query cannot be written',
    ],
    ['a column that must have a value', { fields: [key, name] }, '"last_name" must have a value'],
    ['a filter of what does not come back', { fields: [key, name, last], filter: 'vip' }, 'its filter looks at "vip"'],
    [
      'a key that is computed',
      {
        as: 'slugged',
        fields: [
          field('slug', { columns: ['id'] }, [['cast', { to: 'text' }]]),
          field('a', { columns: ['first_name'] }),
          field('b', { columns: ['last_name'] }),
        ],
      },
      'its key is computed on its way',
    ],
    [
      'a key that cannot come back',
      {
        as: 'slugged',
        fields: [
          field('slug', { columns: ['id'] }),
          field('a', { columns: ['first_name'] }),
          field('b', { columns: ['last_name'] }),
        ],
      },
      '"slug" of its key cannot come back',
    ],
  ] as const)('%s', async (_, options, why) => {
    await using pair = await createPair(source, target)
    await pair.source.sql(CUSTOMER)
    await pair.target.sql(`${PERSON}; CREATE TABLE slugged (slug text PRIMARY KEY, a text, b text)`)
    await pair.source.sql(`INSERT INTO customer VALUES (1, 'Ada', 'Lovelace')`)
    const config = { tables: [mapping('customer', { as: 'person', ...options })] }
    const failure: unknown = await run(pair, config).catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(AppError)
    expect(failure).toMatchObject({ code: 'impossible_mapping' })
    expect(String(failure)).toContain(why)
    expect(await pair.target.sql('SELECT count(*) FROM person')).toEqual([['0']])
    const { ready, tables } = await pair.validate({ ...TWO_WAYS, ...config })
    expect([ready, tables.flatMap(({ problems }) => problems.map(({ message }) => message)).join()]).toEqual([
      false,
      expect.stringContaining(why),
    ])
  })
})

test('a unique value that another row of the source has keeps a row out with its reason, and no other row', async () => {
  await using pair = await customers()
  await pair.source.sql('CREATE UNIQUE INDEX one_code ON customer (code)')
  await pair.target.sql(`UPDATE person SET sku = 'SKU-b' WHERE nr = 3; UPDATE person SET first = 'A' WHERE nr = 1`)
  const { counts, tables } = await run(pair, MAPPED)
  expect(counts.rejected).toBe(1)
  expect(tables.flatMap(({ rejections }) => rejections.map(({ key, code }) => [key[0], code]))).toEqual([
    ['3', '23505'],
  ])
  expect((await inSource(pair)).map(([, name, , , , code]) => [name, code])).toEqual([
    ['A', 'a'],
    ['Alan', 'b'],
    ['Grace', null],
  ])
  await pair.target.sql(`UPDATE person SET sku = 'SKU-free' WHERE nr = 3`)
  expect((await run(pair, MAPPED)).counts.rejected).toBe(0)
  await expectQuiet(pair, MAPPED)
})

test('a view is refused, and its table is named as the next step', async () => {
  await using pair = await createPair(source, target)
  await pair.source.sql('CREATE TABLE item (id int PRIMARY KEY, a text); CREATE VIEW shown AS SELECT * FROM item')
  await pair.target.sql('CREATE TABLE shown (id int PRIMARY KEY, a text)')
  const failure: unknown = await run(pair, { tables: [mapping('shown', { key: ['id'] })] }).catch(
    (error: unknown) => error,
  )
  expect(failure).toMatchObject({ code: 'impossible_mapping' })
  expect(String(failure)).toContain('it is a view; map the table behind it')
})

test('a composite key under other names goes both ways', async () => {
  await using pair = await createPair(source, target)
  await pair.source.sql('CREATE TABLE item (a int, b text, n int, PRIMARY KEY (a, b))')
  await pair.target.sql('CREATE TABLE thing (y text, x bigint, m int, PRIMARY KEY (x, y))')
  await pair.source.sql(`INSERT INTO item VALUES (1, 'p', 1), (1, 'q', 2)`)
  const fields = [
    field('m', { columns: ['n'] }, [['negate']]),
    field('y', { columns: ['b'] }),
    field('x', { columns: ['a'] }),
  ]
  const config = { tables: [mapping('item', { as: 'thing', fields })] }
  await run(pair, config)
  await pair.target.sql(
    `UPDATE thing SET m = -10 WHERE y = 'p'; UPDATE thing SET y = 'r' WHERE y = 'q'; INSERT INTO thing VALUES ('p', 2, 0)`,
  )
  await run(pair, config)
  expect(await pair.source.sql('SELECT a, b, n FROM item ORDER BY a, b')).toEqual([
    ['1', 'p', '10'],
    ['1', 'r', '2'],
    ['2', 'p', '0'],
  ])
  await expectQuiet(pair, config)
})
