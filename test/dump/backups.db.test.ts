/** What an import keeps of what it replaces, and nothing else: it leads back, whatever else is in the schemas. */
import { describe, expect, test } from 'vitest'

import { Backups } from '#test/harness/backups.ts'
import { createDatabase, type Database } from '#test/harness/database.ts'
import { dump } from '#test/harness/dump.ts'
import { fileOf, importInto, pgDump, plan, refusal, withoutKey } from '#test/harness/import.ts'
import { sharedServers } from '#test/harness/postgres.ts'

const oldest = (): ReturnType<typeof sharedServers>['source'] => {
  const { source, target } = sharedServers()
  return source.major <= target.major ? source : target
}

const textOf = async (db: Database): Promise<string> => withoutKey(await pgDump(db))

/** Of this only `app.a` is replaced. */
const OTHERS = `
  CREATE SCHEMA app; CREATE SCHEMA rep;
  CREATE COLLATION app.de (provider = icu, locale = 'de');
  CREATE TEXT SEARCH DICTIONARY app.words (TEMPLATE = simple);
  CREATE TEXT SEARCH CONFIGURATION app.search (COPY = simple);
  CREATE CONVERSION app.there FOR 'UTF8' TO 'LATIN1' FROM utf8_to_iso8859_1;
  CREATE TYPE app.state AS ENUM ('new', 'done');
  CREATE FUNCTION app.note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
  CREATE FUNCTION app.same(app.state, app.state) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT $1 = $2';
  CREATE OPERATOR app.=== (leftarg = app.state, rightarg = app.state, function = app.same);
  CREATE CAST (app.state AS int) WITH INOUT;
  CREATE OPERATOR CLASS app.ops FOR TYPE int USING btree AS OPERATOR 1 <, FUNCTION 1 btint4cmp(int, int);
  CREATE TABLE app.b (id int PRIMARY KEY, name text COLLATE app.de, state app.state); INSERT INTO app.b VALUES (1, 'b', 'new');
  CREATE TABLE app.c (id int); INSERT INTO app.c VALUES (1); CREATE SEQUENCE app.free;
  CREATE VIEW rep.v AS SELECT * FROM app.b; CREATE PUBLICATION news FOR TABLE app.c;`

const A = `
  CREATE TABLE app.a (id serial PRIMARY KEY, b int REFERENCES app.b, state app.state DEFAULT 'new', v text COLLATE app.de,
    n int GENERATED ALWAYS AS IDENTITY, twice int GENERATED ALWAYS AS (b * 2) STORED, CONSTRAINT "some;" CHECK (b < 100));
  INSERT INTO app.a (b, v) SELECT 1, 'v' || n FROM generate_series(1, 5) n; DELETE FROM app.a WHERE id > 3;
  CREATE INDEX a_v ON app.a (lower(v), b app.ops) WHERE b > 0; CREATE STATISTICS app.facts ON b, v FROM app.a;
  CREATE TRIGGER noting BEFORE INSERT ON app.a FOR EACH ROW EXECUTE FUNCTION app.note(); ALTER TABLE app.a DISABLE TRIGGER noting;
  CREATE RULE quiet AS ON DELETE TO app.a WHERE OLD.b = 7 DO INSTEAD NOTHING;
  ALTER TABLE app.a ENABLE ROW LEVEL SECURITY; CREATE POLICY mine ON app.a USING (b > 0); COMMENT ON POLICY mine ON app.a IS 'mine';
  COMMENT ON TABLE app.a IS 'a'; COMMENT ON COLUMN app.a.v IS 'v'; COMMENT ON INDEX app.a_v IS 'index'; COMMENT ON CONSTRAINT "some;" ON app.a IS 'check';
  GRANT SELECT ON app.a TO PUBLIC; GRANT UPDATE (v) ON app.a TO PUBLIC; GRANT USAGE ON app.a_id_seq TO PUBLIC;`

interface Pair extends AsyncDisposable {
  readonly source: Database
  readonly target: Database
  readonly backups: Backups
}

/** A database to take dumps of, and one into which they are imported. */
async function pair(target: string, source: string): Promise<Pair> {
  const [a, b] = [await createDatabase(oldest()), await createDatabase(oldest())]
  await a.sql(source)
  await b.sql(target)
  return {
    source: a,
    target: b,
    backups: new Backups(b),
    [Symbol.asyncDispose]: async () => {
      await a[Symbol.asyncDispose]()
      await b[Symbol.asyncDispose]()
    },
  }
}

const NEW_A = `CREATE SCHEMA app; CREATE TABLE app.a (id int PRIMARY KEY, fresh text); INSERT INTO app.a VALUES (7, 'new')`

describe('D16: one table of a schema is replaced', () => {
  test('and the backup brings it back with all its parts, and leaves everything else as it is by then', async () => {
    await using at = await pair(`${OTHERS} ${A}`, NEW_A)
    const { source, target, backups } = at
    const before = await textOf(target)
    await importInto(target, (await dump(source)).packed, { replace: true, backup: backups.keep })
    expect(await target.sql('SELECT id, fresh FROM app.a')).toEqual([['7', 'new']])
    const since = `UPDATE app.b SET name = 'since'; INSERT INTO app.c VALUES (2); SELECT setval('app.free', 77)`
    await target.sql(since)
    const planned = await plan(target, fileOf(backups.last), { replace: true })
    expect([planned.refusals, planned.notes]).toEqual([[], []])
    expect(planned.replaced.drop.map(({ name }) => name).toSorted()).toEqual(['a'])
    await importInto(target, backups.last, { replace: true, backup: backups.keep })
    await using expected = await createDatabase(oldest())
    await expected.sql(`${OTHERS} ${A} ${since}`)
    expect(await textOf(target)).toBe(await textOf(expected))
    expect(before).not.toBe(await textOf(target))
    // And once more there and back.
    await importInto(target, backups.last, { replace: true })
    expect(await target.sql('SELECT id, fresh FROM app.a')).toEqual([['7', 'new']])
  })

  test('types, functions, views and what is made of them come back in their order', async () => {
    const rich = `CREATE SCHEMA app; CREATE EXTENSION hstore SCHEMA public;
      CREATE TYPE app.state AS ENUM ('new');
      CREATE DOMAIN app.mail AS text CONSTRAINT at CHECK (VALUE ~ '@'); COMMENT ON CONSTRAINT at ON DOMAIN app.mail IS 'at';
      CREATE FUNCTION app.span(float8, float8) RETURNS float8 LANGUAGE sql IMMUTABLE AS 'SELECT $1 - $2';
      CREATE FUNCTION app.span(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
      CREATE TABLE app.root (id int PRIMARY KEY, p public.hstore, s app.state, m app.mail, f float8 DEFAULT app.span(1, 2)) PARTITION BY RANGE (id);
      CREATE TABLE app.leaf PARTITION OF app.root FOR VALUES FROM (0) TO (10);
      CREATE TABLE app.above (id int); CREATE TABLE app.kid (k int) INHERITS (app.above);
      CREATE INDEX root_s ON app.root (s);
      CREATE VIEW app.v AS SELECT id, s FROM app.root; CREATE MATERIALIZED VIEW app.mv AS SELECT count(*) FROM app.v;
      CREATE UNIQUE INDEX ON app.mv (count); GRANT SELECT ON app.mv TO PUBLIC; REVOKE ALL ON FUNCTION app.span(int) FROM PUBLIC;
      CREATE TABLE app.sole (id int PRIMARY KEY, s text); CREATE VIEW app.grouped AS SELECT id, s, count(*) FROM app.sole GROUP BY id;
      INSERT INTO app.root VALUES (1, 'a=>1', 'new', 'a@b', 1); REFRESH MATERIALIZED VIEW app.mv;`
    await using at = await pair(
      `${rich} CREATE TABLE app.stays (id int); CREATE COLLATION app.de (provider = icu, locale = 'de')`,
      rich,
    )
    const { source, target, backups } = at
    await source.sql(`INSERT INTO app.root VALUES (2); COMMENT ON VIEW app.v IS 'of the source'`)
    const before = await textOf(target)
    await importInto(target, (await dump(source)).packed, { replace: true, backup: backups.keep })
    expect(await textOf(target)).not.toBe(before)
    await importInto(target, backups.last, { replace: true })
    expect(await textOf(target)).toBe(before)
    // What it builds on comes along where that is not there.
    await using other = await createDatabase(oldest())
    await importInto(other, backups.last)
    expect(await other.sql('SELECT id, p FROM app.root')).toEqual([['1', '"a"=>"1"']])
  })

  test('rights that others have, and no more: not what default privileges give to what is made', async () => {
    await using at = await pair('CREATE SCHEMA app', 'CREATE SCHEMA app')
    const { source, target, backups } = at
    const [reader, other] = [`reader_${target.name}`, `other_${target.name}`]
    const things = `CREATE TABLE app.a (id serial); CREATE VIEW app.v AS SELECT 1 AS one; CREATE TYPE app.mood AS ENUM ('a');
      CREATE FUNCTION app.f(app.mood, int) RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE FUNCTION app.g() RETURNS int LANGUAGE sql AS 'SELECT 1';`
    await source.sql(things.replaceAll('SELECT 1', 'SELECT 2'))
    await target.sql(`CREATE ROLE ${reader}; CREATE ROLE ${other}; ${things} GRANT SELECT ON app.v TO ${reader}; GRANT UPDATE (id) ON app.a TO ${other};
      REVOKE ALL ON FUNCTION app.g() FROM PUBLIC; GRANT EXECUTE ON FUNCTION app.g() TO ${other};
      ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT SELECT ON TABLES TO ${reader};
      ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO PUBLIC; ALTER DEFAULT PRIVILEGES GRANT ALL ON TYPES TO ${reader};
      ALTER DEFAULT PRIVILEGES REVOKE ALL ON FUNCTIONS FROM PUBLIC; ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO ${reader}`)
    try {
      const before = await textOf(target)
      await importInto(target, (await dump(source)).packed, { replace: true, grants: false, backup: backups.keep })
      await importInto(target, backups.last, { replace: true })
      expect(await textOf(target)).toBe(before)
    } finally {
      await target.sql(`DROP OWNED BY ${reader}, ${other}; ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO PUBLIC;
        DROP ROLE ${reader}; DROP ROLE ${other}`)
    }
  })

  test('a partition of a table elsewhere, and a child of one, come back where they were', async () => {
    const parents = `CREATE SCHEMA app; CREATE SCHEMA par;
      CREATE TABLE par.p (id int PRIMARY KEY, v text, UNIQUE (id, v)) PARTITION BY RANGE (id);`
    await using at = await pair(
      `${parents} CREATE INDEX ON par.p (v); CREATE TABLE app.a PARTITION OF par.p FOR VALUES FROM (0) TO (10);
       CREATE TABLE app.p2 PARTITION OF par.p DEFAULT; CREATE INDEX own ON app.a (id, v, id);
       INSERT INTO par.p VALUES (1, 'one'), (11, 'eleven'); CREATE TABLE par.q (id int); CREATE TABLE app.kid (k int) INHERITS (par.q)`,
      '',
    )
    const { target, backups } = at
    const before = await textOf(target)
    const fresh = `-- PostgreSQL database dump
CREATE TABLE app.a (id int NOT NULL, v text);
CREATE TABLE app.kid (other int) INHERITS (par.q);
INSERT INTO app.a VALUES (2, 'two');
INSERT INTO app.a VALUES (3, 'three');
ALTER TABLE ONLY par.p ATTACH PARTITION app.a FOR VALUES FROM (0) TO (10);
-- PostgreSQL database dump complete
`
    await importInto(target, fresh, { replace: true, backup: backups.keep })
    expect(await target.sql('SELECT id FROM par.p ORDER BY id')).toEqual([['2'], ['3'], ['11']])
    await importInto(target, backups.last, { replace: true })
    expect(await textOf(target)).toBe(before)
  })
})

describe('D16: rows alone are replaced', () => {
  const TABLES = `CREATE SCHEMA app; CREATE TABLE app.log (what text);
    CREATE FUNCTION app.stamp() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN NEW.at := 'of the trigger'; INSERT INTO app.log VALUES (TG_OP); RETURN NEW; END $$;
    CREATE FUNCTION app.gone() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO app.log VALUES (TG_OP); RETURN NULL; END $$;
    CREATE TABLE app.buyer (id int PRIMARY KEY, at text);
    CREATE TABLE app.bill (id serial, buyer int REFERENCES app.buyer, at text) PARTITION BY RANGE (id);
    CREATE TABLE app.bill_1 PARTITION OF app.bill FOR VALUES FROM (0) TO (100);
    CREATE TABLE app.bill_2 PARTITION OF app.bill DEFAULT;`
  const TRIGGERS = `
    CREATE TRIGGER stamp BEFORE INSERT ON app.buyer FOR EACH ROW EXECUTE FUNCTION app.stamp();
    CREATE TRIGGER always BEFORE INSERT ON app.buyer FOR EACH ROW EXECUTE FUNCTION app.stamp();
    CREATE TRIGGER never BEFORE INSERT ON app.buyer FOR EACH ROW EXECUTE FUNCTION app.stamp();
    CREATE TRIGGER gone AFTER TRUNCATE ON app.buyer FOR EACH STATEMENT EXECUTE FUNCTION app.gone();
    ALTER TABLE app.buyer ENABLE ALWAYS TRIGGER always; ALTER TABLE app.buyer DISABLE TRIGGER never;
    CREATE TRIGGER stamp BEFORE INSERT ON app.bill FOR EACH ROW EXECUTE FUNCTION app.stamp();`
  const rows = (at: string): string => `INSERT INTO app.buyer VALUES (1, '${at}'), (2, '${at}');
    INSERT INTO app.bill (buyer, at) VALUES (1, '${at}'), (2, '${at}'); UPDATE app.bill SET id = 200 WHERE id = 2;`

  test('and come back as they were, with nothing that the triggers of their tables do', async () => {
    const others = `CREATE VIEW app.v AS SELECT * FROM app.buyer; CREATE COLLATION app.de (provider = icu, locale = 'de');
      CREATE TABLE app.other (id int); INSERT INTO app.other VALUES (1);`
    await using at = await pair(
      `${TABLES} ${rows('old')} ${TRIGGERS} ${others}`,
      `${TABLES} ${rows('new')} SELECT nextval('app.bill_id_seq');`,
    )
    const { source, target, backups } = at
    const before = await textOf(target)
    const data = (await dump(source, { content: 'data', tables: ['app.b*'] })).packed
    await importInto(target, data, { replace: true, backup: backups.keep })
    expect(await target.sql('SELECT DISTINCT at FROM app.buyer')).toEqual([['of the trigger']])
    await target.sql('INSERT INTO app.other VALUES (2); TRUNCATE app.log')
    await importInto(target, backups.last, { replace: true, backup: backups.keep })
    await target.sql('DELETE FROM app.other WHERE id = 2')
    expect(await textOf(target)).toBe(before)
    expect(await target.sql('SELECT * FROM app.log')).toEqual([])
    // Also where somebody has emptied the tables by now, so that nothing is replaced.
    await target.sql('TRUNCATE app.bill, app.buyer; TRUNCATE app.log')
    await importInto(target, backups.files[0] ?? '', { replace: true })
    expect(await textOf(target)).toBe(before)
    // Somewhere else they are rows as of any other file.
    await using other = await createDatabase(oldest())
    await other.sql(`${TABLES} ${TRIGGERS}`)
    await importInto(other, backups.files[0] ?? '')
    expect(await other.sql('SELECT DISTINCT at FROM app.buyer')).toEqual([['of the trigger']])
  })

  test('of a partitioned table by its own name: the rows of all its partitions', async () => {
    await using at = await pair(`${TABLES} ${rows('old')}`, `${TABLES} ${rows('new')}`)
    const { source, target, backups } = at
    const before = await textOf(target)
    const text = await pgDump(source, ['--data-only', '--load-via-partition-root', '--table=app.bill*'])
    await importInto(target, text, { replace: true, backup: backups.keep })
    expect(await textOf(target)).not.toBe(before)
    await importInto(target, backups.last, { replace: true })
    expect(await textOf(target)).toBe(before)
  })

  test('of tables that foreign keys tie into a ring, or a partitioned one to itself', async () => {
    const ring = `CREATE SCHEMA app; CREATE TABLE app.dept (id int PRIMARY KEY, boss int);
      CREATE TABLE app.emp (id int PRIMARY KEY, dept int REFERENCES app.dept) PARTITION BY RANGE (id);
      CREATE TABLE app.emp_1 PARTITION OF app.emp FOR VALUES FROM (0) TO (10); CREATE TABLE app.emp_2 PARTITION OF app.emp DEFAULT;
      ALTER TABLE app.dept ADD FOREIGN KEY (boss) REFERENCES app.emp;
      CREATE TABLE app.tree (id int PRIMARY KEY, up int REFERENCES app.tree) PARTITION BY RANGE (id);
      CREATE TABLE app.tree_1 PARTITION OF app.tree FOR VALUES FROM (0) TO (10); CREATE TABLE app.tree_2 PARTITION OF app.tree DEFAULT;
      INSERT INTO app.dept VALUES (1); INSERT INTO app.emp VALUES (2, 1); INSERT INTO app.tree VALUES (3);`
    const tied = `INSERT INTO app.emp VALUES (20, 1); UPDATE app.dept SET boss = 20; INSERT INTO app.tree VALUES (30, 3);
      UPDATE app.tree SET up = 30 WHERE id = 3;`
    await using at = await pair(`${ring} ${tied}`, ring)
    const { source, target, backups } = at
    const before = await textOf(target)
    await importInto(target, (await dump(source, { content: 'data' })).packed, { replace: true, backup: backups.keep })
    expect(await target.sql('SELECT count(*) FROM app.tree')).toEqual([['1']])
    await importInto(target, backups.last, { replace: true })
    expect(await textOf(target)).toBe(before)
    expect(await target.sql('SELECT count(*) FROM pg_constraint WHERE condeferrable')).toEqual([['0']])
  })

  test('and are none where a row that they refer to is gone since', async () => {
    const tables = `CREATE SCHEMA app; CREATE TABLE app.a (id int PRIMARY KEY); CREATE TABLE app.b (a int REFERENCES app.a);`
    await using at = await pair(
      `${tables} INSERT INTO app.a VALUES (1), (2); INSERT INTO app.b VALUES (1)`,
      `${tables} INSERT INTO app.a VALUES (2); INSERT INTO app.b VALUES (2)`,
    )
    const { source, target, backups } = at
    await importInto(target, (await dump(source, { content: 'data', tables: ['app.b'] })).packed, {
      replace: true,
      backup: backups.keep,
    })
    await target.sql('DELETE FROM app.a WHERE id = 1')
    const before = await textOf(target)
    const error = await refusal(importInto(target, backups.last, { replace: true }))
    expect([error.code, error.message]).toEqual(['restore_failed', expect.stringContaining('b_a_fkey')])
    expect(await textOf(target)).toBe(before)
  })
})

describe('D16: what hinders a backup', () => {
  test('rights that others have given, rights on functions of an extension, partitions of tables elsewhere: nothing of it does', async () => {
    await using at = await pair(
      `CREATE SCHEMA app; CREATE SCHEMA par; CREATE EXTENSION pg_trgm SCHEMA app; REVOKE ALL ON FUNCTION app.similarity FROM PUBLIC;
       CREATE TABLE par.p (id int) PARTITION BY RANGE (id); CREATE TABLE app.p1 PARTITION OF par.p DEFAULT;
       CREATE TABLE app.a (id int); INSERT INTO app.a VALUES (1)`,
      NEW_A,
    )
    const { source, target, backups } = at
    const [giver, taker] = [`giver_${target.name}`, `taker_${target.name}`]
    await target.sql(`CREATE ROLE ${giver}; CREATE ROLE ${taker}; GRANT USAGE ON SCHEMA app TO ${giver};
      GRANT SELECT ON app.a TO ${giver} WITH GRANT OPTION; SET ROLE ${giver}; GRANT SELECT ON app.a TO ${taker}; RESET ROLE`)
    try {
      await importInto(target, (await dump(source)).packed, { replace: true, backup: backups.keep })
      await importInto(target, backups.last, { replace: true })
      const may = `SELECT has_table_privilege($1, 'app.a', 'SELECT'), count(*) FROM app.a`
      expect(await target.sql(may, [taker])).toEqual([['t', '1']])
      expect(await target.sql(may, [giver])).toEqual([['t', '1']])
    } finally {
      await target.sql(`DROP OWNED BY ${taker}, ${giver} CASCADE; DROP ROLE ${taker}; DROP ROLE ${giver}`)
    }
  })

  test('tables of others in the schema, which the login may not read: they are left alone', async () => {
    await using at = await pair(
      `CREATE SCHEMA app; CREATE TABLE app.secret (id int); CREATE VIEW app.hidden AS SELECT * FROM app.secret;
       CREATE TABLE app.part (id int) PARTITION BY RANGE (id); CREATE SCHEMA closed; CREATE TABLE closed.t (id int)`,
      NEW_A,
    )
    const { source, target } = at
    const role = `owner_${target.name}`
    await target.sql(`CREATE ROLE ${role} LOGIN; GRANT USAGE, CREATE ON SCHEMA app TO ${role}; SET ROLE ${role};
      CREATE TABLE app.a (id serial PRIMARY KEY, v text); INSERT INTO app.a (v) VALUES ('old'); CREATE VIEW app.v AS SELECT v FROM app.a;
      RESET ROLE`)
    try {
      const url = new URL(target.url)
      url.username = role
      const backups = new Backups(target, url.href)
      const before = await textOf(target)
      const wish = { url: url.href, trusted: false, owners: false, grants: false, replace: true }
      await source.sql('CREATE VIEW app.v AS SELECT 1 AS v')
      await importInto(target, (await dump(source)).packed, { ...wish, backup: backups.keep })
      expect(await textOf(target)).not.toBe(before)
      await importInto(target, backups.last, { ...wish, owners: true, grants: true })
      expect(await textOf(target)).toBe(before)
    } finally {
      await target.sql(`DROP OWNED BY ${role} CASCADE; DROP ROLE ${role}`)
    }
  })

  test('what cannot be kept is not replaced: the error says what, why, and that it is the backup', async () => {
    await using at = await pair(
      `CREATE SCHEMA app; CREATE ACCESS METHOD own TYPE TABLE HANDLER heap_tableam_handler;
       CREATE TABLE app.a (id int) USING own; INSERT INTO app.a VALUES (1)`,
      NEW_A,
    )
    const { source, target, backups } = at
    const before = await textOf(target)
    const error = await refusal(
      importInto(target, (await dump(source)).packed, { replace: true, backup: backups.keep }),
    )
    expect([error.code, error.message]).toEqual([
      'backup_failed',
      expect.stringMatching(
        /^What would be replaced \(app\.a\) could not be kept, and was not replaced: .*default_table_access_method|SET/s,
      ),
    ])
    expect(error.hint).toContain('--no-backup')
    expect(await textOf(target)).toBe(before)
  })
})
