/** Every boundary operation, met by a kill and by an exception, once and at a later pass (RELIABILITY F1, B1, B2). */
import { join } from 'node:path'

import { expect, test } from 'vitest'

import { createDatabase, type Database } from '#test/harness/database.ts'
import { must } from '#lib/assert.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { expectNoProgramSurvives, runProgram } from '#test/harness/process.ts'
import { printedSeed } from '#test/harness/seed.ts'

import { Books, expectNothingLeft, expectWhole, finishSync, startSync, TemporaryFolder } from './runs.ts'
import { isOfCopy, isOfDump, isOfImport, isOfService, namedFailpoints } from './named-failpoints.ts'
import { changeShop, createShop, dropRing, fillShop, keepLedgerOfNewTables, openShops } from './shop.ts'

/** Where a name is not passed in a situation at all, the rest is left out. */
const FIRST = { pass: 1, action: 'kill' } as const
const OTHERS = [
  { pass: 1, action: 'throw' },
  { pass: 3, action: 'kill' },
] as const

const ALL = process.env['SYNCLINE_TEST_MEETINGS'] === 'all'

/** The first meeting and another one by the seed; all of them with SYNCLINE_TEST_MEETINGS=all. */
function meetingsOf(name: string): readonly (typeof FIRST | (typeof OTHERS)[number])[] {
  if (ALL) return [FIRST, ...OTHERS]
  return [FIRST, must(OTHERS[(seed + name.length) % OTHERS.length], 'a meeting')]
}

const seed = printedSeed()

expectNoProgramSurvives()

/** Those that only a service passes are met in `reviewed.e2e.test.ts`, those of dumps and copies in `dump/*.e2e.test.ts`. */
const names = (await namedFailpoints()).filter(
  (name) => !isOfService(name) && !isOfDump(name) && !isOfImport(name) && !isOfCopy(name),
)
const reached = new Set<string>()

test('each failpoint during a first load that creates the tables (F1)', async () => {
  await using temporary = new TemporaryFolder()
  await using source = await createDatabase(sharedServers().source)
  await createShop(source)
  await dropRing(source)
  await fillShop(source, 60)
  for (const name of names) {
    for (const meeting of meetingsOf(name)) {
      await using target = await createDatabase(sharedServers().target)
      await keepLedgerOfNewTables(target)
      const options = { flags: ['--create'], env: temporary.env }
      if (!(await meet({ name, ...meeting }, { source, target, options }))) break
      await expectWhole(source, target, new Books(), options)
      await expectNothingLeft(source, target, temporary.path)
    }
  }
})

test('each failpoint while changes and deletes of owned rows are applied (F1)', async () => {
  await using temporary = new TemporaryFolder()
  await using shops = await openShops(150)
  const { source, target } = shops
  const options = { flags: ['--delete-scope', 'owned'], env: temporary.env }
  const books = new Books()
  books.enter(await finishSync(source.url, target.url, options))
  let round = 0
  for (const name of names) {
    for (const meeting of meetingsOf(name)) {
      await changeShop(source, (round += 1))
      if (!(await meet({ name, ...meeting }, { source, target, options, books }))) break
      await expectWhole(source, target, books, options)
      await expectNothingLeft(source, target, temporary.path)
    }
  }
  expect(books.written.deleted).toBeGreaterThan(0)
})

test('each failpoint while a table gets a column that the source has got (D10, F1)', async () => {
  await using temporary = new TemporaryFolder()
  await using shops = await openShops(150)
  const { source, target } = shops
  const options = { flags: ['--add-columns'], env: temporary.env }
  const books = new Books()
  books.enter(await finishSync(source.url, target.url, options))
  let column = 0
  for (const name of names.filter((each) => each.startsWith('columns.'))) {
    for (const action of ['kill', 'throw'] as const) {
      column += 1
      await source.sql(`ALTER TABLE customer ADD COLUMN late_${column} int NOT NULL DEFAULT ${column}`)
      expect(await meet({ name, pass: 1, action }, { source, target, options, books })).toBe(true)
      await expectWhole(source, target, books, options)
      await expectNothingLeft(source, target, temporary.path)
    }
  }
  expect(column).toBe(4)
})

test('B13: a migration that is killed at any statement leaves a store that the next one completes', async () => {
  const stride = ALL ? 1 : 3
  for (let pass = 1 + (seed % stride); ; pass += stride) {
    await using temporary = new TemporaryFolder()
    const env = { SYNCLINE_DATA_DIR: join(temporary.path, 'data'), SYNCLINE_ENV_FILE: '/dev/null' }
    const exit = await runProgram(['migrate'], { env: { ...env, FAILPOINT: `store.migrate:${pass}:kill` } })
    expect((await runProgram(['migrate', '--json'], { env })).code).toBe(0)
    if (exit.signal === null) break
    reached.add('store.migrate')
  }
})

test('no failpoint of the source was left out', () => {
  expect(names.length).toBeGreaterThan(5)
  expect(names.filter((name) => !reached.has(name))).toEqual([])
})

interface Meeting {
  readonly source: Database
  readonly target: Database
  readonly options: { readonly flags: readonly string[]; readonly env: Readonly<Record<string, string>> }
  readonly books?: Books
}

/** A run with an armed failpoint: whether it got that far. What ends well without is entered into the books. */
async function meet(
  { name, pass, action }: { name: string; pass: number; action: 'kill' | 'throw' },
  { source, target, options: { flags, env }, books }: Meeting,
): Promise<boolean> {
  const failpoint = `${name}:${pass}:${action}`
  await using program = startSync(source.url, target.url, { flags, env: { ...env, FAILPOINT: failpoint } })
  const exit = await program.exit
  if (exit.code === 0) {
    books?.enter(exit)
    return false
  }
  const how = exit.signal ?? `exit ${exit.code}: ${/failpoint [\w.]+/.exec(exit.stdout)?.[0]}`
  expect(how, failpoint + exit.stderr).toBe(action === 'kill' ? 'SIGKILL' : `exit 1: failpoint ${name}`)
  reached.add(name)
  return true
}
