/** The command line on a terminal, which util-linux's `script` makes: the question, the moving lines, Ctrl-C. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { expect, test } from 'vitest'

import { createDatabase, expectSameTable, type Database } from '#test/harness/database.ts'
import { sharedServers } from '#test/harness/postgres.ts'

interface Typed {
  readonly code: number | null
  readonly screen: string
}

/** Runs a command line on a terminal and types an answer as soon as something stands on the screen. */
async function onTerminal(
  line: string,
  env: Record<string, string>,
  answer: { at: string; keys: string },
): Promise<Typed> {
  const command = `${process.execPath} src/main.ts ${line}`
  const child = spawn('script', ['--quiet', '--return', '--command', command, '/dev/null'], {
    env: { ...process.env, CI: undefined, TERM: 'xterm', ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  let screen = ''
  let answered = false
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    screen += text
    if (answered || !screen.includes(answer.at)) return
    answered = true
    child.stdin.write(answer.keys)
  })
  await once(child, 'close')
  return { code: child.exitCode, screen }
}

const QUESTION = 'Write this to the target? [y/N]'

async function shop(): Promise<AsyncDisposable & { source: Database; target: Database; env: Record<string, string> }> {
  const servers = sharedServers()
  await using stack = new AsyncDisposableStack()
  const source = stack.use(await createDatabase(servers.source))
  const target = stack.use(await createDatabase(servers.target))
  await source.sql(
    `CREATE TABLE t (id int PRIMARY KEY, x text); INSERT INTO t SELECT n, 'row ' || n FROM generate_series(1, 50) n`,
  )
  await target.sql('CREATE TABLE t (id int PRIMARY KEY, x text)')
  const kept = stack.move()
  const env = { SOURCE: source.url, TARGET: target.url }
  return { source, target, env, [Symbol.asyncDispose]: () => kept.disposeAsync() }
}

test('UX 53: on a terminal apply shows what would change and asks; with --yes it does not', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'syncline-apply-'))
  await using stack = new AsyncDisposableStack()
  stack.defer(() => rmSync(folder, { recursive: true }))
  const env = { SYNCLINE_DATA_DIR: join(folder, 'data'), SYNCLINE_ENV_FILE: '/dev/null' }
  const file = join(folder, 'syncline.yaml')
  writeFileSync(file, 'datasources:\n  - name: shop\n    host: db.example.com\n    database: shop\n    user: app\n')
  const question = { at: 'Change 1 thing? [y/N]', keys: 'n\r' }
  const refused = await onTerminal(`apply -f ${file}`, env, question)
  expect(refused).toMatchObject({ code: 5, screen: expect.stringContaining('nothing was changed') })
  expect(refused.screen).toContain('create datasource shop')
  const agreed = await onTerminal(`apply -f ${file}`, env, { ...question, keys: 'y\r' })
  expect(agreed).toMatchObject({ code: 0, screen: expect.stringContaining('changed 1 of 1 thing') })
  writeFileSync(file, 'datasources:\n  - name: shop\n    host: db.example.org\n    database: shop\n    user: app\n')
  const unasked = await onTerminal(`apply -f ${file} --yes`, env, question)
  expect(unasked.code).toBe(0)
  expect(unasked.screen).not.toContain('[y/N]')
  expect(unasked.screen).toMatch(/update datasource shop: .*host/)
})

test('whoever is asked sees the plan first, and a yes writes', async () => {
  await using pair = await shop()
  const { code, screen } = await onTerminal('sync env:SOURCE env:TARGET', pair.env, { at: QUESTION, keys: 'y\r' })
  expect(code).toBe(0)
  const plan = screen.slice(0, screen.indexOf(QUESTION))
  expect(plan).toMatch(/public\.t +50 +0 +0 +0 +0/)
  expect(plan).toContain("id=1  x: 'row 1'")
  expect(plan).toContain('schema "syncline"')
  expect(plan).toMatch(/Target: .*local\)/)
  expect(screen).toContain('proved equal: 50 rows')
  await expectSameTable(pair.source, pair.target, 't')
  // The cursor comes back as often as it was hidden.
  expect(screen.split('\u001B[?25l').length).toBe(screen.split('\u001B[?25h').length)
})

test.each([
  ['anything else', '\r', 5, 'target_not_writable'],
  ['Ctrl-C', '\u0003', 130, 'interrupted'],
  ['the end of the input', '\u0004', 5, 'target_not_writable'],
])('%s writes nothing', async (_what, keys, exit, error) => {
  await using pair = await shop()
  const { code, screen } = await onTerminal('sync env:SOURCE env:TARGET', pair.env, { at: QUESTION, keys })
  expect({ code, screen }).toMatchObject({ code: exit, screen: expect.stringContaining(error) })
  expect(await pair.target.sql(`SELECT (SELECT count(*) FROM t), to_regnamespace('syncline')`)).toEqual([['0', null]])
})
