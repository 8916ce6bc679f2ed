import { spawn, type ChildProcessByStdio } from 'node:child_process'
import { readFileSync, realpathSync } from 'node:fs'
import { dirname, join, sep } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { encodeFrame, FrameReader, type Frame, type Kind } from './frames.ts'

/** What a sandbox may take, as its owner enforces it from outside. */
export interface ProcessLimits {
  /** Milliseconds without an answer. */
  readonly wallMs: number
  /** Milliseconds of processor time without an answer. */
  readonly cpuMs: number
  /** Bytes of memory that the process may have resident; at rest it has about 80 MB. */
  readonly residentBytes: number
}

/** Why a sandbox ended without having answered. */
export type Death = 'time' | 'memory' | 'died'

/** How often a sandbox that works is looked at. */
const WATCH_MS = 25

/** Unit of the times in /proc/PID/stat: USER_HZ is 100 on every Linux that Node.js runs on. */
const TICK_MS = 10

/** Of the heap of its JavaScript, in megabytes; QuickJS has its memory beside it. */
const HEAP_MB = 48

const FOLDER = dirname(fileURLToPath(import.meta.url))
/** As it is compiled or not, like this file. */
const PROGRAM = join(FOLDER, import.meta.url.endsWith('.ts') ? 'child.ts' : 'child.js')
const CORE = packageFile('quickjs-emscripten-core')
const VARIANT = packageFile('@jitl/quickjs-wasmfile-release-sync')

/** The file that an import of the package loads. */
function packageFile(name: string): string {
  return realpathSync(fileURLToPath(import.meta.resolve(name)))
}

/** The folder of a package, from the file in its folder `dist`. */
function packageFolder(file: string): string {
  return dirname(dirname(file)) + sep
}

function startArguments(): string[] {
  const types = join(packageFolder(VARIANT), '..', 'quickjs-ffi-types') + sep
  const readable = [FOLDER + sep, packageFolder(CORE), packageFolder(VARIANT), types]
  return [
    // Nothing else: no writing, no processes, no workers, no addons, no WASI.
    '--permission',
    ...readable.map((folder) => `--allow-fs-read=${folder}`),
    `--max-old-space-size=${HEAP_MB}`,
    '--max-semi-space-size=2',
    '--no-warnings',
    PROGRAM,
    pathToFileURL(CORE).href,
    pathToFileURL(VARIANT).href,
  ]
}

/**
 * A process that runs code of the user: it can be killed at any time, and is, where it takes more than it may. It has a
 * process group and an empty environment of its own. Without /proc (on other systems than Linux) only the time is watched.
 */
export class SandboxProcess implements AsyncDisposable {
  readonly #process: ChildProcessByStdio<Writable, Readable, null>
  readonly #limits: ProcessLimits
  readonly #reader = new FrameReader()
  readonly #ended: Promise<void>
  #death: Death | null = null
  #waiting: { readonly take: (frame: Frame | null) => void } | null = null
  readonly #frames: Frame[] = []

  constructor(limits: ProcessLimits) {
    this.#limits = limits
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#ended = promise
    this.#process = spawn(process.execPath, startArguments(), {
      env: {},
      cwd: FOLDER,
      detached: true,
      stdio: ['pipe', 'pipe', 'ignore'],
    })
    this.#process.stdout.on('data', (chunk: Buffer) => this.#take(chunk))
    // What is written to a process that has died is lost; that it died is told by `close`.
    this.#process.stdin.on('error', () => undefined)
    this.#process.on('error', () => this.#end(resolve))
    this.#process.on('close', () => this.#end(resolve))
  }

  get pid(): number | undefined {
    return this.#process.pid
  }

  /** Why it ended; null while it lives. */
  get death(): Death | null {
    return this.#death
  }

  send(kind: Kind, text: string): void {
    this.#process.stdin.write(encodeFrame(kind, text))
  }

  /** The next frame; null where the process has ended, or was killed because none came within its limits. */
  async next(wallMs = this.#limits.wallMs): Promise<Frame | null> {
    const ready = this.#frames.shift()
    if (ready !== undefined) return ready
    if (this.#death !== null) return null
    const { promise, resolve } = Promise.withResolvers<Frame | null>()
    this.#waiting = { take: resolve }
    const watch = this.#watch(wallMs)
    try {
      return await promise
    } finally {
      clearInterval(watch)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#kill('died')
    await this.#ended
  }

  #watch(wallMs: number): NodeJS.Timeout {
    const since = performance.now()
    const cpuBefore = usageOf(this.pid)?.cpuMs ?? 0
    return setInterval(() => {
      const usage = usageOf(this.pid)
      if (usage !== null && usage.residentBytes > this.#limits.residentBytes) this.#kill('memory')
      else if (usage !== null && usage.cpuMs - cpuBefore > this.#limits.cpuMs) this.#kill('time')
      else if (performance.now() - since > wallMs) this.#kill('time')
    }, WATCH_MS)
  }

  #take(chunk: Buffer): void {
    const frames = this.#reader.push(chunk)
    // Longer than anything that our own program says.
    if (frames === null) return this.#kill('died')
    for (const frame of frames) {
      if (this.#waiting === null) this.#frames.push(frame)
      else this.#answer(frame)
    }
  }

  #answer(frame: Frame | null): void {
    const waiting = this.#waiting
    this.#waiting = null
    waiting?.take(frame)
  }

  #kill(death: Death): void {
    this.#death ??= death
    const { pid } = this
    if (pid === undefined || this.#process.exitCode !== null || this.#process.signalCode !== null) return
    try {
      // The whole group: the process has no right to start another, but a wall that gave way may have given way there too.
      process.kill(-pid, 'SIGKILL')
    } catch {
      this.#process.kill('SIGKILL')
    }
  }

  #end(resolve: () => void): void {
    this.#death ??= 'died'
    this.#answer(null)
    resolve()
  }
}

interface Usage {
  readonly cpuMs: number
  readonly residentBytes: number
}

/** What a process has used, by the kernel; null where that is not known. Source: proc(5). */
function usageOf(pid: number | undefined): Usage | null {
  if (pid === undefined) return null
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The name of the program is in parentheses and may hold anything.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const status = readFileSync(`/proc/${pid}/status`, 'latin1')
    const kilobytes = Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0)
    return { cpuMs: (Number(fields[11]) + Number(fields[12])) * TICK_MS, residentBytes: kilobytes * 1024 }
  } catch {
    return null
  }
}
