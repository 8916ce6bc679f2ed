/** C1 to C9, C16: a value that an expression has read and writes again is the server's own text. */
import { expect, test } from 'vitest'

import type { ColumnType } from '#model/column-type.ts'
import { createDatabase } from '#test/harness/database.ts'
import { eachServer } from '#test/harness/postgres.ts'
import { printedSeed } from '#test/harness/seed.ts'
import { beginWork } from './failure.ts'
import { celTypeOf } from './types.ts'
import { isCanonical, reader, writer } from './values.ts'

const TIMESTAMPS = `SELECT 'epoch'::timestamptz + (random() - 0.01) * interval '280000 years' FROM generate_series(1, 2000)
  UNION ALL VALUES ('infinity'::timestamptz), ('-infinity'), ('4713-11-24 00:00:00+00 BC'), ('294276-12-31 23:59:59.999999+00'), ('0001-12-31 23:59:59.999999+00 BC')`

const CASES: readonly (readonly [string, ColumnType, string])[] = [
  [
    'doubles',
    { kind: 'float', bits: 64 },
    `SELECT (random() - 0.5) * (10::float8 ^ ((random() - 0.5) * 600)) FROM generate_series(1, 5000)
     UNION ALL VALUES (0::float8), ('-0'), ('NaN'), ('Infinity'), ('-Infinity'), (1e15), (1e14), (123456789012345), (1e-4), (1e-5), (5e-324), (1.7976931348623157e308), (9007199254740993)`,
  ],
  ['timestamps', { kind: 'timestamp', zoned: true, digits: 6 }, TIMESTAMPS],
  [
    'datetimes',
    { kind: 'timestamp', zoned: false, digits: 6 },
    `SELECT column1::timestamp FROM (${TIMESTAMPS}) t(column1)`,
  ],
  [
    'dates',
    { kind: 'date' },
    `SELECT 'epoch'::date + ((random() - 0.001) * 2e9)::int FROM generate_series(1, 2000)
     UNION ALL VALUES ('infinity'::date), ('5874897-12-31'), ('4713-11-24 BC'), ('2000-02-29'), ('0001-01-01')`,
  ],
  [
    'times',
    { kind: 'time', zoned: false, digits: 6 },
    `SELECT '00:00'::time + random() * interval '1 day' FROM generate_series(1, 500) UNION ALL VALUES ('24:00'::time)`,
  ],
  ['integers', { kind: 'integer', bits: 64 }, `VALUES (-9223372036854775808), (9223372036854775807), (0::int8)`],
  [
    'bytes',
    { kind: 'bytes' },
    String.raw`SELECT decode(md5(i::text), 'hex') FROM generate_series(1, 50) i UNION ALL VALUES ('\x'::bytea)`,
  ],
  [
    'decimals',
    { kind: 'decimal', precision: null, scale: null },
    `SELECT trim_scale((random() * 1e30)::numeric / 1e20) FROM generate_series(1, 500) UNION ALL VALUES ('NaN'::numeric), (0), (-0.001), (1e300), (1e-300)`,
  ],
  [
    'arrays',
    { kind: 'array', of: { kind: 'text', maxLength: null } },
    `VALUES (ARRAY['a', NULL, 'NULL', '', ' ', '"', '\\', ',', '{', E'\\n', E'\\u00a0', 'null', 'é'])
     UNION ALL VALUES ('{}'::text[]) UNION ALL SELECT ARRAY[chr(i), chr(i) || 'x'] FROM generate_series(1, 300) i`,
  ],
]

test.each(eachServer().map((server) => [server.major, server] as const))('PostgreSQL %i', async (_, server) => {
  await using db = await createDatabase(server)
  await db.sql(`SELECT setseed($1::float8)`, [String(printedSeed() / 2 ** 31)])
  for (const [name, type, query] of CASES) {
    const rows = await db.sql(query)
    expect(rows.length, name).toBeGreaterThan(2)
    const [read, write] = [reader(type), writer(celTypeOf(type))]
    const lost = rows.flatMap(([text]) => {
      beginWork()
      const again = write(read(text ?? null))
      return again === text && isCanonical(type, text ?? '') ? [] : [`${text} became ${String(again)}`]
    })
    expect(lost, name).toEqual([])
  }
})
