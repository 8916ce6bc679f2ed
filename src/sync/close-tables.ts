import type { Adapter, CommittedCounts, Writer } from '#adapters/adapter.ts'
import { must } from '#lib/assert.ts'
import { allEnded } from '#lib/slots.ts'
import type { StoppedTable, TableReceipt, Verification } from '#model/receipt.ts'
import { sameTable } from '#model/table.ts'
import { closeAccount } from './account.ts'
import type { Attempt } from './attempt.ts'
import { alteredTables } from './drift.ts'
import type { TableSync } from './sync-table.ts'

interface Ends {
  readonly source: Adapter
  readonly target: Adapter
}

/** Proves the tables, closes the job for all of them at once, and settles their accounts. */
export async function closeAll(
  tables: readonly TableSync[],
  { attempt, request, writer }: { attempt: Attempt; request: Ends; writer: Writer },
): Promise<TableReceipt[]> {
  const verified = await verifyAll(tables, { attempt, request })
  const ended = goingOn(tables)
  const committed = await writer.finish(
    ended.map((table) => table.claim),
    { position: attempt.source.position, verified: verified.proved, detection: await detectionStates(ended, attempt) },
  )
  for (const table of ended) {
    await table.close()
    const { loaded: rows, claim, plan } = table
    const digest = verified.of.get(table)?.targetDigest ?? ''
    if (rows > 0) await attempt.history?.loaded({ mappingId: claim.mappingId, target: plan.target.ref, rows, digest })
  }
  return ended.map((table, i) =>
    tableReceipt(table, {
      committed: must(committed[i], 'the counters of a claim'),
      verification: must(verified.of.get(table), 'a verification'),
    }),
  )
}

/** What the next run finds changes by. Rows that are tried again, and changes that were decided before, say nothing of that. */
async function detectionStates(
  tables: readonly TableSync[],
  { replay, changeSet }: Attempt,
): Promise<ReadonlyMap<string, string | null>> {
  const states = new Map<string, string | null>()
  if (replay !== null || changeSet !== null) return states
  for (const table of tables) states.set(table.claim.mappingId, await stateAfter(table))
  return states
}

/** Told together with what this run did not look at. */
async function stateAfter(table: TableSync): Promise<string | null> {
  const { plan, look, outcome, detection } = table
  const { rejections, incomplete, conflicts } = outcome
  const left = rejections.length + incomplete.length + conflicts.length + (detection?.left.conflicted ?? 0)
  const state = await look.stateAfter(plan, left)
  const note = look.note(plan)
  if (note !== null) table.note(note)
  return state
}

/** The tables that were not stopped. @throws AppError where none is left: then that is what became of the run */
function goingOn(tables: readonly TableSync[]): readonly TableSync[] {
  const left = tables.filter((table) => table.stopped === null)
  if (left.length === 0) throw must(tables[0]?.stopped, 'a table that was stopped')
  return left
}

/** For the receipt; none where it was not stopped. */
export function stoppedTable({ plan, stopped }: TableSync): StoppedTable[] {
  if (stopped === null) return []
  const { code, message, hint } = stopped
  return [{ source: plan.source.ref, target: plan.target.ref, code, reason: message, hint }]
}

/**
 * The proofs, over one moment of the target that holds the tables as they are; a table that is proved whole fills its
 * baseline from that very moment. Tables that were altered since the last batch are stopped where that matters.
 */
async function verifyAll(
  tables: readonly TableSync[],
  { attempt, request }: { attempt: Attempt; request: Ends },
): Promise<{ of: ReadonlyMap<TableSync, Verification>; proved: readonly string[] }> {
  const { target, config, slots, tableSlots, signal, stop } = attempt
  const of = new Map<TableSync, Verification>()
  const proved: string[] = []
  await followAll(tables, request)
  await using moment = await target.snapshot(config.parallel, signal)
  await moment.hold(goingOn(tables).map(({ plan }) => plan.target.ref))
  await followAll(tables, request)
  const verify = async (table: TableSync): Promise<void> => {
    const verification = await table.verify(moment)
    of.set(table, verification)
    if (verification.mode !== 'full' || verification.changedSince > 0) return
    proved.push(table.claim.mappingId)
    if (!table.plan.write.baseline || table.claim.baselineComplete) return
    await must(target.writer, 'a writer').adopt(table.claim, table.plan.write, {
      moment,
      except: () => table.keysApart(),
    })
  }
  await allEnded(
    goingOn(tables).map((table) => tableSlots.use(() => slots.use(() => table.step(() => verify(table))))),
    stop,
  )
  return { of, proved }
}

/** Looks at what has become of the tables when everything is written. */
async function followAll(tables: readonly TableSync[], { source, target }: Ends): Promise<void> {
  for (const [side, adapter] of [['source', source] as const, ['target', target] as const]) {
    const planned = goingOn(tables)
    const altered = await alteredTables(
      adapter,
      planned.map(({ plan }) => plan[side]),
    )
    if (altered.length === 0) continue
    const now = await adapter.describe(altered)
    for (const table of planned) {
      const { ref } = table.plan[side]
      if (!altered.some((each) => sameTable(each, ref))) continue
      const found = now.find((each) => sameTable(each.ref, ref))
      await table.step(async () => table.follow(side, found, false))
    }
  }
}

function tableReceipt(
  table: TableSync,
  { committed, verification }: { committed: CommittedCounts; verification: Verification },
): TableReceipt {
  const { plan, outcome, detection, loaded, bulk, claim } = table
  const counts = closeAccount({ plan, detection, loaded, outcome, before: claim.committed, committed })
  return {
    source: plan.source.ref,
    target: plan.target.ref,
    key: plan.sourceScan.columns.slice(0, plan.sourceScan.keyLength).map((column) => column.name),
    counts,
    targetOnly: detection?.kept ?? 0,
    bulkLoaded: bulk,
    sight: table.look.sight(plan),
    verification,
    rejections: [...outcome.rejections, ...outcome.incomplete],
    batches: committed.batches,
  }
}
