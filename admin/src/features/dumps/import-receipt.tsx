import { Group, Stack, Text } from '@mantine/core'
import { amountOf, Details, PlanHead, WayBack } from '#features/dumps/restored.tsx'
import type { Job } from '#features/jobs/queries.ts'
import type { ImportReceipt } from '#features/jobs/receipt.ts'
import { ButtonLink, TextLink } from '#ui/link.tsx'
import { Mark } from '#ui/mark.tsx'

interface ImportReceiptViewProps {
  readonly job: Job
  readonly imported: ImportReceipt
}

/** What an import did, and the way back; of its plan, what it would do. */
export function ImportReceiptView({ job, imported }: ImportReceiptViewProps) {
  const { dump, target, backup } = imported
  return (
    <Stack gap="md">
      {job.dry_run ? (
        <PlanHead restored={imported} />
      ) : (
        <Mark tone="done">{`${amountOf(imported)} are in, all of it in one transaction`}</Mark>
      )}
      <Text size="sm" className="quiet">
        From the dump{' '}
        <TextLink to="/dumps/$id" params={{ id: dump.id }} underline="always">
          {dump.file}
        </TextLink>{' '}
        into <span className="mono">{target.address}</span> ({target.product}).
      </Text>
      {backup !== null && <WayBack job={job} backup={backup} />}
      <Details restored={imported} isPlan={job.dry_run} />
      {job.dry_run && (
        <Group>
          <ButtonLink variant="default" to="/dumps/import" search={{ plan: job.id }}>
            Open it as a plan
          </ButtonLink>
        </Group>
      )}
    </Stack>
  )
}
