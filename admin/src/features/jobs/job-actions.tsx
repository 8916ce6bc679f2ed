import { Button, Text } from '@mantine/core'
import {
  IconArrowBackUp,
  IconBan,
  IconChecks,
  IconPlayerPlay,
  IconPlayerStop,
  IconRefresh,
  type Icon,
} from '@tabler/icons-react'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { useState, type ReactNode } from 'react'
import { api, body } from '#api/client.ts'
import { useMay } from '#app/session.ts'
import { ConsentDialog, consentFlags, type Brakes, type Consent } from '#features/jobs/consent-dialog.tsx'
import { isWhole, writtenOf } from '#features/jobs/job-words.ts'
import { UnreadDatasource, useAnyDatasource } from '#features/jobs/job-name.tsx'
import { RetryDialog } from '#features/jobs/retry-dialog.tsx'
import { isActive, jobQuery, type ChangeSummary, type Job } from '#features/jobs/queries.ts'
import { formatCount, plural } from '#lib/format.ts'
import { cliOf, CopyAs, curlOf, type OtherMeans } from '#ui/copy.tsx'

type Act = 'stop' | 'resume' | 'cancel' | 'retry' | 'approve' | 'revert'

const WORDS: Readonly<Record<Act, readonly [string, Icon]>> = {
  approve: ['Approve', IconChecks],
  resume: ['Resume', IconPlayerPlay],
  stop: ['Stop', IconPlayerStop],
  retry: ['Run again', IconRefresh],
  revert: ['Undo', IconArrowBackUp],
  cancel: ['Cancel the job', IconBan],
}

/** What the state of a job allows, the primary action first (model/job.ts: TRANSITIONS). */
export function actsOf(job: Job, summary: ChangeSummary | undefined): readonly Act[] {
  const acts: Act[] = []
  if (isApprovable(job, summary)) acts.push('approve')
  if (job.status === 'stopped' || job.status === 'failed') acts.push('resume')
  if (isActive(job) && job.status !== 'stopping') acts.push('stop')
  if (!isActive(job) && job.approves === null) acts.push('retry')
  if (isRevertible(job)) acts.push('revert')
  const isOver = job.status === 'succeeded' || job.status === 'cancelled'
  if (!isOver && job.stopping_for !== 'cancel') acts.push('cancel')
  return acts
}

export function isApprovable(job: Job, summary: ChangeSummary | undefined): boolean {
  if (summary?.state !== 'ready' || (plannedOf(summary) === 0 && summary.ddl.length === 0)) return false
  if (job.status === 'awaiting_approval') return true
  const isPlan = job.kind === 'sync' && job.dry_run && job.status === 'succeeded'
  return isPlan && summary.taken_by === null
}

/** Changes that an approval would apply. */
export function plannedOf(summary: ChangeSummary): number {
  return summary.tables.reduce((sum, { marks }) => sum + marks.planned + marks.again, 0)
}

/** What an approval is of, in numbers: rows, or the tables alone where no row is changed. */
function approvedWords(summary: ChangeSummary | undefined): string {
  const changes = summary === undefined ? 0 : plannedOf(summary)
  const statements = summary?.ddl.length ?? 0
  return changes === 0 && statements > 0 ? plural(statements, 'statement') : plural(changes, 'change')
}

/** Only what was kept row by row can be undone. */
function isRevertible(job: Job): boolean {
  const writes = (job.kind === 'sync' || job.kind === 'revert') && !job.dry_run
  const keeps = job.kind === 'revert' || job.audit_level === 'detailed'
  return writes && keeps && !isActive(job) && (writtenOf(job) ?? 0) > 0
}

interface JobActionsProps {
  readonly job: Job
  readonly summary: ChangeSummary | undefined
}

/** What can be done with a job, and the same by other means. */
export function JobActions({ job, summary }: JobActionsProps) {
  const may = useMay('operator')
  const [asked, setAsked] = useState<Act | null>(null)
  const client = useQueryClient()
  const { id } = job
  const simply = useMutation({
    mutationFn: (act: 'stop' | 'resume') =>
      body(api.POST(`/api/v1/jobs/{id}/${act}`, { params: { path: { id } }, body: {} })),
    onSuccess: (now) => {
      client.setQueryData(jobQuery(id).queryKey, now)
      return client.invalidateQueries({ queryKey: ['jobs'] })
    },
  })
  const acts = actsOf(job, summary)
  if (!may || acts.length === 0) return null
  const press = (act: Act): void => (act === 'stop' || act === 'resume' ? simply.mutate(act) : setAsked(act))
  return (
    <>
      <CopyAs of={acts.map((act) => [WORDS[act][0], meansOf(job, act, summary?.digest ?? null)({})])} />
      {acts.toReversed().map((act) => {
        const [word, Shape] = WORDS[act]
        const isPrimary = act === acts[0] && (act === 'approve' || act === 'resume' || act === 'stop')
        const count = act === 'approve' && summary !== undefined ? ` ${approvedWords(summary)}` : ''
        return (
          <Button
            key={act}
            variant={isPrimary ? 'filled' : 'default'}
            leftSection={<Shape size={14} aria-hidden />}
            loading={simply.isPending && simply.variables === act}
            onClick={() => press(act)}
          >
            {word}
            {count}
          </Button>
        )
      })}
      {asked !== null && <Ask act={asked} job={job} summary={summary} onClose={() => setAsked(null)} />}
    </>
  )
}

/** The same act by the command line and by curl. */
function meansOf({ id }: Job, act: Act, digest: string | null): (consent: Consent) => OtherMeans {
  const words = act === 'approve' || act === 'revert' ? [act, id] : ['jobs', act, id]
  const seen = act === 'approve' && digest !== null ? { digest } : {}
  return (consent) => ({
    cli: cliOf(...words, ...(seen.digest === undefined ? [] : ['--digest', seen.digest]), ...flagsOf(act, consent)),
    curl: curlOf('POST', `/api/v1/jobs/${id}/${act}`, { ...seen, ...consent }),
  })
}

/** Commands that take no such flag ask by themselves. */
function flagsOf(act: Act, consent: Consent): readonly string[] {
  if (act === 'approve') return consentFlags(consent)
  const { approve_deletes: _deletes, approve_overwrites: _overwrites, ...rest } = consent
  return act === 'revert' ? consentFlags(rest) : []
}

interface AskProps extends JobActionsProps {
  readonly act: Act
  readonly onClose: () => void
}

/** Asks for what cannot simply be done, and does it. */
function Ask({ act, job, summary, onClose }: AskProps) {
  const target = useAnyDatasource(job.target_datasource_id)
  const source = useAnyDatasource(job.source_datasource_id)
  const client = useQueryClient()
  const navigate = useNavigate()
  const { id } = job
  const params = { path: { id } }
  const goTo = async (started: { readonly job_id: string }): Promise<void> => {
    await client.invalidateQueries({ queryKey: ['jobs'] })
    if (started.job_id !== id) await navigate({ to: '/jobs/$id', params: { id: started.job_id }, search: {} })
  }
  if (act === 'cancel') return <AskCancel job={job} onClose={onClose} means={meansOf(job, act, null)({})} />
  if (act === 'retry') return <RetryDialog job={job} onClose={onClose} goTo={goTo} />
  if (target === undefined) return <UnreadDatasource id={job.target_datasource_id} onClose={onClose} />
  const digest = summary?.digest ?? null
  const common = { target, onClose, means: meansOf(job, act, digest) }
  const writtenSource = job.direction === 'two_way' && act !== 'revert' ? source : undefined
  switch (act) {
    case 'approve':
      return (
        <ConsentDialog
          {...common}
          title={`Approve ${approvedWords(summary)}`}
          verb={`Apply ${approvedWords(summary)}`}
          writtenSource={writtenSource}
          brakes={summary === undefined ? {} : brakesOfSummary(summary)}
          act={async (consent) =>
            goTo(
              await body(
                api.POST('/api/v1/jobs/{id}/approve', {
                  params,
                  body: { ...(digest === null ? {} : { digest }), ...consent },
                }),
              ),
            )
          }
        >
          <ApproveText summary={summary} />
        </ConsentDialog>
      )
    case 'revert':
      return (
        <ConsentDialog
          {...common}
          title="Undo what this job wrote"
          verb="Compute the undo"
          act={async (consent) => goTo(await body(api.POST('/api/v1/jobs/{id}/revert', { params, body: consent })))}
        >
          <Words>
            A new job finds the changes that undo {plural(writtenOf(job) ?? 0, 'row')}, and waits: nothing is written
            until you have seen and approved them. A row that somebody has edited since stays as it is.
          </Words>
        </ConsentDialog>
      )
    default:
      return null
  }
}

interface AskCancelProps {
  readonly job: Job
  readonly onClose: () => void
  readonly means: OtherMeans
}

function AskCancel({ job, onClose, means }: AskCancelProps) {
  const client = useQueryClient()
  const written = writtenOf(job)
  const params = { path: { id: job.id } }
  return (
    <ConsentDialog
      isQuiet
      title="Cancel the job"
      verb="Cancel the job"
      target={null}
      means={() => means}
      onClose={onClose}
      act={async () => {
        client.setQueryData(
          jobQuery(job.id).queryKey,
          await body(api.POST('/api/v1/jobs/{id}/cancel', { params, body: {} })),
        )
        await client.invalidateQueries({ queryKey: ['jobs'] })
      }}
    >
      <Words>
        It ends for good and cannot be resumed.{' '}
        {isWhole(job)
          ? 'What it had begun is taken back.'
          : written === null || written === 0
            ? 'Batches that are committed by then stay in the target.'
            : `The ${plural(written, 'row')} written until now stay in the target.`}
      </Words>
    </ConsentDialog>
  )
}

function Words({ children }: { readonly children: ReactNode }) {
  return <Text size="sm">{children}</Text>
}

function ApproveText({ summary }: { readonly summary: ChangeSummary | undefined }) {
  if (summary === undefined) return null
  const left = summary.tables.reduce((sum, { marks }) => sum + marks.left, 0)
  const touched = summary.tables.filter(({ marks }) => marks.planned + marks.again > 0)
  const { ddl } = summary
  return (
    <Words>
      {ddl.length > 0 &&
        `${plural(ddl.length, 'statement')} ${ddl.length === 1 ? 'makes or alters' : 'make or alter'} tables first, to the letter as you saw. `}
      {touched.length + left > 0 && (
        <>
          Exactly the changes that you saw are applied, in {plural(touched.length, 'table')}
          {left > 0 && `; ${formatCount(left)} are left out`}. A row that has moved meanwhile is left as it is, and
          somebody decides.
        </>
      )}
    </Words>
  )
}

/** The number that the brake of a change set wants. */
function brakesOfSummary({ stop, tables }: ChangeSummary): Brakes {
  if (stop === null) return {}
  const sum = (what: 'deletes' | 'updates'): number => tables.reduce((total, table) => total + table[what], 0)
  if (stop.code === 'delete_brake') return { deletes: sum('deletes') }
  return stop.code === 'overwrite_brake' ? { overwrites: sum('updates') } : {}
}
