/** The audit from the command line: over the network, and on the store of this machine. */
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { DatabaseSync } from 'node:sqlite'
import { expect, test } from 'vitest'

import { createDatabase } from '#test/harness/database.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { expectNoProgramSurvives } from '#test/harness/process.ts'
import { ServeUnderTest, type Answer } from '#test/harness/serve.ts'

expectNoProgramSurvives()

test('audit list, stats, report, history and verify, which exits with 3 and names the event where one was changed', async () => {
  await using source = await createDatabase(sharedServers().source)
  await using target = await createDatabase(sharedServers().target)
  await source.sql('CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, $$a$$), (2, $$b$$)')
  await target.sql('CREATE TABLE t (id int PRIMARY KEY, v text)')
  await using service = await new ServeUnderTest().start()
  await service.register({ source: source.url, target: target.url })
  const job = await service.run()
  await service.succeeded(job)
  const folder = mkdtempSync(join(tmpdir(), 'syncline-audit-'))
  using _folder = { [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }) }

  const list = await service.cli(['audit', 'list', '--job', job])
  expect(list, list.stderr).toMatchObject({ code: 0 })
  expect(list.stdout).toMatch(/job\.end[^]*job\.start[^]*2 events/)
  const stats = JSON.parse((await service.cli(['audit', 'stats', '--action', 'job', '--json'])).stdout) as Answer
  expect(stats['result']).toMatchObject({ events: 2, actors: expect.arrayContaining([expect.anything()]) as unknown })

  const file = join(folder, 'report.html')
  for (const [form, local] of [
    ['html', false],
    ['json', true],
  ] as const) {
    const out = form === 'html' ? file : join(folder, `report.${form}`)
    const written = await service.cli(['audit', 'report', job, '--format', form, '--out', out], { local })
    expect(written, written.stderr).toMatchObject({ code: 0 })
    expect(readFileSync(out, 'utf8')).toContain(job)
    expect(statSync(out).mode & 0o777).toBe(0o600)
  }
  const again = await service.cli(['audit', 'report', job, '--out', file])
  expect(again).toMatchObject({ code: 2 })
  const missing = await service.cli(['audit', 'report', 'job_00000000000000000000000000', '--out', join(folder, 'x')])
  expect(missing.stderr).toContain('not_found')

  const history = await service.cli(['audit', 'history', '--config', 'shop copy', '--table', 't', '--key', '1'])
  expect(history, history.stderr).toMatchObject({ code: 0 })
  expect(await service.cli(['audit', 'history', '--table', 't', '--key', '1'])).toMatchObject({ code: 2 })

  const whole = await service.cli(['audit', 'verify'])
  expect(whole, whole.stderr).toMatchObject({ code: 0 })
  const [, head = ''] = /^head (\S+)$/m.exec(whole.stdout) ?? []
  expect(await service.cli(['audit', 'verify', '--noted', head])).toMatchObject({ code: 0 })
  await service.program.kill()
  using store = new DatabaseSync(join(service.folder, 'control.sqlite'))
  const { seq } = store.prepare(`SELECT seq FROM audit_event WHERE action = 'job.start'`).get() as { seq: number }
  store.exec(`UPDATE audit_event SET actor_name = 'Eve' WHERE seq = ${seq}`)
  const broken = await service.cli(['audit', 'verify', '--json'], { local: true })
  expect(broken).toMatchObject({ code: 3 })
  expect(JSON.parse(broken.stdout)).toMatchObject({ ok: false, result: { damage: { seq, kind: 'changed' } } })
})
