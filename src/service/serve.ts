/** The service: API and supervisor in one process, jobs in processes of their own. */
import { registerEnvironmentDatasources } from '#jobs/environment-datasources.ts'
import { createApp } from '#api/app.ts'
import { ensureApiKey } from '#control/api-keys.ts'
import { cutAudit } from '#control/audit.ts'
import { purgeAnswers } from '#control/idempotency.ts'
import { purgeJobs } from '#control/jobs.ts'
import { purgeConflicts } from '#control/conflicts.ts'
import { purgeRejections } from '#control/rejection-list.ts'
import { purgeHistory } from '#control/retention.ts'
import { purgeTicks } from '#control/schedules.ts'
import { purgeSessions } from '#control/sessions.ts'
import { createSignInLink } from '#control/sign-in-links.ts'
import { createSetupToken } from '#control/setup-tokens.ts'
import { sweepChangeSets } from '#control/sweep-change-sets.ts'
import { expireDumps, sweepDumps } from '#jobs/dumps.ts'
import { expireWaiting, goOnWithDecisions, noticeLost } from '#jobs/review-job.ts'
import { toError } from '#lib/assert.ts'
import { addMs, delay, systemClock } from '#lib/clock.ts'
import { SYSTEM } from '#model/access.ts'
import { isLoopback } from '#lib/network-address.ts'
import { AppError } from '#model/errors.ts'
import { Announcer } from './announcer.ts'
import { apiTools, newId } from './api-tools.ts'
import { openBase, type Base } from './base.ts'
import type { Config } from './config.ts'
import { DemoHolder } from './demo-data.ts'
import { createDriller } from './drills.ts'
import { createSupervisor } from './jobs.ts'
import { createLogger, type Logger } from './logging.ts'
import { readRetention } from './retention.ts'
import { createScheduler } from './schedules.ts'
import { ServeLock } from './serve-lock.ts'
import { dumpTools } from './dumps.ts'
import { changeSetTools } from './staging.ts'
import { createWebhookAsker } from './webhooks.ts'

/** What somebody needs who wants to use a service that has started. */
export interface Serving {
  /** Where it listens: `http://127.0.0.1:8001`. */
  readonly url: string
  /** By which the first key is made; null where there is one already. */
  readonly setupToken: string | null
  /** A link that signs a browser in, once and within an hour, with the rights of a key. */
  readonly linkFor: (keyId: string) => Promise<string>
}

const DAY_MS = 86_400_000
const HOUSEKEEPING_MS = 3_600_000
const WATCH_MS = 20_000

/**
 * Serves until the signal is aborted; then no new work is taken on, jobs stop in order and go on at the next start.
 * @throws AppError `already_serving`, `address_in_use`, `exposed_without_tls`, `weak_secret_key` and those of the store
 */
export async function serve(onReady: (serving: Serving) => void, signal: AbortSignal): Promise<void> {
  await using base = await openBase({ migrate: true })
  const { config, store } = base
  refuseExposure(config)
  refuseInspection()
  using _lock = new ServeLock(config.dataDirectory)
  const logger = createLogger(config)
  await registerEnvironmentDatasources(store, config.datasources, () => newId('datasource'))
  if (config.apiKey !== null) await ensureApiKey(store, config.apiKey, newId('api key'))
  const token = await createSetupToken(store)
  await using demo = new DemoHolder(base)
  await demo.tidy().catch((error: unknown) => logger.warn({ err: error }, 'removing what a demo left failed'))
  const live = new Announcer()
  const supervisor = createSupervisor(base, {
    onEvent: (event) => logger.info({ ...event }, 'supervisor'),
    onProgress: (jobId) => live.announce(jobId),
  })
  const startedAt = systemClock.now()
  const readStatus = (): { startedAt: string; ready: boolean; workers: number } => ({
    startedAt,
    ready: !signal.aborted,
    workers: supervisor.running.length,
  })
  const app = createApp(withWake(apiTools(base, { logger, live, demo, readStatus }), () => supervisor.wake()))
  const url = await listen(app, config)
  const stop = new AbortController()
  const working = supervisor.run(stop.signal)
  const asking = createWebhookAsker(base, {
    onEvent: (event) => logger.info(event, 'webhooks'),
    onJob: () => supervisor.wake(),
  }).run(stop.signal)
  const scheduling = createScheduler(base, {
    onEvent: (event) => logger.info(event, 'schedules'),
    onJob: () => supervisor.wake(),
  }).run(stop.signal)
  const drilling = createDriller(base, {
    onEvent: (event) => logger.info(event, 'dumps'),
    onJob: () => supervisor.wake(),
  }).run(stop.signal)
  const tidying = Promise.all([keepTidy(base, logger, stop.signal), watchChangeSets(base, logger, stop.signal)])
  logger.info({ url, store: 'file' in config.store ? 'sqlite' : 'postgres' }, 'serving')
  onReady({
    url,
    setupToken: token?.token.reveal() ?? null,
    linkFor: async (keyId) => `${url}/sign-in#${(await createSignInLink(store, keyId)).reveal()}`,
  })
  await aborted(signal)
  logger.info('stopping')
  await app.close()
  stop.abort()
  await Promise.all([working, asking, scheduling, drilling, tidying])
  logger.info('stopped')
}

type App = ReturnType<typeof createApp>
type Tools = Parameters<typeof createApp>[0]

/** A job that was just put into the store need not wait for the next look. */
function withWake(tools: Tools, wake: () => void): Tools {
  return {
    ...tools,
    startJob: async (...args) => {
      const job = await tools.startJob(...args)
      wake()
      return job
    },
  }
}

async function listen(app: App, { host, port }: Config): Promise<string> {
  try {
    return await app.listen({ host, port })
  } catch (error) {
    await app.close()
    const { code } = toError(error) as NodeJS.ErrnoException
    if (code === 'EADDRINUSE') throw new AppError('address_in_use', `Something listens on ${host}:${port} already.`)
    throw new AppError('invalid_setting', `The service cannot listen on ${host}:${port}: ${toError(error).message}.`)
  }
}

/** Other machines reach the service only by way of something that adds TLS (S1). */
function refuseExposure({ host, behindProxy }: Config): void {
  if (isLoopback(host) || behindProxy) return
  throw new AppError('exposed_without_tls', `The service would listen on ${host}, where others can reach it.`)
}

/** A debugger's port opens every secret of the process to whoever reaches it (S57). */
function refuseInspection(): void {
  const flags = process.execArgv.filter((flag) => /^--(inspect|debug|eval|print)/.test(flag))
  if (flags.length === 0) return
  throw new AppError('invalid_setting', `The service does not run with ${flags.join(', ')}.`, {
    hint: 'Start it without the options of a debugger.',
  })
}

/** Notices within half a minute that changes which somebody is to approve were lost (promise P12). */
async function watchChangeSets(base: Base, logger: Logger, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      await using staging = changeSetTools(base)
      // A process may have ended between a decision and the waking of the job that waited for it.
      await goOnWithDecisions(staging, SYSTEM)
      const lost = await noticeLost(staging)
      if (lost > 0) logger.warn({ lost }, 'changes that were lost are computed again')
    } catch (error) {
      logger.warn({ err: error }, 'looking for lost changes failed')
    }
    await delay(WATCH_MS, signal).catch(() => undefined)
  }
}

/** Removes what is kept for a time only. */
async function keepTidy(base: Base, logger: Logger, signal: AbortSignal): Promise<void> {
  const { store, config } = base
  while (!signal.aborted) {
    try {
      // Another Redis may have been set up since the last time.
      await using staging = changeSetTools(base)
      const now = store.clock.now()
      const { days } = await readRetention(base)
      const jobs = await purgeJobs(store, addMs(now, -days.jobs * DAY_MS))
      await purgeTicks(store, addMs(now, -days.jobs * DAY_MS))
      await purgeRejections(store)
      await purgeConflicts(store)
      await expireWaiting(staging)
      const sets = await sweepChangeSets(staging, { maxAgeMs: config.changeSetRetentionDays * DAY_MS })
      const dumps = dumpTools(base)
      const abandoned = await sweepDumps(dumps)
      const expired = await expireDumps(dumps)
      await purgeAnswers(store)
      await purgeSessions(store)
      await purgeHistory(store, addMs(now, -days.history * DAY_MS))
      // By whole days, so that the log is not told of a cut every hour.
      await cutAudit(store, startOfDay(addMs(now, -days.audit * DAY_MS)))
      if (jobs > 0) logger.info({ jobs }, 'old jobs removed')
      if (sets > 0) logger.info({ sets }, 'change sets removed that nobody needs')
      if (abandoned > 0) logger.warn({ abandoned }, 'files of dumps removed that were never completed')
      if (expired > 0) logger.info({ expired }, 'old dumps removed')
    } catch (error) {
      logger.warn({ err: error }, 'tidying failed')
    }
    await delay(HOUSEKEEPING_MS, signal).catch(() => undefined)
  }
}

function startOfDay(at: string): string {
  return `${at.slice(0, 10)}T00:00:00.000Z`
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
