import fc from 'fast-check'
import { expect, test } from 'vitest'

import { createDatabase, tableText } from './database.ts'
import { eachServer } from './postgres.ts'
import { postgresDialect } from './random-dialect.ts'
import { createStatements, foreignKeyStatements, loadSchema, randomSchema } from './random-schema.ts'
import { KEYS, keyTypesOf, typesOf } from './random-types.ts'
import { printedSeed } from './seed.ts'

const RUNS = 60

const servers = eachServer().map((server) => [server.major, server] as const)

test.each(servers)('what is generated loads, with all of its rows (PostgreSQL %i)', async (major, server) => {
  const property = fc.asyncProperty(randomSchema({ dialect: postgresDialect(major) }), async (schema) => {
    await using db = await createDatabase(server)
    await loadSchema(db, schema)
    for (const table of schema.tables) expect(await tableText(db, table.name)).toHaveLength(table.rows.length)
  })
  await fc.assert(property, { seed: printedSeed(), numRuns: RUNS / servers.length, endOnFailure: true })
})

test.each(servers)('every type takes its values (PostgreSQL %i)', async (major, server) => {
  const types = typesOf(major)
  await using db = await createDatabase(server)
  for (const statement of new Set(types.flatMap((type) => type.requires ?? []))) await db.sql(statement)
  await db.sql('BEGIN')
  for (const [index, type] of types.entries()) {
    await db.sql(`CREATE TABLE "${index}" (v ${type.sql})`)
    const values = fc.sample(type.values, { numRuns: 40, seed: 1 })
    for (const value of values) await db.sql(`INSERT INTO "${index}" VALUES ($1)`, [value])
  }
  await db.sql('COMMIT')
})

test.each(servers)('the keys of a type are distinct to the server (PostgreSQL %i)', async (major, server) => {
  const types = keyTypesOf(major)
  await using db = await createDatabase(server)
  const statements = new Set(types.flatMap((type) => type.requires ?? []))
  for (const statement of statements) await db.sql(statement)
  for (const [index, type] of types.entries()) {
    await db.sql(`CREATE TABLE "${index}" (v ${type.sql} PRIMARY KEY)`)
    for (let n = 0; n < KEYS; n += 1) {
      await db.sql(`INSERT INTO "${index}" OVERRIDING SYSTEM VALUE VALUES ($1)`, [type.keyOf(n)])
    }
  }
})

test('there are self-references, cycles, keys of three columns, and every kind of column', () => {
  const schemas = fc.sample(randomSchema({ dialect: postgresDialect(18) }), { numRuns: 300, seed: 7 })
  const tables = schemas.flatMap((schema) => schema.tables)
  const some = (predicate: (table: (typeof tables)[number]) => boolean): boolean => tables.some(predicate)
  expect(some((table) => table.foreignKeys.some((each) => each.parent === table.name))).toBe(true)
  const isCyclic = (all: typeof tables): boolean =>
    all.some(({ name, foreignKeys }) =>
      foreignKeys.some(
        ({ parent }) =>
          parent !== name && all.find((each) => each.name === parent)?.foreignKeys.some((back) => back.parent === name),
      ),
    )
  expect(schemas.some((schema) => isCyclic([...schema.tables]))).toBe(true)
  for (const length of [1, 2, 3]) expect(some((table) => table.key.columns.length === length)).toBe(true)
  for (const by of ['primary key', 'unique index']) expect(some((table) => table.key.by === by)).toBe(true)
  expect(some((table) => table.columns.length >= 15 && table.rows.length >= 8)).toBe(true)
  expect(tables.every((table) => table.columns.length <= 20)).toBe(true)
  const text = schemas.flatMap((schema) => [...createStatements(schema), ...foreignKeyStatements(schema)]).join('\n')
  for (const part of [
    'ALWAYS AS IDENTITY',
    'BY DEFAULT AS',
    'serial',
    'STORED',
    'DEFERRABLE',
    '__proto__',
    'multirange',
  ]) {
    expect(text).toContain(part)
  }
  for (const type of typesOf(18)) expect(text).toContain(type.sql)
})
