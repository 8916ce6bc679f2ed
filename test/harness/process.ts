/** The program as a user runs it: a process of its own, whose output is read and which can be stopped at any point. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

import { afterEach, expect } from 'vitest'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

export interface Exit {
  /** Null where a signal ended the process. */
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface ProgramOptions {
  /** Set for the process, over the test's own environment; undefined removes a variable. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Given to the process as its whole input. */
  readonly stdin?: string
}

/** Starts `syncline` with arguments. */
export function startProgram(args: readonly string[], options: ProgramOptions = {}): Program {
  return startNode(['--max-semi-space-size=2', '--max-old-space-size=400', 'src/main.ts', ...args], options)
}

/** Runs `syncline` with arguments to its end. */
export async function runProgram(args: readonly string[], options: ProgramOptions = {}): Promise<Exit> {
  await using program = startProgram(args, options)
  return await program.exit
}

/**
 * Runs a command line inside this process, for runs of which the end alone counts: where nothing is to be killed, no
 * program need be started. One at a time, because the output is taken from the process.
 */
export async function runInside(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Exit> {
  const { runCli } = await import('#cli/run-cli.ts')
  const output = { stdout: '', stderr: '' }
  using stack = new DisposableStack()
  for (const name of ['stdout', 'stderr'] as const) {
    const stream = process[name]
    const write = stream.write.bind(stream)
    stack.defer(() => void (stream.write = write))
    stream.write = (text: string | Uint8Array): boolean => {
      output[name] += String(text)
      return true
    }
  }
  for (const [name, value] of Object.entries(env)) {
    const before = process.env[name]
    stack.defer(() => {
      if (before === undefined) delete process.env[name]
      else process.env[name] = before
    })
    process.env[name] = value
  }
  const code = await runCli(args, { muted: true, signal: new AbortController().signal })
  return { code, signal: null, ...output }
}

/** Starts any script, relative to the root of the project, on the Node that runs the tests. */
export function startNode(args: readonly string[], options: ProgramOptions = {}): Program {
  return new Program(args, options)
}

const living = new Set<Program>()

/** A running program. Whoever starts one ends it: `await using`, or waiting for `exit`. */
export class Program implements AsyncDisposable {
  readonly pid: number
  /** How it ended. Never rejects. */
  readonly exit: Promise<Exit>
  stdout = ''
  stderr = ''
  readonly #child: ChildProcess
  readonly #command: string
  readonly #watchers = new Set<() => void>()
  #ended = false

  constructor(args: readonly string[], { env = {}, stdin }: ProgramOptions) {
    const child = spawn(process.execPath, args, {
      cwd: ROOT,
      env: { ...process.env, ...env },
      stdio: [stdin === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    })
    if (child.pid === undefined) throw new Error(`Could not start ${args.join(' ')}.`)
    this.pid = child.pid
    this.#child = child
    this.#command = args.join(' ')
    this.exit = this.#watch()
    living.add(this)
    // A program may end without having read its input.
    child.stdin?.on('error', () => undefined)
    child.stdin?.end(stdin)
  }

  /** Sends a signal; a program that has ended is left alone. */
  signal(signal: NodeJS.Signals): void {
    if (!this.#ended) this.#child.kill(signal)
  }

  /** Kills it with no chance to clean up. */
  async kill(): Promise<Exit> {
    this.signal('SIGKILL')
    return await this.exit
  }

  /** Stops it in its tracks, as a paused machine would; `resume` lets it go on. */
  suspend(): void {
    this.signal('SIGSTOP')
  }

  resume(): void {
    this.signal('SIGCONT')
  }

  /** Sends a signal after a time, unless it ends before; the caller draws the time from the test's seed. */
  async signalAfter(ms: number, signal: NodeJS.Signals): Promise<void> {
    const timer = new AbortController()
    const ended = this.exit.then(() => timer.abort())
    await pause(ms, undefined, { signal: timer.signal }).catch(() => undefined)
    if (timer.signal.aborted) return await ended
    this.signal(signal)
  }

  /** Sends a signal as soon as its output, of either kind, matches. @throws if it ends without */
  async signalAt(pattern: RegExp, signal: NodeJS.Signals): Promise<void> {
    await this.untilOutput(pattern)
    this.signal(signal)
  }

  /** Waits until its output, of either kind, matches. @throws if it ends without */
  async untilOutput(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.stdout) ?? pattern.exec(this.stderr)
      if (match) return match
      if (this.#ended) throw new Error(`${this.#command} ended without ${pattern}:\n${this.stdout}${this.stderr}`)
      await this.#changed()
    }
  }

  /** Kills it if it runs still. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill()
  }

  toString(): string {
    return `${this.pid} (${this.#command})`
  }

  async #watch(): Promise<Exit> {
    const child = this.#child
    child.stdout?.setEncoding('utf8').on('data', (text: string) => this.#add('stdout', text))
    child.stderr?.setEncoding('utf8').on('data', (text: string) => this.#add('stderr', text))
    // Not `exit`: output may come after it.
    await once(child, 'close')
    this.#ended = true
    living.delete(this)
    this.#notify()
    return { code: child.exitCode, signal: child.signalCode, stdout: this.stdout, stderr: this.stderr }
  }

  #add(stream: 'stdout' | 'stderr', text: string): void {
    this[stream] += text
    this.#notify()
  }

  #notify(): void {
    for (const watcher of this.#watchers) watcher()
    this.#watchers.clear()
  }

  #changed(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#watchers.add(resolve)
    return promise
  }
}

/** Kills a process that may have ended since it was seen. */
export function killNow(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error
  }
}

/** Kills what still runs and says what it was. */
export async function killLeftPrograms(): Promise<string[]> {
  const left = [...living]
  await Promise.all(left.map((program) => program.kill()))
  return left.map(String)
}

/** For a test file that starts programs: none may survive the test that started it. */
export function expectNoProgramSurvives(): void {
  afterEach(async () => {
    expect(await killLeftPrograms(), 'programs that survived their test').toEqual([])
  })
}
