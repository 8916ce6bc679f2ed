import { draftOf, requestAfter, requestOf, type ImportDraft } from '#features/dumps/import-draft.ts'
import { importMeans } from '#features/dumps/means.ts'
import { startImport } from '#features/dumps/queries.ts'
import { agreedTo, RestorePlan } from '#features/dumps/restore-plan.tsx'
import type { Onward } from '#features/dumps/restore-steps.tsx'
import { nameOfDatasource, UnreadDatasource, useAnyDatasource } from '#features/jobs/job-name.tsx'
import type { Job } from '#features/jobs/queries.ts'
import type { ImportReceipt } from '#features/jobs/receipt.ts'
import { TextLink } from '#ui/link.tsx'

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

interface ImportPlanProps extends Onward {
  /** The job that planned it. */
  readonly job: Job
  readonly imported: ImportReceipt
}

/** What an import would do, before anybody agrees to it. */
export function ImportPlan({ job, imported, ...onward }: ImportPlanProps) {
  const target = useAnyDatasource(job.target_datasource_id)
  if (target === undefined) return <UnreadDatasource id={job.target_datasource_id} />
  const { dump, replaced, takes_back: back = [] } = imported
  const name = nameOfDatasource(target)
  const draft = draftOf(job)
  const request = requestAfter(draft, {
    dump: dump.id,
    datasource: name,
    replaces: (replaced ?? []).length + back.length > 0,
  })
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
      start={(consent, once) => startImport({ ...request, ...agreedTo(imported), ...consent }, once)}
      planAgain={plan({})}
      remedies={REMEDIES.map(({ change, ...remedy }) => ({ ...remedy, again: plan(change) }))}
      {...onward}
    />
  )
}
