/**
 * What is applied of a change set is what was planned but for exactly the rows that moved in between (invariant 9): the
 * target is held against a copy of it in which the test itself carries out every other change. On each pair of engines, what
 * a preview shows before and after is what was there and what is then written. SYNCLINE_TEST_SCHEMAS sets how many schemas,
 * in all.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'

import { openChangeSet } from '#control/change-sets.ts'
import type { ChangeOutcome, ChangeSetSummary, ChangeSetTable, SetChange } from '#model/change-set.ts'
import type { Value } from '#model/value.ts'
import type { ChangeSet } from '#sync/change-set.ts'

import { createChangeSets } from '#test/harness/change-sets.ts'
import { copyDatabase, expectSameTable, quote, type Database } from '#test/harness/database.ts'
import { mutate, mutation } from '#test/harness/mutate.ts'
import { usePairs } from '#test/harness/pairs.ts'
import { expectSameRows, plainTables, type PlainTable } from '#test/harness/plain-rows.ts'
import { sharedServers, type TestServer } from '#test/harness/postgres.ts'
import { postgresDialect } from '#test/harness/random-dialect.ts'
import { loadSchema, randomSchema } from '#test/harness/random-schema.ts'
import { waysWithMariadb } from '#test/harness/random-ways.ts'
import { printedSeed } from '#test/harness/seed.ts'
import { createPair, MIRROR, wroteNothing } from '#test/harness/sync.ts'
import { saySame } from '#test/types/mysql-matrix.ts'

const SCHEMAS = Number(process.env['SYNCLINE_TEST_SCHEMAS'] ?? 4)

const { source, target } = sharedServers()
const directions: readonly (readonly [string, TestServer, TestServer])[] = [
  [`${source.major} to ${target.major}`, source, target],
  [`${target.major} to ${source.major}`, target, source],
]

test.each(directions)(
  'what is applied is what was planned, but for exactly the rows that moved (PostgreSQL %s)',
  async (_name, from, to) => {
    const major = Math.min(from.major, to.major)
    const input = fc.record({
      schema: randomSchema({ dialect: postgresDialect(major) }),
      changes: fc.array(mutation, { minLength: 1, maxLength: 30, size: 'max' }),
      edits: fc.array(mutation, { maxLength: 15, size: 'max' }),
      batchSize: fc.constantFrom(1, 3, 1_000),
    })
    const property = fc.asyncProperty(input, async ({ schema, changes, edits, batchSize }) => {
      await using pair = await createPair(from, to)
      await using kept = await createChangeSets('sqlite')
      await loadSchema(pair.source, schema)
      const policies = { ...MIRROR, create: true, batchSize, maxDeletePercent: 100, maxOverwritePercent: 100 }
      await pair.run(policies)
      for (const each of changes) await mutate(pair.source, schema, each)

      await using set = recording(openChangeSet(kept.tools, { jobId: kept.jobId, staging: 'embedded' }))
      const before = await dumpOf(pair.target, schema.tables)
      const { changeSet } = await pair.preview(policies, { changeSet: set })
      expect(await dumpOf(pair.target, schema.tables), 'a preview writes nothing').toEqual(before)
      const summary = changeSet as ChangeSetSummary
      const planned = await readAll(set, summary)

      for (const each of edits) await mutate(pair.target, schema, each)
      await using expected = await copyDatabase(to, pair.target)
      const receipt = await pair.run(policies, {
        applying: { set, summary, onMoved: 'apply the others', reverting: false, ownPlan: true },
      })
      const left = new Set(
        set.outcomes.filter(({ mark }) => mark === 'moved' || mark === 'refused').map(({ seq }) => seq),
      )
      await carryOut(
        expected,
        summary,
        planned.filter(({ seq }) => !left.has(seq)),
      )
      for (const { name } of schema.tables) await expectSameTable(expected, pair.target, name)

      // Nothing is left that had not moved, unless the target refused it, and then it says why.
      const moved = set.outcomes.filter(({ mark }) => mark === 'moved')
      const inStep = set.outcomes.filter(({ mark }) => mark === 'in_step')
      expect(edits.length > 0 || moved.length + inStep.length === 0, 'nothing moves by itself').toBe(true)
      expect(receipt.counts.conflicted).toBe(moved.length)
      expect(set.outcomes.filter(({ mark, reason }) => mark === 'refused' && !reason)).toEqual([])
      expect(receipt.counts.inserted + receipt.counts.updated + receipt.counts.deleted).toBe(
        planned.length - left.size - inStep.length,
      )
      expect(set.outcomes.map(({ seq }) => seq).length).toBe(new Set(set.outcomes.map(({ seq }) => seq)).size)
    })
    await fc.assert(property, {
      seed: printedSeed(),
      numRuns: Math.ceil(SCHEMAS / directions.length),
      endOnFailure: process.env['SYNCLINE_TEST_SHRINK'] === undefined,
    })
  },
  Math.max(240_000, SCHEMAS * 20_000),
)

const WAYS = waysWithMariadb(usePairs())

test.each(WAYS)(
  'what a preview shows is what was there, and what is then written ($name)',
  async ({ open, dialect }) => {
    const input = fc.record({
      schema: randomSchema({ dialect }),
      changes: fc.array(mutation, { minLength: 1, maxLength: 30, size: 'max' }),
      batchSize: fc.constantFrom(1, 3, 1_000),
    })
    const property = fc.asyncProperty(input, async ({ schema, changes, batchSize }) => {
      await using pair = await open()
      await using kept = await createChangeSets('sqlite')
      await loadSchema(pair.source, schema)
      const policies = { ...MIRROR, create: true, batchSize, maxDeletePercent: 100, maxOverwritePercent: 100 }
      await pair.run(policies)
      for (const each of changes) await mutate(pair.source, schema, each)

      const names = schema.tables.map(({ name }) => name)
      await using set = recording(openChangeSet(kept.tools, { jobId: kept.jobId, staging: 'embedded' }))
      const before = await plainTables(pair.target, names)
      const { changeSet } = await pair.preview(policies, { changeSet: set })
      const summary = changeSet as ChangeSetSummary
      const planned = await readAll(set, summary)
      expect(await plainTables(pair.target, names), 'a preview writes nothing').toEqual(before)

      const applying = { set, summary, onMoved: 'apply nothing' as const, reverting: false, ownPlan: true }
      const { counts } = await pair.run(policies, { applying })
      expect(counts.inserted + counts.updated + counts.deleted).toBe(planned.length)
      const after = await plainTables(pair.target, names)
      for (const change of planned) {
        const table = summary.tables[change.table] as ChangeSetTable
        const place = names.indexOf(table.target.name)
        expectImage(table, change, { at: before[place], image: change.before })
        expectImage(table, change, { at: after[place], image: change.after })
      }
      await expectSameRows(pair, names)
      expect(wroteNothing(await pair.run(policies))).toBe(true)
    })
    await fc.assert(property, {
      seed: printedSeed(),
      numRuns: Math.ceil(SCHEMAS / 2 / WAYS.length),
      endOnFailure: process.env['SYNCLINE_TEST_SHRINK'] === undefined,
    })
  },
  Math.max(240_000, SCHEMAS * 20_000),
)

/** What a change shows under its key is what the target says plainly; null is no row. */
function expectImage(
  { key, columns }: ChangeSetTable,
  change: SetChange,
  { at, image }: { readonly at: PlainTable | undefined; readonly image: SetChange['before'] },
): void {
  const table = at as PlainTable
  const says = (name: string, row: readonly (string | null)[], value: Value | undefined): boolean => {
    const place = table.columns.findIndex((column) => column.name === name)
    const [type, cell = null] = [table.columns[place]?.type, row[place]]
    if (type === undefined) return false
    return cell === null || typeof value !== 'string' ? cell === value : saySame(type, type, [cell, value])
  }
  const rows = table.rows.filter((row) => key.every((name, i) => says(name, row, change.key[i])))
  expect([change.key, rows.length]).toEqual([change.key, image === null ? 0 : 1])
  for (const row of rows) {
    for (const [i, { name }] of columns.entries()) {
      expect([change.key, name, row, image?.[i], says(name, row, image?.[i])]).toEqual([
        change.key,
        name,
        row,
        image?.[i],
        true,
      ])
    }
  }
}

/** The change set itself, which is watched for what becomes of its changes. */
function recording(set: ChangeSet & AsyncDisposable): ChangeSet & AsyncDisposable & { outcomes: ChangeOutcome[] } {
  const outcomes: ChangeOutcome[] = []
  return {
    outcomes,
    begin: () => set.begin(),
    append: (table, changes) => set.append(table, changes),
    seal: (facts) => set.seal(facts),
    summary: () => set.summary(),
    read: (table) => set.read(table),
    settle: async (settled) => {
      outcomes.push(...settled)
      await set.settle(settled)
    },
    [Symbol.asyncDispose]: () => set[Symbol.asyncDispose](),
  }
}

async function readAll(set: ChangeSet, { tables }: ChangeSetSummary): Promise<SetChange[]> {
  const all: SetChange[] = []
  for (const place of tables.keys()) for await (const changes of set.read(place)) all.push(...changes)
  return all
}

async function dumpOf(db: Database, tables: readonly { readonly name: string }[]): Promise<string[][]> {
  const dump: string[][] = []
  for (const { name } of tables) {
    const rows = await db.sql(`SELECT md5(t::text) FROM ${quote(name)} t ORDER BY 1`)
    dump.push(rows.map(([text]) => text ?? ''))
  }
  return dump
}

/** Carries changes out by statements of the test's own, whatever foreign keys say in between. */
async function carryOut(db: Database, { tables }: ChangeSetSummary, changes: readonly SetChange[]): Promise<void> {
  await db.sql('SET session_replication_role = replica')
  for (const { table, key } of changes) await remove(db, tables[table], key as (string | null)[])
  for (const { table, after } of changes)
    if (after !== null) await insert(db, tables[table], after as (string | null)[])
}

async function remove(db: Database, table: ChangeSetTable | undefined, key: (string | null)[]): Promise<void> {
  const { target: ref, key: names } = table as ChangeSetTable
  const where = names.map((name, i) => `${quote(name)}::text = (${typed(ref.name, name, i + 1)})::text`)
  await db.sql(`DELETE FROM ${quote(ref.name)} WHERE ${where.join(' AND ')}`, key)
}

/** A parameter through the type of its column, so that both sides are spelled alike. */
function typed(table: string, column: string, n: number): string {
  return `SELECT x.c FROM jsonb_populate_record(NULL::public.${quote(table)}, '{}') r, LATERAL (SELECT r.${quote(column)} AS c UNION ALL SELECT $${n}) x OFFSET 1`
}

async function insert(db: Database, table: ChangeSetTable | undefined, row: (string | null)[]): Promise<void> {
  const { target: ref, columns } = table as ChangeSetTable
  const names = columns.map(({ name }) => quote(name)).join(', ')
  const marks = row.map((_, i) => `$${i + 1}`).join(', ')
  await db.sql(`INSERT INTO ${quote(ref.name)} (${names}) OVERRIDING SYSTEM VALUE VALUES (${marks})`, row)
}
