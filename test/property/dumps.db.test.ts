/**
 * Whatever a schema and its rows are, with the boundary values of all types: a dump in any style is whole, and psql makes the
 * same tables of it (promise P14). SYNCLINE_TEST_SCHEMAS sets how many schemas, in all.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'

import { createDatabase, expectSameTables } from '#test/harness/database.ts'
import { dump, isWhole, restoreByPsql } from '#test/harness/dump.ts'
import { eachServer } from '#test/harness/postgres.ts'
import { postgresDialect } from '#test/harness/random-dialect.ts'
import { loadSchema, randomSchema } from '#test/harness/random-schema.ts'
import { printedSeed } from '#test/harness/seed.ts'

const SCHEMAS = Number(process.env['SYNCLINE_TEST_SCHEMAS'] ?? 4)

const servers = eachServer().map((server) => [`PostgreSQL ${server.major}`, server] as const)

test.each(servers)(
  'a random schema comes back from a dump as it was, in each style (%s)',
  async (_name, server) => {
    const input = fc.record({
      schema: randomSchema({ dialect: postgresDialect(server.major) }),
      parallel: fc.constantFrom(1, 2, 4),
      compression: fc.constantFrom('none' as const, 'gzip' as const, 'zstd' as const),
    })
    const property = fc.asyncProperty(input, async ({ schema, parallel, compression }) => {
      await using source = await createDatabase(server)
      await loadSchema(source, schema)
      const names = schema.tables.map(({ name }) => name)
      for (const style of ['copy', 'insert'] as const) {
        const { sql, tables } = await dump(source, { style, parallel, compression })
        expect(isWhole(Buffer.from(sql))).toBe(true)
        expect(Object.fromEntries(tables.map(({ name, rows }) => [name, rows]))).toEqual(
          Object.fromEntries(schema.tables.map(({ name, rows }) => [name, rows.length])),
        )
        await using restored = await createDatabase(server)
        await restoreByPsql(restored, sql)
        await expectSameTables(source, restored, names)
      }
    })
    await fc.assert(property, {
      seed: printedSeed(),
      numRuns: Math.ceil(SCHEMAS / servers.length),
      endOnFailure: process.env['SYNCLINE_TEST_SHRINK'] === undefined,
    })
  },
  Math.max(300_000, SCHEMAS * 60_000),
)
