import { copyDraftOf, copyRequestAfter, copyRequestOf, type CopyDraft } from '#features/dumps/copy-draft.ts'
import { OfWhat } from '#features/dumps/copy-receipt.tsx'
import { copyMeans } from '#features/dumps/means.ts'
import { startCopy } from '#features/dumps/queries.ts'
import { agreedTo, RestorePlan } from '#features/dumps/restore-plan.tsx'
import type { Onward } from '#features/dumps/restore-steps.tsx'
import { nameOfDatasource, UnreadDatasource, useAnyDatasource } from '#features/jobs/job-name.tsx'
import type { Job } from '#features/jobs/queries.ts'
import type { CopyReceipt } from '#features/jobs/receipt.ts'

/** What takes away a refusal. */
const REMEDIES = [
  {
    code: 'restore_exists',
    change: { replace: true, backup: true },
    word: 'Replace it, and plan again',
    isAdmins: false,
  },
  { code: 'restore_privileged', change: { trust: true }, word: 'Trust the source, and plan again', isAdmins: true },
] as const satisfies readonly {
  readonly code: string
  readonly change: Partial<CopyDraft>
  readonly word: string
  readonly isAdmins: boolean
}[]

interface CopyPlanProps extends Onward {
  /** The job that planned it. */
  readonly job: Job
  readonly copied: CopyReceipt
}

/** What a copy would do, before anybody agrees to it. */
export function CopyPlan({ job, copied, ...onward }: CopyPlanProps) {
  const source = useAnyDatasource(job.source_datasource_id)
  const target = useAnyDatasource(job.target_datasource_id)
  if (source === undefined) return <UnreadDatasource id={job.source_datasource_id} />
  if (target === undefined) return <UnreadDatasource id={job.target_datasource_id} />
  const names = { source: nameOfDatasource(source), target: nameOfDatasource(target) }
  const request = copyRequestAfter(job, { ...names, replaces: (copied.replaced ?? []).length > 0 })
  const draft = copyDraftOf(job)
  const plan = (change: Partial<CopyDraft>) => () =>
    startCopy({ ...copyRequestOf({ ...draft, ...change }, names), dry_run: true }, crypto.randomUUID())
  return (
    <RestorePlan
      restored={copied}
      target={target}
      from={<OfWhat job={job} copied={copied} />}
      verb="Copy"
      keeps={request.backup !== false}
      means={(consent) => copyMeans({ ...request, ...consent })}
      start={(consent, once) => startCopy({ ...request, ...agreedTo(copied), ...consent }, once)}
      planAgain={plan({})}
      remedies={REMEDIES.map(({ change, ...remedy }) => ({ ...remedy, again: plan(change) }))}
      {...onward}
    />
  )
}
