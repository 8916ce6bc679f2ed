import type { Claim, Sent, Snapshot, WritePlan } from '#adapters/adapter.ts'
import type { Key } from '#model/change.ts'
import { AppError } from '#model/errors.ts'
import type { SyncConfig } from '#model/sync-config.ts'
import { tableName } from '#model/table.ts'
import type { SentRow } from '#model/value.ts'
import type { TablePlan } from '#sync/plan.ts'
import type { BatchBounds } from '#sync/staging.ts'
import type { Verified } from '#sync/verify/verify-table.ts'
import { readSent } from './apply.ts'
import { detect, type DetectContext } from './detect.ts'

/** Differing rows that are asked about together: their values may have to be read. */
const ROWS: BatchBounds = { rows: 1_000, bytes: 4 * 1024 * 1024 }

interface Difference extends Omit<DetectContext, 'policies' | 'onRows'> {
  readonly config: SyncConfig
  readonly claim: Claim
  /** Keys of rows that the run left apart, as JSON. */
  readonly apart: ReadonlySet<string>
  readonly verified: Verified
  /** The keys that the run wrote, null for all. */
  readonly touched: (() => Iterable<readonly Key[]>) | null
  /** Told of rows that this run wrote and triggers made others of; null: they are refused. */
  readonly answered: ((keys: readonly Key[]) => void) | null
}

/** Rows that the run wrote, or set out to write, all of them. */
export function sentRows(keys: readonly Key[], rows: () => Promise<ReadonlyMap<string, SentRow>>): Sent {
  return { keys, rows, touched: () => keys }
}

/**
 * Refuses rows that are other ones than they were to be, where the job itself wrote their present versions.
 * @throws AppError `verification_failed`
 */
export async function refuseOwn(
  moment: Snapshot,
  { claim, plan, sent }: { claim: Claim; plan: WritePlan; sent: Sent },
  { fault, note = '' }: { fault: string; note?: string },
): Promise<void> {
  if (sent.keys.length === 0) return
  const { keys, doubt } = await moment.writtenBy(claim, plan, sent)
  if (keys.length === 0) return
  throw new AppError(
    'verification_failed',
    `${tableName(plan.scan.table)}: ${keys.length} ${fault}, such as (${keys[0]?.join(', ')}).${note}`,
    doubt === null ? {} : { hint: doubt },
  )
}

/**
 * The sides differ after the run. Rows whose present version is ours, and wrong, are our fault; all others were
 * changed by somebody between our write and the proof, and are reported as that: how many.
 * @throws AppError `verification_failed`
 */
export async function explainDifference(
  planned: TablePlan,
  { config, claim, apart, verified, touched, answered, ...sides }: Difference,
): Promise<number> {
  const { staging, source, target } = sides
  const plan: TablePlan = {
    ...planned,
    mappingId: `${planned.mappingId} proof`,
    detecting: { strategy: 'full', cursor: null },
  }
  await detect(plan, {
    ...sides,
    policies: { ...config, deletePolicy: 'delete', deleteScope: 'mirror' },
    onRows: () => {},
  })
  const name = tableName(plan.target.ref)
  let differing = 0
  const { triggers } = plan.target
  for (const changes of staging.read(plan.mappingId, ['insert', 'update', 'delete'], ROWS)) {
    const others = changes.filter(({ key }) => !apart.has(JSON.stringify(key)))
    differing += others.length
    const inSource = others.filter(({ op }) => op !== 'delete')
    const sent: Sent = {
      keys: others.map(({ key }) => key),
      rows: () => readSent(source, plan.sourceScan, inSource),
      touched: () => among(others, touched),
    }
    if (answered !== null && triggers.length > 0) {
      answered((await target.writtenBy(claim, plan.write, sent)).keys)
      continue
    }
    await refuseOwn(
      target,
      { claim, plan: plan.write, sent },
      {
        fault: 'rows that this run wrote differ from the source',
        note: triggers.length === 0 ? '' : ` The target's own triggers may have changed them: ${triggers.join(', ')}.`,
      },
    )
  }
  staging.clear(plan.mappingId)
  if (differing > 0) return differing
  throw new AppError(
    'verification_failed',
    `${name}: the proofs differ (${verified.source.rows} and ${verified.target.rows} rows), but no row that is carried does. A column that the target generates by itself may be computed otherwise there.`,
  )
}

/** Which of these rows the run wrote. */
function among(rows: readonly { readonly key: Key }[], touched: Difference['touched']): readonly Key[] {
  const asked = new Map(rows.map(({ key }) => [JSON.stringify(key), key]))
  if (touched === null) return [...asked.values()]
  const found: Key[] = []
  for (const some of touched()) for (const key of some) if (asked.has(JSON.stringify(key))) found.push(key)
  return found
}
