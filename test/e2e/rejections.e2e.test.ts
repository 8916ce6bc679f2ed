/** The quarantine from the command line, and a replay whose process is killed after each of its batches. */
import { expect, test } from 'vitest'

import { createDatabase } from '#test/harness/database.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { expectNoProgramSurvives } from '#test/harness/process.ts'
import { ServeUnderTest, type Answer } from '#test/harness/serve.ts'

expectNoProgramSurvives()

const CANARY = 'canary-row-value'

test('B2, B4: jobs rejections, edit-rejection, dismiss and replay; kill -9 during a replay ends with true counters', async () => {
  await using source = await createDatabase(sharedServers().source)
  await using target = await createDatabase(sharedServers().target)
  await source.sql(`CREATE TABLE person (id int PRIMARY KEY, mail text);
    CREATE TABLE pet (id int PRIMARY KEY, owner_id int);
    INSERT INTO person SELECT i, CASE WHEN i <= 6 THEN '${CANARY}' ELSE 'mail' || i END FROM generate_series(1, 40) i;
    INSERT INTO pet SELECT i, i FROM generate_series(1, 40) i`)
  await target.sql(`CREATE TABLE person (id int PRIMARY KEY, mail text CHECK (mail NOT LIKE 'canary%'));
    CREATE TABLE pet (id int PRIMARY KEY, owner_id int REFERENCES person (id))`)
  await using first = await new ServeUnderTest().start()
  await first.register({ source: source.url, target: target.url })
  const job = await first.run()
  expect((await first.succeeded(job))['counts']).toMatchObject({ inserted: 68, rejected: 12 })

  const listed = await first.cli(['jobs', 'rejections', job])
  expect(listed).toMatchObject({ code: 3 })
  expect(listed.stdout).toContain('12 rows set aside, 12 still to be dealt with')
  expect(listed.stdout).not.toContain(CANARY)
  const json = JSON.parse((await first.cli(['jobs', 'rejections', job, '--json'])).stdout) as Answer
  const { items } = json['result'] as { items: readonly Answer[] }
  const idOf = (key: string): string =>
    String(
      items.find(
        (row) => JSON.stringify([row['key'], (row['target'] as Answer)['name']]) === `[["${key}"],"person"]`,
      )?.['id'],
    )
  for (const key of ['1', '2', '3', '4', '5']) {
    const edited = await first.cli(['jobs', 'edit-rejection', idOf(key), `mail=mended${key}`])
    expect(edited, edited.stderr).toMatchObject({ code: 0 })
  }
  expect(await first.cli(['jobs', 'edit-rejection', idOf('6'), 'id=many'])).toMatchObject({ code: 2 })
  expect(await first.cli(['jobs', 'dismiss', idOf('6')])).toMatchObject({ code: 0 })
  await first.program.kill()

  // The process of the job dies when its first batch is committed, each time that it has one.
  await using killed = new ServeUnderTest({ SYNCLINE_DATA_DIR: first.folder, FAILPOINT: 'batch.committed:1:kill' })
  killed.key = first.key
  await killed.start()
  const started = await killed.ask('POST', `/api/v1/jobs/${job}/rejections/replay`, {})
  const replay = await killed.succeeded(String(started['job_id']))
  expect(replay).toMatchObject({ replays: job, counts: { read: 11, inserted: 10, updated: 0, rejected: 1 } })
  const log = await killed.call('GET', `/api/v1/jobs/${String(started['job_id'])}/log`)
  expect(log.text).toContain('ended unexpectedly')
  expect(await target.sql('SELECT count(*), count(*) FILTER (WHERE mail LIKE $$mended%$$) FROM person')).toEqual([
    ['39', '5'],
  ])
  expect(await target.sql('SELECT count(*) FROM pet')).toEqual([['39']])
  await killed.program.kill()

  await using after = new ServeUnderTest({ SYNCLINE_DATA_DIR: first.folder })
  after.key = first.key
  await after.start()
  expect((await after.succeeded(await after.run()))['counts']).toMatchObject({
    read: 80,
    unchanged: 73,
    skipped: 6,
    rejected: 1,
    inserted: 0,
    updated: 0,
    deleted: 0,
  })
  const again = await after.cli(['jobs', 'replay', job])
  expect(again.code, again.stderr).toBe(3)
  const output = [first, killed, after].map(({ program }) => program.stdout + program.stderr).join('\n')
  expect(output).not.toContain(CANARY)
})
