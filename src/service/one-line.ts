/** Commands that need no set-up: two URLs, opened, wired to the engine and closed again. */
import { randomBytes } from 'node:crypto'
import type { Adapter, ServerInfo } from '#adapters/adapter.ts'
import { locateDatabase, openDatabase } from '#adapters/registry.ts'
import { EmbeddedStaging } from '#control/embedded-staging.ts'
import { systemClock } from '#lib/clock.ts'
import { armFailpoint } from '#lib/failpoint.ts'
import { environmentOf, ENVIRONMENTS, isProtected, type Environment } from '#model/environment.ts'
import { AppError } from '#model/errors.ts'
import type { Receipt } from '#model/receipt.ts'
import type { Policies, SyncConfig } from '#model/sync-config.ts'
import type { TableChoice } from '#model/table-pattern.ts'
import { WritePermit, type WriteRules } from '#model/write-protection.ts'
import { chooseTables } from '#sync/choose-tables.ts'
import type { Journal } from '#sync/journal.ts'
import { withPatience } from '#sync/patience.ts'
import { previewSync, type Preview } from '#sync/preview-sync.ts'
import { runSync, type RunTools } from '#sync/run-sync.ts'
import { compareDatabases, type Comparison } from '#sync/compare-databases.ts'
import { readRunConfig } from './config.ts'
import { PrivateFolder } from './private-folder.ts'
import type { Reference } from './reference.ts'

export type { RunEvent } from '#sync/journal.ts'
export type { Preview, TablePreview } from '#sync/preview-sync.ts'
export type { Comparison, TableComparison } from '#sync/compare-databases.ts'

export interface OneLineRequest {
  readonly source: Reference
  readonly target: Reference
  readonly tables: TableChoice
  readonly policies: Policies
}

export interface OneLineTools {
  readonly journal: Journal
  readonly signal: AbortSignal
}

/** What somebody said about the target before it may be written. Whether anybody agreed at all is asked before that. */
export interface TargetConsent {
  readonly environment: Environment | null
  readonly allowProtectedWrite: boolean
}

/** A target as somebody sees it who is asked whether it may be written. */
export interface TargetFacts {
  readonly address: string
  readonly product: string
  readonly environment: Environment
  readonly protected: boolean
}

/** Brings the target in step with the source. @throws AppError `target_protected` before anything is written */
export async function syncDatabases(
  request: OneLineRequest,
  consent: TargetConsent,
  tools: OneLineTools,
): Promise<Receipt> {
  const { address, local } = locateDatabase(request.target.url.reveal())
  const environment = environmentOf({ local }, consent.environment)
  const write = WritePermit.forNamed({ address, environment }, consent, RULES)
  return withDatabases(request, { write, tools }, (ends) => runSync(ends, ends.tools))
}

/** No service says which environments are protected. */
export const RULES: WriteRules = { protectedEnvironments: ENVIRONMENTS.filter(isProtected) }

/** What a sync would do, and to which target. Nothing is opened for writing. */
export function planDatabases(
  request: OneLineRequest,
  consent: TargetConsent,
  { samples, ...tools }: OneLineTools & { samples: number },
): Promise<{ preview: Preview; target: TargetFacts }> {
  return withDatabases(request, { write: null, tools }, async (ends) => ({
    preview: await previewSync(ends, ends.tools, { samples }),
    target: factsOf(ends.target.server, consent),
  }))
}

/** Compares both sides, by rows or by proof. Nothing is opened for writing. */
export function compareOneLine(
  request: OneLineRequest,
  how: { by: 'rows' | 'proof'; samples: number },
  tools: OneLineTools,
): Promise<Comparison> {
  return withDatabases(request, { write: null, tools }, (ends) => compareDatabases({ ...ends, ...how }, ends.tools))
}

export function refuseProtected(facts: TargetFacts, { allowProtectedWrite }: TargetConsent): void {
  if (!facts.protected || allowProtectedWrite) return
  throw new AppError('target_protected', `${facts.address} counts as ${facts.environment} and was not written.`)
}

function factsOf(server: ServerInfo, { environment: stated }: TargetConsent): TargetFacts {
  const environment = environmentOf(server, stated)
  return { address: server.address, product: server.product, environment, protected: isProtected(environment) }
}

interface Opened {
  readonly source: Adapter
  readonly target: Adapter
  readonly config: SyncConfig
  readonly tools: RunTools
}

async function withDatabases<T>(
  request: OneLineRequest,
  { write, tools }: { write: WritePermit | null; tools: OneLineTools },
  work: (opened: Opened) => Promise<T>,
): Promise<T> {
  const { tempDirectory, failpoint, maskKey } = readRunConfig()
  if (failpoint !== null) armFailpoint(failpoint)
  const { journal, signal } = tools
  await using source = await openNamed('source', request.source, { write: null, signal })
  await using target = await openNamed('target', request.target, { write, signal })
  const tables = await withPatience({ journal, clock: systemClock, signal }, () =>
    chooseTables(
      request.tables,
      { source, target },
      { create: request.policies.create, note: (text) => journal.record({ type: 'note', text }) },
    ),
  )
  using folder = new PrivateFolder(tempDirectory, 'run')
  return await work({
    source,
    target,
    config: { ...request.policies, tables },
    tools: {
      openStaging: () => new EmbeddedStaging(folder.newFile('changes.sqlite')),
      journal,
      clock: systemClock,
      job: { id: `job_${randomBytes(8).toString('hex')}`, lease: null, confirm: () => Promise.resolve() },
      signal,
      maskKey,
      quarantine: null,
      history: null,
      conflicts: null,
    },
  })
}

type End = 'source' | 'target'

export async function openNamed(
  end: End,
  { url }: Reference,
  options: { write: WritePermit | null; signal: AbortSignal },
): Promise<Adapter> {
  try {
    return await openDatabase(url.reveal(), options)
  } catch (error) {
    throw ofEnd(end, error)
  }
}

/** Refuses a URL by which nothing can be reached, before anybody is asked about anything else. @throws AppError `invalid_url` */
export function judgeUrl(end: End, { url }: Reference): void {
  try {
    locateDatabase(url.reveal())
  } catch (error) {
    throw ofEnd(end, error)
  }
}

/** Says which of the two it is. */
function ofEnd(end: End, error: unknown): unknown {
  if (!(error instanceof AppError) || error.code === 'interrupted') return error
  const { code, message, hint, retry } = error
  // A connection that breaks while it is made was not one yet.
  const kept = code === 'connection_lost' ? 'server_unavailable' : code
  return new AppError(kept, `The ${end}: ${message}`, { hint, retry, cause: error })
}
