/**
 * A good client that writes changed rows by multi-row upserts: `upsert-child.ts SOURCE TARGET TABLE CHANGED`. The keys of the
 * changed rows are in the source's table CHANGED. One connection to each side; 1,000 rows per statement, prepared
 * once; ten statements per transaction; the next rows are read while the last are written. No row is compared with what
 * the target holds.
 */
import pg from 'pg'

const ROWS = 1_000
const STATEMENTS_PER_TRANSACTION = 10

type Cells = (string | null)[]
const [sourceUrl = '', targetUrl = '', table = '', changed = ''] = process.argv.slice(2)
const TEXT = { getTypeParser: () => (value: string | Buffer) => value }
const source = new pg.Client({ connectionString: sourceUrl, types: TEXT })
const target = new pg.Client({ connectionString: targetUrl, types: TEXT })
await Promise.all([source.connect(), target.connect()])

const { rows: described } = await source.query<{ name: string }>(
  `SELECT quote_ident(attname) AS name FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum`,
  [table],
)
const columns = described.map(({ name }) => name)
const key = columns[0] ?? 'id'
const sets = columns.slice(1).map((name) => `${name} = excluded.${name}`)

function upsert(rows: readonly Cells[]): pg.QueryConfig {
  let n = 0
  const tuples = rows.map(() => `(${columns.map(() => `$${++n}`).join(', ')})`)
  return {
    name: `upsert ${rows.length}`,
    text: `INSERT INTO ${table} (${columns.join(', ')}) VALUES ${tuples.join(', ')} ON CONFLICT (${key}) DO UPDATE SET ${sets.join(', ')}`,
    values: rows.flat(),
  }
}

const { rows: keys } = await source.query<[string]>({ text: `SELECT id FROM ${changed} ORDER BY id`, rowMode: 'array' })

async function fetch(from: number): Promise<Cells[]> {
  const ids = keys.slice(from, from + ROWS).map(([id]) => id)
  if (ids.length === 0) return []
  const { rows } = await source.query<Cells>({
    name: 'fetch',
    text: `SELECT ${columns.join(', ')} FROM ${table} WHERE ${key} = ANY($1::int8[])`,
    values: [ids],
    rowMode: 'array',
  })
  return rows
}

const started = performance.now()
let written = 0
let next = fetch(0)
for (let statement = 0; ; statement++) {
  const rows = await next
  if (rows.length === 0) break
  next = fetch((statement + 1) * ROWS)
  if (statement % STATEMENTS_PER_TRANSACTION === 0) await target.query('BEGIN')
  await target.query(upsert(rows))
  written += rows.length
  if (statement % STATEMENTS_PER_TRANSACTION === STATEMENTS_PER_TRANSACTION - 1) await target.query('COMMIT')
}
await target.query('COMMIT')
console.log(JSON.stringify({ written, seconds: (performance.now() - started) / 1000 }))
await Promise.all([source.end(), target.end()])
