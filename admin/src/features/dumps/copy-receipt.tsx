import { Group, Stack, Text } from '@mantine/core'
import { amountOf, Details, PlanHead, WayBack } from '#features/dumps/restored.tsx'
import { Ends } from '#features/jobs/job-name.tsx'
import type { Job } from '#features/jobs/queries.ts'
import type { CopyReceipt } from '#features/jobs/receipt.ts'
import { plural } from '#lib/format.ts'
import { ButtonLink } from '#ui/link.tsx'
import { Mark } from '#ui/mark.tsx'

interface CopyReceiptViewProps {
  readonly job: Job
  readonly copied: CopyReceipt
}

/** What a copy did, and the way back; of its plan, what it would do. */
export function CopyReceiptView({ job, copied }: CopyReceiptViewProps) {
  return (
    <Stack gap="md">
      {job.dry_run ? (
        <PlanHead restored={copied} />
      ) : (
        <Mark tone="done">{`${amountOf(copied)} are copied, all of it in one transaction`}</Mark>
      )}
      <Text size="sm" className="quiet" component="div">
        <OfWhat job={job} copied={copied} />.
      </Text>
      {copied.backup !== null && <WayBack job={job} backup={copied.backup} />}
      <Details restored={copied} isPlan={job.dry_run} />
      {job.dry_run && (
        <Group>
          <ButtonLink variant="default" to="/dumps/copy" search={{ plan: job.id }}>
            Open it as a plan
          </ButtonLink>
        </Group>
      )}
    </Stack>
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
