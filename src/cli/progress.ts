import type { Clock } from '#lib/clock.ts'
import { tableId, tableName, type TableRef } from '#model/table.ts'
import type { RunEvent } from '#service/one-line.ts'
import { formatBytes, formatCount, formatDuration, plural, printable } from './format.ts'
import type { Output } from './output.ts'

type Started = Extract<RunEvent, { type: 'phase' }>
type Phase = Started['phase']

const REDRAW_MS = 100
const LINE_MS = 10_000
/** Phases of smaller tables begin and end without a line of their own in a log. */
const LARGE_ROWS = 1_000_000

const DOING: Readonly<Record<Phase, string>> = {
  create: 'creating',
  compare: 'comparing',
  load: 'loading',
  delete: 'deleting',
  write: 'writing',
  index: 'indexing',
  verify: 'verifying',
  data: 'exporting',
}

interface Work {
  readonly table: TableRef
  readonly phase: Phase
  readonly total: number | null
  readonly estimated: boolean
  readonly startedMs: number
  rows: number
  bytes: number
}

/** A run's events, shown: on a terminal lines that are drawn over, elsewhere a line now and then. */
export class Progress implements Disposable {
  readonly #output: Output
  readonly #clock: Clock
  readonly #work = new Map<string, Work>()
  readonly #timer: NodeJS.Timeout
  readonly #startedMs: number
  readonly #notes: string[] = []
  #tables = 0
  #rows = 0
  #bytes = 0

  constructor(output: Output, clock: Clock) {
    this.#output = output
    this.#clock = clock
    this.#startedMs = clock.elapsed()
    this.#timer = setInterval(() => this.#show(), output.live ? REDRAW_MS : LINE_MS)
    this.#timer.unref()
  }

  /** What the run found worth saying, each once. */
  get notes(): readonly string[] {
    return this.#notes
  }

  record(event: RunEvent): void {
    switch (event.type) {
      case 'planned':
        this.#tables = event.tables.length
        for (const note of event.notes) this.#remember(note)
        return
      case 'phase':
        return this.#start(event)
      case 'progress':
        return this.#advance(event)
      case 'phase done':
        this.#work.delete(workId(event.table, event.phase))
        return
      case 'note':
        return this.#remember(event.text)
      case 'stage':
      case 'step':
        return
      case 'retry':
        return this.#output.note(`Trying again in ${formatDuration(event.afterMs)}: ${event.reason}`)
    }
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
    this.#output.status([])
  }

  #remember(note: string): void {
    if (!this.#notes.includes(note)) this.#notes.push(note)
  }

  #start({ table, phase, total, estimated }: Started): void {
    const work = { table, phase, total, estimated, startedMs: this.#clock.elapsed(), rows: 0, bytes: 0 }
    this.#work.set(workId(table, phase), work)
    if (!this.#output.live && (total ?? 0) >= LARGE_ROWS) this.#output.note(this.#line(work))
  }

  #advance({ table, phase, rows, bytes }: Extract<RunEvent, { type: 'progress' }>): void {
    const work = this.#work.get(workId(table, phase))
    if (work !== undefined) {
      work.rows += rows
      work.bytes += bytes
    }
    if (phase === 'index') return
    this.#rows += rows
    this.#bytes += bytes
  }

  #show(): void {
    const lines = [...this.#work.values()].map((work) => this.#line(work))
    if (this.#output.silent || (lines.length === 0 && !this.#output.live)) return
    if (this.#output.live)
      this.#output.status([...lines, this.#total()].map((line) => line.slice(0, this.#output.width)))
    else for (const line of lines) this.#output.note(line)
  }

  #line(work: Work): string {
    const elapsedMs = this.#clock.elapsed() - work.startedMs
    const name = printable(tableName(work.table))
    return `${DOING[work.phase].padEnd(9)} ${name}  ${progressText(work, elapsedMs)}`
  }

  #total(): string {
    const elapsedMs = this.#clock.elapsed() - this.#startedMs
    const parts = [plural(this.#tables, 'table'), `${formatCount(this.#rows)} rows`]
    if (this.#bytes > 0) parts.push(formatBytes(this.#bytes))
    return `${'total'.padEnd(9)} ${[...parts, formatDuration(elapsedMs)].join(' · ')}`
  }
}

/** How far something has come, how fast it goes, and how long it will take where that can be told. */
export function progressText(
  work: { phase: Phase; total: number | null; estimated: boolean; rows: number; bytes: number },
  elapsedMs: number,
): string {
  const unit = work.phase === 'index' ? 'statements' : 'rows'
  const of = work.total === null ? 'unknown' : `${work.estimated ? '~' : ''}${formatCount(work.total)}`
  const parts = [`${formatCount(work.rows)} of ${of} ${unit}`]
  const seconds = elapsedMs / 1000
  if (unit === 'rows' && work.rows > 0 && seconds >= 1)
    parts.push(`${formatCount(Math.round(work.rows / seconds))} rows/s`)
  if (work.bytes > 0 && seconds >= 1) parts.push(`${formatBytes(work.bytes / seconds)}/s`)
  if (work.total !== null && work.rows > 0 && work.rows < work.total && seconds >= 1) {
    const leftMs = (elapsedMs * (work.total - work.rows)) / work.rows
    parts.push(`${work.estimated ? '~' : ''}${formatDuration(leftMs)} left`)
  }
  return parts.join(' · ')
}

function workId(table: TableRef, phase: Phase): string {
  return `${phase} ${tableId(table)}`
}
