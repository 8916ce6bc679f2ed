import type { Horizon, Snapshot } from '#adapters/adapter.ts'
import { microsToTime } from '#lib/clock.ts'
import type { Key } from '#model/change.ts'
import type { Completeness, Sight } from '#model/receipt.ts'
import type { Policies } from '#model/sync-config.ts'
import { tableName } from '#model/table.ts'
import type { TablePlan } from '#sync/plan.ts'
import type { Candidates } from './candidates.ts'
import {
  advance,
  ceilingOf,
  cursorName,
  type CursorState,
  openSince,
  readState,
  writeState,
  ZONES_BEHIND_HOURS,
} from './cursor-state.ts'
import { keysOfOneSide } from './key-sets.ts'

const HOUR_US = 3_600_000_000n

interface LookTools {
  readonly source: Snapshot
  readonly policies: Policies
  /** Asked before the source's snapshot was opened; null where no table goes by a cursor. */
  readonly horizon: Horizon | null
  /** Changes are kept for somebody to look at: no run follows from them that could move a position. */
  readonly listing: boolean
  readonly signal: AbortSignal
}

/**
 * How a run looks at one table: at all of it, or at what a detector says may differ. A cursor has nothing to begin with
 * where no run has left a position, or where rows are to be told apart by a baseline that is not complete: then the whole
 * is compared, and the position comes of that.
 */
export class Look {
  readonly #tools: LookTools
  #before: CursorState | null = null
  /** Some rows alone are looked at. */
  #partial = false
  #keysCompared = false
  #cached = false

  constructor(tools: LookTools) {
    this.#tools = tools
  }

  get partial(): boolean {
    return this.#partial
  }

  /** Null: everything is to be compared. */
  async candidates(plan: TablePlan, target: Snapshot): Promise<Candidates | null> {
    this.#before = null
    this.#partial = false
    this.#keysCompared = false
    const { strategy, cursor } = plan.detecting
    const { source, listing, signal } = this.#tools
    if (strategy === 'primary_key') {
      this.#partial = true
      return keysOfOneSide(plan, 'either', { source, target, signal })
    }
    if (cursor === null || listing) return null
    const before = readState(await target.detectionState(plan), cursor)
    const position = before?.position ?? null
    this.#before = before
    if (position === null || !(await knowsWhose(plan, target))) return null
    this.#partial = true
    this.#keysCompared = this.#keysAreDue()
    const lost = this.#keysCompared ? keysOfOneSide(plan, 'target', { source, target, signal }) : null
    const { columns, ...scan } = plan.sourceScan
    // Also rows that do not meet the filter any more: whoever compares finds out.
    const keyScan = { ...scan, columns: columns.slice(0, scan.keyLength), filter: null }
    const read = async function* (): AsyncGenerator<Key> {
      yield* source.changedKeys(keyScan, cursor, position)
      if (lost !== null) yield* lost.keys
    }
    return { keys: read(), ofRows: () => lost?.ofRows() ?? null }
  }

  #keysAreDue(): boolean {
    const { policies, horizon } = this.#tools
    if (policies.deletePolicy !== 'delete') return false
    const last = this.#before?.keysAt ?? null
    if (last === null || horizon === null) return true
    return horizon.now - last >= BigInt(policies.deleteCheckHours) * HOUR_US
  }

  /**
   * What the state is to know when the run has ended. A run that has left rows for somebody or for later moves no position
   * past them: the next one looks at everything, and finds them again.
   */
  async stateAfter({ detecting: { cursor }, source: table }: TablePlan, left: number): Promise<string | null> {
    const { source, policies, horizon } = this.#tools
    if (cursor === null || horizon === null) return null
    const open = openSince(horizon, policies.cursorWindowSeconds)
    const reached = await source.cursorReached(table.ref, cursor, ceilingOf(cursor, open))
    this.#cached = reached.cached
    if (left > 0) return null
    const before = this.#partial ? this.#before : withoutPosition(this.#before)
    return writeState({
      cursor: cursorName(cursor),
      ...advance(before, cursor, { open, reached }),
      keysAt: this.#seesDeletes ? horizon.now : (this.#before?.keysAt ?? null),
    })
  }

  get #seesDeletes(): boolean {
    return !this.#partial || this.#keysCompared
  }

  /** What was looked at, and what was not; null where a look at all rows leaves nothing to be said. */
  sight(plan: TablePlan): Sight {
    const { strategy, cursor } = plan.detecting
    if (strategy === 'primary_key') {
      return {
        completeness: 'best effort',
        text: 'inserts and deletes only: updates of rows that both sides have are not seen',
      }
    }
    if (cursor === null || !this.#partial) return { completeness: 'exact', text: null }
    const { policies, horizon } = this.#tools
    const deletes =
      policies.deletePolicy !== 'delete'
        ? 'deletes are not seen'
        : this.#keysCompared
          ? 'deletes by a comparison of all keys'
          : `deletes were last looked for at ${timeOf(this.#before?.keysAt ?? null)}`
    const own = ['what was changed in the target alone is not looked for']
    if (cursor.guard === 'wall clock') {
      own.push(
        `rows of the last ${ZONES_BEHIND_HOURS} hours, and of as many as their clock is ahead of UTC, are looked at by every run, because "${cursor.column}" does not say of which time zone it is`,
      )
    }
    if (cursor.nullable) own.push(`rows without a value of "${cursor.column}" are looked at by every run`)
    const [guard, why] = this.#guard(horizon)
    const seen = guard === 'exact' && policies.deletePolicy === 'delete' && !this.#keysCompared ? 'bounded' : guard
    return {
      completeness: seen,
      text: `inserts and updates by "${cursor.column}"${why}; ${[deletes, ...own].join('; ')}`,
    }
  }

  #guard(horizon: Horizon | null): readonly [Completeness, string] {
    if (this.#cached) {
      return [
        'best effort',
        ', whose sequence gives out several values at once, so that rows may stay behind the position',
      ]
    }
    if (horizon === null || horizon.complete) return ['exact', '']
    const seconds = this.#tools.policies.cursorWindowSeconds
    const mended = horizon.remedy === null ? '' : ` (${horizon.remedy.replace(/;$/, '')})`
    return ['bounded', `, read again for ${seconds} s because ${horizon.why}${mended}`]
  }

  /** For people; null where nothing is to be said. */
  note(plan: TablePlan): string | null {
    const { text } = this.sight(plan)
    return text && `${tableName(plan.target.ref)}: ${text}.`
  }
}

/** Rows of the target are told apart by the baseline, where one is kept: it must know all of them. */
async function knowsWhose({ mappingId, mappingHash, write }: TablePlan, target: Snapshot): Promise<boolean> {
  if (!write.baseline) return true
  return (await target.baseline({ mappingId, mappingHash }, write.scan))?.complete === true
}

/** What a look at everything begins with: what earlier runs saw of the cursor holds all the same. */
function withoutPosition(state: CursorState | null): CursorState | null {
  return state && { ...state, position: null }
}

function timeOf(micros: bigint | null): string {
  return micros === null ? 'no time' : microsToTime(micros)
}
