import type { MappingIdentity } from '#adapters/adapter.ts'
import { must } from '#lib/assert.ts'
import { knownColumns, sourceName } from './new-columns.ts'
import type { TablePlan } from './plan.ts'
import type { RunIdentity, SyncRequest } from './run-sync.ts'
import type { TableSync } from './sync-table.ts'

/** A mapping as the target's state knows it. */
export function identityOf(
  plan: TablePlan,
  { source, changeSet }: Pick<SyncRequest, 'source' | 'changeSet'>,
): MappingIdentity {
  const { scan, baseline, baselineDetails } = plan.write
  return {
    mappingId: plan.mappingId,
    source: sourceName(source, plan.source.ref),
    target: plan.target.ref,
    mappingHash: plan.mappingHash,
    key: scan.columns.slice(0, scan.keyLength).map((column) => column.name),
    carried: scan.columns.map(({ name }) => name),
    baseline,
    baselineDetails,
    columns: knownColumns(plan.source),
    asItIs: changeSet?.reverting ?? false,
  }
}

/** Takes the tables over for the job, in the target. */
export async function claimAll(tables: readonly TableSync[], request: SyncRequest, job: RunIdentity): Promise<void> {
  const claims = await must(request.target.writer, 'a writer').claim(
    tables.map(({ plan }) => identityOf(plan, request)),
    job,
  )
  await job.confirm()
  for (const table of tables) {
    const { plan } = table
    table.claim = must(
      claims.find((claim) => claim.mappingId === plan.mappingId),
      'a claim for every mapping',
    )
    const { hasBaseline } = table.claim
    if (request.changeSet?.reverting) table.replan({ ...plan, write: { ...plan.write, baseline: hasBaseline } })
  }
}
