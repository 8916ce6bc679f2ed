/** The only file that writes: results to stdout, everything else to stderr, and nothing but one envelope with `--json`. */
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { inspect } from 'node:util'
import { toError } from '#lib/assert.ts'
import { AppError, type ErrorCode } from '#model/errors.ts'

/** Every command's answer under `--json`. `ok` false with no error: it ran, and found what is in `result`. */
export interface Envelope {
  readonly command: string
  readonly ok: boolean
  readonly summary: string
  readonly result: unknown
  readonly error: ErrorFacts | null
}

export interface ErrorFacts {
  readonly code: ErrorCode
  readonly message: string
  readonly hint: string
  readonly retry: string
  readonly docs: string
}

export interface OutputOptions {
  readonly json: boolean
  readonly quiet: boolean
  readonly debug: boolean
  /** Inside another command that has the word: errors only. */
  readonly muted?: boolean
}

const STYLES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 } as const

export type Style = keyof typeof STYLES

export class Output {
  readonly #options: OutputOptions
  /** Lines of the terminal that `status` has drawn and may draw over. */
  #drawn = 0

  constructor(options: OutputOptions) {
    this.#options = options
  }

  /** Whether lines can be drawn over: a terminal, and not a log of an automatic build. */
  get live(): boolean {
    return process.stderr.isTTY && !process.env['CI'] && process.env['TERM'] !== 'dumb' && !this.silent
  }

  /** Whether somebody sits there who can answer. */
  get interactive(): boolean {
    return process.stdin.isTTY && process.stderr.isTTY && !this.#options.json
  }

  get silent(): boolean {
    return this.#options.quiet || this.#options.json || (this.#options.muted ?? false)
  }

  get width(): number {
    // A terminal that does not know its width says 0.
    return process.stderr.columns || 80
  }

  /** A line of the result, for people. */
  print(line: string): void {
    if (!this.#options.json && !this.#options.muted) process.stdout.write(`${line}\n`)
  }

  /** A piece of a file that is the result itself. Waits for a reader that is slow. */
  async write(piece: Uint8Array): Promise<void> {
    if (this.#options.json || this.#options.muted || process.stdout.write(piece)) return
    if (process.stdout.destroyed || process.stdout.errored !== null) return
    await once(process.stdout, 'drain').catch(() => undefined)
  }

  /** The result, for programs. */
  envelope(envelope: Envelope): void {
    if (this.#options.json) process.stdout.write(`${toJson(envelope)}\n`)
  }

  /** Something worth knowing that is no result. */
  note(line: string): void {
    if (this.silent) return
    this.status([])
    process.stderr.write(`${line}\n`)
  }

  warn(line: string): void {
    this.status([])
    process.stderr.write(`${this.paint('warning:', 'yellow')} ${line}\n`)
  }

  /** What to do after an error; said even under `--quiet`. */
  advise(line: string): void {
    process.stderr.write(`${line}\n`)
  }

  /** Draws these lines in the place of those that were drawn before; none: removes them and gives the cursor back. */
  status(lines: readonly string[]): void {
    if (lines.length === 0 && this.#drawn === 0) return
    const back = this.#drawn === 0 ? '\u001B[?25l' : `\u001B[${this.#drawn}A`
    const text = lines.map((line) => `\r${line}\u001B[K\n`).join('')
    process.stderr.write(`${back}${text}\u001B[J${lines.length === 0 ? '\u001B[?25h' : ''}`)
    this.#drawn = lines.length
  }

  /** Whether whoever sits there says yes to a question. Rejects with the signal's reason. */
  async agrees(question: string, signal: AbortSignal): Promise<boolean> {
    return /^y(es)?$/i.test((await this.#ask(`${question} [y/N] `, signal)).trim())
  }

  #ask(question: string, signal: AbortSignal): Promise<string> {
    const terminal = createInterface({ input: process.stdin, output: process.stderr })
    return new Promise<string>((resolve, reject) => {
      // The terminal hands Ctrl-C to whoever reads the line.
      terminal.on('SIGINT', () => process.kill(process.pid, 'SIGINT'))
      terminal.once('close', () => resolve(''))
      signal.addEventListener('abort', () => reject(toError(signal.reason)), { once: true })
      terminal.question(question, resolve)
    }).finally(() => terminal.close())
  }

  error(thrown: unknown): void {
    const { code, message, hint, docs } = factsOf(thrown)
    this.status([])
    const lines = [`${this.paint('error', 'red')} ${this.paint(code, 'bold')}: ${message}`, `  ${hint}`, `  ${docs}`]
    process.stderr.write(`${lines.join('\n')}\n`)
    if (this.#options.debug) process.stderr.write(`${stackOf(thrown)}\n`)
  }

  readonly paint = (text: string, style: Style): string => {
    return wantsColour() ? `\u001B[${STYLES[style]}m${text}\u001B[0m` : text
  }
}

/** Help and the like, asked for. */
export function printHelp(text: string): void {
  process.stdout.write(text)
}

export function factsOf(thrown: unknown): ErrorFacts {
  const error = thrown instanceof AppError ? thrown : new AppError('internal', toError(thrown).message)
  const { code, message, hint, retry } = error
  return { code, message, hint, retry, docs: `docs/errors.md#${code}` }
}

/** The stacks of an error and of its causes. Not their other fields: a driver's errors carry rows and settings there. */
function stackOf(thrown: unknown): string {
  const stacks: string[] = []
  for (let error = thrown; error !== undefined; error = error instanceof Error ? error.cause : undefined) {
    stacks.push(error instanceof Error ? (error.stack ?? error.message) : inspect(error))
  }
  return stacks.join('\ncaused by: ')
}

/** 64-bit numbers as text, bytes as hex as PostgreSQL writes them, maps as objects. */
function toJson(value: unknown): string {
  return JSON.stringify(value, function (this: Readonly<Record<string, unknown>>, name, field: unknown) {
    // A Buffer has become an object of numbers by the time it comes as `field`.
    const raw = this[name]
    if (raw instanceof Uint8Array) return String.raw`\x${Buffer.from(raw).toString('hex')}`
    if (raw instanceof Map) return Object.fromEntries(raw)
    if (raw instanceof AppError) return factsOf(raw)
    return typeof field === 'bigint' ? field.toString() : field
  })
}

/** A reader that goes away (`| head`) takes the rest of the output with it, and nothing else: the work goes on. */
export function outliveReaders(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error
    })
  }
}

function wantsColour(): boolean {
  const { NO_COLOR: none, FORCE_COLOR: force } = process.env
  if (none) return false
  if (force !== undefined) return force !== '0' && force !== 'false'
  return process.stderr.isTTY && process.stdout.isTTY && process.env['TERM'] !== 'dumb'
}
