/**
 * Bisection as data-diff does it (hashdiff: factor 32, threshold 16384), and the changes applied:
 * `bisect-child.ts SOURCE TARGET TABLE`. A segment of the key space is checksummed on both sides at once (MD5 of each row's
 * columns as text, summed, as data-diff writes it for PostgreSQL); segments that differ are cut into 32; below
 * 16,384 rows the rows of both sides are fetched and compared here. Key bounds come from min and max. Segments are worked on over
 * one connection per side, the default of data-diff.
 */
import pg from 'pg'

const FACTOR = 32n
const THRESHOLD = 16_384
const CONNECTIONS = 1

type Cells = (string | null)[]
interface Segment {
  /** `[from, to)` of the integer key. */
  readonly from: bigint
  readonly to: bigint
}

const [sourceUrl = '', targetUrl = '', table = ''] = process.argv.slice(2)
const TEXT = { getTypeParser: () => (value: string | Buffer) => value }
const sides = {
  source: new pg.Pool({ connectionString: sourceUrl, max: CONNECTIONS, types: TEXT }),
  target: new pg.Pool({ connectionString: targetUrl, max: CONNECTIONS, types: TEXT }),
}

async function rowsOf(pool: pg.Pool, text: string, values: unknown[] = []): Promise<Cells[]> {
  return (await pool.query<Cells>({ text, values, rowMode: 'array' })).rows
}

const columns = (
  await rowsOf(
    sides.source,
    `SELECT quote_ident(attname) FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum`,
    [table],
  )
).map(([name]) => String(name))
const key = columns[0] ?? 'id'
const values = columns.map((name) => `coalesce(${name}::text, '<null>')`).join(` || '|' || `)
const CHECKSUM = `SELECT count(*), sum(('x' || substring(md5(${values}), 18))::bit(60)::int8) FROM ${table} WHERE ${key} >= $1 AND ${key} < $2`
const FETCH = `SELECT ${columns.map((name) => `${name}::text`).join(', ')} FROM ${table} WHERE ${key} >= $1 AND ${key} < $2`

const changes: { upserts: Cells[]; deletes: string[] } = { upserts: [], deletes: [] }

async function both(text: string, { from, to }: Segment): Promise<[Cells[], Cells[]]> {
  return Promise.all([rowsOf(sides.source, text, [from, to]), rowsOf(sides.target, text, [from, to])])
}

async function diff(segment: Segment, rows: number): Promise<void> {
  if (rows < THRESHOLD) return compare(segment)
  const width = (segment.to - segment.from + FACTOR - 1n) / FACTOR
  const parts: Segment[] = []
  for (let from = segment.from; from < segment.to; from += width) {
    parts.push({ from, to: from + width < segment.to ? from + width : segment.to })
  }
  await Promise.all(
    parts.map(async (part) => {
      const [[source], [target]] = await both(CHECKSUM, part)
      if (source?.[0] === target?.[0] && source?.[1] === target?.[1]) return
      await diff(part, Math.max(Number(source?.[0]), Number(target?.[0])))
    }),
  )
}

async function compare(segment: Segment): Promise<void> {
  const [source, target] = await both(FETCH, segment)
  const before = new Map(target.map((row) => [row[0], row]))
  for (const row of source) {
    const old = before.get(row[0] ?? null)
    before.delete(row[0] ?? null)
    if (old === undefined || row.some((cell, i) => cell !== old[i])) changes.upserts.push(row)
  }
  for (const id of before.keys()) changes.deletes.push(String(id))
}

const BOUNDS = `SELECT min(${key}), max(${key}), count(*) FROM ${table}`
const [[source], [target]] = await Promise.all([rowsOf(sides.source, BOUNDS), rowsOf(sides.target, BOUNDS)])
const mins = [source, target].map((bounds) => BigInt(bounds?.[0] ?? 0))
const maxes = [source, target].map((bounds) => BigInt(bounds?.[1] ?? 0))
const [a = 0n, b = 0n] = mins
const [c = 0n, d = 0n] = maxes
await diff({ from: a < b ? a : b, to: (c > d ? c : d) + 1n }, Math.max(Number(source?.[2]), Number(target?.[2])))

const client = await sides.target.connect()
await client.query('BEGIN')
for (const id of changes.deletes) await client.query(`DELETE FROM ${table} WHERE ${key} = $1`, [id])
const sets = columns.slice(1).map((name) => `${name} = excluded.${name}`)
const marks = columns.map((_, i) => `$${i + 1}`).join(', ')
for (const row of changes.upserts) {
  await client.query({
    name: 'upsert',
    text: `INSERT INTO ${table} (${columns.join(', ')}) VALUES (${marks}) ON CONFLICT (${key}) DO UPDATE SET ${sets.join(', ')}`,
    values: row,
  })
}
await client.query('COMMIT')
client.release()
console.log(JSON.stringify({ changes: changes.upserts.length + changes.deletes.length }))
await Promise.all([sides.source.end(), sides.target.end()])
