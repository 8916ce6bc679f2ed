/**
 * Conflicts decided in one action, over the API of a service of its own: `conflicts-child.ts SOURCE TARGET CONFLICTS [STORE]`. The
 * two databases have a table `wide`; STORE is the URL of a database for the control store, which is SQLite without it.
 * Prints the seconds of each step as JSON.
 */
import { spawn } from 'node:child_process'
import { mkdtempDisposableSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { run } from '#bench/servers.ts'
import { program } from '#bench/ours.ts'

const [source = '', target = '', conflicts = '0', store = ''] = process.argv.slice(2)
const POLL_MS = 20

using folder = mkdtempDisposableSync(join(tmpdir(), 'bench-serve-'))
const [node = '', ...main] = program('serve')
const service = spawn(node, main, {
  stdio: ['ignore', 'pipe', 'pipe'],
  env: {
    ...process.env,
    SYNCLINE_DATA_DIR: folder.path,
    SYNCLINE_ENV_FILE: '/dev/null',
    PORT: '0',
    ...(store === '' ? {} : { SYNCLINE_DATABASE_URL: store }),
  },
})
const ended = new Promise((resolve) => service.once('close', resolve))
let output = ''
for (const stream of [service.stdout, service.stderr]) stream.on('data', (data: Buffer) => (output += data.toString()))

async function printed(pattern: RegExp): Promise<string> {
  for (;;) {
    const found = pattern.exec(output)
    if (found !== null) return found[1] ?? found[0]
    if (service.exitCode !== null) throw new Error(`The service ended: ${output}`)
    await pause(POLL_MS)
  }
}

type Answer = Readonly<Record<string, unknown>>

const url = await printed(/Syncline serves at (http:\/\/\S+),/)
let key = ''

async function ask(method: string, path: string, body?: unknown): Promise<Answer> {
  const response = await fetch(`${url}/api/v1${path}`, {
    method,
    headers: {
      ...(key === '' ? {} : { 'x-api-key': key }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`)
  return JSON.parse(text) as Answer
}

async function finished(id: unknown): Promise<Answer> {
  for (;;) {
    const job = await ask('GET', `/jobs/${String(id)}`)
    if (job['status'] === 'succeeded') return job
    if (['failed', 'stopped', 'cancelled'].includes(String(job['status']))) throw new Error(JSON.stringify(job))
    await pause(POLL_MS)
  }
}

const seconds: Record<string, number> = {}
async function timed<T>(step: string, work: () => Promise<T>): Promise<T> {
  const started = performance.now()
  const result = await work()
  seconds[step] = (performance.now() - started) / 1000
  return result
}

try {
  key = String((await ask('POST', '/setup', { token: await printed(/setup_[\w-]+/) }))['key'])
  await ask('POST', '/datasources', { name: 'a', url: source })
  await ask('POST', '/datasources', { name: 'b', url: target, writable: true })
  await ask('POST', '/sync-configs', {
    name: 'a b',
    source_datasource_id: 'a',
    target_datasource_id: 'b',
    conflict_strategy: 'manual',
    verify_after: 'full',
  })
  const start = async (): Promise<unknown> => (await ask('POST', '/sync/a%20b', {}))['job_id']
  await finished(await start())
  const which = `id <= ${conflicts}`
  await run(source, `UPDATE wide SET note = 'by the source', total = 1 WHERE ${which}`)
  await run(target, `UPDATE wide SET note = 'by the target', total = 2 WHERE ${which}`)
  await timed('find', async () => finished(await start()))
  const decision = { take: 'source', filter: { status: ['open'] }, expect: Number(conflicts) }
  const { job_id: job } = await timed('decide', () => ask('POST', '/sync/a%20b/resolve', decision))
  await timed('carry out', () => finished(job))
  const open = await ask('POST', '/sync/a%20b/resolve', { ...decision, expect: undefined, dry_run: true })
  if (open['conflicts'] !== 0) throw new Error(`Conflicts are left: ${JSON.stringify(open)}`)
  console.log(JSON.stringify(seconds))
} finally {
  service.kill('SIGTERM')
  await ended
}
