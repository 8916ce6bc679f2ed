import { Radio, Stack, Text } from '@mantine/core'
import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { api, body, type Schemas } from '#api/client.ts'
import { brakesOf, ConsentDialog, type Consent } from '#features/jobs/consent-dialog.tsx'
import { UnreadDatasource, useAnyDatasource } from '#features/jobs/job-name.tsx'
import { isWhole, kindWords } from '#features/jobs/job-words.ts'
import type { Job } from '#features/jobs/queries.ts'
import { Differences } from '#features/sync-configs/differences.tsx'
import { differencesOf, documentOf, type Document } from '#features/sync-configs/document.ts'
import { configsQuery, useConfig, versionsQuery } from '#features/sync-configs/queries.ts'
import { cliOf, curlOf } from '#ui/copy.tsx'

type RetryConfig = NonNullable<Schemas['RetryRequest']['config']>

interface RetryDialogProps {
  readonly job: Job
  readonly onClose: () => void
  readonly goTo: (started: { readonly job_id: string }) => Promise<void>
}

/** Does again what a job was asked for; where its config has been changed since, with that of then or that of now. */
export function RetryDialog({ job, onClose, goTo }: RetryDialogProps) {
  const now = useConfig(job.config_id)
  // What was written where, an undo knows from the job that it undoes.
  const hasConfig = job.config_id !== null && job.kind !== 'revert'
  const isGone = useQuery(configsQuery).isSuccess && hasConfig && now === undefined
  const isChanged = isGone || (hasConfig && now !== undefined && now.version !== job.config_version)
  const [chosen, choose] = useState<RetryConfig>('current')
  const config = isGone ? 'original' : chosen
  const then = useVersion(isChanged && !isGone ? job : null)
  const document = config === 'original' ? then : now
  const targetId = document?.target_datasource_id ?? job.target_datasource_id
  const target = useAnyDatasource(targetId)
  const source = useAnyDatasource(document?.source_datasource_id ?? job.source_datasource_id)
  if (target === undefined) return <UnreadDatasource id={targetId} onClose={onClose} />
  const isQuiet = job.dry_run || job.kind === 'verify' || job.kind === 'validate' || job.kind === 'export'
  const which = isChanged ? { config } : {}
  const params = { path: { id: job.id } }
  const act = async (consent: Consent): Promise<void> =>
    goTo(await body(api.POST('/api/v1/jobs/{id}/retry', { params, body: { ...which, ...(isQuiet ? {} : consent) } })))
  // Where the config is gone, or its version is not among the last ones, the job knows.
  const direction = document === undefined ? job.direction : document.direction
  const writtenSource = direction === 'two_way' ? source : undefined
  return (
    <ConsentDialog
      {...(isQuiet ? { isQuiet } : { writtenSource, brakes: brakesOf(job.error) })}
      title={`${kindWords(job)} again`}
      verb="Run again"
      target={target}
      onClose={onClose}
      act={act}
      means={(consent) => ({
        cli: cliOf('jobs', 'retry', job.id, ...(config === 'original' ? ['--config', config] : [])),
        curl: curlOf('POST', `/api/v1/jobs/${job.id}/retry`, { ...which, ...consent }),
      })}
    >
      <Stack gap="sm">
        <Text size="sm">
          A new job does what this one was asked for
          {job.config_id === null || isChanged ? '.' : ', with its sync config.'}{' '}
          {isWhole(job) ? 'It begins at the beginning.' : 'It starts from what is committed.'}
        </Text>
        {isGone && <Text size="sm">Its sync config has been removed: the job runs with what it was then.</Text>}
        {now !== undefined && isChanged && (
          <Radio.Group
            label="The sync config has been changed since"
            value={config}
            onChange={(value) => choose(value as RetryConfig)}
          >
            <Stack gap="sm" pt={6}>
              <Radio value="current" label={`As it is now (version ${now.version})`} size="xs" />
              <Radio value="original" label={`As it was for this job (version ${job.config_version})`} size="xs" />
            </Stack>
          </Radio.Group>
        )}
        {now !== undefined && then !== undefined && (
          <details>
            <Text component="summary" size="sm" style={{ cursor: 'pointer' }}>
              What has been changed since
            </Text>
            <Differences differences={differencesOf(then, documentOf(now))} />
          </details>
        )}
      </Stack>
    </ConsentDialog>
  )
}

/** What the config of a job was for it, where that version is among the last ones. */
function useVersion(job: Job | null): Document | undefined {
  const found = useInfiniteQuery({ ...versionsQuery(job?.config_id ?? ''), enabled: job !== null })
  const version = found.data?.pages.flatMap(({ items }) => items).find((one) => one.version === job?.config_version)
  // Versions are documents that were saved: the service has checked them.
  return version?.document as Document | undefined
}
