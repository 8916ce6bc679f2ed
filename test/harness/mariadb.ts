/**
 * Private MariaDB servers on free ports of loopback, each in a folder of its own in memory where there is some. On Debian as
 * root the package is installed where it is missing.
 */
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { access, chmod, cp, mkdtemp, rename, rm } from 'node:fs/promises'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { promisify } from 'node:util'

import { resolveHost } from '#lib/network-address.ts'
import { Secret } from '#lib/secret.ts'
import { Connection } from '#adapters/mysql/connection.ts'
import { parseMysqlEndpoint, type MysqlEndpoint } from '#adapters/mysql/endpoint.ts'

import { needProgram } from './debian.ts'
import { freePort } from '#lib/free-port.ts'

const run = promisify(execFile)
const START_MS = 60_000
const PASSWORD = 'syncline'
/** A template is copied for each server: its log need not be large. */
const SMALL_LOG = ['--innodb-log-file-size=4M']

export interface MariadbServer extends AsyncDisposable {
  readonly port: number
  /** Of the server's process while it runs. */
  readonly pid: number | undefined
  /** Of whoever may do everything, for a database that exists. */
  url(database?: string): string
  endpoint(database?: string): MysqlEndpoint
  /** A new, empty database with a name of its own. */
  createDatabase(prefix?: string): Promise<string>
  kill(): Promise<void>
  start(): Promise<void>
}

export interface MariadbOptions {
  readonly settings?: Readonly<Record<string, string>>
  /** The time zone of its operating system. */
  readonly zone?: string
}

let template: Promise<string> | null = null

/** A URL of an account that may do everything, on a server that is used in place of private ones. */
const GIVEN = 'SYNCLINE_TEST_MYSQL'

/** A server for one test file alone, to be held with `await using`. */
export async function startMariadb({ settings = {}, zone }: MariadbOptions = {}): Promise<MariadbServer> {
  const given = process.env[GIVEN]
  const asAny = Object.keys(settings).length === 0 && zone === undefined
  if (given !== undefined && given !== '' && asAny) return givenServer(given)
  const program = await needProgram(['mariadbd', 'mysqld', '/usr/sbin/mariadbd', '/usr/sbin/mysqld'], 'mariadb-server')
  template ??= findTemplate()
  const folder = await mkdtemp(join(tmpdir(), 'syncline-mariadb-'))
  await cp(await template, join(folder, 'data'), { recursive: true })
  const isRoot = userInfo().uid === 0
  if (isRoot) {
    await chmod(folder, 0o755)
    await run('chown', ['-R', 'mysql:mysql', folder])
  }
  const port = await freePort()
  const args = [
    '--no-defaults',
    ...(isRoot ? ['--user=mysql'] : []),
    `--datadir=${join(folder, 'data')}`,
    `--socket=${join(folder, 's.sock')}`,
    `--pid-file=${join(folder, 'pid')}`,
    // A server that starts removes temporary tables that it finds there, whosoever they are.
    `--tmpdir=${folder}`,
    `--port=${port}`,
    '--bind-address=127.0.0.1',
    '--innodb-flush-log-at-trx-commit=0',
    '--innodb-buffer-pool-size=128M',
    '--innodb-log-file-size=64M',
    '--skip-log-bin',
    ...Object.entries(settings).map(([name, value]) => `--${name}=${value}`),
  ]
  let child: ChildProcess | null = null
  const end = (): void => void child?.kill('SIGKILL')
  process.on('exit', end)
  const endpoint = (database = 'mysql'): MysqlEndpoint => ({
    host: '127.0.0.1',
    port,
    database,
    user: 'admin',
    password: new Secret(PASSWORD),
    ssl: 'disable',
    ca: null,
    connectTimeoutMs: 10_000,
    resolve: resolveHost,
    schemas: null,
  })
  let made = 0
  const server: MariadbServer = {
    port,
    get pid() {
      return child?.pid
    },
    url: (database = 'mysql') => `mysql://admin:${PASSWORD}@127.0.0.1:${port}/${database}`,
    endpoint,
    createDatabase: async (prefix = 'test') => {
      made += 1
      const name = `${prefix}_${process.pid}_${made}`
      await using connection = await Connection.open(endpoint(), { readOnly: false })
      await connection.query(`CREATE DATABASE \`${name}\` CHARACTER SET utf8mb4`)
      return name
    },
    kill: async () => {
      const ending = child
      child = null
      if (ending === null || ending.exitCode !== null) return
      const exit = once(ending, 'exit')
      ending.kill('SIGKILL')
      await exit
    },
    start: async () => {
      child = spawn(program, args, {
        stdio: 'ignore',
        env: zone === undefined ? process.env : { ...process.env, TZ: zone },
      })
      await ready(endpoint(), child)
    },
    [Symbol.asyncDispose]: async () => {
      process.off('exit', end)
      await server.kill()
      await rm(folder, { recursive: true, force: true })
    },
  }
  await server.start()
  return server
}

/** It is of somebody else: it is not ended, and databases of tests stay. */
function givenServer(url: string): MariadbServer {
  const parsed = parseMysqlEndpoint(url)
  const endpoint = (database = 'mysql'): MysqlEndpoint => ({ ...parsed, database })
  const refuse = (): Promise<void> => Promise.reject(new Error(`${GIVEN} names a server that no test may end.`))
  let made = 0
  return {
    port: parsed.port,
    pid: undefined,
    url: (database = 'mysql') => {
      const named = new URL(url)
      named.pathname = `/${database}`
      return named.href
    },
    endpoint,
    createDatabase: async (prefix = 'test') => {
      made += 1
      const name = `${prefix}_${process.pid}_${made}`
      await using connection = await Connection.open(endpoint(), { readOnly: false })
      await connection.query(`CREATE DATABASE \`${name}\` CHARACTER SET utf8mb4`)
      return name
    },
    kill: refuse,
    start: refuse,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
}

async function ready(endpoint: MysqlEndpoint, child: ChildProcess): Promise<void> {
  const limit = performance.now() + START_MS
  for (;;) {
    try {
      await using connection = await Connection.open(endpoint, { readOnly: true })
      await connection.query('SELECT 1')
      return
    } catch (error) {
      if (child.exitCode !== null || performance.now() > limit) throw error
      await pause(50)
    }
  }
}

/** Where the processes of one run keep the template that they share. */
export const TEMPLATE_FOLDER = 'SYNCLINE_TEST_MARIADB_TEMPLATE'

/** A data folder as it is right after its installation: that of the run, or one of this process alone. */
async function findTemplate(): Promise<string> {
  const shared = process.env[TEMPLATE_FOLDER]
  if (shared !== undefined && (await isThere(shared))) return shared
  const folder = await mkdtemp(join(tmpdir(), 'syncline-mariadb-template-'))
  const remove = (): void => rmSync(folder, { recursive: true, force: true })
  process.once('exit', remove)
  await installTemplate(folder)
  if (shared === undefined) return folder
  // Another process may have been faster: then that one's is as good.
  await rename(folder, shared).catch(() => undefined)
  return (await isThere(shared)) ? shared : folder
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

/** Installs an empty server with an account for the tests. */
async function installTemplate(folder: string): Promise<void> {
  const install = await needProgram(['mariadb-install-db', 'mysql_install_db'], 'mariadb-server')
  const isRoot = userInfo().uid === 0
  if (isRoot) {
    await chmod(folder, 0o755)
    await run('chown', ['mysql:mysql', folder])
  }
  await run(install, [
    '--no-defaults',
    ...(isRoot ? ['--user=mysql'] : []),
    `--datadir=${folder}`,
    '--skip-test-db',
    '--auth-root-authentication-method=normal',
    ...SMALL_LOG,
  ])
  const program = await needProgram(['mariadbd', 'mysqld', '/usr/sbin/mariadbd', '/usr/sbin/mysqld'], 'mariadb-server')
  // Anonymous accounts would shadow '%' on this machine.
  const account = [
    'FLUSH PRIVILEGES;',
    `DELETE FROM mysql.global_priv WHERE User = '';`,
    'FLUSH PRIVILEGES;',
    `CREATE OR REPLACE USER admin@'%' IDENTIFIED BY '${PASSWORD}';`,
    `GRANT ALL ON *.* TO admin@'%' WITH GRANT OPTION;`,
    'FLUSH PRIVILEGES;',
  ].join('\n')
  const child = spawn(
    program,
    [
      '--no-defaults',
      ...(isRoot ? ['--user=mysql'] : []),
      `--datadir=${folder}`,
      '--bootstrap',
      '--skip-networking',
      ...SMALL_LOG,
    ],
    { stdio: ['pipe', 'ignore', 'ignore'] },
  )
  child.stdin.end(account)
  const [code] = await once(child, 'exit')
  if (code !== 0) throw new Error(`MariaDB ended its set-up with ${code}.`)
}
