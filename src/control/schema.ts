/**
 * The tables of the control store, the same on SQLite and PostgreSQL: times are ISO 8601 in UTC as text (their order is
 * the order of time), structures are JSON as text, truth is 0 or 1. Ids are made by us, never by the store.
 */
export interface Tables {
  store_meta: { key: string; value: string }
  datasource: DatasourceRow
  sync_config: SyncConfigRow
  sync_config_version: SyncConfigVersionRow
  job: JobRow
  job_event: JobEventRow
  api_key: ApiKeyRow
  session: SessionRow
  sign_in_link: { hash: string; key_id: string; expires_at: string }
  setup_token: { hash: string; expires_at: string; used_at: string | null }
  idempotency: IdempotencyRow
  audit_event: AuditEventRow
  breaker: BreakerRow
  rejection: RejectionRow
  history_batch: HistoryBatchRow
  /** `part`: see `PART` in `history-codec.ts`. */
  history_key: { part: number; hash: number; batch_id: number; place: number }
  rejecting_table: { scope: string; target_table: string; columns: string }
  change_set: ChangeSetRow
  change_mark: ChangeMarkRow
  staged_chunk: StagedChunkRow
  conflict: ConflictRow
  conflict_table: ConflictTableRow
  conflict_rule: ConflictRuleRow
  webhook_secret: WebhookSecretRow
  webhook_delivery: WebhookDeliveryRow
  schedule: ScheduleRow
  schedule_tick: ScheduleTickRow
  dump: DumpRow
  config_schema: ConfigSchemaRow
}

export interface DatasourceRow {
  id: string
  name: string
  kind: string
  /** JSON of `ConnectionParts`. */
  connection: string
  /** A reference, or null. */
  password_reference: string | null
  /** Sealed by the secret box, bound to the id; or null. */
  password_sealed: string | null
  /** JSON of string[], or null. */
  schemas: string | null
  pool_size: number
  connect_timeout_ms: number
  environment: string | null
  writable: number
  origin: string
  /** JSON of `ServerPin`, or null. */
  pin: string | null
  /** JSON of `ConnectionTest`, or null. */
  last_test: string | null
  created_at: string
  updated_at: string
  version: number
}

export interface SyncConfigRow {
  id: string
  name: string
  source_datasource_id: string
  target_datasource_id: string
  /** The canonical document as JSON. */
  document: string
  version: number
  created_at: string
  updated_at: string
}

export interface SyncConfigVersionRow {
  config_id: string
  version: number
  document: string
  changed_at: string
  changed_by: string
}

export interface JobRow {
  id: string
  kind: string
  status: string
  config_id: string | null
  config_version: number | null
  source_datasource_id: string
  target_datasource_id: string
  /** Two active jobs never share one: a unique index sees to it (hazard B6). */
  lane: string
  /** JSON of `JobRequest`. */
  request: string
  requested_by: string
  /** What a job that is stopping will become. */
  intent: 'stop' | 'cancel' | null
  /** Grows with every claim: whoever holds an older one may change nothing any more. */
  epoch: number
  lease_owner: string | null
  lease_expires_at: string | null
  /** Runs in a row in which it did not get on, this one among them. */
  attempt: number
  /** Not to be claimed before. */
  not_before: string | null
  created_at: string
  started_at: string | null
  finished_at: string | null
  updated_at: string
  /** JSON of `JobProgress`, or null. */
  progress: string | null
  /** JSON of `Counts`, or null. */
  counts: string | null
  /** JSON of `JobError`, or null. */
  error: string | null
  /** JSON of the result of its kind (a receipt, a preview, a comparison), or null. */
  result: string | null
  /** The number of its last event. */
  last_event: number
}

export interface JobEventRow {
  job_id: string
  seq: number
  at: string
  type: string
  data: string
}

export interface ApiKeyRow {
  id: string
  name: string
  prefix: string
  hash: string
  role: string
  datasources: string | null
  created_at: string
  expires_at: string | null
  last_used_at: string | null
  revoked_at: string | null
}

export interface SessionRow {
  hash: string
  id: string
  key_id: string
  created_at: string
  seen_at: string
  confirmed_at: string
  expires_at: string
  address: string | null
}

export interface IdempotencyRow {
  actor: string
  key: string
  request_hash: string
  status: number | null
  body: string | null
  created_at: string
}

export interface AuditEventRow {
  seq: number
  at: string
  actor: string
  actor_name: string
  address: string | null
  action: string
  subject: string | null
  data: string
  previous_hash: string
  hash: string
}

export interface BreakerRow {
  datasource_id: string
  failures: number
  open_until: string | null
  reason: string | null
}

export interface RejectionRow {
  id: string
  /** The id of the sync config, or of the job where there is none: a row is known once in it. */
  scope: string
  config_id: string | null
  first_job_id: string
  last_job_id: string
  /** The last job that tried it again. */
  replay_job_id: string | null
  seq: number
  /** JSON of schema and name. */
  source_table: string
  target_table: string
  op: string
  /** JSON of the key's texts. */
  key: string
  key_in: string
  /** SHA-256 of key and whose it is: a key may be longer than an index can hold. */
  key_hash: string
  column_name: string | null
  code: string
  /** Without values. */
  reason: string
  status: string
  /** JSON of `RejectionImage`, sealed and bound to the id. */
  image_sealed: string
  /** JSON of `RejectionMarks`, sealed. */
  marks_sealed: string
  /** JSON of the fields that somebody gave, sealed; or null. */
  edit_sealed: string | null
  first_at: string
  last_at: string
  version: number
}

/** What one batch of a job wrote to one table, or one load of a whole table. */
export interface HistoryBatchRow {
  /** In the order in which a job told of its batches. */
  id: number
  job_id: string
  config_id: string | null
  source_datasource_id: string
  target_datasource_id: string
  mapping_id: string
  /** Empty of a load. */
  mapping_hash: string
  /** JSON of schema and name. */
  target_table: string
  /** JSON of names. */
  key_columns: string
  image_columns: string
  /** The number of the batch in the target; 0 for a load. */
  batch: number
  kind: string
  row_count: number
  inserted: number
  updated: number
  deleted: number
  at: string
  /** The name of the key that sealed the body, by which those are found that are to be sealed anew. */
  sealed_by: string
  /** All changes, as `history-codec.ts` writes them, sealed and bound to everything above. */
  body: Uint8Array
}

export interface ChangeSetRow {
  job_id: string
  /** Another one each time that the changes are computed. */
  generation: string
  /** The last generation that was sealed: marks are of this one. */
  marks_generation: string | null
  state: 'building' | 'ready' | 'applied' | 'lost' | 'expired'
  staging: string
  /** What it takes up of the space for staging, or has reserved of it. */
  held_bytes: number
  /** As they are kept. */
  bytes: number
  changes: number
  digest: string | null
  /** JSON of `PackedIndex`, or null. */
  chunk_index: string | null
  /** JSON of `ChangeSetSummary`, or null. */
  summary: string | null
  /** Decisions on the generation before that do not hold any more. */
  dropped: number
  created_at: string
  sealed_at: string | null
  approved_by: string | null
  approved_name: string | null
  approved_digest: string | null
  approved_at: string | null
  /** Until when it may be approved, or, once it is, applied; null: for as long as it is there. */
  expires_at: string | null
  /** The job that applies it, where that is another one. */
  taken_by: string | null
}

export interface ChangeMarkRow {
  job_id: string
  generation: string
  seq: number
  /** JSON of schema and name. */
  target_table: string
  op: string
  /** By these a decision is bound to its change; null for what applying came to. */
  key_hash: string | null
  change_digest: string | null
  mark: string
  /** 1: it was found moved when it was applied. */
  moved: number
  reason: string | null
  /** The target's row as it was found, with its fingerprint, sealed; or null. */
  now_sealed: string | null
  /** The id of whoever decided; null for what applying came to. */
  actor: string | null
  at: string
}

/** Where the store is on PostgreSQL, the change sets are kept in it. PostgreSQL gives `bytea` as its text. */
export interface StagedChunkRow {
  job_id: string
  generation: string
  n: number
  body: Uint8Array | string
}

/** A table as a run saw it when it found conflicts in it: what their rows are read by. */
export interface ConflictTableRow {
  /** SHA-256 of all that follows. */
  id: string
  scope: string
  /** JSON of schema and name. */
  source_table: string
  target_table: string
  mapping_id: string
  mapping_hash: string
  /** JSON of names. */
  key_columns: string
  /** JSON of `ConflictTable.columns`. */
  columns: string
}

export interface ConflictRow {
  id: string
  /** The id of the sync config, or of the job where there is none: a row is known once in it. */
  scope: string
  config_id: string | null
  first_job_id: string
  /** The last job that found it, or that carried out what was decided. */
  last_job_id: string
  /** The order in which conflicts were found, over all scopes. */
  seq: number
  table_id: string
  /** JSON of schema and name. */
  source_table: string
  target_table: string
  kind: string
  /** JSON of names. */
  fields: string
  strategy: string
  /** Without values. */
  reason: string | null
  /** JSON of the key's values. */
  key: string
  /** SHA-256 of it: a key may be longer than an index can hold. */
  key_hash: string
  /** 1: a row was too large to be kept. */
  large: number
  status: string
  resolution: string | null
  /** The id and the name of whoever decided. */
  resolved_by: string | null
  resolved_name: string | null
  resolved_at: string | null
  /** Decisions that were dropped, because a side was another one by then. */
  reopened: number
  /** JSON of `ConflictImage`, sealed and bound to the id. */
  image_sealed: string
  /** JSON of `ConflictMarks`, sealed. */
  marks_sealed: string
  /** JSON of the row that somebody built, sealed; or null. */
  row_sealed: string | null
  first_at: string
  last_at: string
  version: number
  /** The version that a webhook is, or was, asked about; 0: none. */
  asked_version: number
}

/** What somebody has decided once for all conflicts of a sort. */
export interface ConflictRuleRow {
  id: string
  config_id: string
  /** JSON of schema and name. */
  target_table: string
  kind: string
  /** JSON of names in order; `*`: whichever they are. */
  fields: string
  resolution: string
  /** The id and the name of whoever made it. */
  created_by: string
  created_name: string
  created_at: string
}

/** What messages to the webhook of a sync config are signed with: one that is current, and one that still is for a while. */
export interface WebhookSecretRow {
  id: string
  config_id: string
  /** Sealed by the secret box, bound to the id. */
  secret_sealed: string
  created_at: string
  /** The name of whoever made it. */
  created_by: string
  /** Null of the current one. */
  expires_at: string | null
}

/** The asking of a webhook about one conflict. */
export interface WebhookDeliveryRow {
  /** The `webhook-id`. */
  id: string
  conflict_id: string
  config_id: string
  /** The version of the conflict that it is about. */
  version: number
  status: string
  /** Counts the attempts, and is the epoch of the one under way: what comes of an older one changes nothing. */
  attempts: number
  /** Not to be sent before; while an attempt is under way, when that counts as lost. */
  next_at: string
  last_at: string | null
  last_error: string | null
  deadline_at: string
  created_at: string
  ended_at: string | null
}

/** What the schedule of a sync config, or of the export of a datasource, has come to. */
export interface ScheduleRow {
  /** The id of the one that it is of. */
  subject_id: string
  config_id: string | null
  datasource_id: string | null
  /** JSON of `ExportOptions`; null of a sync config. */
  export_options: string | null
  /** JSON of `Schedule`: another one begins anew. */
  schedule: string
  /** When it came to be, or went on after a pause: intervals are counted from here. */
  since: string
  /** The tick that comes next; null while it is paused, and where none comes any more. */
  next_at: string | null
  paused_at: string | null
  /** The name of whoever did. */
  paused_by: string | null
  /** JSON of `ScheduleConsent`, or null. */
  consent: string | null
}

/** A tick that was seen to: the key makes it one of its kind, whoever saw to it. */
export interface ScheduleTickRow {
  /** The id of the one that it was for. */
  subject_id: string
  config_id: string | null
  datasource_id: string | null
  tick: string
  fired_at: string
  /** Ticks before it that came to nothing, as nobody was there. */
  missed: number
  outcome: string
  /** The job that was started, or that was in the way. */
  job_id: string | null
  reason: string | null
}

/** A file in the directory of dumps. */
export interface DumpRow {
  id: string
  /** Its name, in the directory that all processes of the service share. */
  file: string
  origin: string
  /** `writing`: the file has not come to its end, and is swept where nobody writes it any more. */
  state: 'writing' | 'ready'
  database_name: string | null
  datasource_id: string | null
  job_id: string | null
  /** The claim of the job that writes it. */
  epoch: number | null
  compression: string
  sealed: number
  /** Of the file; while it is written, what it has reserved of the space for dumps. */
  bytes: number
  sha256: string | null
  /** JSON of `DumpFacts`, or null. */
  facts: string | null
  /** JSON of `DrillOutcome`, or null. */
  drill: string | null
  /** The name of whoever wanted it. */
  created_by: string
  created_at: string
}

export interface ConfigSchemaRow {
  config_id: string
  /** Digest of the mapping that the tables were known for. */
  mapping: string
  /** JSON of `KnownSchemas`: what the mapping was looked over with, and what there was at the last look. */
  known: string
  known_at: string
  seen: string
  seen_at: string
  /** Of `seen`. */
  digest: string
  /** JSON of the `SchemaChange`s from the one to the other. */
  changes: string
}
