/**
 * The engine on real servers, in the test's own process: a source and a target database, and runs, previews and
 * comparisons between them. Adapters are opened anew for each call, as a process of the product would.
 */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import type { Adapter, CopyFormat, Snapshot, Writer } from '#adapters/adapter.ts'
import { openDatabase, type DatabasePlace } from '#adapters/registry.ts'
import { permitWrite } from './permit.ts'
import { EmbeddedStaging } from '#control/embedded-staging.ts'
import { systemClock } from '#lib/clock.ts'
import { written } from '#model/counts.ts'
import { AppError } from '#model/errors.ts'
import type { FieldMapping } from '#model/field-mapping.ts'
import type { Receipt } from '#model/receipt.ts'
import { DEFAULT_POLICIES, plainMapping, type SyncConfig, type TableMapping } from '#model/sync-config.ts'
import type { ChangeSetInHand } from '#sync/attempt.ts'
import type { ChangeSet } from '#sync/change-set.ts'
import type { Conflicts } from '#sync/conflicts.ts'
import type { ChangeSetSummary } from '#model/change-set.ts'
import type { History, WrittenJob } from '#sync/history.ts'
import { planRevert, type RevertChoice } from '#sync/plan-revert.ts'
import type { RunEvent } from '#sync/journal.ts'
import { previewSync, type Preview } from '#sync/preview-sync.ts'
import { runSync, type RunIdentity, type RunTools } from '#sync/run-sync.ts'
import { validateSchema, type SchemaValidation, type ValidateTools } from '#sync/validate-schema.ts'
import { compareDatabases, type Comparison } from '#sync/compare-databases.ts'

import { createDatabase, type Database } from './database.ts'
import { startPgBouncer } from './pgbouncer.ts'
import type { TestServer } from './postgres.ts'
import type { Side } from './side.ts'

/** What a test can do while a run is under way. */
export interface RunHooks {
  readonly onEvent?: (event: RunEvent) => void
  /** Awaited when the source's tables are planned and no snapshot of them is taken yet; with the number of the attempt. */
  readonly beforeSnapshot?: (attempt: number) => Promise<void>
  /** Awaited when the source's snapshot is taken and does not hold the tables yet; with the number of the attempt. */
  readonly beforeHold?: (attempt: number) => Promise<void>
  /** Awaited before each batch reaches the target, with the number of the batch from 1 on, of its table too. */
  readonly beforeBatch?: (batch: number, table: { name: string; batch: number }) => Promise<void>
  /** Awaited before each piece is loaded by COPY, with its number from 1 on. */
  readonly beforeLoad?: (piece: number, table: { name: string; format: CopyFormat }) => Promise<void>
  /** Another job than one of its own that nobody keeps. */
  readonly job?: RunIdentity
  /** Brakes are answered with the very number that they ask for. */
  readonly approve?: boolean
  readonly maskKey?: Uint8Array
  /** Where a preview keeps everything that it finds. */
  readonly changeSet?: ChangeSet
  /** What a run applies, in place of looking for changes. */
  readonly applying?: ChangeSetInHand
  readonly history?: History
  readonly conflicts?: Conflicts
  /** The source is opened for writing too. */
  readonly twoWays?: boolean
  /** Awaited before anything is written on either side, and before what was agreed is kept. */
  readonly beforeWrite?: (what: 'source' | 'target' | 'baseline') => Promise<void>
  /** Another login than the test's own, for one side. */
  readonly sourceUrl?: DatabasePlace
  /** A source of another kind than the pair's own. */
  readonly openSource?: (signal: AbortSignal) => Promise<Adapter>
  /** What is no URL is opened for reading, unless it is said to be written. */
  readonly targetUrl?: DatabasePlace
  readonly writesTarget?: boolean
}

/** With it, what the product opens of a pair lies behind a PgBouncer in transaction mode, on both sides (hazard B11). */
const POOLED = process.env['SYNCLINE_TEST_POOLER'] === 'transaction'

/** Sessions of each pooler: what two runs hold open at once fits in. */
const POOL_SIZE = 20

/** By which the product reaches each side. */
interface Urls {
  readonly source: string
  readonly target: string
}

/** Two databases that go away together: `await using pair = await createPair(a, b)`. */
export class Pair<From extends Side = Database, To extends Side = Database> implements AsyncDisposable {
  readonly source: From
  readonly target: To
  readonly #urls: Urls
  readonly #stack: AsyncDisposableStack
  readonly #folder: string
  #stagings = 0

  constructor(
    { source, target }: { readonly source: From; readonly target: To },
    urls: Urls,
    stack: AsyncDisposableStack,
  ) {
    this.source = source
    this.target = target
    this.#urls = urls
    this.#stack = stack
    this.#folder = mkdtempSync(join(tmpdir(), 'syncline-pair-'))
  }

  /** The same statements on both sides. */
  async both(sql: string): Promise<void> {
    await Promise.all([this.source.sql(sql), this.target.sql(sql)])
  }

  async run(config: Partial<SyncConfig> = {}, hooks: RunHooks = {}): Promise<Receipt> {
    const attempt = (changes: Partial<SyncConfig>): Promise<Receipt> =>
      this.#open(hooks, (sides) =>
        runSync(
          {
            ...sides,
            config: { tables: null, ...DEFAULT_POLICIES, ...config, ...changes },
            ...(hooks.applying ? { changeSet: hooks.applying } : {}),
          },
          this.#tools(hooks),
        ),
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

  async preview(config: Partial<SyncConfig> = {}, hooks: RunHooks = {}): Promise<Preview> {
    return await this.#open(hooks, (sides) =>
      previewSync({ ...sides, config: { tables: null, ...DEFAULT_POLICIES, ...config } }, this.#tools(hooks), {
        samples: 20,
        set: hooks.changeSet ?? null,
      }),
    )
  }

  /** The undoing of a job, as a change set of the target. */
  async planRevert(
    what: { job: WrittenJob; set: ChangeSet; choice: RevertChoice },
    hooks: RunHooks = {},
  ): Promise<ChangeSetSummary> {
    return await this.#open(hooks, ({ target }) => planRevert(target, this.#tools({}), what))
  }

  /** Undoes it: the source is the target itself. */
  async revert(set: ChangeSet, summary: ChangeSetSummary, hooks: RunHooks = {}): Promise<Receipt> {
    const applying = { set, summary, onMoved: 'apply the others' as const, reverting: true, ownPlan: false }
    return await this.run({}, { sourceUrl: this.#urls.target, ...hooks, applying })
  }

  async compare(by: 'rows' | 'proof', config: Partial<SyncConfig> = {}, hooks: RunHooks = {}): Promise<Comparison> {
    return await this.#open(hooks, (sides) =>
      compareDatabases(
        { ...sides, config: { tables: null, ...DEFAULT_POLICIES, ...config }, by, samples: 20 },
        this.#tools(hooks),
      ),
    )
  }

  async validate(
    config: Partial<SyncConfig> = {},
    tools: Partial<ValidateTools> = {},
    hooks: RunHooks = {},
  ): Promise<SchemaValidation> {
    const { signal } = new AbortController()
    const how = { clock: systemClock, maskKey: null, signal, limitMs: 60_000, count: true, ...tools }
    return await this.#open(hooks, (sides) =>
      validateSchema({ ...sides, config: { tables: null, ...DEFAULT_POLICIES, ...config } }, how),
    )
  }

  async #open<T>(hooks: RunHooks, use: (sides: { source: Adapter; target: Adapter }) => Promise<T>): Promise<T> {
    const { signal } = new AbortController()
    const sourceUrl = hooks.sourceUrl ?? this.#urls.source
    const back = hooks.twoWays === true && typeof sourceUrl === 'string' ? permitWrite(sourceUrl) : null
    const openOwn = (): Promise<Adapter> => openDatabase(sourceUrl, { write: back, signal })
    await using source = await (hooks.openSource?.(signal) ?? openOwn())
    const targetUrl = hooks.targetUrl ?? this.#urls.target
    const write = typeof targetUrl === 'string' || hooks.writesTarget === true ? permitWrite(targetUrl) : null
    await using target = await openDatabase(targetUrl, { write, signal })
    if (hooks.beforeWrite !== undefined) {
      return await use({ source: guarded(source, 'source', hooks), target: guarded(target, 'target', hooks) })
    }
    return await use({
      source: hooks.beforeSnapshot || hooks.beforeHold ? watchedSource(source, hooks) : source,
      target: hooks.beforeBatch || hooks.beforeLoad ? watched(target, hooks) : target,
    })
  }

  #tools(hooks: RunHooks): RunTools {
    return {
      openStaging: () => new EmbeddedStaging(join(this.#folder, `staging-${(this.#stagings += 1)}.sqlite`)),
      journal: { record: (event) => hooks.onEvent?.(event) },
      clock: systemClock,
      job: hooks.job ?? {
        id: `job_${randomBytes(6).toString('hex')}`,
        lease: null,
        confirm: () => Promise.resolve(),
      },
      signal: new AbortController().signal,
      maskKey: hooks.maskKey ?? null,
      quarantine: null,
      history: hooks.history ?? null,
      conflicts: hooks.conflicts ?? null,
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    rmSync(this.#folder, { recursive: true, force: true })
    await this.#stack.disposeAsync()
  }
}

export async function createPair(source: TestServer, target: TestServer): Promise<Pair> {
  return openPair(
    (stack) => databaseOn(source, stack),
    (stack) => databaseOn(target, stack),
  )
}

/** A database, and by which URL the product reaches it. */
export interface Opened<S extends Side> {
  readonly side: S
  readonly url: string
}

/** A new database of PostgreSQL, behind a pooler where that is asked for; what it needs goes away with the stack. */
export async function databaseOn(server: TestServer, stack: AsyncDisposableStack): Promise<Opened<Database>> {
  const side = stack.use(await createDatabase(server))
  const url = POOLED ? stack.use(await startPgBouncer(server, { poolSize: POOL_SIZE })).url(side.url) : side.url
  return { side, url }
}

type Open<S extends Side> = (stack: AsyncDisposableStack) => Promise<Opened<S>>

/** A pair of what is opened for it. */
export async function openPair<From extends Side, To extends Side>(
  openSource: Open<From>,
  openTarget: Open<To>,
): Promise<Pair<From, To>> {
  await using stack = new AsyncDisposableStack()
  const [source, target] = [await openSource(stack), await openTarget(stack)]
  const urls = { source: source.url, target: target.url }
  return new Pair({ source: source.side, target: target.side }, urls, stack.move())
}

/** Two databases that are there already, as they are: they go away with their pair. */
export function pairOf(source: Database, target: Database): Pair {
  const stack = new AsyncDisposableStack()
  stack.use(source)
  stack.use(target)
  return new Pair({ source, target }, { source: source.url, target: target.url }, stack)
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
  const ofTables = new Map<string, number>()
  const before = new Map<string, Promise<unknown>>()
  // A table's batches one at a time, so that a test knows what is committed when the next one is to come.
  const apply: Writer['apply'] = (...args) => {
    const { name } = args[1].scan.table
    const batch = (ofTables.get(name) ?? 0) + 1
    ofTables.set(name, batch)
    const written = Promise.resolve(before.get(name)).then(async () => {
      await hooks.beforeBatch?.((batches += 1), { name, batch })
      return await writer.apply(...args)
    })
    before.set(
      name,
      written.catch(() => undefined),
    )
    return written
  }
  const load: Writer['load'] = async (...args) => {
    const [, { scan }, { format }] = args
    await hooks.beforeLoad?.((pieces += 1), { name: scan.table.name, format })
    return await writer.load(...args)
  }
  return replacing(adapter, { writer: replacing(writer, { apply, load }) })
}

function guarded(adapter: Adapter, side: 'source' | 'target', { beforeWrite }: RunHooks): Adapter {
  const { writer } = adapter
  if (writer === null) return adapter
  const apply: Writer['apply'] = async (...args) => {
    await beforeWrite?.(side)
    return await writer.apply(...args)
  }
  const remember: Writer['remember'] = async (...args) => {
    await beforeWrite?.('baseline')
    return await writer.remember(...args)
  }
  const adopt: Writer['adopt'] = async (...args) => {
    await beforeWrite?.('baseline')
    return await writer.adopt(...args)
  }
  return replacing(adapter, { writer: replacing(writer, { apply, remember, adopt }) })
}

function watchedSource(adapter: Adapter, hooks: RunHooks): Adapter {
  let attempts = 0
  const snapshot: Adapter['snapshot'] = async (...args) => {
    const attempt = (attempts += 1)
    await hooks.beforeSnapshot?.(attempt)
    const taken = await adapter.snapshot(...args)
    const hold: Snapshot['hold'] = async (tables) => {
      await hooks.beforeHold?.(attempt)
      await taken.hold(tables)
    }
    return replacing(taken, { hold })
  }
  return replacing(adapter, { snapshot })
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
  readonly filter?: string
  readonly filterExit?: 'ignore' | 'delete'
  readonly query?: string
  readonly fields?: readonly FieldMapping[]
}

/** The mapping of one table of schema public. */
export function mapping(name: string, options: MappingOptions = {}): TableMapping {
  const target = { schema: 'public', name: options.as ?? name }
  return {
    ...plainMapping({ schema: 'public', name }, target),
    key: options.key ?? null,
    columns: options.columns ?? null,
    exclude: options.exclude ?? [],
    rename: new Map(Object.entries(options.rename ?? {})),
    filter: options.filter ?? null,
    filterExit: options.filterExit ?? 'ignore',
    query: options.query ?? null,
    fields: options.fields ?? null,
  }
}

/** Everything in step, nothing left apart: the counts of a run that wrote nothing. */
export function wroteNothing(receipt: Receipt): boolean {
  const { counts } = receipt
  return written(counts) === 0 && counts.read === counts.unchanged
}

export const MIRROR = { deletePolicy: 'delete', deleteScope: 'mirror' } as const satisfies Partial<SyncConfig>
