import { Text } from '@mantine/core'
import { useQueryClient } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { api, body } from '#api/client.ts'
import { ConsentDialog, consentFlags, type Consent } from '#features/jobs/consent-dialog.tsx'
import { UnreadDatasource, useAnyDatasource } from '#features/jobs/job-name.tsx'
import type { Job } from '#features/jobs/queries.ts'
import { plural } from '#lib/format.ts'
import { cliOf, curlOf } from '#ui/copy.tsx'

interface ReplayDialogProps {
  readonly job: Job
  /** Null: all that are open or edited. */
  readonly ids: readonly string[] | null
  readonly count: number
  readonly onClose: () => void
}

/** Tries rows again, as a job of their own. */
export function ReplayDialog({ job, ids, count, onClose }: ReplayDialogProps) {
  const target = useAnyDatasource(job.target_datasource_id)
  const client = useQueryClient()
  const navigate = useNavigate()
  if (target === undefined) return <UnreadDatasource id={job.target_datasource_id} onClose={onClose} />
  const wish = ids === null ? {} : { rejections: [...ids] }
  const act = async (consent: Consent): Promise<void> => {
    const params = { path: { id: job.id } }
    const { job_id: id } = await body(
      api.POST('/api/v1/jobs/{id}/rejections/replay', { params, body: { ...wish, ...consent } }),
    )
    await client.invalidateQueries({ queryKey: ['jobs'] })
    await navigate({ to: '/jobs/$id', params: { id }, search: {} })
  }
  return (
    <ConsentDialog
      title={`Replay ${plural(count, 'row')}`}
      verb={`Replay ${plural(count, 'row')}`}
      target={target}
      onClose={onClose}
      act={act}
      means={(consent) => ({
        // The command knows of no consent: where the target is protected, curl does.
        ...(consentFlags(consent).length > 0
          ? {}
          : { cli: cliOf('jobs', 'replay', job.id, ...(ids === null ? [] : ['--rejection', ...ids])) }),
        curl: curlOf('POST', `/api/v1/jobs/${job.id}/rejections/replay`, { ...wish, ...consent }),
      })}
    >
      <Text size="sm">
        A new job tries {ids === null ? 'all rows that are open or edited' : 'the ticked rows'} again: edited ones with
        their new values, the others as the source has them now.
      </Text>
    </ConsentDialog>
  )
}
