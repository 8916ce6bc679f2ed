import { Button } from '@mantine/core'
import { copyDraftOf, copyRequestAfter, copyRequestOf, type CopyDraft } from '#features/dumps/copy-draft.ts'
import { OfWhat } from '#features/dumps/copy-receipt.tsx'
import { LiveJob } from '#features/dumps/live-job.tsx'
import { copyMeans } from '#features/dumps/means.ts'
import { startCopy } from '#features/dumps/queries.ts'
import { RestorePlan } from '#features/dumps/restore-plan.tsx'
import { nameOfDatasource, useAnyDatasource } from '#features/jobs/job-name.tsx'
import { isActive, useLiveJob, type Job } from '#features/jobs/queries.ts'
import type { CopyReceipt } from '#features/jobs/receipt.ts'
import { Page } from '#ui/page.tsx'

interface CopyPlanProps {
  /** The job that plans. */
  readonly id: string
  readonly onPlanned: (job: string) => void
  readonly onStarted: (job: string) => void
  /** Back to the form, as it was. */
  readonly onChange: () => void
}

/** What a copy would do, before anybody agrees to it. */
export function CopyPlan({ id, onPlanned, onStarted, onChange }: CopyPlanProps) {
  const { data: job } = useLiveJob(id)
  return (
    <Page
      title="Plan of a copy"
      state="Both databases are looked at. Nothing is written before you agree."
      action={
        job !== undefined &&
        !isActive(job) && (
          <Button variant="default" onClick={onChange}>
            Change what is copied
          </Button>
        )
      }
    >
      <LiveJob id={id}>
        {(of, found) =>
          found.kind === 'copy' ? (
            <PlannedCopy job={of} copied={found.copied} onPlanned={onPlanned} onStarted={onStarted} />
          ) : null
        }
      </LiveJob>
    </Page>
  )
}

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

interface PlannedCopyProps extends Pick<CopyPlanProps, 'onPlanned' | 'onStarted'> {
  readonly job: Job
  readonly copied: CopyReceipt
}

function PlannedCopy({ job, copied, onPlanned, onStarted }: PlannedCopyProps) {
  const source = useAnyDatasource(job.source_datasource_id)
  const target = useAnyDatasource(job.target_datasource_id)
  if (source === undefined || target === undefined) return null
  const names = { source: nameOfDatasource(source), target: nameOfDatasource(target) }
  const request = copyRequestAfter(job, { ...names, replaces: copied.replaced.length > 0 })
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
      start={(consent, once) => startCopy({ ...request, ...consent }, once)}
      planAgain={plan({})}
      remedies={REMEDIES.map(({ change, ...remedy }) => ({ ...remedy, again: plan(change) }))}
      onPlanned={onPlanned}
      onStarted={onStarted}
    />
  )
}
