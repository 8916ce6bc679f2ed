import type { FastifyReply, FastifyRequest } from 'fastify'
import type { z } from 'zod'
import { principalOf, type Api, type Context } from '#api/context.ts'
import { ApproveInput, RevertInput } from '#api/contract/changes.ts'
import { idPath } from '#api/contract/ids.ts'
import { StartedJob } from '#api/contract/jobs.ts'
import { onceHeaders } from '#api/contract/once.ts'
import { answerOnce } from '#api/once.ts'
import { presentStarted } from '#api/present.ts'
import { requireConsent, start } from '#api/start.ts'
import { visibleDatasource, visibleJob } from '#api/visible.ts'
import { checkChangeSet } from '#control/change-sets.ts'
import { findChangeSet, type StoredChangeSet } from '#control/change-set-tools.ts'
import { getJob, type Job } from '#control/jobs.ts'
import {
  approveJob,
  changeSetOf,
  goOn,
  openQuestions,
  refuseBraked,
  takeApproved,
  type Approval,
} from '#jobs/review-job.ts'
import { refuseRevert } from '#jobs/revert-job.ts'
import { isEmpty } from '#model/change-set.ts'
import { AppError } from '#model/errors.ts'
import { isActive } from '#model/job.ts'
import { refuseWrite } from '#model/write-protection.ts'

const tags = ['changes']
const params = idPath('job')

type Exchange = { readonly request: FastifyRequest; readonly reply: FastifyReply }
type Approve = z.infer<typeof ApproveInput>

/** Letting changes be applied, and undoing them. */
export function approvalRoutes(api: Api, context: Context): void {
  api.route({
    method: 'POST',
    url: '/jobs/:id/approve',
    config: { access: 'operator' },
    schema: {
      tags,
      summary: 'Approve the changes of a job: exactly these are applied, by itself, or for a dry run by a new job',
      description:
        'A job that waits goes on: one that is awaiting_approval, and one that is awaiting_resolution once nothing is open. For a dry run a job is started that applies its changes. Rows that moved meanwhile are left, and decided on anew.',
      params,
      headers: onceHeaders,
      body: ApproveInput,
      response: { 202: StartedJob },
    },
    handler: async (request, reply) => approve(context, { request, reply }, request.params.id, request.body),
  })
  api.route({
    method: 'POST',
    url: '/jobs/:id/revert',
    config: { access: 'operator' },
    schema: {
      tags,
      summary: 'Undo what a job wrote: a new job computes the changes that do so, and waits for their approval',
      params,
      headers: onceHeaders,
      body: RevertInput,
      response: { 202: StartedJob },
    },
    handler: async (request, reply) => {
      const { tables, keys, ...consent } = request.body
      const job = await visibleJob(context.store, principalOf(request).actor, request.params.id)
      refuseRevert(job)
      const target = await visibleDatasource(context.store, principalOf(request).actor, job.targetDatasourceId)
      const policies = { ...job.request.policies, audit_level: 'detailed' as const }
      const revert = { jobId: job.id, tables: tables ?? null, keys: keys ?? null }
      const what = { after: job, policies }
      return start(
        context,
        { request, reply },
        { what, kind: 'revert', mode: 'incremental', target, instead: { revert } },
        consent,
      )
    },
  })
}

/** @throws AppError `nothing_to_approve`, those of an approval, and for a dry run those of starting a job */
async function approve(context: Context, exchange: Exchange, id: string, fields: Approve) {
  const { store, changeSets } = context
  const { actor } = principalOf(exchange.request)
  const job = await visibleJob(store, actor, id)
  if (job.kind === 'sync' && job.request.dryRun) return approvePlan(context, exchange, job, fields)
  const answer = (approved: Job) => {
    const body = presentStarted(approved)
    return { status: 202 as const, body, headers: { location: body.status_url } }
  }
  const { status, headers, body } = await answerOnce(
    context,
    { ...exchange, kind: 'job' },
    async () => answer(await approveWaiting(context, exchange, await getJob(store, id), fields)),
    async () => {
      const [now, stored] = await Promise.all([getJob(store, id), findChangeSet(changeSets, changeSetOf(job))])
      return now.status !== 'awaiting_approval' && stored?.approval ? answer(now) : null
    },
  )
  void exchange.reply.code(status).headers(headers)
  return body
}

async function approveWaiting(context: Context, { request }: Exchange, job: Job, fields: Approve): Promise<Job> {
  const { store, changeSets, rules } = context
  const principal = principalOf(request)
  const { actor } = principal
  if (job.status === 'awaiting_resolution') {
    const open = await openQuestions(changeSets, job)
    if (open === 0) return goOn(changeSets, job.id, actor)
    throw new AppError(
      'nothing_to_approve',
      `The job ${job.id} waits for ${open} decisions, and not for an approval.`,
      {
        hint: `Decide on the changes whose rows moved: POST /api/v1/jobs/${job.id}/changes/decide; and on conflicts: POST /api/v1/sync/conflicts/${job.id}/resolve-all. Then it goes on by itself.`,
      },
    )
  }
  if (job.status !== 'awaiting_approval') throw nothingToApprove(job)
  const target = await visibleDatasource(store, actor, job.targetDatasourceId)
  requireConsent(context, principal, { kind: job.kind, target, fields })
  const { allowProtectedWrite, targetNamed } = job.request
  const allowing = fields.allow_protected_write === true && !allowProtectedWrite
  refuseWrite(target, { targetNamed, allowProtectedWrite: allowProtectedWrite || allowing }, rules)
  try {
    return await approveJob(changeSets, job.id, approvalOf(principal.actor, fields, allowing))
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'change_set_lost') throw error
    await goOn(changeSets, job.id, actor)
    throw new AppError(error.code, error.message, {
      hint: 'They are being computed again. Look at them, and approve them, once the job waits again.',
      cause: error,
    })
  }
}

function approvalOf(actor: Approval['actor'], fields: Approve, allowProtectedWrite: boolean): Approval {
  return {
    actor,
    digest: fields.digest ?? null,
    deletes: fields.approve_deletes ?? null,
    overwrites: fields.approve_overwrites ?? null,
    allowProtectedWrite,
  }
}

function nothingToApprove({ id, status }: Job): AppError {
  return new AppError('nothing_to_approve', `The job ${id} is ${status}: it does not wait for an approval.`)
}

/** A new job takes the changes of a dry run, approved, in the transaction that makes it. */
async function approvePlan(context: Context, exchange: Exchange, planned: Job, fields: Approve) {
  const { changeSets } = context
  const { actor } = principalOf(exchange.request)
  const { digest: _, ...consent } = fields
  const approval = approvalOf(actor, fields, false)
  const target = await visibleDatasource(context.store, actor, planned.targetDatasourceId)
  return start(
    context,
    exchange,
    {
      what: { after: planned, policies: planned.request.policies },
      kind: 'sync',
      mode: planned.request.mode,
      target,
      instead: { changeSet: planned.id },
      before: async () => {
        const stored = await findChangeSet(changeSets, planned.id)
        refuseEmpty(planned, stored)
        await checkChangeSet(changeSets, planned.id)
        refuseBraked(stored, approval)
      },
      also: (by) => (tx) => takeApproved(changeSets, tx, { planned, by, approval }),
    },
    consent,
  )
}

function refuseEmpty(planned: Job, stored: StoredChangeSet | null): asserts stored is StoredChangeSet {
  if (planned.status !== 'succeeded') {
    const hint = isActive(planned.status)
      ? 'Wait until the dry run has ended.'
      : 'Start another dry run, and approve that.'
    throw new AppError('nothing_to_approve', `The dry run ${planned.id} is ${planned.status}.`, { hint })
  }
  if (stored === null)
    throw new AppError('nothing_to_approve', `The changes of the dry run ${planned.id} were not kept.`)
  if (stored.takenBy !== null) {
    throw new AppError(
      'nothing_to_approve',
      `The changes of the dry run ${planned.id} were approved before: the job ${stored.takenBy} applies them.`,
      { hint: `See the job ${stored.takenBy}; to go on from there, start another dry run.` },
    )
  }
  const { summary } = stored
  if (summary !== null && isEmpty(summary)) {
    throw new AppError('nothing_to_approve', `The dry run ${planned.id} found nothing to change.`, {
      hint: 'Both sides are in step: nothing has to be done.',
    })
  }
}
