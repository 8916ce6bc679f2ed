import type { Clock } from '#lib/clock.ts'
import type { JobProgress, TableProgress } from '#model/job.ts'
import { tableId, type TableRef } from '#model/table.ts'
import type { Phase, RunEvent, Stage } from '#sync/journal.ts'

/** How much of a table's work a phase is, in each way that a table can go; its phases come in this order. */
const WAYS = {
  changes: { compare: 0.4, delete: 0.1, write: 0.3, index: 0, verify: 0.2 },
  bulk: { create: 0, compare: 0, load: 0.6, write: 0, index: 0.15, verify: 0.25 },
  'compare only': { compare: 1 },
  'verify only': { verify: 1, compare: 0 },
  'rows only': { data: 1 },
} as const satisfies Record<string, Partial<Record<Phase, number>>>

/** How much of a restore its rows are; the rest is of indexes and constraints, which are built over them. */
const ROWS_SHARE = 0.7
/** As far as a dump or a restore can be that has not ended: a commit comes last, or a file that gets its name. */
const MOST_PART = 0.99

/** What a job does to its tables. */
export type Work = 'sync' | 'preview' | 'verify' | 'export' | 'import'

/** Rates are taken over the last seconds. */
const RATE_MS = 10_000
/** The time left is told from the fastest and the slowest slice of the last half minute. */
const SLICE_MS = 3_000
const HISTORY_MS = 30_000
const SAMPLE_MS = 500

/** Tables that are told one by one; of more than these, those under way come first. */
const MOST_TABLES = 500

interface Table {
  readonly ref: TableRef
  phase: Phase | null
  /** The furthest phase is under way. */
  running: boolean
  way: keyof typeof WAYS
  rows: number
  bytes: number
  total: number | null
  estimated: boolean
  /** The largest number of rows that any phase expected. */
  size: number | null
}

interface Sample {
  readonly atMs: number
  readonly rows: number
  readonly bytes: number
  /** 0 to 1; null where nobody knows the whole. */
  readonly part: number | null
}

/** Adds up what a run tells to where it is. Pure but for the clock that it is given. */
export class ProgressBook {
  readonly #clock: Clock
  readonly #work: Work
  readonly #tables = new Map<string, Table>()
  readonly #samples: Sample[] = []
  #rows = 0
  #bytes = 0
  #ended = false
  /** Of a dump: what it is at as a whole. */
  #stage: Stage | null = null
  /** Of a restore: statements that come after its rows, and how many of them are done. */
  #steps: { of: number; done: number } | null = null

  constructor(work: Work, clock: Clock) {
    this.#work = work
    this.#clock = clock
    this.#sample()
  }

  record(event: RunEvent): void {
    switch (event.type) {
      case 'planned':
        return this.#plan(event)
      case 'stage':
        this.#stage = event.stage
        if (event.steps !== undefined) this.#steps ??= { of: event.steps, done: 0 }
        return
      case 'step':
        if (this.#steps !== null) this.#steps.done += 1
        return
      case 'phase':
        return this.#enter(event)
      case 'progress':
        return this.#advance(event)
      case 'phase done': {
        const table = this.#tables.get(tableId(event.table))
        if (table?.phase === event.phase) table.running = false
        return
      }
      case 'note':
      case 'retry':
        return
    }
  }

  /** The run has come to its end, and well. */
  end(): void {
    this.#ended = true
  }

  snapshot(): JobProgress {
    const now = this.#sample()
    const { rowsPerSecond, bytesPerSecond } = this.#rates(now)
    const tables = [...this.#tables.values()]
    return {
      phase: this.#phase(tables),
      tables: this.#told(tables).map((table) => this.#tell(table)),
      rows: this.#rows,
      bytes: this.#bytes,
      percent: now.part === null ? null : Math.floor(now.part * 1000) / 10,
      estimated: !this.#ended && tables.some((table) => table.estimated || table.size === null),
      rowsPerSecond,
      bytesPerSecond,
      secondsLeft: this.#secondsLeft(now),
    }
  }

  /** A run that is tried again plans again, and begins at the beginning. */
  #plan({ tables: refs, totals = [] }: Extract<RunEvent, { type: 'planned' }>): void {
    this.#tables.clear()
    this.#samples.length = 0
    this.#steps = null
    const way = {
      sync: 'changes',
      preview: 'compare only',
      verify: 'verify only',
      export: 'rows only',
      import: 'rows only',
    } as const
    for (const [i, ref] of refs.entries()) {
      this.#tables.set(tableId(ref), {
        ref,
        phase: null,
        running: false,
        way: way[this.#work],
        rows: 0,
        bytes: 0,
        total: null,
        estimated: false,
        size: totals[i] ?? null,
      })
    }
  }

  #enter({ table: ref, phase, total, estimated }: Extract<RunEvent, { type: 'phase' }>): void {
    const table = this.#tables.get(tableId(ref))
    if (table === undefined) return
    if (phase === 'load' || phase === 'create') table.way = 'bulk'
    // Statements are no rows.
    if (phase !== 'index' && total !== null) table.size = Math.max(table.size ?? 0, total)
    Object.assign(table, { phase, total, estimated, running: true, rows: 0, bytes: 0 })
  }

  #advance({ table: ref, phase, rows, bytes }: Extract<RunEvent, { type: 'progress' }>): void {
    const table = this.#tables.get(tableId(ref))
    if (table?.phase === phase) {
      table.rows += rows
      table.bytes += bytes
    }
    if (phase === 'index') return
    this.#rows += rows
    this.#bytes += bytes
  }

  #phase(tables: readonly Table[]): string {
    if (this.#ended) return 'done'
    if (this.#stage !== null) return this.#stage
    const running = tables.filter((table) => table.running)
    // The one that has come least far: what all are waiting for.
    const [least] = running.toSorted((a, b) => partOf(a) - partOf(b))
    if (least?.phase) return least.phase
    return tables.some((table) => table.phase !== null) ? 'finishing' : 'planning'
  }

  #told(tables: readonly Table[]): readonly Table[] {
    if (tables.length <= MOST_TABLES) return tables
    return [...tables.filter(({ running }) => running), ...tables.filter(({ running }) => !running)].slice(
      0,
      MOST_TABLES,
    )
  }

  #tell(table: Table): TableProgress {
    const { ref, phase, running, rows, bytes, total, estimated } = table
    const state = this.#ended || partOf(table) >= 1 ? 'done' : phase === null ? 'waiting' : 'running'
    return { table: ref, phase: phase ?? 'waiting', state, rows, bytes, total, estimated: estimated && running }
  }

  #sample(): Sample {
    const now = { atMs: this.#clock.elapsed(), rows: this.#rows, bytes: this.#bytes, part: this.#part() }
    const last = this.#samples.at(-1)
    if (last === undefined || now.atMs - last.atMs >= SAMPLE_MS) this.#samples.push(now)
    while ((this.#samples[0]?.atMs ?? now.atMs) < now.atMs - HISTORY_MS) this.#samples.shift()
    return now
  }

  /** Each table counts by its rows; one whose size nobody knows yet counts as the mean of the others. */
  #part(): number | null {
    if (this.#ended) return 1
    const tables = [...this.#tables.values()]
    const known = tables.flatMap(({ size }) => size ?? [])
    if (known.length === 0) return null
    const mean = known.reduce((sum, size) => sum + size, 0) / known.length
    const weigh = ({ size }: Table): number => (size ?? mean) + 1
    const whole = tables.reduce((sum, table) => sum + weigh(table), 0)
    const rows = tables.reduce((sum, table) => sum + weigh(table) * partOf(table), 0) / whole
    switch (this.#work) {
      case 'import':
        return Math.min(ROWS_SHARE * rows + (1 - ROWS_SHARE) * this.#stepsPart(), MOST_PART)
      case 'export':
        return Math.min(rows, MOST_PART)
      default:
        return rows
    }
  }

  #stepsPart(): number {
    return this.#steps === null ? 0 : Math.min(1, this.#steps.done / this.#steps.of)
  }

  #rates(now: Sample): { rowsPerSecond: number; bytesPerSecond: number } {
    const since = this.#samples.find(({ atMs }) => atMs >= now.atMs - RATE_MS) ?? now
    const seconds = (now.atMs - since.atMs) / 1000
    const per = (amount: number): number => (seconds > 0 ? Math.round(amount / seconds) : 0)
    return { rowsPerSecond: per(now.rows - since.rows), bytesPerSecond: per(now.bytes - since.bytes) }
  }

  #secondsLeft(now: Sample): JobProgress['secondsLeft'] {
    if (now.part === null || now.part >= 1) return null
    const speeds: number[] = []
    let after = now
    for (const before of this.#samples.toReversed()) {
      if (after.atMs - before.atMs < SLICE_MS) continue
      if (before.part === null || after.part === null) break
      speeds.push((after.part - before.part) / ((after.atMs - before.atMs) / 1000))
      after = before
    }
    const moving = speeds.filter((speed) => speed > 0)
    if (speeds.length < 2 || moving.length === 0) return null
    const left = 1 - now.part
    return { low: Math.round(left / Math.max(...moving)), high: Math.round(left / Math.min(...moving)) }
  }
}

/** How far a table has come, 0 to 1. */
function partOf({ way, phase, running, rows, total }: Table): number {
  if (phase === null) return 0
  const phases: readonly (readonly [string, number])[] = Object.entries(WAYS[way])
  const place = phases.findIndex(([name]) => name === phase)
  const before = phases.slice(0, Math.max(0, place)).reduce((sum, [, share]) => sum + share, 0)
  const share = phases[place]?.[1] ?? 0
  if (!running) return Math.min(1, before + share)
  // Statistics may be wrong: a phase that goes on is not over.
  const done = total === null || total === 0 ? 0 : Math.min(0.99, rows / total)
  return before + share * done
}
