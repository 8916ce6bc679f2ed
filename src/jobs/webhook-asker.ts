import { getConflict, type OpenedConflict } from '#control/conflict-list.ts'
import { resolveConflict } from '#control/decide-conflicts.ts'
import type { Job } from '#control/jobs.ts'
import type { Store } from '#control/store.ts'
import { getConfig, type StoredConfig } from '#control/sync-configs.ts'
import {
  answeredConfigs,
  answeredTables,
  claimDelivery,
  endAnswered,
  endAttempt,
  giveUpDelivery,
  giveUpOverdue,
  keepAnswered,
  queueDeliveries,
  releaseAttempt,
  type AnsweredConfig,
  type AttemptEnd,
  type ClaimedDelivery,
} from '#control/webhook-deliveries.ts'
import { readWebhookSecrets } from '#control/webhook-secrets.ts'
import { backoffMs, type Backoff } from '#lib/backoff.ts'
import { addMs } from '#lib/clock.ts'
import type { Networks, Resolve } from '#lib/network-address.ts'
import type { SecretBox } from '#lib/secret-box.ts'
import type { Actor } from '#model/access.ts'
import { toWebhook } from '#model/config-document.ts'
import { AppError } from '#model/errors.ts'
import { askWebhook, type WebhookAnswer } from './ask-webhook.ts'
import { carryOutDecisions } from './carry-out.ts'
import { Turns } from './turns.ts'
import type { JobWish, StartTools } from './start-job.ts'

/** What happens to webhooks, for a log: nothing of rows, and nothing of what was answered. */
export type WebhookEvent =
  | { readonly type: 'webhook answered'; readonly id: string; readonly conflictId: string }
  | { readonly type: 'webhook failed'; readonly id: string; readonly conflictId: string; readonly reason: string }
  | { readonly type: 'webhook carried out'; readonly configId: string; readonly jobId: string }
  | { readonly type: 'store failed'; readonly reason: string }

export interface WebhookAskerOptions {
  readonly store: Store
  readonly box: SecretBox
  /** May be called beside the public addresses. */
  readonly networks: Networks
  /** The body of a question, as JSON. */
  readonly write: (conflict: OpenedConflict, about: QuestionFacts) => string
  /** As whom, and with what belongs into the transaction that makes the job. */
  readonly startJob: (wish: JobWish, actor: Actor, also: NonNullable<StartTools['also']>) => Promise<Job>
  /** Lets the job go on that waited for the last decision of a sync config. Null: none did. */
  readonly goOn: (configId: string, actor: Actor) => Promise<Job | null>
  readonly resolve?: Resolve
  readonly onEvent?: (event: WebhookEvent) => void
  readonly pollMs?: number
  readonly timeoutMs?: number
  readonly backoff?: Backoff
  /** How long decisions wait at the most for others, so that one run carries all of them out. */
  readonly gatherMs?: number
}

/** What a question says beside the conflict. */
export interface QuestionFacts {
  readonly id: string
  readonly askedAt: string
  readonly answerUntil: string
  readonly config: Pick<StoredConfig, 'id'> & { readonly name: string }
}

const POLL_MS = 2_000
const TIMEOUT_MS = 30_000
/** What may come between the claim of an attempt and its end, beside the answer itself. */
const SLACK_MS = 30_000
/** Some twenty attempts a day. */
const BACKOFF: Backoff = { firstMs: 5_000, ceilingMs: 2 * 3_600_000 }
const GATHER_MS = 30_000
/** Before a run is tried again that another one was in the way of. */
const BUSY_MS = 10_000

const AT_ONCE = 8
/** A webhook that hangs does not hold up the others. */
const AT_ONCE_OF_A_CONFIG = 3

/**
 * Asks the webhooks of sync configs about their conflicts, decides as they answer, and starts the runs that carry that out. All
 * state is in the store: any number of these may be at work on it, and one that dies is followed by another, which asks again
 * under the same id. A store that does not answer is asked again: it ends by its signal alone.
 */
export class WebhookAsker {
  readonly #options: WebhookAskerOptions
  /** Of each config, the attempts under way. */
  readonly #underWay = new Map<string, number>()
  readonly #attempts = new Set<Promise<void>>()
  /** Configs for which no run could be started, and until when (`performance.now`) none is tried. */
  readonly #busyUntil = new Map<string, number>()
  readonly #turns: Turns

  constructor(options: WebhookAskerOptions) {
    this.#options = options
    this.#turns = new Turns({
      pollMs: options.pollMs ?? POLL_MS,
      onStoreFailed: (reason) => this.#tell({ type: 'store failed', reason }),
    })
  }

  /** Runs until the signal is aborted; attempts that are under way are let go of then. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    await this.#turns.run(() => this.#turn(signal), signal)
    await Promise.all(this.#attempts)
  }

  async #turn(signal: AbortSignal): Promise<void> {
    const { store } = this.#options
    while ((await giveUpOverdue(store)) > 0 && !signal.aborted);
    while ((await queueDeliveries(store)) > 0 && !signal.aborted);
    while (this.#attempts.size < AT_ONCE && !signal.aborted) {
      const without = [...this.#underWay].flatMap(([id, count]) => (count >= AT_ONCE_OF_A_CONFIG ? [id] : []))
      const claimed = await claimDelivery(store, { leaseMs: this.#timeoutMs + SLACK_MS, without })
      if (claimed === null) break
      this.#begin(claimed, signal)
    }
    for (const answered of await answeredConfigs(store, { withinMs: this.#timeoutMs + SLACK_MS })) {
      await this.#carryOut(answered)
    }
  }

  get #timeoutMs(): number {
    return this.#options.timeoutMs ?? TIMEOUT_MS
  }

  #begin(claimed: ClaimedDelivery, signal: AbortSignal): void {
    const { configId } = claimed
    const count = (by: number): void => {
      const now = (this.#underWay.get(configId) ?? 0) + by
      if (now === 0) this.#underWay.delete(configId)
      else this.#underWay.set(configId, now)
    }
    count(1)
    // Where the store is away, the lease of the attempt runs out.
    const attempt = this.#turns
      .guarded(() => this.#ask(claimed, signal))
      .finally(() => {
        count(-1)
        this.#attempts.delete(attempt)
        this.#turns.wake()
      })
    this.#attempts.add(attempt)
  }

  async #ask(claimed: ClaimedDelivery, signal: AbortSignal): Promise<void> {
    const { store } = this.#options
    const conflict = await getConflict(this.#options, claimed.conflictId).catch(nullIfMissing)
    const config = await getConfig(store, claimed.configId).catch(nullIfMissing)
    // It was claimed as it was asked about, and may be another one since.
    if (config === null || conflict?.version !== claimed.version) return endAttempt(store, claimed, { status: 'ended' })
    const answer = await this.#answer(claimed, { conflict, config }, signal)
    if (answer === null) return releaseAttempt(store, claimed)
    if (answer.is === 'later') return endAttempt(store, claimed, { status: 'accepted' })
    if (answer.is === 'decision') return this.#decide(claimed, answer.choice, config)
    const { id, conflictId } = claimed
    this.#tell({ type: 'webhook failed', id, conflictId, reason: answer.reason })
    if (answer.is === 'gone') return giveUpDelivery(store, claimed, answer.reason)
    return endAttempt(store, claimed, this.#later(claimed, answer.reason))
  }

  #later({ attempts }: ClaimedDelivery, error: string): AttemptEnd {
    return { status: 'waiting', inMs: backoffMs(this.#options.backoff ?? BACKOFF, attempts, Math.random()), error }
  }

  /** Null where the signal was aborted. */
  async #answer(
    { id, configId, createdAt, deadlineAt }: ClaimedDelivery,
    { conflict, config }: { conflict: OpenedConflict; config: StoredConfig },
    signal: AbortSignal,
  ): Promise<WebhookAnswer | null> {
    const { networks, write, resolve } = this.#options
    const { url } = toWebhook(config.document)
    if (url === null) return { is: 'failure', reason: 'The sync config has no webhook_url any more.' }
    const about = { id: configId, name: config.document.name }
    const body = write(conflict, { id, askedAt: createdAt, answerUntil: deadlineAt, config: about })
    try {
      const secrets = await readWebhookSecrets(this.#options, configId)
      if (secrets.length === 0) return { is: 'failure', reason: NO_SECRET }
      const endpoint = {
        url,
        secrets,
        networks,
        timeoutMs: this.#timeoutMs,
        ...(resolve === undefined ? {} : { resolve }),
      }
      return await askWebhook(endpoint, { id, body }, conflict, signal)
    } catch (error) {
      if (signal.aborted) return null
      if (error instanceof AppError) return { is: 'failure', reason: error.message }
      throw error
    }
  }

  async #decide(
    claimed: ClaimedDelivery,
    choice: Extract<WebhookAnswer, { is: 'decision' }>['choice'],
    { document: { name } }: StoredConfig,
  ): Promise<void> {
    const { store } = this.#options
    const { id, conflictId, version } = claimed
    try {
      const act = { id: conflictId, version, actor: actorOf(name) }
      await resolveConflict(this.#options, act, choice, { also: (tx) => keepAnswered(store, tx, claimed) })
      this.#tell({ type: 'webhook answered', id, conflictId })
    } catch (error) {
      if (!(error instanceof AppError)) throw error
      // Somebody was quicker, or the rows are others by now: what was answered is about nothing that there is.
      if (error.code === 'version_conflict' || error.code === 'not_found') {
        return endAttempt(store, claimed, { status: 'ended' })
      }
      if (error.code !== 'wrong_state') throw error
      this.#tell({ type: 'webhook failed', id, conflictId, reason: error.message })
    }
  }

  /** One run for all that was decided, once nothing more is expected, or has been for long enough. */
  async #carryOut({ configId, since, expectsMore }: AnsweredConfig): Promise<void> {
    const { store, gatherMs = GATHER_MS } = this.#options
    if ((this.#busyUntil.get(configId) ?? 0) > performance.now()) return
    const until = await store.now(store.db)
    if (expectsMore && until < addMs(since, gatherMs)) return
    const config = await getConfig(store, configId).catch(nullIfMissing)
    const sources = config === null ? [] : await answeredTables(store, configId, until)
    if (config === null || sources.length === 0) return endAnswered(store.db, { configId, until, note: null })
    const going = await this.#options.goOn(configId, actorOf(config.document.name))
    if (going !== null) {
      await endAnswered(store.db, { configId, until, note: null })
      return this.#tell({ type: 'webhook carried out', configId, jobId: going.id })
    }
    const carried = await carryOutDecisions({ ...BY_ITSELF, what: { config: configId }, sources }, (wish) =>
      this.#options.startJob(wish, actorOf(config.document.name), (tx) =>
        endAnswered(tx, { configId, until, note: null }),
      ),
    )
    if (carried.job !== null) this.#tell({ type: 'webhook carried out', configId, jobId: carried.job.id })
    // The one that is under way may have read the decisions before these came.
    else if (carried.activeJobId !== null) this.#busyUntil.set(configId, performance.now() + BUSY_MS)
    else await endAnswered(store.db, { configId, until, note: carried.note })
  }

  #tell(event: WebhookEvent): void {
    this.#options.onEvent?.(event)
  }
}

const NO_SECRET =
  'The sync config has no secret to sign with: make one with syncline configs webhook-secret, and give it to the receiver.'

/** Consent that only people give. */
const BY_ITSELF = {
  conflictScope: null,
  allowProtectedWrite: false,
  allowProtectedSourceWrite: false,
  approvedDeletes: null,
  approvedOverwrites: null,
} as const

/** A program that was asked by a sync config, as decisions and the audit log name it. */
function actorOf(config: string): Actor {
  return { id: 'webhook', name: `webhook of ${config}`, role: 'operator', datasources: null, address: null }
}

function nullIfMissing(error: unknown): null {
  if (error instanceof AppError && error.code === 'not_found') return null
  throw error
}
