import type pg from 'pg'
import { connect } from './servers.ts'

/**
 * Deterministic data, made by the server itself: the same bytes on every machine. Each value follows from the row's
 * number by MD5, so that nothing compresses or sorts by luck.
 */

/** Rows of the wide table at scale 1: 549 MB of heap. */
const WIDE_ROWS = 1_000_000

/** The 17 mixed columns of jobs 3, 8, 9 and 13. */
function wideTable(name: string): string {
  return `CREATE TABLE ${name} (
    id int8 NOT NULL, ref uuid NOT NULL, kind int2 NOT NULL, quantity int4, total numeric(14,2), ratio float8,
    active bool NOT NULL, seen_at timestamptz NOT NULL, made_at timestamp, due date, code varchar(40) NOT NULL,
    name text NOT NULL, note text, body text NOT NULL, attributes jsonb NOT NULL, tags text[], digest bytea)`
}

/** Rows `from` to `to` of a wide table as a SELECT; `salt` makes other contents under the same ids. */
export function wideRows(from: number | string, to: number | string, salt = ''): string {
  return `SELECT g, md5('u${salt}' || g)::uuid, (g % 7)::int2, CASE WHEN g % 11 > 0 THEN (h & 1048575)::int4 END,
      ((h & 1073741823) / 100.0)::numeric(14,2), (h & 65535) / 7.0::float8, g % 3 = 0,
      '2020-01-01 00:00:00+00'::timestamptz + (h & 134217727) * interval '1 second' + (g % 1000) * interval '1 millisecond',
      CASE WHEN g % 13 > 0 THEN '2021-05-01'::timestamp + (h & 67108863) * interval '1 second' END,
      '2022-01-01'::date + (h & 1023)::int4, left(m, 12), 'Name ' || left(m, 8) || ' Ünïcode ' || g,
      CASE WHEN g % 5 > 0 THEN 'line one of ' || g || E'\\nline "two"\\t' || right(m, 16) END,
      repeat(m || ' ', 6 + (g % 3)::int4), jsonb_build_object('n', g, 'k', left(m, 10), 'nested', jsonb_build_array(g % 10, m)),
      ARRAY[left(m, 4), right(m, 4), 'tag, ' || g % 100], decode(m, 'hex')
    FROM (SELECT g, md5('${salt}' || g) AS m, ('x' || left(md5('${salt}h' || g), 8))::bit(32)::int8 AS h
          FROM generate_series(${from}::int8, ${to}::int8) g) s`
}

export interface WideOptions {
  readonly name: string
  readonly rows: number
  readonly primaryKey: boolean
}

export async function makeWide(client: pg.Client, { name, rows, primaryKey }: WideOptions): Promise<void> {
  await client.query(wideTable(name))
  if (rows > 0) await client.query(`INSERT INTO ${name} ${wideRows(1, rows)}`)
  if (primaryKey) await client.query(`ALTER TABLE ${name} ADD PRIMARY KEY (id)`)
  await client.query(`VACUUM (ANALYZE, FREEZE) ${name}`)
}

export function wideCount(scale: number): number {
  return Math.max(1, Math.round(WIDE_ROWS * scale))
}

/** What the heap of `wide` and its out-of-line values take. */
export async function wideBytes(url: string): Promise<number> {
  await using client = await connect(url)
  const { rows } = await client.query<{ bytes: string }>(`SELECT pg_table_size('wide') AS bytes`)
  return Number(rows[0]?.bytes)
}

const UPDATED = 0.6

export interface Changes {
  /** From 1 on: every turn changes other rows. */
  readonly turn: number
  /** Of the table as it was made. */
  readonly rows: number
  readonly changes: number
  /** Only rows with even or with odd ids, so that the changes of two sides never meet. */
  readonly lane?: 'even' | 'odd'
}

/**
 * Changes that are spread over `wide`: six tenths updates, two of inserts, two of deletes. Inserts go to the end.
 */
export function changesOf({ turn, rows, changes, lane }: Changes): string[] {
  const updates = Math.round(changes * UPDATED)
  const [inserts, deletes] = [Math.floor((changes - updates) / 2), Math.ceil((changes - updates) / 2)]
  const inLane = lane === undefined ? '' : `/ 2 * 2 + ${lane === 'even' ? 0 : 1}`
  const spread = (count: number, shift: number): string =>
    `SELECT (1 + (g * ${Math.floor(rows / count)}::int8 + ${turn} * ${shift}::int8) % ${rows}) ${inLane} FROM generate_series(1, ${count}) g`
  const first = rows + (2 * turn + (lane === 'odd' ? 1 : 0)) * inserts + 1
  return [
    `UPDATE wide SET note = 'changed in turn ${turn}', total = total + 1 WHERE id IN (${spread(updates, 7907)})`,
    `DELETE FROM wide WHERE id IN (${spread(deletes, 104_729)})`,
    `INSERT INTO wide ${wideRows(first, first + inserts - 1, 'new')}`,
  ]
}

/** A shop of eight tables: 1 GB with its indexes at scale 1. Keys of several kinds, secondary indexes, foreign keys. */
export async function makeShop(client: pg.Client, scale: number): Promise<void> {
  const of = (rows: number): number => Math.max(10, Math.round(rows * scale))
  const counts = { customers: of(200_000), products: of(50_000), orders: of(700_000), sessions: of(300_000) }
  for (const statement of shopSql(counts, of)) await client.query(statement)
  await client.query('VACUUM (ANALYZE, FREEZE)')
}

function shopSql(
  { customers, products, orders, sessions }: Record<'customers' | 'products' | 'orders' | 'sessions', number>,
  of: (rows: number) => number,
): string[] {
  return [
    `CREATE TYPE order_state AS ENUM ('new', 'paid', 'sent', 'returned')`,
    `CREATE TABLE country (code char(2) PRIMARY KEY, name text NOT NULL)`,
    `INSERT INTO country SELECT chr(65 + g / 26) || chr(65 + g % 26), 'Country ' || g FROM generate_series(0, 199) g`,
    `CREATE TABLE customer (id serial PRIMARY KEY, email text NOT NULL UNIQUE, name text NOT NULL, country char(2) NOT NULL
       REFERENCES country, born date, balance numeric(12,2) NOT NULL DEFAULT 0, profile jsonb, created_at timestamptz NOT NULL)`,
    `INSERT INTO customer SELECT g, md5('c' || g) || '@example.org', 'Customer ' || left(md5(g::text), 12),
       chr(65 + (g % 200) / 26) || chr(65 + (g % 200) % 26), '1950-01-01'::date + g % 20000, g % 100000 / 100.0,
       jsonb_build_object('level', g % 5, 'note', md5('p' || g)), '2020-01-01 00:00+00'::timestamptz + g * interval '7 minutes'
     FROM generate_series(1, ${customers}) g`,
    `SELECT setval('customer_id_seq', ${customers})`,
    `CREATE INDEX ON customer (country, born)`,
    `CREATE TABLE product (sku text PRIMARY KEY, title text NOT NULL, description text, price numeric(10,2) NOT NULL CHECK (price >= 0), tags text[])`,
    `INSERT INTO product SELECT 'SKU-' || lpad(g::text, 8, '0'), 'Product ' || md5(g::text), repeat(md5('d' || g) || ' ', 8),
       g % 9999 / 100.0, ARRAY['t' || g % 10, 't' || g % 17] FROM generate_series(1, ${products}) g`,
    `CREATE INDEX ON product USING gin (tags)`,
    `CREATE TABLE orders (id bigserial PRIMARY KEY, customer_id int NOT NULL REFERENCES customer, state order_state NOT NULL,
       placed_at timestamptz NOT NULL, total numeric(12,2) NOT NULL, comment text)`,
    `INSERT INTO orders SELECT g, 1 + (g * 7919::int8) % ${customers}, (ARRAY['new','paid','sent','returned'])[1 + g % 4]::order_state,
       '2021-01-01 00:00+00'::timestamptz + g * interval '1 minute', g % 500000 / 100.0, CASE WHEN g % 3 = 0 THEN 'Comment ' || md5('o' || g) END
     FROM generate_series(1, ${orders}) g`,
    `SELECT setval('orders_id_seq', ${orders})`,
    `CREATE INDEX ON orders (customer_id)`,
    `CREATE INDEX ON orders (placed_at)`,
    `CREATE TABLE order_item (order_id int8 NOT NULL REFERENCES orders, line int2 NOT NULL, sku text NOT NULL REFERENCES product,
       quantity int4 NOT NULL, price numeric(10,2) NOT NULL, PRIMARY KEY (order_id, line))`,
    `INSERT INTO order_item SELECT o, l, 'SKU-' || lpad((1 + (o * 31 + l * 977) % ${products})::text, 8, '0'), 1 + o % 5, (o + l) % 9999 / 100.0
     FROM generate_series(1, ${orders}) o, generate_series(1, 3) l`,
    `CREATE INDEX ON order_item (sku)`,
    `CREATE TABLE web_session (id uuid PRIMARY KEY, customer_id int REFERENCES customer, agent text NOT NULL, started timestamp NOT NULL, seconds float8, ip inet)`,
    `INSERT INTO web_session SELECT md5('s' || g)::uuid, CASE WHEN g % 4 > 0 THEN 1 + g % ${customers} END, 'Agent/' || g % 40 || ' ' || md5('a' || g % 500),
       '2022-01-01'::timestamp + g * interval '20 seconds', g % 3600 / 3.0, ('10.' || g % 256 || '.' || g / 256 % 256 || '.7')::inet
     FROM generate_series(1, ${sessions}) g`,
    `CREATE INDEX ON web_session (customer_id, started)`,
    wideTable('document'),
    `INSERT INTO document ${wideRows(1, of(450_000))}`,
    `ALTER TABLE document ADD PRIMARY KEY (id)`,
    `CREATE UNIQUE INDEX ON document (ref)`,
    `CREATE INDEX ON document (code)`,
    `CREATE INDEX ON document (seen_at)`,
    `CREATE TABLE audit (at timestamptz NOT NULL, actor text NOT NULL, seq int8 PRIMARY KEY, payload jsonb NOT NULL)`,
    `INSERT INTO audit SELECT '2023-01-01 00:00+00'::timestamptz + g * interval '3 seconds', 'actor ' || g % 97, g,
       jsonb_build_object('id', g, 'what', md5('w' || g), 'old', g % 17, 'new', g % 19) FROM generate_series(1, ${of(500_000)}) g`,
  ]
}
