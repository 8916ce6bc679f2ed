/**
 * The process of a sandbox: reads frames, runs the user's code on their rows in QuickJS, and answers. It has an empty
 * environment and no rights but to read this folder and the files of QuickJS. It is held to be hostile by its owner,
 * because the code in it is: nothing here is a wall but a convenience. The walls are the process, the limits that
 * `process.ts` enforces from outside, and the checks in `outputs.ts`.
 */
import type {
  newQuickJSWASMModuleFromVariant,
  newVariant,
  QuickJSContext,
  QuickJSHandle,
  QuickJSRuntime,
  QuickJSSyncVariant,
  QuickJSWASMModule,
} from 'quickjs-emscripten-core'
import { encodeFrame, FrameReader, KIND, type CodeMessage, type FaultMessage, type Frame, type Kind } from './frames.ts'
import { guestProgram } from './guest.ts'

/** The core and the variant of QuickJS are named by their files: this process may not look for packages. */
const [, , coreUrl = '', variantUrl = ''] = process.argv

/** Pages of 64 KiB: the memory of QuickJS never grows, so that no code can take more of this machine (M14). */
const MEMORY_PAGES = 512
/** Below what the pages hold, so that the guest is refused memory in order before the pages are used up. */
const GUEST_BYTES = 24 * 1024 * 1024
/** Deeper recursion in the guest would overflow the stack of this process first. */
const GUEST_STACK = 64 * 1024

/** The global of that name; the types of Node.js leave it to those of browsers. */
declare const WebAssembly: {
  readonly Memory: new (size: { initial: number; maximum: number }) => NonNullable<VariantOptions['wasmMemory']>
}

type VariantOptions = NonNullable<Parameters<typeof newVariant>[1]>

interface Core {
  readonly newQuickJSWASMModuleFromVariant: typeof newQuickJSWASMModuleFromVariant
  readonly newVariant: typeof newVariant
}

async function loadQuickJs(): Promise<QuickJSWASMModule> {
  const core: Core = await import(coreUrl)
  const { default: variant }: { readonly default: QuickJSSyncVariant } = await import(variantUrl)
  const wasmMemory = new WebAssembly.Memory({ initial: MEMORY_PAGES, maximum: MEMORY_PAGES })
  return core.newQuickJSWASMModuleFromVariant(core.newVariant(variant, { wasmMemory }))
}

/** Processor time so far: a busy machine takes nothing from a row. Whoever asks for the rows watches the clock. */
function usedMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

/** One runtime with the code in it. Ends with the first row that fails: what that row did to it is not known. */
class Guest {
  readonly #runtime: QuickJSRuntime
  readonly #context: QuickJSContext
  readonly #program: QuickJSHandle
  readonly #rowMs: number
  #deadline = Infinity

  constructor(quickJs: QuickJSWASMModule, message: CodeMessage) {
    this.#rowMs = message.rowMs
    this.#runtime = quickJs.newRuntime()
    this.#runtime.setMemoryLimit(GUEST_BYTES)
    this.#runtime.setMaxStackSize(GUEST_STACK)
    this.#runtime.setInterruptHandler(() => usedMs() > this.#deadline)
    this.#context = this.#runtime.newContext()
    this.#deadline = usedMs() + this.#rowMs
    const made = this.#context.evalCode(guestProgram(message))
    if (made.error) throw new Error(JSON.stringify(this.#context.dump(made.error)))
    this.#program = made.value
  }

  load(rows: string): boolean {
    const json = this.#context.newString(rows)
    const loaded = this.#call('load', json)
    json.dispose()
    return loaded !== null
  }

  /** The answer of the guest; null where it was cut short. */
  run(): string | null {
    return this.#call('run')
  }

  /** The results so far, as JSON; null where even that is more than it can give. */
  results(): string | null {
    return this.#call('results')
  }

  /** Something waits for a turn that never comes: it is not to wait any longer. */
  get hasLeftovers(): boolean {
    return this.#runtime.hasPendingJob()
  }

  dispose(): void {
    this.#program.dispose()
    this.#context.dispose()
    this.#runtime.dispose()
  }

  #call(name: string, ...args: readonly QuickJSHandle[]): string | null {
    this.#deadline = usedMs() + this.#rowMs
    const method = this.#context.getProp(this.#program, name)
    const result = this.#context.callFunction(method, this.#program, ...args)
    method.dispose()
    if (result.error) {
      result.error.dispose()
      return null
    }
    const text = this.#context.typeof(result.value) === 'string' ? this.#context.getString(result.value) : ''
    result.value.dispose()
    return text
  }
}

/** A row for each element: its number of results is read from the JSON by counting, in the one place that needs it. */
function countOf(results: string): number {
  const parsed: unknown = JSON.parse(results)
  return Array.isArray(parsed) ? parsed.length : 0
}

class Sandbox {
  readonly #quickJs: QuickJSWASMModule
  #message: CodeMessage | null = null
  #guest: Guest | null = null

  constructor(quickJs: QuickJSWASMModule) {
    this.#quickJs = quickJs
  }

  take({ kind, text }: Frame): void {
    if (kind === KIND.code) this.#open(text)
    else this.#answer(text)
  }

  #open(text: string): void {
    this.#message = JSON.parse(text)
    try {
      this.#fresh()
      send(KIND.ready, '')
    } catch (error) {
      send(KIND.broken, error instanceof Error ? error.message : '')
    }
  }

  #fresh(): Guest {
    if (this.#message === null) throw new Error('There is no code.')
    this.#guest ??= new Guest(this.#quickJs, this.#message)
    return this.#guest
  }

  #drop(): void {
    this.#guest?.dispose()
    this.#guest = null
  }

  #answer(json: string): void {
    let loaded = this.#fresh().load(json)
    let at = 0
    let rows: readonly unknown[] | null = null
    for (;;) {
      const answer = loaded ? this.#fresh().run() : null
      const step = this.#stepOf(answer)
      at += step.results
      if (step.end) break
      if (step.fault !== null) {
        send(KIND.fault, JSON.stringify(step.fault))
        at += 1
      }
      if (step.keep) continue
      this.#drop()
      rows ??= JSON.parse(json) as readonly unknown[]
      if (at >= rows.length) break
      loaded = this.#fresh().load(JSON.stringify(rows.slice(at)))
    }
    if (this.#guest?.hasLeftovers === true) this.#drop()
    send(KIND.done, '')
  }

  /** Sends the results of one call, and says what comes next. */
  #stepOf(answer: string | null): { results: number; fault: FaultMessage | null; end: boolean; keep: boolean } {
    switch (answer?.[0]) {
      case 'd':
        send(KIND.results, answer.slice(1))
        return { results: 0, fault: null, end: true, keep: true }
      case 'm': {
        send(KIND.results, answer.slice(1))
        return { results: countOf(answer.slice(1)), fault: null, end: false, keep: true }
      }
      case 'f': {
        const { results, fault }: { results: unknown[]; fault: FaultMessage } = JSON.parse(answer.slice(1))
        send(KIND.results, JSON.stringify(results))
        return { results: results.length, fault, end: false, keep: false }
      }
      default:
        return this.#cutShort()
    }
  }

  /** The time ran out: what is done is done. A row is to blame where it had all the time for itself. */
  #cutShort(): { results: number; fault: FaultMessage | null; end: boolean; keep: boolean } {
    const results = this.#guest?.results() ?? '[]'
    const count = countOf(results)
    if (count > 0) send(KIND.results, results)
    const fault: FaultMessage = { fault: 'time', reason: 'It took too long.', detail: '', line: 0 }
    return { results: count, fault: count > 0 ? null : fault, end: false, keep: false }
  }
}

function send(kind: Kind, text: string): void {
  process.stdout.write(encodeFrame(kind, text))
}

async function serve(): Promise<void> {
  const sandbox = new Sandbox(await loadQuickJs())
  const reader = new FrameReader()
  process.stdin.on('data', (chunk: Buffer) => {
    for (const frame of reader.push(chunk) ?? []) sandbox.take(frame)
  })
  // Its owner is gone.
  process.stdin.on('end', () => process.exit(0))
}

await serve()
