import { Group, Stack, Text } from '@mantine/core'
import type { ReactNode } from 'react'
import { amountOf, Details, PlanHead, WayBack } from '#features/dumps/restored.tsx'
import type { Job } from '#features/jobs/queries.ts'
import type { RestoreReceipt } from '#features/jobs/receipt.ts'
import { ButtonLink } from '#ui/link.tsx'
import { Mark } from '#ui/mark.tsx'

interface RestoreReceiptViewProps {
  readonly job: Job
  readonly restored: RestoreReceipt
  /** What became of the rows: `are copied`. */
  readonly done: string
  /** Where plans of this kind are. */
  readonly plans: '/dumps/copy' | '/dumps/import'
  /** Where it came from, and where it went. */
  readonly children: ReactNode
}

/** What a restore did, and the way back; of its plan, what it would do. */
export function RestoreReceiptView({ job, restored, done, plans, children }: RestoreReceiptViewProps) {
  return (
    <Stack gap="md">
      {job.dry_run ? (
        <PlanHead restored={restored} />
      ) : (
        <Mark tone="done">{`${amountOf(restored)} ${done}, all of it in one transaction`}</Mark>
      )}
      <Text size="sm" className="quiet" component="div">
        {children}
      </Text>
      {restored.backup !== null && <WayBack job={job} backup={restored.backup} />}
      <Details restored={restored} isPlan={job.dry_run} />
      {job.dry_run && (
        <Group>
          <ButtonLink variant="default" to={plans} search={{ plan: job.id }}>
            Open it as a plan
          </ButtonLink>
        </Group>
      )}
    </Stack>
  )
}
