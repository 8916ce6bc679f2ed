/** UX 43: what "Copy as" copies is run by a shell, and does what the button beside it does. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'

import { expect, test } from 'vitest'

import { Browser, choose, copied, paste } from '#test/harness/browser.ts'
import { createDatabase } from '#test/harness/database.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { expectNoProgramSurvives } from '#test/harness/process.ts'
import { ServeUnderTest, type Answer } from '#test/harness/serve.ts'

expectNoProgramSurvives()

/** Whoever is not signed in is refused first, and browsers write every refusal down. */
const REFUSED = /status of 401/

/** Runs lines in a shell that knows `syncline`, and the key from its environment. Returns what they print. */
async function inShell({ url, key }: ServeUnderTest, lines: string): Promise<string> {
  const command = `set -e; syncline() { '${process.execPath}' src/main.ts "$@"; }\n${lines}`
  const env = { ...process.env, SYNCLINE_ENV_FILE: '/dev/null', SYNCLINE_SERVER: url, SYNCLINE_API_KEY: key }
  const shell = spawn('bash', ['-c', command], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  const [out, errors] = await Promise.all([text(shell.stdout), text(shell.stderr), once(shell, 'close')])
  expect(shell.exitCode, `${lines}\n${out}\n${errors}`).toBe(0)
  return out
}

async function itemsOf(service: ServeUnderTest, path: string): Promise<readonly Answer[]> {
  return (await service.ask('GET', path))['items'] as readonly Answer[]
}

test('UX 43: a datasource is added by the copied command, request and file, of either engine, without the password', async () => {
  await using service = await new ServeUnderTest().start()
  await using browser = await Browser.start(service.url)
  const page = await browser.signIn(service.key)
  const folder = mkdtempSync(join(tmpdir(), 'syncline-copies-'))
  await using stack = new AsyncDisposableStack()
  stack.defer(() => rmSync(folder, { recursive: true }))
  for (const [kind, url] of [
    ['postgres', 'postgres://app:s3cret-value@db.example.com:6543/shop?sslmode=require'],
    ['mysql', 'mysql://app:s3cret-value@db.example.com:3307/shop?sslmode=require'],
  ] as const) {
    await page.goto(`${service.url}/datasources/new`)
    await paste(page, 'Connection URL', url)
    await expect.poll(() => page.getByLabel('Host').inputValue()).toBe('db.example.com')
    await page.getByLabel('Syncs may write to it').click()
    const copies: Record<string, string> = {}
    for (const word of ['command line', 'curl', 'YAML']) {
      // One service holds them side by side.
      await page.getByLabel('Name').fill(`${kind} by ${word}`)
      copies[word] = await copied(page, page, word)
      expect(copies[word], word).not.toContain('s3cret-value')
    }
    await inShell(service, copies['command line'] ?? '')
    await inShell(service, copies['curl'] ?? '')
    const file = join(folder, `${kind}.yaml`)
    writeFileSync(file, copies['YAML'] ?? '')
    await inShell(service, `syncline apply -f '${file}'`)
    const made = (await itemsOf(service, '/api/v1/datasources')).filter(({ name }) => String(name).startsWith(kind))
    expect(made).toHaveLength(3)
    const place = { kind, host: 'db.example.com', port: kind === 'mysql' ? 3307 : 6543, database: 'shop', user: 'app' }
    for (const one of made) expect(one).toMatchObject({ ...place, ssl: 'require', writable: true })
  }
  browser.expectQuiet(REFUSED)
})

test('UX 43: a sync config is made, changed and run by what is copied', async () => {
  await using source = await createDatabase(sharedServers().source)
  await using target = await createDatabase(sharedServers().target)
  await source.sql(
    "CREATE TABLE item (id int PRIMARY KEY, name text); INSERT INTO item VALUES (1, 'Ring'), (2, 'Chain')",
  )
  await target.sql('CREATE TABLE item (id int PRIMARY KEY, name text)')
  await using service = await new ServeUnderTest().start()
  await service.ask('POST', '/api/v1/datasources', { name: 'shop', url: source.url })
  await service.ask('POST', '/api/v1/datasources', { name: 'copy', url: target.url, writable: true })
  await using browser = await Browser.start(service.url)
  const page = await browser.signIn(service.key)
  await page.goto(`${service.url}/sync-configs/new`)
  await page.getByLabel('Take item').waitFor()
  for (const word of ['command line', 'curl']) {
    await page.getByLabel('Name', { exact: true }).fill(`items by ${word}`)
    await inShell(service, await copied(page, page, word))
  }
  const made = await itemsOf(service, '/api/v1/sync-configs')
  expect(new Set(made.map(({ name }) => name))).toEqual(new Set(['items by command line', 'items by curl']))
  expect(made[0]?.['tables']).toEqual(made[1]?.['tables'])

  // A change that is not saved, saved by its copy.
  const id = String(made[0]?.['id'])
  await page.goto(`${service.url}/sync-configs/${id}?tab=deletes`)
  await choose(page, 'In the target', /^Delete them/)
  await inShell(service, await copied(page, page, 'command line'))
  expect(await service.ask('GET', `/api/v1/sync-configs/${id}`)).toMatchObject({ version: 2, delete_policy: 'delete' })

  for (const [word, run] of [
    ['command line', 'dry'],
    ['curl', 'sync'],
  ] as const) {
    await page.goto(`${service.url}/sync-configs/${id}?run=${run}`)
    await inShell(service, await copied(page, page.getByRole('dialog'), word))
    const [job] = await itemsOf(service, '/api/v1/jobs')
    expect(job).toMatchObject({ dry_run: run === 'dry' })
    await service.succeeded(String(job?.['id']))
  }
  expect(await target.sql('SELECT name FROM item ORDER BY id')).toEqual([['Ring'], ['Chain']])
  browser.expectQuiet(REFUSED)
})
