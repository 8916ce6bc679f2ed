import type { Claim, Scan, Snapshot } from '#adapters/adapter.ts'
import type { Key } from '#model/change.ts'
import { AppError } from '#model/errors.ts'
import type { SyncConfig } from '#model/sync-config.ts'
import { tableName } from '#model/table.ts'
import type { TablePlan } from '#sync/plan.ts'
import type { BatchBounds } from '#sync/staging.ts'
import type { Verified } from '#sync/verify/verify-table.ts'
import { detect, type DetectContext } from './detect.ts'

const KEYS: BatchBounds = { rows: 2_000, bytes: Infinity }

interface Difference extends Omit<DetectContext, 'policies' | 'onRows'> {
  readonly config: SyncConfig
  readonly claim: Claim
  /** Keys of rows that the run left apart, as JSON. */
  readonly apart: ReadonlySet<string>
  readonly verified: Verified
  /** Told of rows that this run wrote and triggers made others of; null: they are refused. */
  readonly answered: ((keys: readonly Key[]) => void) | null
}

/**
 * Refuses rows that are other ones than they were to be, where the job itself wrote their present versions.
 * @throws AppError `verification_failed`
 */
export async function refuseOwn(
  moment: Snapshot,
  { claim, scan, keys }: { claim: Claim; scan: Scan; keys: readonly Key[] },
  { fault, note = '' }: { fault: string; note?: string },
): Promise<void> {
  const ours = await moment.writtenBy(claim, scan, keys)
  if (ours.length === 0) return
  const example = `such as (${ours[0]?.join(', ')})`
  throw new AppError('verification_failed', `${tableName(scan.table)}: ${ours.length} ${fault}, ${example}.${note}`)
}

/**
 * The sides differ after the run. Rows whose present version is ours, and wrong, are our fault; all others were
 * changed by somebody between our write and the proof, and are reported as that: how many.
 * @throws AppError `verification_failed`
 */
export async function explainDifference(
  planned: TablePlan,
  { config, claim, apart, verified, answered, ...sides }: Difference,
): Promise<number> {
  const { staging, target } = sides
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
  for (const changes of staging.read(plan.mappingId, ['insert', 'update', 'delete'], KEYS)) {
    const keys = changes.map((change) => change.key).filter((key) => !apart.has(JSON.stringify(key)))
    differing += keys.length
    const { triggers } = plan.target
    if (answered !== null && triggers.length > 0) {
      answered(await target.writtenBy(claim, plan.write.scan, keys))
      continue
    }
    await refuseOwn(
      target,
      { claim, scan: plan.write.scan, keys },
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
