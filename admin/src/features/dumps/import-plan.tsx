import { Button } from '@mantine/core'
import { draftOf, requestAfter, requestOf, type ImportDraft } from '#features/dumps/import-draft.ts'
import { LiveJob } from '#features/dumps/live-job.tsx'
import { importMeans } from '#features/dumps/means.ts'
import { startImport } from '#features/dumps/queries.ts'
import { RestorePlan } from '#features/dumps/restore-plan.tsx'
import { nameOfDatasource, useAnyDatasource } from '#features/jobs/job-name.tsx'
import { isActive, useLiveJob, type Job } from '#features/jobs/queries.ts'
import type { ImportReceipt } from '#features/jobs/receipt.ts'
import { TextLink } from '#ui/link.tsx'
import { Page } from '#ui/page.tsx'

interface ImportPlanProps {
  /** The job that plans. */
  readonly id: string
  readonly onPlanned: (job: string) => void
  readonly onStarted: (job: string) => void
  /** Back to the form, as it was. */
  readonly onChange: () => void
}

/** What an import would do, before anybody agrees to it. */
export function ImportPlan({ id, onPlanned, onStarted, onChange }: ImportPlanProps) {
  const { data: job } = useLiveJob(id)
  return (
    <Page
      title="Plan of an import"
      state="The whole file is checked, and the target is looked at. Nothing is written before you agree."
      action={
        job !== undefined &&
        !isActive(job) && (
          <Button variant="default" onClick={onChange}>
            Change what is imported
          </Button>
        )
      }
    >
      <LiveJob id={id}>
        {(of, found) =>
          found.kind === 'import' ? (
            <PlannedImport job={of} imported={found.imported} onPlanned={onPlanned} onStarted={onStarted} />
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
  {
    code: 'restore_unswappable',
    change: { swap: false },
    word: 'Let readers wait, and plan again',
    isAdmins: false,
  },
  { code: 'restore_privileged', change: { trust: true }, word: 'Trust the file, and plan again', isAdmins: true },
] as const satisfies readonly {
  readonly code: string
  readonly change: Partial<ImportDraft>
  readonly word: string
  readonly isAdmins: boolean
}[]

interface PlannedImportProps extends Pick<ImportPlanProps, 'onPlanned' | 'onStarted'> {
  readonly job: Job
  readonly imported: ImportReceipt
}

function PlannedImport({ job, imported, onPlanned, onStarted }: PlannedImportProps) {
  const target = useAnyDatasource(job.target_datasource_id)
  if (target === undefined) return null
  const { dump, replaced, takes_back: back = [] } = imported
  const name = nameOfDatasource(target)
  const draft = draftOf(job)
  const request = requestAfter(draft, { dump: dump.id, datasource: name, replaces: replaced.length + back.length > 0 })
  const plan = (change: Partial<ImportDraft>) => () =>
    startImport({ ...requestOf({ ...draft, ...change }, draft.dump ?? '', name), dry_run: true }, crypto.randomUUID())
  return (
    <RestorePlan
      restored={imported}
      target={target}
      from={
        <>
          From{' '}
          <TextLink to="/dumps/$id" params={{ id: dump.id }} underline="always">
            {dump.file}
          </TextLink>
        </>
      }
      verb="Import"
      keeps={request.backup !== false}
      means={(consent) => importMeans({ ...request, ...consent })}
      start={(consent, once) => startImport({ ...request, ...consent }, once)}
      planAgain={plan({})}
      remedies={REMEDIES.map(({ change, ...remedy }) => ({ ...remedy, again: plan(change) }))}
      onPlanned={onPlanned}
      onStarted={onStarted}
    />
  )
}
