import { RestoreReceiptView } from '#features/dumps/restore-receipt.tsx'
import { Ends } from '#features/jobs/job-name.tsx'
import type { Job } from '#features/jobs/queries.ts'
import type { CopyReceipt } from '#features/jobs/receipt.ts'
import { plural } from '#lib/format.ts'

interface CopyReceiptViewProps {
  readonly job: Job
  readonly copied: CopyReceipt
}

/** What a copy did, and the way back; of its plan, what it would do. */
export function CopyReceiptView({ job, copied }: CopyReceiptViewProps) {
  return (
    <RestoreReceiptView job={job} restored={copied} done="are copied" plans="/dumps/copy">
      <OfWhat job={job} copied={copied} />.
    </RestoreReceiptView>
  )
}

/** Between what, of which moment, and by which rules. */
export function OfWhat({ job, copied: { moment, target } }: CopyReceiptViewProps) {
  const { filters = [], masks = [] } = job.copy ?? {}
  const rules = [
    ...(filters.length === 0 ? [] : [plural(filters.length, 'filter')]),
    ...(masks.length === 0 ? [] : [plural(masks.length, 'masked column')]),
  ]
  return (
    <>
      <Ends job={job} marked /> (<span className="mono">{target.address}</span>, {target.product})
      {moment !== null && (
        <>
          , of the moment <span className="mono">{moment}</span>
        </>
      )}
      {rules.length > 0 && `, with ${rules.join(' and ')}`}
    </>
  )
}
