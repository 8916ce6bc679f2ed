import type { Snapshot } from '#adapters/adapter.ts'
import { must } from '#lib/assert.ts'
import { AppError } from '#model/errors.ts'
import type { TableReceipt } from '#model/receipt.ts'
import type { Attempt } from './attempt.ts'
import { BackTable } from './back-table.ts'
import type { Intent } from './brakes.ts'
import { closeAll } from './close-tables.ts'
import type { RunTools, SyncRequest } from './run-sync.ts'
import type { Selection } from './select-tables.ts'
import type { TableSync } from './sync-table.ts'
import { ThreeWayTable } from './three-way-table.ts'
import { writeAll } from './write-tables.ts'

/** The other way of a run in two ways: from the target to the source. */
export interface WayBack {
  readonly tables: readonly BackTable[]
  readonly attempt: Attempt
  readonly request: SyncRequest
  readonly intents: readonly Intent[]
}

/** @throws AppError `read_only_server` */
export function refuseReadOnlySource({ source, config, replay }: SyncRequest): void {
  if (config.direction !== 'two_way' || replay !== undefined) return
  const { address, readOnly } = source.server
  if (readOnly !== null) throw new AppError('read_only_server', `${address} cannot be written: ${readOnly}.`)
  if (source.writer !== null) return
  throw new AppError('read_only_server', `${address} was opened for reading, and a sync in two ways writes to it.`)
}

/** In two ways, no other run may write to the source meanwhile either. */
export async function keepOthersOutOfSource(
  { plans }: Selection,
  { source }: SyncRequest,
  { job }: RunTools,
): Promise<void> {
  const ways = plans.flatMap(({ back }) => (back === null ? [] : [back.mappingId]))
  if (ways.length > 0) await source.writer?.keepOthersOut(ways, job)
}

/** What was found for the source, in `moment` of the target. */
export async function wayBack(
  tables: readonly TableSync[],
  moment: Snapshot,
  { attempt, request }: { attempt: Attempt; request: SyncRequest },
): Promise<WayBack> {
  const { source, target } = request
  const turned: Attempt = {
    ...attempt,
    source: moment,
    target: source,
    quarantine: null,
    history: null,
    conflicts: null,
  }
  const back: BackTable[] = []
  const intents: Intent[] = []
  for (const { plan, detection: found } of tables) {
    if (plan.back === null || found === null) continue
    const table = new BackTable(plan.back, turned)
    await table.detect(moment)
    const detection = must(table.detection, 'a detection')
    if (detection.inserts + detection.updates + detection.deletes === 0) continue
    back.push(table)
    // The brakes compare with the rows of the whole table.
    const whole = { ...detection, sourceRows: found.targetRows, targetRows: found.sourceRows }
    intents.push({ plan: plan.back, detection: whole, firstContact: false })
  }
  return { tables: back, attempt: turned, request: { ...request, source: target, target: source }, intents }
}

/** Writes to the source, and tells the tables of the other way what became of that. */
export async function writeBack({ tables, attempt, request }: WayBack, others: readonly TableSync[]): Promise<void> {
  if (tables.length > 0) await writeAll(tables, attempt, writerOf(request))
  for (const table of others) {
    if (!(table instanceof ThreeWayTable)) continue
    table.takeBack(tables.find(({ plan }) => plan.mappingId === table.plan.back?.mappingId)?.notWritten ?? [])
  }
}

/** Proves what was written to the source, and closes the job there. */
export async function closeBack({ tables, attempt, request }: WayBack): Promise<TableReceipt[]> {
  return tables.length === 0 ? [] : await closeAll(tables, { attempt, request, writer: writerOf(request) })
}

function writerOf({ target }: SyncRequest): NonNullable<SyncRequest['target']['writer']> {
  return must(target.writer, 'an end that is opened for writing')
}
