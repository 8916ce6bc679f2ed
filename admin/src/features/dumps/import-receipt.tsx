import { RestoreReceiptView } from '#features/dumps/restore-receipt.tsx'
import type { Job } from '#features/jobs/queries.ts'
import type { ImportReceipt } from '#features/jobs/receipt.ts'
import { TextLink } from '#ui/link.tsx'

interface ImportReceiptViewProps {
  readonly job: Job
  readonly imported: ImportReceipt
}

/** What an import did, and the way back; of its plan, what it would do. */
export function ImportReceiptView({ job, imported }: ImportReceiptViewProps) {
  const { dump, target } = imported
  return (
    <RestoreReceiptView job={job} restored={imported} done="are in" plans="/dumps/import">
      From the dump{' '}
      <TextLink to="/dumps/$id" params={{ id: dump.id }} underline="always">
        {dump.file}
      </TextLink>{' '}
      into <span className="mono">{target.address}</span> ({target.product}).
    </RestoreReceiptView>
  )
}
