import type { Claim, RowSource, Snapshot, Writer } from '#adapters/adapter.ts'
import type { AgreedRow, Baseline, RememberedRow } from '#adapters/baseline.ts'
import { must } from '#lib/assert.ts'
import type { Key } from '#model/change.ts'
import { AppError } from '#model/errors.ts'
import { fingerprint } from '#model/fingerprint.ts'
import type { TableReceipt } from '#model/receipt.ts'
import type { Attempt } from './attempt.ts'
import { BackTable } from './back-table.ts'
import type { Intent } from './brakes.ts'
import { closeAll } from './close-tables.ts'
import { identityOf } from './claims.ts'
import type { TablePlan } from './plan.ts'
import type { RunTools, SyncRequest } from './run-sync.ts'
import type { Selection } from './select-tables.ts'
import { sourceOf } from './stages/mapped-source.ts'
import { rowsByKey } from './stages/set-aside.ts'
import type { BatchBounds } from './staging.ts'
import type { TableSync } from './sync-table.ts'
import { ThreeWayTable } from './three-way-table.ts'
import { writeAll } from './write-tables.ts'

/** What both ways need of the world. */
type WaysTools = RunTools & Pick<Attempt, 'staging'>

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

/** What comes before anything is compared, where rows go both ways. */
export async function prepareBothWays(selection: Selection, request: SyncRequest, tools: WaysTools): Promise<void> {
  await keepOthersOutOfSource(selection, request, tools)
  await takeUpSent(selection, request, tools)
}

/** In two ways, no other run may write to the source meanwhile either. */
async function keepOthersOutOfSource({ plans }: Selection, { source }: SyncRequest, { job }: RunTools): Promise<void> {
  const ways = plans.flatMap(({ back }) => (back === null ? [] : [back.mappingId]))
  if (ways.length > 0) await source.writer?.keepOthersOut(ways, job)
}

/** Rows whose values are in memory at once. */
const IMAGES = 100

const KEYS: BatchBounds = { rows: 2_000, bytes: Infinity }

/**
 * What a run that broke off has sent to the source stands there, written in the transactions that sent it, and the
 * baseline of the target may not know of it. So it is taken up before anything is compared: when a row was sent, both
 * sides stood at what the target had then. What a side has become since is its own change, and no conflict.
 */
async function takeUpSent({ plans }: Selection, request: SyncRequest, tools: WaysTools): Promise<void> {
  const { source, target } = request
  const ways = plans.flatMap(({ back }, i) => (back === null ? [] : [{ plan: must(plans[i], 'a plan'), back }]))
  if (ways.length === 0 || request.replay !== undefined) return
  // A moment that stays open while the other way is written would stand in the way.
  for (const { writer } of [source, target]) await writer?.upgradeState()
  await using sending = await source.snapshot(2, tools.signal)
  for (const { plan, back } of ways) {
    const sent = await sending.baseline(back, back.write.scan)
    if (sent === null) continue
    await using resources = new AsyncDisposableStack()
    const made = sourceOf(plan, { source: sending, staging: tools.staging, maskKey: tools.maskKey, resources })
    let claims: Record<'forward' | 'back', Claim> | null = null
    for await (const rows of batches(sent.rows({ by: 'key hash', count: 1 }, 'all'))) {
      claims ??= {
        forward: await claimOne(plan, request, tools),
        back: await claimOne(back, { source: target, target: source }, tools),
      }
      await using moment = await target.snapshot(1, tools.signal)
      const known = byKey(
        (await (await moment.baseline(plan, plan.write.scan))?.find(rows.map(({ key }) => key))) ?? [],
      )
      const late = rows.filter((row) => !isKnown(plan, row, known.get(JSON.stringify(row.key))))
      for (let start = 0; start < late.length; start += IMAGES) {
        const stood = await stoodAt(plan, late.slice(start, start + IMAGES), { sent, made, moment })
        await writerOf(request).remember(claims.forward, plan.write, stood)
      }
      await forget(must(source.writer, 'a source that is opened for writing'), { claim: claims.back, plan: back }, rows)
    }
  }
}

/**
 * What the sides are remembered to have had when rows were sent of which the baseline does not know. A row that was turned
 * round is another one in the source by what the source decides. Where the target has gone on since, and the source has
 * not, that is no change of the source.
 */
async function stoodAt(
  plan: TablePlan,
  late: readonly AgreedRow[],
  { sent, made, moment }: { sent: Baseline; made: RowSource; moment: Snapshot },
): Promise<RememberedRow[]> {
  const { sourceScan, write, turning } = plan
  const keys = late.map(({ key }) => key)
  const had = byKey(await sent.images(keys, write.scan.columns.length))
  const told = byKey(late.some(({ hasFields }) => hasFields) ? await sent.find(keys) : [])
  const turned = turning === null ? [] : late.filter(({ hasFields }) => hasFields).map(({ key }) => key)
  const there = byKey(turned.length === 0 ? [] : await moment.fingerprints(write.scan, turned))
  const now = await rowsByKey(made, sourceScan, turned)
  const hashes = byKey(turned.length === 0 ? [] : await made.fingerprints(sourceScan, turned))
  return late.map(({ key, source: then }) => {
    const id = JSON.stringify(key)
    const fields = told.get(id)?.fields ?? null
    const image = had.get(id)
    const base = image === undefined ? fields && { fingerprints: fields } : { row: image.row }
    const row = now.get(id)
    const asSent = row?.every((cell, i) => isDecidedBySource(plan, i) || fingerprint([cell]) === fields?.[i]) ?? false
    const goesOn = turning !== null && fields !== null && (there.get(id)?.fingerprint ?? null) !== then
    return { key, source: goesOn && asSent ? (hashes.get(id)?.fingerprint ?? then) : then, target: then, base }
  })
}

function isDecidedBySource({ turning }: TablePlan, place: number): boolean {
  return turning?.oneWay.includes(place) ?? false
}

/**
 * The target has it too: the baseline knows what was sent as what both have. What was turned round on its way is another
 * row there, so that with it stands what the baseline had before (see `Ledger`).
 */
function isKnown({ turning }: TablePlan, sent: AgreedRow, known: AgreedRow | undefined): boolean {
  if (turning !== null) return sent.source !== null && (known?.source ?? null) !== sent.target
  return known !== undefined && known.source === sent.target && known.target === sent.target
}

async function claimOne(
  plan: TablePlan,
  request: Pick<SyncRequest, 'source' | 'target'>,
  { job }: RunTools,
): Promise<Claim> {
  const [claim] = await writerOf(request).claim([identityOf(plan, request)], job)
  await job.confirm()
  return must(claim, 'a claim')
}

async function forget(
  writer: Writer,
  { claim, plan }: { claim: Claim; plan: TablePlan },
  rows: readonly { readonly key: Key }[],
): Promise<void> {
  const gone = rows.map(({ key }) => ({ key, source: null, target: null, base: null }))
  await writer.remember(claim, plan.write, gone)
}

function byKey<T extends { readonly key: Key }>(rows: readonly T[]): Map<string, T> {
  return new Map(rows.map((row) => [JSON.stringify(row.key), row]))
}

async function* batches(rows: AsyncIterable<AgreedRow>): AsyncGenerator<readonly AgreedRow[]> {
  let some: AgreedRow[] = []
  for await (const row of rows) {
    some.push(row)
    if (some.length < KEYS.rows) continue
    yield some
    some = []
  }
  if (some.length > 0) yield some
}

/**
 * The baseline of the target knows what was sent: nobody need take it up any more. Of a row that belongs on both sides and
 * could not be written to the target it does not: what the target had stands in the note alone, and the next run takes it up.
 */
async function forgetSent({ tables, attempt, request }: WayBack, others: readonly TableSync[]): Promise<void> {
  for (const { claim, plan } of tables) {
    const other = others.find((table) => table.plan.back?.mappingId === plan.mappingId)
    // Of a table that was stopped nothing is remembered.
    if (other === undefined || other.stopped !== null) continue
    const open = new Set(other.refused.map((key) => JSON.stringify(key)))
    for (const rows of attempt.staging.read(plan.mappingId, ['insert', 'update', 'delete'], KEYS)) {
      const known = rows.filter(({ key }) => !open.has(JSON.stringify(key)))
      await forget(writerOf(request), { claim, plan }, known)
    }
  }
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
  }
  const back: BackTable[] = []
  const intents: Intent[] = []
  for (const one of tables) {
    const { plan, detection: found } = one
    if (plan.back === null || found === null) continue
    const refused = one instanceof ThreeWayTable ? one.refusedBack : []
    const table = new BackTable(plan.back, turned, { forth: plan, refused })
    await table.detect(moment)
    const detection = must(table.detection, 'a detection')
    if (detection.inserts + detection.updates + detection.deletes + refused.length === 0) continue
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
  await using opened = new AsyncDisposableStack()
  let taking: Promise<Snapshot> | null = null
  const now = (): Promise<Snapshot> => (taking ??= take())
  const take = async (): Promise<Snapshot> => opened.use(await request.target.snapshot(2, attempt.signal))
  for (const table of others) {
    if (!(table instanceof ThreeWayTable)) continue
    const way = tables.find(({ plan }) => plan.mappingId === table.plan.back?.mappingId)
    await table.takeBack(way?.refused ?? [], now)
  }
}

/** When the target is written too: proves what was written to the source, and closes the job there. */
export async function closeBack(back: WayBack, others: readonly TableSync[]): Promise<TableReceipt[]> {
  const { tables, attempt, request } = back
  if (tables.length === 0) return []
  await forgetSent(back, others)
  return await closeAll(tables, { attempt, request, writer: writerOf(request) })
}

function writerOf({ target }: Pick<SyncRequest, 'target'>): Writer {
  return must(target.writer, 'an end that is opened for writing')
}
