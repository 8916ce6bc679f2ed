/** Conflicts from the command line, over HTTP: listed, shown, decided alone and many at once. */
import { expect, test, vi } from 'vitest'

import { runCli } from '#cli/run-cli.ts'

import { CANARY_VALUE, createWorld } from '#test/api/world.ts'
import { testId } from '#test/harness/api.ts'
import { expectNoProgramSurvives, runProgram, type Exit } from '#test/harness/process.ts'

expectNoProgramSurvives()

type Fields = Readonly<Record<string, unknown>>

test('D15: conflicts list, show and resolve: one, with a row of its own, and all at once as they were shown', async () => {
  await using world = await createWorld('sqlite')
  const { api, conflict: id, job } = world
  const server = await api.app.listen({ host: '127.0.0.1', port: 0 })
  const keys = { operator: (await api.key('operator')).secret, viewer: (await api.key('viewer')).secret }
  const run = (args: readonly string[], key: keyof typeof keys = 'operator'): Promise<Exit> =>
    runProgram(['conflicts', ...args], {
      env: { SYNCLINE_ENV_FILE: '/dev/null', SYNCLINE_SERVER: server, SYNCLINE_API_KEY: keys[key] },
    })
  const resultOf = ({ stdout }: Exit): Fields => (JSON.parse(stdout) as { result: Fields }).result

  const listed = await run(['list', '--config', 'config'])
  expect(listed, listed.stderr).toMatchObject({ code: 3 })
  expect(listed.stdout).toContain('2 conflicts, 2 of them open')
  expect(listed.stdout).toMatch(new RegExp(`${id} +public\\.a +1 +update_update +name +open`))
  expect(listed.stdout).not.toContain(CANARY_VALUE)

  const shown = await run(['show', id])
  expect(shown.stdout, shown.stderr).toMatch(
    new RegExp(`\\* name +'${CANARY_VALUE} of the source' +'${CANARY_VALUE} of the target' +'${CANARY_VALUE}'`),
  )
  const hidden = await run(['show', id], 'viewer')
  expect(hidden.stdout).toContain('Values are shown to operators and admins.')
  expect(hidden.stdout).not.toContain(CANARY_VALUE)

  vi.stubEnv('SYNCLINE_ENV_FILE', '/dev/null')
  vi.stubEnv('SYNCLINE_SERVER', server)
  for (const [code, key, ...words] of [
    [0, 'viewer', 'list', '--status', 'applied'],
    [2, 'viewer', 'list', '--status', 'nonsense'],
    [5, 'viewer', 'resolve', id, '--take', 'source'],
    [2, 'operator', 'resolve', id],
    [2, 'operator', 'resolve', id, '--take', 'source', '--set', 'name=x'],
    [2, 'operator', 'resolve', id, '--take', 'source', '--all'],
    [2, 'operator', 'resolve', id, '--set', 'name'],
    [2, 'operator', 'resolve', id, '--set', 'name=longer than ten'],
    [5, 'operator', 'resolve', id, '--take', 'source', '--as-of', '7'],
    [2, 'operator', 'resolve', '--take', 'source', '--all'],
    [2, 'operator', 'resolve', '--config', 'config', '--take', 'source'],
    [2, 'operator', 'resolve', '--config', 'config', '--set', 'name=x', '--all'],
    [5, 'operator', 'resolve', '--job', job, '--take', 'target', '--all', '--no-input'],
    [2, 'operator', 'resolve', id, '--take', 'source', '--any-fields'],
    [2, 'operator', 'carry-out'],
    [5, 'operator', 'withdraw', id],
    [0, 'viewer', 'rules', 'config'],
    [2, 'operator', 'rules', 'remove', 'config', testId('conflict rule')],
  ] as const) {
    vi.stubEnv('SYNCLINE_API_KEY', keys[key])
    const exit = await runCli(['conflicts', ...words], { muted: true, signal: AbortSignal.timeout(60_000) })
    expect(exit, words.join(' ')).toBe(code)
  }
  vi.unstubAllEnvs()
  const built = await run(['resolve', id, '--set', 'name=both', '--no-start'])
  expect(built, built.stderr).toMatchObject({ code: 0 })
  expect(built.stdout).toContain(`${id} is resolved: row; the next run carries it out`)
  expect((await run(['show', id])).stdout).toContain(`'both'`)
  const withdrawn = await run(['withdraw', id])
  expect(withdrawn.stdout, withdrawn.stderr).toContain(`${id} is open`)
  const nothing = await run(['carry-out', '--config', 'config'])
  expect(nothing.stdout, nothing.stderr).toContain('there is no decision to carry out')
  await run(['resolve', id, '--set', 'name=both', '--no-start'])
  const carried = await run(['carry-out', '--config', 'config', '--job', job, '--detach'])
  expect(carried.stdout, carried.stderr).toMatch(/1 decision; job_\w+ carries it out/)
  await api.store.db.updateTable('job').set({ status: 'cancelled' }).execute()

  const all = ['resolve', '--job', job, '--all', '--take', 'target']
  const preview = await run([...all, '--dry-run'])
  expect(preview.stdout, preview.stderr).toContain('1 conflict, to take target')
  const decided = await run([...all, '--yes', '--json', '--detach'])
  expect(resultOf(decided), decided.stderr).toMatchObject({ conflicts: 1, dry_run: false })
  expect(String(resultOf(decided)['job_id'])).toMatch(/^job_/)
  const by = [
    'resolve',
    '--config',
    'config',
    '--kind',
    'update_update',
    '--status',
    'resolved',
    '--take',
    'skip',
    '--yes',
    '--remember',
  ]
  const skipped = await run(by)
  expect(skipped.stdout, skipped.stderr).toContain('2 conflicts decided: skip')
  expect(skipped.stdout).toContain('is under way')
  const rules = await run(['rules', 'config'])
  expect(rules.stdout, rules.stderr).toMatch(/rul_\w+ +public\.a +update_update +name +skip +a operator/)
  const left = await run(['list'])
  expect(left, left.stderr).toMatchObject({ code: 0 })
  expect(left.stdout).toContain('resolved: skip')
})
