import type { Bucketing } from '#adapters/adapter.ts'
import type { BaselineDigest } from '#adapters/baseline.ts'
import type { TablePlan } from '#sync/plan.ts'
import { bucketsOf, chooseBuckets, cutBuckets, DigestTable, partsOf, readParts } from './buckets.ts'
import { descendsOnlyWhereDigestsDiffer, digestSide } from './detect.ts'
import type { ThreeWayContext } from './three-way.ts'

/** Digests of some buckets, or of the parts of some: of each side as it is, and as it was when both last agreed. */
export interface Digests {
  readonly bucketing: Bucketing
  readonly buckets: Iterable<number>
  readonly now: Readonly<Record<'source' | 'target', DigestTable>>
  readonly agreed: Readonly<Record<'source' | 'target', DigestTable>>
  readonly differing: ReadonlyMap<number, BaselineDigest['differing']>
}

/** Of both sides and of the baseline, over all of each. */
export async function digestAll(plan: TablePlan, context: ThreeWayContext): Promise<Digests> {
  const { source, target, baseline } = context
  const bucketing = await chooseBuckets(plan, { source, target })
  const [here, there, known] = await Promise.all([
    digestSide(source, plan.sourceScan, bucketing, context),
    digestSide(target, plan.write.scan, bucketing, context),
    baseline?.digests(bucketing) ?? [],
  ])
  const agreed = { source: new DigestTable(bucketing.count), target: new DigestTable(bucketing.count) }
  const differing = addAgreed(agreed, known)
  return { bucketing, buckets: bucketsOf(bucketing), now: { source: here, target: there }, agreed, differing }
}

/** Of the parts of buckets that differ; null where the rows of the buckets are as well read at once. */
export async function digestParts(
  plan: TablePlan,
  context: ThreeWayContext,
  { bucketing, bad }: { bucketing: Bucketing; bad: readonly number[] },
): Promise<Digests | null> {
  const parts = descendsOnlyWhereDigestsDiffer(plan) ? cutBuckets(bucketing, bad) : null
  if (parts === null) return null
  const now = await readParts(plan, context, parts)
  if (now === null) return null
  const agreed = { source: DigestTable.ofParts(parts), target: DigestTable.ofParts(parts) }
  const differing = new Map<number, BaselineDigest['differing']>()
  for await (const some of context.baseline?.partDigests(parts) ?? []) {
    for (const [part, apart] of addAgreed(agreed, some)) differing.set(part, apart)
  }
  return { bucketing: parts.finer, buckets: partsOf(parts), now, agreed, differing }
}

/** Adds what the baseline has of buckets; returns on how many rows of each the sides agreed to differ. */
function addAgreed(
  tables: Readonly<Record<'source' | 'target', DigestTable>>,
  digests: readonly BaselineDigest[],
): Map<number, BaselineDigest['differing']> {
  tables.source.add(digests.map(({ bucket, source: digest }) => ({ bucket, digest })))
  tables.target.add(digests.map(({ bucket, target: digest }) => ({ bucket, digest })))
  return new Map(digests.map(({ bucket, differing }) => [bucket, differing]))
}
