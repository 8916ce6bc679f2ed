import type { FastifyBaseLogger } from 'fastify'
import type { ParsedUrl, RowsPreview } from '#adapters/registry.ts'
import type { DatasourceDraft } from '#control/datasources.ts'
import type { Job } from '#control/jobs.ts'
import type { ChangeSetTools } from '#control/change-set-tools.ts'
import type { AiEndpoint, AiKey } from '#control/ai-settings.ts'
import type { RedisUrl } from '#control/redis-settings.ts'
import type { SchemaDrift } from '#control/schema-drift.ts'
import type { Store } from '#control/store.ts'
import type { StoredConfig } from '#control/sync-configs.ts'
import type { BrowseQuestion, SchemaPage } from '#jobs/browse-schema.ts'
import type { DumpTools } from '#jobs/dumps.ts'
import type { JobWish, StartTools } from '#jobs/start-job.ts'
import type { MappingQuestion } from '#jobs/preview-mapping.ts'
import type { MatchQuestion } from '#jobs/preview-match.ts'
import type { MappingPreview } from '#sync/preview-mapping.ts'
import type { AdviseAnswer, AdviseQuestion } from '#jobs/advise-detection.ts'
import type { SuggestAnswer, SuggestQuestion } from '#jobs/suggest-fields.ts'
import type { DraftQuestion, TableValidation } from '#jobs/validate-table.ts'
import type { Secret } from '#lib/secret.ts'
import type { SecretBox } from '#lib/secret-box.ts'
import type { MatchPreview } from '#model/match.ts'
import type { Actor, ApiKey } from '#model/access.ts'
import type { ConnectionTest, Datasource } from '#model/datasource.ts'
import type { Retained, RetentionChoice, Space } from '#model/retention.ts'
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
  readonly retention: RetentionTools
  readonly ai: AiTools
  readonly dumps: DumpTools
  readonly demo: DemoTools
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
  /** The same of a document that is still being written. @throws AppError `table_not_found` and as above */
  validateDraft(question: DraftQuestion, signal: AbortSignal): Promise<TableValidation>
  /** Looks what has become of the tables of a sync config, and notes it. @throws AppError where a database cannot be reached */
  lookForSchemaDrift(config: StoredConfig, signal: AbortSignal): Promise<SchemaDrift | null>
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

/** For how long things are kept, and in how much room. */
export interface RetentionTools {
  show(): Promise<RetentionSettings>
  /** What is left out has its default. */
  set(choice: RetentionChoice, actor: Actor): Promise<RetentionSettings>
}

export interface RetentionSettings {
  readonly entries: readonly RetentionEntry[]
  readonly space: readonly SpaceEntry[]
  readonly updatedAt: string | null
  readonly updatedBy: string | null
}

/** Where a limit comes from. The environment comes first. */
export type LimitSource = 'environment' | 'store' | 'default'

interface LimitEntry {
  readonly source: LimitSource
  readonly variable: string
  readonly set: number | null
  readonly byDefault: number
  readonly least: number
  readonly most: number
}

export interface RetentionEntry extends LimitEntry {
  readonly of: Retained
  readonly days: number
}

export interface SpaceEntry extends LimitEntry {
  readonly of: Space
  readonly bytes: number
}

/** The model that refines suggestions. */
export interface AiTools {
  show(): Promise<AiSettings>
  /** A key that is undefined stays as it is, for the same place. @throws AppError `invalid_request` */
  set(endpoint: AiEndpoint, key: AiKey | undefined, actor: Actor): Promise<AiSettings>
  /** Returns whether there was one. */
  clear(actor: Actor): Promise<boolean>
  /** Asks it something, by this draft or (null) by what is set up. A failure is a result. */
  test(draft: AiDraft | null, actor: Actor, signal: AbortSignal): Promise<ConnectionTest>
}

export interface AiDraft {
  readonly endpoint: AiEndpoint
  readonly key: AiKey | undefined
}

export interface AiSettings {
  /** The environment comes first; null: there is none. */
  readonly source: 'environment' | 'store' | null
  readonly url: string | null
  readonly model: string | null
  readonly sendSamples: boolean
  readonly hasKey: boolean
  readonly reference: string | null
  readonly overridden: boolean
  readonly updatedAt: string | null
  readonly updatedBy: string | null
  readonly lastTest: ConnectionTest | null
}

/** Sample databases for whoever has none at hand, with datasources and a sync config. */
export interface DemoTools {
  show(): Promise<DemoData>
  /** Sees to it that all of it is there. @throws AppError `demo_unavailable`, `no_local_server`, `local_server_failed` */
  make(actor: Actor): Promise<DemoData>
  /** Edits the databases as people would, so that there is something to sync. @throws AppError `wrong_state` where none run */
  edit(actor: Actor): Promise<readonly DemoEdit[]>
  /** Removes all of it. @throws AppError `in_use` where other sync configs or jobs under way need it */
  remove(actor: Actor): Promise<void>
}

export interface DemoEdit {
  readonly end: 'source' | 'target'
  readonly words: string
}

export interface DemoData {
  /** `ended`: the databases have gone with the process that held them; what is registered of them is there. */
  readonly state: 'none' | 'ready' | 'ended'
  readonly sourceId: string | null
  readonly targetId: string | null
  readonly configId: string | null
  /** Why none can be made here, and what to do instead; null where it can. */
  readonly unavailable: { readonly message: string; readonly hint: string } | null
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
