/** The statements by which a run would make and alter tables are shown before it runs, and are what it runs (UX 15). */
import { expect, test } from 'vitest'

import { createDatabase } from '#test/harness/database.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { createLab, type Fields, type Lab } from '#test/harness/quarantine.ts'

import { approve, changesOf } from './change-calls.ts'

const SOURCE = `
  CREATE TYPE mood AS ENUM ('sad', 'ok');
  CREATE FUNCTION is_fine(m mood) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT m = ''ok''::public.mood';
  CREATE TABLE parent (id int PRIMARY KEY, m mood NOT NULL DEFAULT 'ok' CHECK (is_fine(m)), name text);
  CREATE TABLE child (id int PRIMARY KEY, parent int REFERENCES parent, note text UNIQUE);
  CREATE INDEX child_by_parent ON child (parent);
  CREATE TABLE old (id int PRIMARY KEY, v text, more numeric(10,2), "Even More" text);
  INSERT INTO parent SELECT i, 'ok', 'p' || i FROM generate_series(1, 3) i;
  INSERT INTO child VALUES (1, 1, 'a'), (2, 3, NULL);
  INSERT INTO old VALUES (1, 'x', NULL, NULL)`

const TARGET = `CREATE TABLE old (id int PRIMARY KEY, v text); INSERT INTO old VALUES (1, 'x')`

const CREATE = { schema_policy: 'create' }

type Statement = Readonly<Record<'sql' | 'kind' | 'stage', string>> & { readonly risk: string | null }

const ddlOf = async (lab: Lab, job: string): Promise<readonly Statement[]> =>
  (await changesOf(lab, job)).summary['ddl'] as readonly Statement[]

/** Relations, columns, constraints, indexes and functions of the user's schema, by the server's own words. */
const SHAPE = `
  SELECT c.relname::text, a.attnum::text, a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || ' ' || a.attnotnull
         || ' ' || coalesce(pg_get_expr(d.adbin, d.adrelid), '')
  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
  LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
  WHERE c.relnamespace = 'public'::regnamespace
  UNION ALL SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
  WHERE connamespace = 'public'::regnamespace
  UNION ALL SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
  UNION ALL SELECT proname, '', prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace
  UNION ALL SELECT typname, '', typtype::text FROM pg_type WHERE typnamespace = 'public'::regnamespace ORDER BY 1, 2, 3`

test('UX 15: a dry run shows every statement in order, with its risk, and a run makes of the target what they make of it', async () => {
  await using lab = await createLab('sqlite', { source: SOURCE, target: TARGET }, CREATE)
  await using by = await createDatabase(sharedServers().target)
  await by.sql(TARGET)
  const before = await lab.target.sql(SHAPE)
  const planned = await lab.run({ dry_run: true })
  const ddl = await ddlOf(lab, planned.id)
  expect(await lab.target.sql(SHAPE)).toEqual(before)
  const places = ddl.map(({ sql, kind, stage, risk }) => [kind, stage, risk, sql.split(/\s+/).slice(0, 2).join(' ')])
  expect(places).toEqual(
    expect.arrayContaining([
      ['TYPE', 'before data', null, 'CREATE TYPE'],
      ['FUNCTION', 'before data', 'code', 'CREATE FUNCTION'],
      ['TABLE', 'before data', null, 'CREATE TABLE'],
      ['COLUMN', 'before data', 'locks', 'ALTER TABLE'],
      ['INDEX', 'after data', null, 'CREATE INDEX'],
      ['FK CONSTRAINT', 'foreign keys', null, 'ALTER TABLE'],
    ]),
  )
  const stages = ddl.map(({ stage }) => ['before data', 'after data', 'foreign keys'].indexOf(stage))
  expect(stages).toEqual(stages.toSorted((a, b) => a - b))
  expect(ddl.filter(({ kind }) => kind === 'COLUMN').map(({ sql }) => sql)).toEqual([
    'ALTER TABLE "public"."old" ADD COLUMN "more" numeric(10,2)',
    'ALTER TABLE "public"."old" ADD COLUMN "Even More" text',
  ])
  // Of a viewer nothing is kept back: no value of a row is in it.
  const seen = await lab.api.send(lab.viewer, 'GET', `/api/jobs/${planned.id}/changes`)
  expect(seen.json<{ summary: Fields }>().summary['ddl']).toEqual(ddl)
  const receipt = await lab.ask('GET', `/api/jobs/${planned.id}/receipt`)
  expect(receipt).toMatchObject({ receipt: { ddl: ddl.map(({ sql, risk }) => ({ sql, risk })) } })

  await by.sql(ddl.map(({ sql }) => `${sql};\n`).join(''))
  await lab.run()
  expect(await lab.target.sql(SHAPE)).toEqual(await by.sql(SHAPE))
  expect(await ddlOf(lab, (await lab.run({ dry_run: true })).id)).toEqual([])
})

test('UX 15: what somebody approves is the statements that they saw: others are refused, and nothing is made', async () => {
  await using lab = await createLab('sqlite', { source: SOURCE, target: TARGET }, CREATE)
  const planned = await lab.run({ dry_run: true })
  const ddl = await ddlOf(lab, planned.id)
  const before = await lab.target.sql(SHAPE)
  await lab.source.sql('CREATE INDEX child_by_note ON child (note, parent)')
  expect((await approve(lab, planned.id)).statusCode).toBe(202)
  expect((await lab.work('failed')).error).toMatchObject({ code: 'change_set_outdated' })
  expect(await lab.target.sql(SHAPE)).toEqual(before)

  // The same statements as were seen: they run.
  await lab.source.sql('DROP INDEX child_by_note')
  const again = await lab.run({ dry_run: true })
  expect(await ddlOf(lab, again.id)).toEqual(ddl)
  expect((await approve(lab, again.id)).statusCode).toBe(202)
  expect((await lab.work()).counts).toMatchObject({ inserted: 5 })
  expect(await lab.target.sql('SELECT count(*) FROM child')).toEqual([['2']])
})

test('UX 15: a job that waits for its approval computes anew what it would make, where the definitions have changed meanwhile', async () => {
  await using lab = await createLab(
    'sqlite',
    { source: SOURCE, target: TARGET },
    { ...CREATE, commit_mode: 'approval', tables: [{ source: 'parent' }, { source: 'child' }] },
  )
  const job = await lab.run({}, 'awaiting_approval')
  const { summary } = await changesOf(lab, job.id)
  await lab.source.sql('CREATE INDEX child_by_note ON child (note, parent)')
  expect((await approve(lab, job.id, { digest: summary['digest'] })).statusCode).toBe(202)
  await lab.work('awaiting_approval')
  const anew = await ddlOf(lab, job.id)
  expect(anew.some(({ sql }) => sql.includes('child_by_note'))).toBe(true)
  expect((await approve(lab, job.id)).statusCode).toBe(202)
  await lab.work()
  expect(await lab.target.sql(`SELECT to_regclass('child_by_note') IS NOT NULL`)).toEqual([['t']])
})

test('UX 15: columns that no row fills are shown and approved by themselves', async () => {
  const columns = {
    source: 'CREATE TABLE t (id int PRIMARY KEY, extra text)',
    target: 'CREATE TABLE t (id int PRIMARY KEY)',
  }
  await using lab = await createLab('sqlite', columns, { schema_policy: 'add_columns' })
  await lab.source.sql('INSERT INTO t VALUES (1, NULL)')
  await lab.target.sql('INSERT INTO t VALUES (1)')
  const planned = await lab.run({ dry_run: true })
  expect((await ddlOf(lab, planned.id)).map(({ sql }) => sql)).toEqual([
    'ALTER TABLE "public"."t" ADD COLUMN "extra" text',
  ])
  expect((await changesOf(lab, planned.id)).summary).toMatchObject({ changes: 0, tables: [{ added: ['extra'] }] })
  expect((await approve(lab, planned.id)).statusCode).toBe(202)
  await lab.work()
  expect(await lab.target.sql('SELECT id, extra FROM t')).toEqual([['1', null]])
})

test('UX 15: what a run that was killed has left to be made is shown with the rest, and nothing unseen is made', async () => {
  await using lab = await createLab('sqlite', { source: SOURCE, target: TARGET }, CREATE)
  await lab.run()
  /** As a run leaves it that is killed before it has come to the indexes. */
  const leave = async (name: string, column: string): Promise<void> => {
    await lab.target.sql(`DROP INDEX IF EXISTS ${name};
      INSERT INTO syncline.pending_ddl (stage, kind, tables, statement) VALUES ('after data', 'INDEX',
        '[{"schema":"public","name":"child"}]', 'CREATE INDEX ${name} ON public.child USING btree (${column})')`)
  }
  const isThere = (name: string) => lab.target.sql(`SELECT to_regclass('${name}') IS NOT NULL`)
  await leave('child_by_parent', 'parent')
  // Another table is made besides: its own statements are told from what was left.
  await lab.source.sql('CREATE TABLE later (id int PRIMARY KEY); INSERT INTO later VALUES (1)')
  const planned = await lab.run({ dry_run: true })
  const ddl = await ddlOf(lab, planned.id)
  expect(ddl.filter(({ kind }) => kind === 'INDEX')).toEqual([
    expect.objectContaining({
      sql: 'CREATE INDEX child_by_parent ON public.child USING btree (parent)',
      stage: 'after data',
    }),
  ])
  expect(await isThere('child_by_parent')).toEqual([['f']])
  await leave('child_by_note', 'note')
  expect((await approve(lab, planned.id)).statusCode).toBe(202)
  expect((await lab.work('failed')).error).toMatchObject({ code: 'change_set_outdated' })
  expect(await isThere('child_by_parent')).toEqual([['f']])

  const again = await lab.run({ dry_run: true })
  expect((await ddlOf(lab, again.id)).filter(({ kind }) => kind === 'INDEX')).toHaveLength(2)
  expect((await approve(lab, again.id)).statusCode).toBe(202)
  await lab.work()
  expect(await isThere('child_by_parent')).toEqual([['t']])
  expect(await isThere('child_by_note')).toEqual([['t']])
  expect(await lab.target.sql('SELECT id FROM later')).toEqual([['1']])
  expect(await ddlOf(lab, (await lab.run({ dry_run: true })).id)).toEqual([])
})
