import { createHash } from 'node:crypto'
import { getDatasource } from '#control/datasources.ts'
import { insertJob, type Job, type NewJob } from '#control/jobs.ts'
import type { Store } from '#control/store.ts'
import { getConfig } from '#control/sync-configs.ts'
import { maySee, type Actor } from '#model/access.ts'
import { policiesOf, type ConfigPolicies } from '#model/config-document.ts'
import type { Datasource } from '#model/datasource.ts'
import { refuseWrite, type WriteConsent, type WriteRules } from '#model/write-protection.ts'
import { AppError } from '#model/errors.ts'
import type { JobKind } from '#model/job.ts'
import type { JobRequest } from '#model/job-request.ts'

/**
 * What somebody wants to be done: a sync config by id or name, two datasources and policies of their own, or what belongs to
 * a job that there has been: between the very databases that it was between, whatever its config says by now.
 */
export interface JobWish extends Omit<JobRequest, 'policies' | 'targetNamed'> {
  readonly kind: JobKind
  readonly what:
    | { readonly config: string }
    | { readonly source: string; readonly target: string; readonly policies: ConfigPolicies }
    | { readonly after: Job; readonly policies: ConfigPolicies }
}

/** Of a wish that no person is behind: nobody has agreed to anything. */
export const BY_ITSELF = {
  mode: 'full',
  dryRun: false,
  tables: null,
  allowProtectedWrite: false,
  approvedDeletes: null,
  approvedOverwrites: null,
} as const

export interface StartTools {
  readonly store: Store
  readonly rules: WriteRules
  readonly newJobId: () => string
  /** What belongs into the transaction that makes the job. */
  readonly also?: Parameters<typeof insertJob>[3]
}

/**
 * The one door through which work begins, whoever asks for it: a button, the API, the command line, a schedule. What may
 * not be written is refused here, before anything is queued, and once more where the target is opened.
 * @throws AppError `not_found`, `forbidden`, `target_not_writable`, `target_protected`, `already_running`
 */
export async function startJob(
  { store, rules, newJobId, also }: StartTools,
  wish: JobWish,
  actor: Actor,
): Promise<Job> {
  const { kind, what, ...options } = wish
  const plan = await resolve(store, what)
  for (const { id } of [plan.source, plan.target]) {
    // What a key may not see is not there for it (S9).
    if (!maySee(actor, id)) throw new AppError('not_found', `There is no datasource ${id}.`)
  }
  // What a dump or a copy is restored into is marked writable, whoever names it.
  const targetNamed = plan.targetNamed && !RESTORING.includes(kind)
  const request: JobRequest = { ...options, policies: plan.policies, targetNamed }
  refuseUnwritable({ kind, request, source: plan.source, target: plan.target }, rules)
  const id = newJobId()
  const job: NewJob = {
    id,
    kind,
    configId: plan.configId,
    configVersion: plan.configVersion,
    sourceDatasourceId: plan.source.id,
    targetDatasourceId: plan.target.id,
    lane: laneOf(kind, plan, request),
    request,
    requestedBy: actor.id,
  }
  const data = { kind, config: plan.configId, source: plan.source.id, target: plan.target.id, ...fitToLog(options) }
  return insertJob(store, job, { actor, entry: { action: 'job.start', subject: id, data } }, also)
}

/** Refuses a job that would write what may not be written. @throws AppError `target_not_writable`, `target_protected` */
export function refuseUnwritable(
  {
    kind,
    request,
    source,
    target,
  }: Pick<Job, 'kind' | 'request'> & {
    readonly source: Datasource
    readonly target: Datasource
  },
  rules: WriteRules,
): void {
  if (writesTarget({ kind, request })) refuseWrite(target, request, rules)
  if (writesSource({ kind, request })) refuseSourceWrite(source, request, rules)
}

/** @throws AppError as `refuseWrite`, in words of the source */
function refuseSourceWrite(source: Datasource, request: JobRequest, rules: WriteRules): void {
  try {
    refuseWrite(source, sourceConsent(request), rules)
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    const { code, message } = error
    const hint =
      code === 'target_protected'
        ? 'Ask for the run with allow_protected_source_write, or say what the datasource is with its environment.'
        : 'Mark the datasource as writable, if changes of the target are meant to reach it; or sync one way.'
    throw new AppError(code, `Two ways, the source is written too. ${message}`, { hint, cause: error })
  }
}

/** Jobs that bring definitions along: they replace whole tables, or make a database of their own. */
export const RESTORING: readonly JobKind[] = ['import', 'copy', 'drill']

/** Whether a job writes to its target, or to the server of it. */
export function writesTarget({
  kind,
  request,
}: Pick<Job, 'kind'> & { readonly request: Pick<JobRequest, 'dryRun'> }): boolean {
  return kind === 'revert' || ((kind === 'sync' || RESTORING.includes(kind)) && !request.dryRun)
}

/** Whether a job writes to both of its ends. */
export function writesSource({ kind, request }: Pick<Job, 'kind' | 'request'>): boolean {
  // Rows that were set aside are tried again in the target.
  return kind === 'sync' && !request.dryRun && !request.replay && request.policies.direction === 'two_way'
}

/**
 * Whoever named two databases said which of them is the target: the other is written only where it is marked for that, and
 * where it is protected only if that was said of it.
 */
export function sourceConsent({
  allowProtectedSourceWrite = false,
}: Pick<JobRequest, 'allowProtectedSourceWrite'>): WriteConsent {
  return { targetNamed: false, allowProtectedWrite: allowProtectedSourceWrite }
}

/** Keys of rows are for the job alone (invariant 7). */
function fitToLog({ revert, ...options }: Omit<JobWish, 'kind' | 'what'>): Readonly<Record<string, unknown>> {
  if (revert === undefined) return options
  return { ...options, revert: { ...revert, keys: revert.keys?.length ?? null } }
}

interface Resolved {
  readonly configId: string | null
  readonly configVersion: number | null
  readonly source: Datasource
  readonly target: Datasource
  readonly policies: ConfigPolicies
  /** See `JobRequest`. */
  readonly targetNamed: boolean
}

async function resolve(store: Store, what: JobWish['what']): Promise<Resolved> {
  if ('source' in what) {
    const [source, target] = await Promise.all([getDatasource(store, what.source), getDatasource(store, what.target)])
    return { configId: null, configVersion: null, source, target, policies: what.policies, targetNamed: true }
  }
  if ('after' in what) {
    const { configId, configVersion, sourceDatasourceId: from, targetDatasourceId: to, request } = what.after
    const [source, target] = await Promise.all([getDatasource(store, from), getDatasource(store, to)])
    const { targetNamed } = request
    return { configId, configVersion, source, target, policies: what.policies, targetNamed }
  }
  const { id, version, document } = await getConfig(store, what.config)
  const { source_datasource_id: from, target_datasource_id: to } = document
  const [source, target] = await Promise.all([getDatasource(store, from), getDatasource(store, to)])
  const policies = policiesOf(document)
  return { configId: id, configVersion: version, source, target, policies, targetNamed: false }
}

/** Jobs that could get into one another's way share a lane. */
function laneOf(ofKind: JobKind, { configId, source, target, policies }: Resolved, request: JobRequest): string {
  // What undoes a sync writes where the sync writes.
  const kind = ofKind === 'revert' ? 'sync' : ofKind
  if (configId !== null) return `${kind} ${configId}`
  // Two that restore into one database would wait for each other's tables.
  if (kind === 'import' || kind === 'copy') return `import ${target.id}`
  if (kind === 'drill') return `${kind} ${target.id} ${request.drill?.dump ?? ''}`
  const tables = createHash('sha256')
    // Of one database several dumps may be made at once, but not the same one twice.
    .update(JSON.stringify(request.export ?? [policies.tables, policies.exclude_tables]))
    .digest('hex')
  return `${kind} ${source.id} ${target.id} ${tables}`
}
