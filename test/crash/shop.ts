/**
 * A small shop for the crash suites: tables with foreign keys, a self-reference, large values and an identity; writers
 * that keep changing the source; and a ledger in the target that counts each row operation by trigger, which is the
 * oracle for "nothing applied twice".
 */
import type pg from 'pg'

import { createDatabase, type Database } from '#test/harness/database.ts'
import { sharedServers, type TestServer } from '#test/harness/postgres.ts'

/** Tables, parents first. */
export const SHOP_TABLES = ['customer', 'product', 'purchase', 'purchase_line'] as const

const SCHEMA = `
  CREATE TYPE state AS ENUM ('new', 'paid', 'sent');
  CREATE TABLE customer (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, referred_by int REFERENCES customer,
                         profile jsonb, joined timestamptz NOT NULL DEFAULT now());
  CREATE TABLE product (sku text PRIMARY KEY, price numeric(12, 3) NOT NULL, picture bytea, tags text[]);
  CREATE TABLE purchase (id bigserial PRIMARY KEY, customer_id int NOT NULL REFERENCES customer, state state NOT NULL DEFAULT 'new',
                         total numeric, placed timestamp NOT NULL DEFAULT now());
  CREATE TABLE purchase_line (purchase_id bigint REFERENCES purchase ON DELETE CASCADE, line int, sku text NOT NULL REFERENCES product,
                              quantity int NOT NULL, PRIMARY KEY (purchase_id, line));`

/** Fires for COPY, for our statements and in replica sessions alike; a row of the ledger commits with the row it counts. */
export const LEDGER = `
  CREATE SCHEMA ledger;
  CREATE TABLE ledger.entry (tab text NOT NULL, op text NOT NULL);
  CREATE FUNCTION ledger.count() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN INSERT INTO ledger.entry VALUES (TG_TABLE_NAME, TG_OP); RETURN NULL; END $$;
  CREATE FUNCTION ledger.watch(tab regclass) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
    EXECUTE format('CREATE TRIGGER count AFTER INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW EXECUTE FUNCTION ledger.count()', tab);
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER count', tab); END $$;`

/** Tables that are made later are watched from their first moment, in the transaction that makes them. */
const LEDGER_OF_NEW_TABLES = `
  CREATE FUNCTION ledger.watch_new() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM ledger.watch(objid::regclass) FROM pg_event_trigger_ddl_commands()
      WHERE object_type = 'table' AND schema_name = 'public'; END $$;
  CREATE EVENT TRIGGER watch_new ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION ledger.watch_new();`

export interface ShopPair extends AsyncDisposable {
  readonly source: Database
  readonly target: Database
}

/** Two shops in databases of their own: the source has rows, and the target none and a ledger. */
export async function openShops(
  rows: number,
  {
    source: from = sharedServers().source,
    target: to = sharedServers().target,
  }: Partial<Record<'source' | 'target', TestServer>> = {},
): Promise<ShopPair> {
  await using stack = new AsyncDisposableStack()
  const source = stack.use(await createDatabase(from))
  const target = stack.use(await createDatabase(to))
  for (const shop of [source, target]) await createShop(shop)
  await keepLedger(target)
  await fillShop(source, rows)
  const held = stack.move()
  return { source, target, [Symbol.asyncDispose]: () => held.disposeAsync() }
}

export async function createShop(db: Database): Promise<void> {
  await db.sql(SCHEMA)
}

/**
 * Keeps the ledger of a shop. The self-reference goes, because rows of a ring are written twice, NULL first and then filled in:
 * then the ledger would count what the counters, by design, do not.
 */
export async function keepLedger(db: Database): Promise<void> {
  await dropRing(db)
  await db.sql(`${LEDGER} SELECT ${SHOP_TABLES.map((table) => `ledger.watch('${table}')`).join(', ')}`)
}

/** Keeps the ledger of a database in which the shop is still to be made, from a source without the self-reference. */
export async function keepLedgerOfNewTables(db: Database): Promise<void> {
  await db.sql(`${LEDGER} ${LEDGER_OF_NEW_TABLES}`)
}

export async function dropRing(db: Database): Promise<void> {
  await db.sql('ALTER TABLE customer DROP CONSTRAINT customer_referred_by_fkey')
}

/** Changes of all kinds in all tables, enough for several batches each; different in every round. */
export async function changeShop(db: Database, round: number): Promise<void> {
  await db.sql(`UPDATE product SET price = price + 1;
    UPDATE purchase SET total = ${round} WHERE id % 3 = ${round % 3};
    UPDATE customer SET profile = '{"round": ${round}}' WHERE id % 5 = ${round % 5};
    INSERT INTO customer (name) SELECT 'round ${round}' FROM generate_series(1, 120);
    INSERT INTO purchase (customer_id, total)
      SELECT id, ${round} FROM (SELECT id FROM customer ORDER BY id DESC LIMIT 120) c;
    INSERT INTO purchase_line SELECT id, 1, (SELECT min(sku) FROM product), ${round}
      FROM (SELECT id FROM purchase ORDER BY id DESC LIMIT 110) p;
    DELETE FROM purchase WHERE id IN (SELECT id FROM purchase ORDER BY id LIMIT 60)`)
}

/** Row operations that the target has seen, by its own triggers. */
export type Written = Readonly<Record<'inserted' | 'updated' | 'deleted', number>>

const OPERATIONS = ['inserted', 'updated', 'deleted'] as const

/** What was written between two readings of a ledger, or by two jobs together. */
export function combine(a: Written, b: Written, sign: 1 | -1): Written {
  const [inserted = 0, updated = 0, deleted = 0] = OPERATIONS.map((op) => a[op] + sign * b[op])
  return { inserted, updated, deleted }
}

export async function readLedger(db: Database): Promise<Record<'inserted' | 'updated' | 'deleted', number>> {
  const rows = await db.sql(`SELECT op, count(*) FROM ledger.entry GROUP BY op`)
  const of = (op: string): number => Number(rows.find((row) => row[0] === op)?.[1] ?? 0)
  return { inserted: of('INSERT'), updated: of('UPDATE'), deleted: of('DELETE') }
}

/** Fills the shop: about `n` customers and products, 2n purchases, 6n lines. */
export async function fillShop(db: Database, n: number): Promise<void> {
  await db.sql(`
    INSERT INTO customer (name, referred_by, profile)
      SELECT 'customer ' || i, CASE WHEN i > 3 THEN 1 + i % 3 END, jsonb_build_object('i', i, 'big', 9007199254740993)
      FROM generate_series(1, ${n}) i;
    INSERT INTO product SELECT 'sku-' || i, i * 1.005, CASE WHEN i % 20 = 0 THEN decode(repeat('ab', 4000), 'hex') END,
      ARRAY['a,b', NULL, 'c"' || i] FROM generate_series(1, ${n}) i;
    INSERT INTO purchase (customer_id, total) SELECT 1 + i % ${n}, i * 0.5 FROM generate_series(1, ${2 * n}) i;
    INSERT INTO purchase_line SELECT p, l, 'sku-' || (1 + (p + l) % ${n}), l FROM generate_series(1, ${2 * n}) p, generate_series(1, 3) l;
    ANALYZE`)
}

/** Something that happens in a shop: each statement is one transaction of a few rows. */
const EVENTS: readonly string[] = [
  `WITH c AS (INSERT INTO customer (name, referred_by) SELECT 'new ' || random(), (SELECT max(id) FROM customer) RETURNING id)
   INSERT INTO purchase (customer_id, total) SELECT id, random() FROM c`,
  `WITH p AS (INSERT INTO purchase (customer_id, total) SELECT id, 1 FROM customer ORDER BY random() LIMIT 1 RETURNING id)
   INSERT INTO purchase_line SELECT p.id, l, (SELECT sku FROM product ORDER BY random() LIMIT 1), 1 FROM p, generate_series(1, 4) l`,
  `UPDATE product SET price = price + 0.001 WHERE sku IN (SELECT sku FROM product ORDER BY random() LIMIT 3)`,
  `UPDATE purchase SET state = 'paid', total = coalesce(total, 0) + 1 WHERE id IN (SELECT id FROM purchase ORDER BY random() LIMIT 3)`,
  `DELETE FROM purchase WHERE id IN (SELECT id FROM purchase ORDER BY random() LIMIT 1)`,
  `UPDATE customer SET referred_by = (SELECT id FROM customer ORDER BY random() LIMIT 1) WHERE id IN (SELECT id FROM customer ORDER BY random() LIMIT 2)`,
]

/** Keeps writing to the shop until it is disposed of; disposal rejects if a write failed for another reason than a race. */
export function keepWriting(db: Database, random: () => number): AsyncDisposable & { readonly writes: () => number } {
  let stopped = false
  let writes = 0
  const work = (async () => {
    await using client = await db.connect()
    while (!stopped) {
      await writeOnce(client, EVENTS[Math.floor(random() * EVENTS.length)] ?? '')
      writes += 1
    }
  })()
  // Held until disposal, so that a failure there is the test's and not an unhandled rejection.
  work.catch(() => undefined)
  return {
    writes: () => writes,
    async [Symbol.asyncDispose]() {
      stopped = true
      await work
    },
  }
}

async function writeOnce(client: pg.Client, sql: string): Promise<void> {
  await client.query(sql)
}
