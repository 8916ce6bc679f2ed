/** Change sets from the command line: planned, looked at, ticked, approved, and decided on where rows moved. */
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { expect, test } from 'vitest'

import { createDatabase, expectSameTable } from '#test/harness/database.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { expectNoProgramSurvives, type Exit } from '#test/harness/process.ts'
import { ServeUnderTest, type Answer } from '#test/harness/serve.ts'

expectNoProgramSurvives()

const TABLES = `
  CREATE TABLE product (id int PRIMARY KEY, title text, price numeric(10,2));
  CREATE TABLE audit_log (id int PRIMARY KEY, note text)`

const ROWS = `${TABLES};
  INSERT INTO product SELECT i, 'product ' || i, i FROM generate_series(1, 30) i;
  INSERT INTO audit_log SELECT i, 'note ' || i FROM generate_series(1, 10) i`

const EDITS = `
  UPDATE product SET price = price + 0.5 WHERE id <= 9;
  UPDATE product SET title = '=evil' WHERE id = 3;
  INSERT INTO product VALUES (31, 'a new one', 31);
  DELETE FROM product WHERE id = 30;
  UPDATE audit_log SET note = 'edited'`

const resultOf = ({ stdout }: Exit): Answer => (JSON.parse(stdout) as { result: Answer }).result

test('plan, jobs changes, jobs decide, approve and revert: what was shown is applied, and a row that moved is left with exit 3', async () => {
  await using source = await createDatabase(sharedServers().source)
  await using target = await createDatabase(sharedServers().target)
  await using copy = await createDatabase(sharedServers().target)
  await source.sql(`${ROWS}; ${EDITS}`)
  await target.sql(ROWS)
  await copy.sql(ROWS)
  const folder = mkdtempSync(join(tmpdir(), 'syncline-changes-'))
  using _folder = { [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }) }
  await using service = await new ServeUnderTest().start()
  await service.register({ source: source.url, target: target.url })
  const config = await service.ask('GET', '/api/v1/sync-configs/shop%20copy')
  const { id, version: _version, created_at: _created, updated_at: _updated, ...document } = config
  await service.ask('PUT', `/api/v1/sync-configs/${String(id)}`, { ...document, audit_level: 'detailed' })

  const planned = await service.cli(['plan', 'shop copy'])
  expect(planned.code, planned.stderr).toBe(0)
  expect(planned.stdout).toContain('public.product: price 9, title 1')
  expect(planned.stdout).toContain("~ id=3  title: 'product 3' → '=evil', price: 3.00 → 3.50")
  const [, job = '', digest = ''] = /approve (job_\w+) --digest ([0-9a-f]{64})/.exec(planned.stdout) ?? []
  expect(planned.stdout.trimEnd().split('\n').at(-1)).toBe(`${job}: 1 to insert, 19 to update, 1 to delete in 2 tables`)
  const usage = await service.cli(['plan', 'shop copy', '--delete'])
  expect(usage, usage.stderr).toMatchObject({ code: 2 })

  const listed = await service.cli(['jobs', 'changes', job, '--table', 'product', '--op', 'insert,delete', '--json'])
  expect((resultOf(listed)['items'] as Answer[]).map(({ op, key }) => [op, key])).toEqual([
    ['delete', ['30']],
    ['insert', ['31']],
  ])
  const out = join(folder, 'changes.csv')
  const saved = await service.cli(['jobs', 'changes', job, '--format', 'csv', '--out', out])
  expect(saved.code, saved.stderr).toBe(0)
  expect(readFileSync(out, 'utf8')).toContain(",'=evil,")
  expect(statSync(out).mode & 0o777).toBe(0o600)
  expect(await service.cli(['jobs', 'changes', job, '--format', 'csv', '--out', out])).toMatchObject({ code: 2 })
  const missing = join(folder, 'missing.sql')
  const none = await service.cli([
    'jobs',
    'changes',
    'job_00000000000000000000000000',
    '--format',
    'sql',
    '--out',
    missing,
  ])
  expect([none.code, existsSync(missing)], none.stderr).toEqual([2, false])

  const ticked = await service.cli(['jobs', 'decide', job, '--leave', '--table', 'audit_log'])
  expect(ticked.stdout, ticked.stderr).toContain('10 changes decided, 0 still open')
  expect(await service.cli(['jobs', 'decide', job, '--leave'])).toMatchObject({ code: 2 })
  // A store of this machine is spoken to as well as a service.
  const script = await service.cli(['jobs', 'changes', job, '--format', 'sql'], { local: true })
  expect(script.code, script.stderr).toBe(0)
  await copy.sql(script.stdout)

  const refused = await service.cli(['approve', job])
  expect(refused, refused.stderr).toMatchObject({ code: 5 })
  const other = await service.cli(['approve', job, '--yes', '--digest', '0'.repeat(64)])
  expect(other.stderr).toContain('change_set_moved')
  await target.sql(`UPDATE product SET title = 'theirs' WHERE id IN (4, 5)`)
  const moved = await service.cli(['approve', job, '--yes', '--digest', digest])
  expect(moved.code, moved.stderr).toBe(3)
  const applying = /(job_\w+) awaiting_resolution/.exec(moved.stdout)?.[1] ?? ''
  expect(applying).not.toBe(job)
  expect(moved.stdout).toContain(`jobs decide ${applying} --leave --all`)
  expect(await target.sql('SELECT count(*) FROM audit_log WHERE note = $$edited$$')).toEqual([['0']])

  expect((await service.cli(['jobs', 'watch', applying])).code).toBe(3)
  const shown = await service.cli(['jobs', 'show', applying])
  expect(shown.stdout).toContain('It waits for somebody who decides on conflicts, and on changes whose rows moved')
  const open = await service.cli(['jobs', 'changes', applying, '--mark', 'moved'])
  expect(open.code, open.stderr).toBe(3)
  expect(open.stdout).toContain("title: 'theirs' → 'product 4'")
  expect((await service.cli(['jobs', 'decide', applying, '--apply', '--key', '4'])).code).toBe(3)
  const decided = await service.cli(['jobs', 'decide', applying, '--apply', '--all'])
  expect(decided.stdout, decided.stderr).toContain('0 still open')
  await service.succeeded(applying)
  await expectSameTable(target, copy, ['public', 'product'])
  await expectSameTable(target, copy, ['public', 'audit_log'])
  const again = await service.cli(['approve', job, '--yes'])
  expect(again.stderr).toContain('nothing_to_approve')
  const refusal = await service.cli(['revert', job, '--yes'])
  expect(refusal.stderr).toContain('not_revertible')

  const undoing = await service.cli(['revert', applying, '--table', 'product', '--key', '4', '--dry-run'])
  expect(undoing.code, undoing.stderr).toBe(0)
  expect(undoing.stdout).toContain("title: 'product 4' → 'theirs'")
  expect(await target.sql('SELECT title FROM product WHERE id = 4')).toEqual([['product 4']])
  const undone = await service.cli(['revert', applying, '--table', 'product', '--key', '4', '--yes'])
  expect(undone.code, undone.stderr).toBe(0)
  expect(await target.sql('SELECT title FROM product WHERE id IN (4, 5) ORDER BY id')).toEqual([
    ['theirs'],
    ['product 5'],
  ])

  const oneLine = await service.cli(['plan', source.url, target.url])
  expect(oneLine.stdout, oneLine.stderr).toContain('dry run: 0 to insert, 11 to update, 0 to delete in 2 tables')
})
