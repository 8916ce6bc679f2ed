/** A password is asked for, comes from where the user says and from nowhere else, and is never seen again. */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, expect, test } from 'vitest'

import { findPostgresBinaries, startLocalPostgres, type LocalPostgres } from '#service/local-postgres.ts'
import { must } from '#lib/assert.ts'
import { expectNoProgramSurvives, runProgram } from '#test/harness/process.ts'

expectNoProgramSurvives()

const PASSWORD = `canary-${randomBytes(8).toString('hex')}`

const stack = new AsyncDisposableStack()
let server: LocalPostgres
let folder: string

beforeAll(async () => {
  const [binaries] = await findPostgresBinaries()
  server = stack.use(await startLocalPostgres({ binaries: must(binaries, 'a PostgreSQL'), password: PASSWORD }))
  folder = await mkdtemp(join(tmpdir(), 'syncline-test-'))
  stack.defer(() => rm(folder, { recursive: true, force: true }))
  await writeFile(join(folder, 'url'), `${server.url('template1')}\n`, { mode: 0o600 })
})

afterAll(() => stack.disposeAsync())

const url = (password: string, database = 'postgres'): string =>
  `postgres://postgres${password}@127.0.0.1:${server.port}/${database}`

test('the password comes from the URL, from a variable, or from a file', async () => {
  const env = { SOURCE: server.url() }
  const target = `file:${join(folder, 'url')}`
  const entered = await runProgram(['sync', 'env:SOURCE', target, '--dry-run'], { env })
  expect(entered).toMatchObject({ code: 2, stderr: expect.stringContaining('error no_tables: ') })
  expect(entered.stderr).not.toContain('warning')
  const exposed = await runProgram(['doctor', server.url()])
  expect(exposed).toMatchObject({ code: 0, stdout: expect.stringMatching(/pass {2}login/) })
})

test('no variable and no file of another program lets anybody in', async () => {
  await writeFile(join(folder, '.pgpass'), `*:*:*:*:${PASSWORD}\n`, { mode: 0o600 })
  const env = { PGPASSWORD: PASSWORD, HOME: folder, PGPASSFILE: join(folder, '.pgpass') }
  const refused = await runProgram(['sync', url(''), url('', 'template1'), '--dry-run'], { env })
  expect(refused).toMatchObject({ code: 4, stderr: expect.stringContaining('error authentication_failed: ') })
})

test('variables of PostgreSQL change nothing', async () => {
  const env = {
    SOURCE: server.url(),
    TARGET: server.url('template1'),
    PGHOST: 'host.invalid',
    PGPORT: '1',
    PGUSER: 'nobody',
    PGDATABASE: 'none',
    PGSSLMODE: 'require',
    PGSSLNEGOTIATION: 'direct',
    PGOPTIONS: '-c statement_timeout=1',
    PGCLIENT_ENCODING: 'LATIN1',
    PGBINARY: '1',
    NODE_PG_FORCE_NATIVE: '1',
    DATABASE_URL: 'postgres://nobody@host.invalid/none',
  }
  const compared = await runProgram(['sync', 'env:SOURCE', 'env:TARGET', '--dry-run'], { env })
  expect(compared.stderr).toMatch(/^error no_tables: /)
})

test('a secret is in no output, whatever fails and however much is told', async () => {
  const wrong = `:wrong-${PASSWORD}`
  const encoded = `:${encodeURIComponent(`@/${PASSWORD}#`)}`
  const lines: string[][] = [
    ['sync', url(wrong), url(wrong, 'template1'), '--dry-run'],
    ['sync', url(encoded), 'env:TARGET', '--yes'],
    ['sync', `postgres://postgres:${PASSWORD}@127.0.0.1:1/d`, 'env:TARGET', '--yes'],
    ['sync', `postgres://postgres:${PASSWORD}@host.invalid/d`, 'env:TARGET', '--yes'],
    ['sync', `postgres://postgres:a@b/${PASSWORD}#@127.0.0.1/d`, 'env:TARGET', '--yes'],
    ['sync', `postgres://postgres:${PASSWORD}%zz@127.0.0.1/d`, 'env:TARGET', '--yes'],
    ['sync', `postgres://postgres:${PASSWORD}@127.0.0.1:${server.port}/d?sslmode=verify-full`, 'env:TARGET', '--yes'],
    ['sync', `postgres://127.0.0.1:${server.port}/d?user=postgres&password=${PASSWORD}`, 'env:TARGET', '--yes'],
    ['sync', `mysql://postgres:${PASSWORD}@127.0.0.1/d`, 'env:TARGET', '--yes'],
    ['sync', 'env:TARGET', 'env:TARGET', '--yes'],
    ['sync', 'env:TARGET', server.url('absent'), '--yes'],
    ['diff', server.url(), 'env:TARGET', '--table', 'absent'],
    ['verify', server.url(), 'env:TARGET', '--key', 'absent=id', '--table', 'absent'],
    ['doctor', server.url(), url(wrong)],
    ['sync', server.url()],
  ]
  const env = { TARGET: server.url('template1') }
  for (const line of lines) {
    for (const extra of [['--debug'], ['--debug', '--json']]) {
      const failed = await runProgram([...line, ...extra], { env })
      const command = [...line, ...extra].join(' ').replaceAll(PASSWORD, '(secret)')
      const seen = (failed.stdout + failed.stderr).includes(PASSWORD)
      expect({ command, seen, failed: failed.code !== 0 }).toEqual({ command, seen: false, failed: true })
    }
  }
  expect(await server.log()).not.toContain(PASSWORD)
})
