import type { FastifyBaseLogger } from 'fastify'
import type { ParsedUrl, RowsPreview } from '#adapters/registry.ts'
import type { DatasourceDraft } from '#control/datasources.ts'
import type { Job } from '#control/jobs.ts'
import type { ChangeSetTools } from '#control/change-set-tools.ts'
import type { RedisUrl } from '#control/redis-settings.ts'
import type { Store } from '#control/store.ts'
import type { BrowseQuestion, SchemaPage } from '#jobs/browse-schema.ts'
import type { JobWish, StartTools } from '#jobs/start-job.ts'
import type { MappingQuestion } from '#jobs/preview-mapping.ts'
import type { MatchQuestion } from '#jobs/preview-match.ts'
import type { MappingPreview } from '#sync/preview-mapping.ts'
import type { AdviseAnswer, AdviseQuestion } from '#jobs/advise-detection.ts'
import type { SuggestAnswer, SuggestQuestion } from '#jobs/suggest-fields.ts'
import type { TableValidation } from '#jobs/validate-table.ts'
import type { Secret } from '#lib/secret.ts'
import type { SecretBox } from '#lib/secret-box.ts'
import type { MatchPreview } from '#model/match.ts'
import type { Actor, ApiKey } from '#model/access.ts'
import type { ConnectionTest, Datasource } from '#model/datasource.ts'
import type { TableRef } from '#model/table.ts'
import type { WriteRules } from '#model/write-protection.ts'

/** Everything that the API acts with. It opens no database and starts no process by itself. */
export interface ApiTools {
  readonly store: Store
  readonly box: SecretBox
  readonly changeSets: ChangeSetTools
  readonly rules: WriteRules
  readonly logger: FastifyBaseLogger
  readonly config: ApiConfig
  readonly startJob: StartJob
  readonly live: LiveEvents
  readonly datasources: DatasourceTools
  readonly redis: RedisTools
  /** What the service is doing, for those who may look. */
  readonly readStatus: () => ServiceStatus
  /** A key that is in no store: this process alone has it, and it is good for as long as the process lives. */
  readonly ownKey?: { readonly key: ApiKey; readonly secret: Secret }
}

/** `startJob` of `jobs`, bound to store and rules; the id is the caller's, so that a repeated request finds it again. */
export type StartJob = (wish: JobWish, actor: Actor, jobId: string, also?: StartTools['also']) => Promise<Job>

/** How the API is reached, and what it bears. */
export interface ApiConfig {
  /** The version of the program; only those who are signed in learn it. */
  readonly version: string
  /** Browsers reach the service over TLS: cookies are `Secure`, and browsers are told to stay with it. */
  readonly tls: boolean
  /** Host names, without port, by which the service may be called besides those of this machine. */
  readonly hosts: readonly string[]
  /** Origins of other sites whose pages may call the API, exact: `https://admin.example.com`. */
  readonly corsOrigins: readonly string[]
  /** Addresses or networks of proxies whose `X-Forwarded-*` headers are believed. */
  readonly trustedProxies: readonly string[]
  /** The description of the API needs no key (S48). */
  readonly publicDocs: boolean
  readonly limits: ApiLimits
}

export interface ApiLimits {
  readonly requestsPerMinute: number
  readonly connectionTestsPerMinute: number
  readonly connectionsPerAddress: number
  /** Event streams and sockets that one key holds open. */
  readonly streamsPerKey: number
  /** Time for the headers, and for headers and body together, of one request. */
  readonly headersMs: number
  readonly requestMs: number
  /** How often an open stream looks whether its key is still good, and for events that nobody announced. */
  readonly pollMs: number
  readonly heartbeatMs: number
}

export const DEFAULT_LIMITS: ApiLimits = {
  requestsPerMinute: 1_200,
  connectionTestsPerMinute: 30,
  connectionsPerAddress: 100,
  streamsPerKey: 50,
  headersMs: 10_000,
  requestMs: 30_000,
  pollMs: 1_000,
  heartbeatMs: 15_000,
}

/**
 * Announces that events of a job were recorded. It only saves time: whoever follows a job reads the store, so that an
 * announcement may be missed, doubled or early.
 */
export interface LiveEvents {
  /** Calls `heard` when there may be news of the job. The result ends it. */
  subscribe(jobId: string, heard: () => void): () => void
}

/** What can be done with databases, by those who know them. */
export interface DatasourceTools {
  /** Takes a connection URL apart. @throws AppError `invalid_url`, without the password in its message */
  parseUrl(url: Secret): ParsedUrl
  /** Looks whether a draft may be kept at all. @throws AppError `host_not_allowed`, `invalid_request` */
  checkDraft(draft: DatasourceDraft, actor: Actor): Promise<void>
  /** Connects step by step. A failure is a result. The test of a datasource that is kept is remembered with it. */
  test(what: Datasource | DatasourceDraft, signal: AbortSignal): Promise<ConnectionTest>
  /** Tables and views as the catalogue has them. @throws AppError where the database cannot be reached */
  browse(datasource: Datasource, question: BrowseQuestion, signal: AbortSignal): Promise<SchemaPage>
  /** The first rows of a table, each value as the server writes it. @throws AppError `table_not_found` and as above */
  preview(datasource: Datasource, question: PreviewQuestion, signal: AbortSignal): Promise<RowsPreview>
  /** What the mapping of a table makes of some rows. @throws AppError as a run does before it begins */
  previewMapping(question: MappingQuestion, signal: AbortSignal): Promise<MappingPreview>
  /** Which rows of both sides a first run would take for the same. @throws AppError as a run does before it begins */
  previewMatch(question: MatchQuestion, signal: AbortSignal): Promise<MatchPreview>
  /** Suggests what goes where, by both catalogues and samples of rows. @throws AppError `table_not_found` and as above */
  suggest(question: SuggestQuestion, signal: AbortSignal): Promise<SuggestAnswer>
  /** Advises how changes can be found, by catalogue, statistics and samples. @throws AppError `table_not_found` and as above */
  advise(question: AdviseQuestion, signal: AbortSignal): Promise<AdviseAnswer>
  /** Judges a table of a job as it would be carried now. @throws AppError `table_not_found` and as above */
  validate(job: Job, table: TableRef, signal: AbortSignal): Promise<TableValidation>
  /** Takes the server that the datasource leads to now for the right one. @throws AppError where it cannot be reached */
  confirmServer(datasource: Datasource, actor: Actor, signal: AbortSignal): Promise<void>
}

/** The Redis that change sets may be kept in. */
export interface RedisTools {
  show(): Promise<RedisSettings>
  /** Keeps the URL, sealed, or where it is found. @throws AppError `invalid_url`, `invalid_request`, `host_not_allowed` */
  set(url: RedisUrl, actor: Actor): Promise<RedisSettings>
  /** Returns whether there was one. */
  clear(actor: Actor): Promise<boolean>
  /** Connects step by step, by this URL or (null) by what is set up. A failure is a result. */
  test(url: RedisUrl | null, actor: Actor, signal: AbortSignal): Promise<ConnectionTest>
}

export interface RedisSettings {
  /** Where the one comes from that is used; null: there is none. The environment comes first. */
  readonly source: 'environment' | 'store' | null
  /** Without the password; null where it is a reference. */
  readonly url: string | null
  readonly hasPassword: boolean
  readonly reference: string | null
  /** One is set up, and the environment comes before it. */
  readonly overridden: boolean
  readonly updatedAt: string | null
  readonly updatedBy: string | null
  readonly lastTest: ConnectionTest | null
}

export interface PreviewQuestion {
  readonly table: TableRef
  readonly limit: number
}

export interface ServiceStatus {
  readonly startedAt: string
  /** Whether work is taken on: false while the service starts and stops. */
  readonly ready: boolean
  /** Job processes that are running. */
  readonly workers: number
}
