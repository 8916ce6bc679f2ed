/**
 * Whatever a table, its rows and a mapping are: what fits arrives, what does not is set aside and told, the proof holds, a
 * second run writes nothing, and the next run follows changes. SYNCLINE_TEST_MAPPINGS sets how many.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'

import type { FieldMapping, TransformStep } from '#model/field-mapping.ts'
import { plainMapping } from '#model/sync-config.ts'

import { quote } from '#test/harness/database.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { postgresDialect } from '#test/harness/random-dialect.ts'
import { loadSchema, randomSchema, type RandomColumn } from '#test/harness/random-schema.ts'
import { printedSeed } from '#test/harness/seed.ts'
import { createPair, MIRROR } from '#test/harness/sync.ts'

const MAPPINGS = Number(process.env['SYNCLINE_TEST_MAPPINGS'] ?? 6)

const step = (name: string, args: Readonly<Record<string, unknown>> = {}): TransformStep => ({ name, args })

/** Chains that take a text, and the column that takes what they give. */
const CHAINS: readonly (readonly [string, readonly TransformStep[]])[] = [
  ['text', []],
  ['text', [step('upper'), step('trim')]],
  ['varchar(7)', [step('collapse_spaces')]],
  ['varchar(12)', [step('truncate', { length: 12 })]],
  ['char(40)', [step('slug'), step('truncate', { length: 40 })]],
  ['integer', [step('length')]],
  ['text', [step('base64_encode')]],
  ['char(64)', [step('hash', { algorithm: 'sha256' })]],
  ['text[]', [step('split', { separator: ',' })]],
  ['boolean', [step('is_null')]],
  ['text', [step('default', { value: 'nothing' }), step('replace', { search: 'a', with: '\\N\t' })]],
]

/** A column as a mapping may carry it: as it is, or through a chain. */
const choice = fc.nat(CHAINS.length * 2)

test(
  'random mappings of random tables copy, verify and re-run with nothing to write',
  async () => {
    const { source, target } = sharedServers()
    const major = Math.min(source.major, target.major)
    const input = fc.record({
      schema: randomSchema({ dialect: postgresDialect(major), maxRows: 30 }),
      choices: fc.array(choice, { minLength: 40, maxLength: 40 }),
      edits: fc.array(fc.nat(100), { minLength: 1, maxLength: 6 }),
    })
    const property = fc.asyncProperty(input, async ({ schema, choices, edits }) => {
      await using pair = await createPair(source, target)
      await loadSchema(pair.source, schema)
      await loadSchema(pair.target, schema, { rows: false })
      const table = schema.tables[0]
      if (table === undefined) return
      const columns = table.columns.filter(({ generated }) => !generated)
      const carried = columns.map((column, i) =>
        mapColumn(column, table.key.columns.includes(column.name), choices[i] ?? 0),
      )
      const ref = { schema: 'public', name: 'mapped' }
      await pair.target.sql(
        `CREATE TABLE mapped (${carried.map(({ sql }) => sql).join(', ')}, PRIMARY KEY (${table.key.columns.map(quote).join(', ')}))`,
      )
      const fields = carried.map(({ field }) => field)
      const mapping = { ...plainMapping({ schema: 'public', name: table.name }, ref), key: table.key.columns, fields }
      const config = { tables: [mapping], ...MIRROR, maxDeletePercent: 100, maxOverwritePercent: 100 }
      const first = await pair.run(config)
      expect(first.counts.inserted + first.counts.rejected).toBe(table.rows.length)
      const again = await pair.run(config)
      expect(again.counts).toMatchObject({ unchanged: first.counts.inserted, rejected: first.counts.rejected })
      const name = quote(table.name)
      for (const edit of edits) {
        await pair.source
          .sql(`DELETE FROM ${name} WHERE ctid IN (SELECT ctid FROM ${name} OFFSET ${edit % 30} LIMIT 1)`)
          .catch(() => [])
      }
      const [left] = await pair.source.sql(`SELECT count(*) FROM ${name}`)
      const next = await pair.run(config, { approve: true })
      expect(next.counts).toMatchObject({ inserted: 0, updated: 0 })
      expect(next.counts.unchanged + next.counts.rejected).toBe(Number(left?.[0]))
      expect((await pair.compare('proof', config)).tables[0]).toMatchObject({
        different: 0,
        onlyInTarget: 0,
        onlyInSource: 0,
      })
    })
    await fc.assert(property, {
      seed: printedSeed(),
      numRuns: MAPPINGS,
      endOnFailure: process.env['SYNCLINE_TEST_SHRINK'] === undefined,
    })
  },
  Math.max(240_000, MAPPINGS * 15_000),
)

function mapColumn(column: RandomColumn, isKey: boolean, chosen: number): { sql: string; field: FieldMapping } {
  const { name, type } = column
  const field = (transforms: readonly TransformStep[]): FieldMapping => ({
    target: name,
    from: { kind: 'columns', columns: [name] },
    transforms,
    rules: [],
  })
  const chain = isKey ? undefined : CHAINS[chosen]
  if (chain === undefined) return { sql: `${quote(name)} ${type}`, field: field([]) }
  const [sql, steps] = chain
  const into = /^bytea(?!\[)/.test(type) ? step('hex_encode') : step('cast', { to: 'text' })
  return { sql: `${quote(name)} ${sql}`, field: field([into, ...steps]) }
}
