import { AppError } from '#model/errors.ts'
import type { Row } from '#model/value.ts'
import { KIND, type CodeMessage, type FaultMessage } from './frames.ts'
import { codeProblem } from './code-text.ts'
import { cellForm, checkOutput, isReadable, type CodeColumn } from './outputs.ts'
import { SandboxProcess, type Death, type ProcessLimits } from './process.ts'

/** Why code has no result for one row. */
export interface Fault {
  /** `threw` an error, took too much `time` or `memory`, gave a wrong `output`, could not be given its `input`. */
  readonly fault: 'threw' | 'time' | 'memory' | 'output' | 'input' | 'died'
  /** In our words, without any value of the row: may be counted, logged and kept. */
  readonly reason: string
  /** The code's own words, which may hold values of the row: only for those who may see the row, and never for a log. */
  readonly detail: string | null
}

export interface CodeLimits extends ProcessLimits {
  /** Milliseconds that one row may take inside. */
  readonly rowMs: number
  /** How often a process that was killed is replaced before the code is given up. */
  readonly maxRestarts: number
}

export const CODE_LIMITS: CodeLimits = {
  rowMs: 500,
  wallMs: 2_000,
  cpuMs: 1_500,
  residentBytes: 160 * 1024 * 1024,
  maxRestarts: 100,
}

/** Code that is ready for rows. */
export interface Code extends AsyncDisposable {
  /**
   * The outputs of each row, in their order, or why there are none. The cells of a row are in the order of the columns.
   * Calls wait for each other.
   * @throws AppError `sandbox_failed` where the process had to be replaced too often
   */
  readonly run: (rows: readonly Row[]) => Promise<(Row | Fault)[]>
  /** The process that runs the code now, for tests and logs. */
  readonly pid: number | undefined
}

const BATCH_ROWS = 1_000
/** Characters of the cells of a batch, so that the memory of the sandbox holds it several times. */
const BATCH_CHARACTERS = 1_000_000
/** Of one row's cells. */
const MAX_INPUT = 2_000_000
/** How long a process may take to start and to read its code. */
const START_MS = 10_000

/**
 * Opens the user's JavaScript: the body of a function of `row` that returns an object with the outputs, and nothing else.
 * `row` is frozen and has no prototype; its integers are bigints, its floats numbers, its booleans true or false, and all
 * else texts as the database writes them (`outputs.ts`). A bigint or a whole number goes into an integer, a text or a
 * bigint into a decimal, a number into a float. There is no clock, no chance, no input and output, and what one row leaves
 * behind no other row finds.
 * @throws AppError `invalid_request` where the code cannot be read, `sandbox_failed` where it cannot be run at all
 */
export async function openCode(
  code: string,
  { columns, outputs }: { columns: readonly CodeColumn[]; outputs: readonly CodeColumn[] },
  limits: CodeLimits = CODE_LIMITS,
): Promise<Code> {
  checkCode(code)
  const message: CodeMessage = {
    code,
    columns: columns.map(({ name, type }) => ({ name, as: cellForm(type) })),
    outputs: outputs.map(({ name }) => name),
    rowMs: limits.rowMs,
  }
  const runner = new Runner({ message, outputs, limits })
  await runner.start()
  return runner
}

/** Nothing of the code may stand outside of the function. @throws AppError */
function checkCode(code: string): void {
  const problem = codeProblem(code)
  if (problem !== null) throw new AppError('invalid_request', `The code cannot be read: ${problem}.`)
}

class Runner implements Code {
  readonly #message: CodeMessage
  readonly #outputs: readonly CodeColumn[]
  readonly #limits: CodeLimits
  #process: SandboxProcess | null = null
  #restarts = 0
  #last: Promise<unknown> = Promise.resolve()

  constructor(of: { message: CodeMessage; outputs: readonly CodeColumn[]; limits: CodeLimits }) {
    this.#message = of.message
    this.#outputs = of.outputs
    this.#limits = of.limits
  }

  get pid(): number | undefined {
    return this.#process?.pid
  }

  async start(): Promise<SandboxProcess> {
    if (this.#process?.death === null) return this.#process
    const started = new SandboxProcess(this.#limits)
    this.#process = started
    started.send(KIND.code, JSON.stringify(this.#message))
    const answer = await started.next(START_MS)
    if (answer?.kind === KIND.ready) return started
    await started[Symbol.asyncDispose]()
    if (answer?.kind === KIND.broken) throw new AppError('invalid_request', 'The code cannot be read by its engine.')
    throw new AppError('sandbox_failed', 'The process that runs code could not be started.')
  }

  async run(rows: readonly Row[]): Promise<(Row | Fault)[]> {
    const turn = this.#last.then(() => this.#runAll(rows))
    this.#last = turn.catch(() => undefined)
    return turn
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process?.[Symbol.asyncDispose]()
  }

  async #runAll(rows: readonly Row[]): Promise<(Row | Fault)[]> {
    const results: (Row | Fault)[] = []
    let batch: (readonly (string | null)[])[] = []
    let characters = 0
    const flush = async (): Promise<void> => {
      if (batch.length > 0) results.push(...(await this.#runBatch(batch)))
      batch = []
      characters = 0
    }
    for (const row of rows) {
      const cells = row.filter(isReadable)
      const length = cells.reduce((sum, cell) => sum + (cell?.length ?? 0), 0)
      const problem = inputProblem(row, cells, length)
      if (problem !== null || batch.length >= BATCH_ROWS || characters + length > BATCH_CHARACTERS) await flush()
      if (problem !== null) {
        results.push(problem)
        continue
      }
      batch.push(cells)
      characters += length
    }
    await flush()
    return results
  }

  /** A batch that ended its process is halved until the row that did it stands alone. */
  async #runBatch(rows: readonly (readonly (string | null)[])[]): Promise<(Row | Fault)[]> {
    const process = await this.start()
    const results = await this.#exchange(process, rows)
    const rest = rows.slice(results.length)
    if (rest.length === 0) return results
    await process[Symbol.asyncDispose]()
    const death = process.death ?? 'died'
    if (++this.#restarts > this.#limits.maxRestarts) {
      throw new AppError('sandbox_failed', `The code ended its process more than ${this.#limits.maxRestarts} times.`)
    }
    if (rest.length === 1) return [...results, { fault: death, reason: DEATHS[death], detail: null }]
    const half = Math.ceil(rest.length / 2)
    const first = await this.#runBatch(rest.slice(0, half))
    return [...results, ...first, ...(await this.#runBatch(rest.slice(half)))]
  }

  /** The results that came before the process was done with all rows, or ended. */
  async #exchange(process: SandboxProcess, rows: readonly (readonly (string | null)[])[]): Promise<(Row | Fault)[]> {
    process.send(KIND.rows, JSON.stringify(rows))
    const results: (Row | Fault)[] = []
    for (;;) {
      const frame = await process.next()
      if (frame === null) return results
      const answered = this.#answered(frame.kind, frame.text)
      // Nothing that our own program says: it is not ours any more.
      if (answered === null || results.length + answered.length > rows.length) {
        await process[Symbol.asyncDispose]()
        return results
      }
      results.push(...answered)
      if (frame.kind !== KIND.done) continue
      if (results.length < rows.length) await process[Symbol.asyncDispose]()
      return results
    }
  }

  #answered(kind: string, text: string): (Row | Fault)[] | null {
    if (kind === KIND.done) return []
    const parsed = parse(text)
    if (kind === KIND.fault) return isFault(parsed) ? [faultOf(parsed)] : null
    if (kind !== KIND.results || !Array.isArray(parsed)) return null
    return parsed.map((result: unknown) => {
      const row = checkOutput(result, this.#outputs)
      return typeof row === 'string' ? { fault: 'output', reason: row, detail: null } : row
    })
  }
}

const DEATHS: Readonly<Record<Death, string>> = {
  time: 'The code took too long, and its process was killed.',
  memory: 'The code took too much memory, and its process was killed.',
  died: 'The code ended its process.',
}

function inputProblem(row: Row, cells: readonly unknown[], length: number): Fault | null {
  if (cells.length < row.length) return { fault: 'input', reason: 'A text is not valid UTF-8.', detail: null }
  if (length <= MAX_INPUT) return null
  return { fault: 'input', reason: `The cells are longer than ${MAX_INPUT} characters.`, detail: null }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

function isFault(value: unknown): value is FaultMessage {
  if (typeof value !== 'object' || value === null) return false
  const { fault, reason, detail, line } = value as Partial<Record<keyof FaultMessage, unknown>>
  return (
    ['threw', 'time', 'memory', 'output'].includes(String(fault)) &&
    typeof reason === 'string' &&
    typeof detail === 'string' &&
    typeof line === 'number'
  )
}

/** Names of errors that the language has: another one could be made of the row. */
const KNOWN = [
  'Error',
  'TypeError',
  'RangeError',
  'ReferenceError',
  'SyntaxError',
  'URIError',
  'EvalError',
  'InternalError',
]
const MAX_DETAIL = 500

function faultOf({ fault, reason, detail, line }: FaultMessage): Fault {
  const kept = detail === '' ? null : detail.slice(0, MAX_DETAIL)
  switch (fault) {
    case 'time':
      return { fault, reason: 'The code took too long.', detail: null }
    case 'memory':
      return { fault, reason: 'The code took too much memory.', detail: null }
    case 'output':
      return {
        fault,
        reason: 'The result is not what the mapping gives.',
        detail: `The result ${reason}.`.slice(0, MAX_DETAIL),
      }
    case 'threw': {
      const name = KNOWN.includes(reason) ? reason : 'an error'
      const place = Number.isSafeInteger(line) && line > 0 ? ` in line ${line}` : ''
      return { fault, reason: `The code threw ${name}${place}.`, detail: kept }
    }
  }
}
