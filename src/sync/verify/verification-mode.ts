import type { Claim } from '#adapters/adapter.ts'
import type { Verification } from '#model/receipt.ts'
import type { Policies } from '#model/sync-config.ts'
import type { TablePlan } from '#sync/plan.ts'

/** A full proof is due when the last one is older than this. */
const FULL_PROOF_EVERY_S = 24 * 60 * 60

/** How much of a table is proved. Where some rows alone were looked at, the others are not held to be equal. */
export function verificationMode(
  wanted: Policies['verifyAfter'],
  { plan, claim, ...of }: { plan: TablePlan; claim: Claim; bulk: boolean; partial: boolean; rewritten: boolean },
): Verification['mode'] {
  if (wanted !== 'auto') return wanted
  if (of.partial) return 'changed'
  const age = claim.verifiedSecondsAgo
  if (of.rewritten || (plan.write.baseline && !claim.baselineComplete)) return 'full'
  return of.bulk || age === null || age > FULL_PROOF_EVERY_S ? 'full' : 'changed'
}
