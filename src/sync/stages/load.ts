import type { Adapter, Claim, CommittedCounts, Piece, RowSource, RowStream, Scan } from '#adapters/adapter.ts'
import { must } from '#lib/assert.ts'
import { backoffMs } from '#lib/backoff.ts'
import { delay } from '#lib/clock.ts'
import { AppError } from '#model/errors.ts'
import { tableName } from '#model/table.ts'
import type { TablePlan } from '#sync/plan.ts'

/** About how many bytes travel in one COPY and one transaction. */
export const PIECE_BYTES = 128 * 1024 * 1024

const PIECE_ATTEMPTS = 4
const BACKOFF = { firstMs: 200, ceilingMs: 5_000 }

export interface LoadContext {
  readonly plan: TablePlan
  readonly claim: Claim
  readonly source: RowSource
  readonly target: Adapter
  readonly signal: AbortSignal
  /** As in `ApplyContext`. */
  readonly onDrift: () => Promise<void>
  /** Told of a piece that was committed, and of what it left out. */
  readonly onLoaded: (rows: RowStream) => Promise<void>
}

/** What travels: what the target generates by itself stays behind, even where it is the key. */
function sentScan({ sourceScan, write }: TablePlan): Scan {
  const columns = sourceScan.columns.filter((_, i) => write.written.includes(write.scan.columns[i]?.name ?? ''))
  return { ...sourceScan, columns }
}

/** Whether a table can be loaded whole. A target that is only looked at is taken to be like those that can. */
export function takesLoads({ writer }: Pick<Adapter, 'writer'>, { write }: TablePlan): boolean {
  return writer?.copyFormats(write).length !== 0
}

/** The best format that both sides speak for this table. */
function chooseFormat({ plan, source, target }: LoadContext): string {
  const accepted = must(target.writer, 'a writer').copyFormats(plan.write)
  const format = source.copyFormats(sentScan(plan)).find((candidate) => accepted.includes(candidate))
  return must(format, `a COPY format for ${tableName(plan.source.ref)}`)
}

/**
 * Loads one piece straight into a table that was empty when the run began. Its rows are recorded in their own
 * transaction, so that a piece is there wholly or not at all; it may be tried again while the snapshot lives, because a
 * failed piece has left nothing.
 */
export async function loadPiece(context: LoadContext, piece: Piece): Promise<CommittedCounts> {
  const { committed, rows } = await load(context, piece)
  // What fails from here on does not load the piece again.
  await context.onLoaded(rows)
  return committed
}

async function load(context: LoadContext, piece: Piece): Promise<{ committed: CommittedCounts; rows: RowStream }> {
  const { claim, source, target, signal } = context
  const writer = must(target.writer, 'a writer')
  const format = chooseFormat(context)
  for (let attempt = 1; ; attempt++) {
    signal.throwIfAborted()
    try {
      await using rows = await source.copyOut(sentScan(context.plan), piece, format)
      const committed = await writer.load(claim, context.plan.write, { rows, format, label: piece.label })
      return { committed, rows }
    } catch (error) {
      if (!(error instanceof AppError) || attempt >= PIECE_ATTEMPTS) throw error
      if (error.code === 'schema_changed') await context.onDrift()
      else if (error.retry !== 'later') throw error
      else await delay(backoffMs(BACKOFF, attempt, Math.random()), signal)
    }
  }
}
