/**
 * The engine on real servers, in the test's own process: a source and a target database, and runs, previews and
 * comparisons between them. Adapters are opened anew for each call, as a process of the product would.
 */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import type { Adapter, Writer } from '#adapters/adapter.ts'
import { openDatabase } from '#adapters/registry.ts'
import { EmbeddedStaging } from '#control/embedded-staging.ts'
import { systemClock } from '#lib/clock.ts'
import { written } from '#model/counts.ts'
import { AppError } from '#model/errors.ts'
import type { Receipt } from '#model/receipt.ts'
import { DEFAULT_POLICIES, type SyncConfig, type TableMapping } from '#model/sync-config.ts'
import type { RunEvent } from '#sync/journal.ts'
import { previewSync, type Preview } from '#sync/preview-sync.ts'
import { runSync, type RunTools } from '#sync/run-sync.ts'
import { compareDatabases, type Comparison } from '#sync/compare-databases.ts'

import { createDatabase, type Database } from './database.ts'
import type { TestServer } from './postgres.ts'

/** What a test can do while a run is under way. */
export interface RunHooks {
  readonly onEvent?: (event: RunEvent) => void
  /** Awaited before each batch reaches the target, with the number of the batch from 1 on. */
  readonly beforeBatch?: (batch: number) => Promise<void>
  /** Awaited before each piece is loaded by COPY, with its number from 1 on. */
  readonly beforeLoad?: (piece: number) => Promise<void>
  /** Brakes are answered with the very number that they ask for. */
  readonly approve?: boolean
  /** Another login than the test's own, for one side. */
  readonly sourceUrl?: string
  readonly targetUrl?: string
}

/** Two databases that go away together: `await using pair = await createPair(a, b)`. */
export class Pair implements AsyncDisposable {
  readonly source: Database
  readonly target: Database
  readonly #folder: string
  #stagings = 0

  constructor(source: Database, target: Database) {
    this.source = source
    this.target = target
    this.#folder = mkdtempSync(join(tmpdir(), 'syncline-pair-'))
  }

  /** The same statements on both sides. */
  async both(sql: string): Promise<void> {
    await Promise.all([this.source.sql(sql), this.target.sql(sql)])
  }

  async run(config: Partial<SyncConfig> = {}, hooks: RunHooks = {}): Promise<Receipt> {
    const attempt = (changes: Partial<SyncConfig>): Promise<Receipt> =>
      this.#open(hooks, (sides) =>
        runSync({ ...sides, config: { tables: null, ...DEFAULT_POLICIES, ...config, ...changes } }, this.#tools(hooks)),
      )
    let approved: Partial<SyncConfig> = {}
    for (;;) {
      try {
        return await attempt(approved)
      } catch (error) {
        const answer = hooks.approve ? approvalFor(error) : null
        if (answer === null || Object.keys(answer).every((name) => name in approved)) throw error
        approved = { ...approved, ...answer }
      }
    }
  }

  async preview(config: Partial<SyncConfig> = {}, samples = 20): Promise<Preview> {
    return await this.#open({}, (sides) =>
      previewSync({ ...sides, config: { tables: null, ...DEFAULT_POLICIES, ...config } }, this.#tools({}), samples),
    )
  }

  async compare(by: 'rows' | 'proof', config: Partial<SyncConfig> = {}, samples = 20): Promise<Comparison> {
    return await this.#open({}, (sides) =>
      compareDatabases(
        { ...sides, config: { tables: null, ...DEFAULT_POLICIES, ...config }, by, samples },
        this.#tools({}),
      ),
    )
  }

  async #open<T>(hooks: RunHooks, use: (sides: { source: Adapter; target: Adapter }) => Promise<T>): Promise<T> {
    const { signal } = new AbortController()
    await using source = await openDatabase(hooks.sourceUrl ?? this.source.url, { write: false, signal })
    await using target = await openDatabase(hooks.targetUrl ?? this.target.url, { write: true, signal })
    return await use({ source, target: hooks.beforeBatch || hooks.beforeLoad ? watched(target, hooks) : target })
  }

  #tools(hooks: RunHooks): RunTools {
    return {
      openStaging: () => new EmbeddedStaging(join(this.#folder, `staging-${(this.#stagings += 1)}.sqlite`)),
      journal: { record: (event) => hooks.onEvent?.(event) },
      clock: systemClock,
      newJobId: () => `job_${randomBytes(6).toString('hex')}`,
      signal: new AbortController().signal,
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    rmSync(this.#folder, { recursive: true, force: true })
    await Promise.all([this.source[Symbol.asyncDispose](), this.target[Symbol.asyncDispose]()])
  }
}

export async function createPair(source: TestServer, target: TestServer): Promise<Pair> {
  return new Pair(await createDatabase(source), await createDatabase(target))
}

/** The number that a brake asks for, as the config that approves it; null for every other error. */
function approvalFor(error: unknown): Partial<SyncConfig> | null {
  if (!(error instanceof AppError)) return null
  const number = Number(/(\d+)\.$/.exec(error.hint ?? '')?.[1])
  if (error.code === 'delete_brake') return { approvedDeletes: number }
  if (error.code === 'overwrite_brake') return { approvedOverwrites: number }
  return null
}

/** The adapter itself, but for the moments that a test wants to act in. */
function watched(adapter: Adapter, hooks: RunHooks): Adapter {
  const { writer } = adapter
  if (writer === null) return adapter
  let batches = 0
  let pieces = 0
  const apply: Writer['apply'] = async (...args) => {
    await hooks.beforeBatch?.((batches += 1))
    return await writer.apply(...args)
  }
  const load: Writer['load'] = async (...args) => {
    await hooks.beforeLoad?.((pieces += 1))
    return await writer.load(...args)
  }
  return replacing(adapter, { writer: replacing(writer, { apply, load }) })
}

/** An object with some members replaced; methods keep their own `this`. */
function replacing<T extends object>(object: T, members: Partial<T>): T {
  return new Proxy(object, {
    get(target, name) {
      const value: unknown = Reflect.get(name in members ? members : target, name)
      return typeof value === 'function' && !(name in members) ? value.bind(target) : value
    },
  })
}

export interface MappingOptions {
  readonly as?: string
  readonly key?: readonly string[]
  readonly columns?: readonly string[]
  readonly exclude?: readonly string[]
  readonly rename?: Readonly<Record<string, string>>
}

/** The mapping of one table of schema public. */
export function mapping(name: string, options: MappingOptions = {}): TableMapping {
  return {
    source: { schema: 'public', name },
    target: { schema: 'public', name: options.as ?? name },
    key: options.key ?? null,
    columns: options.columns ?? null,
    exclude: options.exclude ?? [],
    rename: new Map(Object.entries(options.rename ?? {})),
  }
}

/** Everything in step, nothing left apart: the counts of a run that wrote nothing. */
export function wroteNothing(receipt: Receipt): boolean {
  const { counts } = receipt
  return written(counts) === 0 && counts.read === counts.unchanged
}

export const MIRROR = { deletePolicy: 'delete', deleteScope: 'mirror' } as const satisfies Partial<SyncConfig>
