import { Text } from '@mantine/core'
import { useQueryClient } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { useState } from 'react'
import { importMeans } from '#features/dumps/means.ts'
import { startImport, type ImportRequest } from '#features/dumps/queries.ts'
import { ConsentDialog } from '#features/jobs/consent-dialog.tsx'
import { nameOfDatasource, UnreadDatasource, useAnyDatasource } from '#features/jobs/job-name.tsx'
import type { Job } from '#features/jobs/queries.ts'

interface RestoreBackupProps {
  /** The import or the copy that made the backup. */
  readonly job: Job
  readonly backup: string
  readonly onClose: () => void
}

/** Brings back what an import or a copy replaced, as it was, with who owned it and who was granted what. */
export function RestoreBackup({ job, backup, onClose }: RestoreBackupProps) {
  const client = useQueryClient()
  const navigate = useNavigate()
  const target = useAnyDatasource(job.target_datasource_id)
  const [once] = useState(() => crypto.randomUUID())
  if (target === undefined) return <UnreadDatasource id={job.target_datasource_id} onClose={onClose} />
  const name = nameOfDatasource(target)
  const request: ImportRequest = {
    datasource: name,
    dump: backup,
    replace: true,
    owners: true,
    grants: true,
    // The login is the one that it was done with.
    ...(job.import?.trust_file === true || job.copy?.trust_source === true ? { trust_file: true } : {}),
  }
  return (
    <ConsentDialog
      title="Restore the backup"
      verb="Restore the backup"
      target={target}
      means={(consent) => importMeans({ ...request, ...consent })}
      onClose={onClose}
      act={async (consent) => {
        const started = await startImport({ ...request, ...consent }, once)
        await client.invalidateQueries({ queryKey: ['jobs'] })
        await navigate({ to: '/jobs/$id', params: { id: started.job_id }, search: {} })
      }}
    >
      <Text size="sm">
        What was replaced is put in the place of what is there now, in one transaction, and what was made anew besides
        is taken back. What is there now is kept as a backup of its own first.
      </Text>
    </ConsentDialog>
  )
}
