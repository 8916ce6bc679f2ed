import type { FastifyReply, FastifyRequest } from 'fastify'
import { principalOf, type Context } from '#api/context.ts'
import type { RunFields } from '#api/contract/jobs.ts'
import { answerOnce } from '#api/once.ts'
import { presentStarted } from '#api/present.ts'
import { requireConfirmation } from '#api/security/confirm.ts'
import type { Principal } from '#api/security/principal.ts'
import { nullIfMissing } from '#api/visible.ts'
import { getJob, type Job } from '#control/jobs.ts'
import { getConfig } from '#control/sync-configs.ts'
import { writesTarget, type JobWish, type StartTools } from '#jobs/start-job.ts'
import type { JobRequest } from '#model/job-request.ts'
import type { Datasource } from '#model/datasource.ts'
import { effectiveEnvironment } from '#model/write-protection.ts'

/** What is to run, and what it would write to. */
export interface Intended {
  readonly what: JobWish['what']
  readonly kind: JobWish['kind']
  readonly mode: JobWish['mode']
  readonly target: Datasource
  /** What it is to do in place of looking for changes. */
  readonly instead?: Pick<
    JobRequest,
    'replay' | 'changeSet' | 'revert' | 'conflictScope' | 'export' | 'import' | 'copy' | 'drill'
  >
  /** Refuses what cannot be begun, unless a repeated request began it already. */
  readonly before?: () => Promise<void>
  /** What belongs into the transaction that makes the job, by the id of that. */
  readonly also?: (jobId: string) => NonNullable<StartTools['also']>
}

/** Starts a job once for each `Idempotency-Key`, with the consent that it needs. */
export async function start(
  context: Context,
  { request, reply }: { request: FastifyRequest; reply: FastifyReply },
  { what, kind, mode, target, instead = {}, before, also }: Intended,
  fields: RunFields,
) {
  const principal = principalOf(request)
  requireConsent(context, principal, { kind, target, fields })
  const wish: JobWish = {
    kind,
    what,
    mode,
    dryRun: fields.dry_run ?? false,
    tables: fields.tables ?? null,
    allowProtectedWrite: fields.allow_protected_write ?? false,
    allowProtectedSourceWrite: fields.allow_protected_source_write ?? false,
    approvedDeletes: fields.approve_deletes ?? null,
    approvedOverwrites: fields.approve_overwrites ?? null,
    ...instead,
  }
  const answer = (job: Job) => {
    const body = presentStarted(job)
    return { status: 202 as const, body, headers: { location: body.status_url } }
  }
  const { status, headers, body } = await answerOnce(
    context,
    { request, reply, kind: 'job' },
    async (id) => {
      await before?.()
      return answer(await context.startJob(wish, principal.actor, id, also?.(id)))
    },
    (id) => getJob(context.store, id).then(answer, nullIfMissing),
  )
  void reply.code(status).headers(headers)
  return body
}

/**
 * A write to what is protected, and more deletes or overwrites than a brake lets pass, need the typed name of the
 * target and a key that was entered a short while ago.
 */
export function requireConsent(
  context: Context,
  principal: Principal,
  { kind, target, fields }: { kind: JobWish['kind']; target: Datasource; fields: RunFields },
): void {
  if (!writesTarget({ kind, request: { dryRun: fields.dry_run ?? false } })) return
  const isProtected = context.rules.protectedEnvironments.includes(effectiveEnvironment(target))
  const approves = (fields.approve_deletes ?? fields.approve_overwrites ?? null) !== null
  const allows = (isProtected && fields.allow_protected_write === true) || fields.allow_protected_source_write === true
  if (!approves && !allows) return
  const name = target.origin === 'ad_hoc' ? target.connection.database : target.name
  requireConfirmation(context, principal, { name, confirm: fields.confirm })
}

/**
 * What a job was asked for, with its config as it is now, or as it was for the job.
 * @throws AppError `not_found` where its config is gone and is to be as it is now
 */
export async function intendedAgain({ store }: Context, job: Job, which: 'current' | 'original' = 'current') {
  // What was written where, its config does not say any more.
  if (job.kind === 'revert' || (which === 'original' && job.configId !== null)) {
    return { what: { after: job, policies: job.request.policies }, targetId: job.targetDatasourceId }
  }
  if (job.configId === null) {
    const { sourceDatasourceId: source, targetDatasourceId: target, request } = job
    return { what: { source, target, policies: request.policies }, targetId: target }
  }
  const config = await getConfig(store, job.configId)
  return { what: { config: config.id }, targetId: config.document.target_datasource_id }
}
