import type { Job, JobEventRecord } from '#control/jobs.ts'
import type { StoredConfig } from '#control/sync-configs.ts'
import type { Overview } from '#control/overview.ts'
import type { Session } from '#control/sessions.ts'
import { PREFIX } from '#api/context.ts'
import { presentCopy, presentDrill, presentExport, presentImport } from '#api/present-dump.ts'
import { presentSchemaDriftSummary } from '#api/present-schema-drift.ts'
import { presentScheduleSummary } from '#api/present-schedule.ts'
import type { ParsedUrl, RowsPreview, TableDescription } from '#adapters/registry.ts'
import type { ApiKey } from '#model/access.ts'
import { keepsChanges } from '#jobs/review-job.ts'
import type { TableValidation } from '#jobs/validate-table.ts'
import type { ConnectionTest, Datasource } from '#model/datasource.ts'
import type { JobProgress } from '#model/job.ts'
import { toConduct, toPolicies } from '#model/config-document.ts'
import { formatTableName } from '#model/table-pattern.ts'
import { effectiveEnvironment, type WriteRules } from '#model/write-protection.ts'

/** How our things look in answers: field by field, so that nothing gets out that nobody named (S10). */

export function presentDatasource(datasource: Datasource, rules: WriteRules) {
  const { connection, password } = datasource
  const environment = effectiveEnvironment(datasource)
  return {
    id: datasource.id,
    name: datasource.name,
    kind: datasource.kind,
    host: connection.host,
    port: connection.port,
    database: connection.database,
    user: connection.user,
    ssl: connection.ssl,
    ca: connection.ca,
    project_url: connection.projectUrl,
    has_password: password.kind !== 'none',
    password_reference: connection.projectUrl === null ? referenceOf(password) : null,
    service_role_key_reference: connection.projectUrl === null ? null : referenceOf(password),
    schemas: mutable(datasource.schemas),
    pool_size: datasource.poolSize,
    connect_timeout_ms: datasource.connectTimeoutMs,
    environment: datasource.environment,
    effective_environment: environment,
    protected: rules.protectedEnvironments.includes(environment),
    writable: datasource.writable,
    origin: datasource.origin,
    last_test: datasource.lastTest === null ? null : presentTest(datasource.lastTest),
    created_at: datasource.createdAt,
    updated_at: datasource.updatedAt,
    version: datasource.version,
  }
}

function referenceOf(password: Datasource['password']): string | null {
  return password.kind === 'reference' ? password.reference : null
}

export function presentTest({ at, ok, checks }: ConnectionTest) {
  return { at, ok, checks: checks.map((check) => ({ ...check })) }
}

export function presentParsedUrl({ kind, connection, password, connectTimeoutMs, notes }: ParsedUrl) {
  const { host, port, database, user, ssl } = connection
  return {
    kind,
    host,
    port,
    database,
    user,
    ssl,
    has_password: password !== null,
    connect_timeout_ms: connectTimeoutMs,
    notes: notes.map((note) => ({ ...note })),
  }
}

export function presentTable(found: TableDescription) {
  return {
    table: { ...found.table },
    kind: found.kind,
    columns: found.columns.map((column) => ({ ...column })),
    primary_key: [...found.primaryKey],
    unique_keys: found.uniqueKeys.map((key) => [...key]),
    foreign_keys: found.foreignKeys.map(({ columns, references, referencedColumns }) => ({
      columns: [...columns],
      references: { ...references },
      referenced_columns: [...referencedColumns],
    })),
    estimated_rows: found.estimatedRows,
    hides_rows: found.hidesRows,
  }
}

export function presentRows({ columns, rows, cut, cuts }: RowsPreview) {
  return {
    columns: columns.map((column) => ({ ...column })),
    rows: rows.map((row) => [...row]),
    cut,
    cuts: cuts.map((each) => ({ ...each })),
  }
}

export function presentConfig({ id, document, version, createdAt, updatedAt }: StoredConfig) {
  return { ...document, id, version, created_at: createdAt, updated_at: updatedAt }
}

export function presentJob(job: Job, startedBy: string | null) {
  const self = `${PREFIX}/jobs/${job.id}`
  const { commitMode, auditLevel } = toConduct(job.request.policies)
  return {
    id: job.id,
    kind: job.kind,
    status: job.status,
    config_id: job.configId,
    config_version: job.configVersion,
    source_datasource_id: job.sourceDatasourceId,
    target_datasource_id: job.targetDatasourceId,
    mode: job.request.mode,
    dry_run: job.request.dryRun,
    direction: toPolicies(job.request.policies).direction,
    tables: mutable(job.request.tables),
    commit_mode: commitMode,
    audit_level: auditLevel,
    replays: job.request.replay?.jobId ?? null,
    approves: job.request.changeSet ?? null,
    reverts: job.request.revert?.jobId ?? null,
    export: job.request.export === undefined ? null : presentExport(job.request.export),
    import: job.request.import === undefined ? null : presentImport(job.request.import),
    copy: job.request.copy === undefined ? null : presentCopy(job.request.copy),
    drill: job.request.drill === undefined ? null : presentDrill(job.request.drill),
    requested_by: job.requestedBy,
    started_by: startedBy,
    stopping_for: job.status === 'stopping' ? job.intent : null,
    attempt: job.attempt,
    not_before: job.notBefore,
    created_at: job.createdAt,
    started_at: job.startedAt,
    finished_at: job.finishedAt,
    updated_at: job.updatedAt,
    progress: job.progress === null ? null : presentProgress(job.progress),
    counts: job.counts,
    error: job.error,
    last_event: job.lastEvent,
    links: {
      self,
      events: `${self}/events`,
      log: `${self}/log`,
      receipt: `${self}/receipt`,
      changes: keepsChanges(job) ? `${self}/changes` : null,
    },
  }
}

export function presentProgress(progress: JobProgress) {
  return {
    phase: progress.phase,
    rows: progress.rows,
    bytes: progress.bytes,
    percent: progress.percent,
    estimated: progress.estimated,
    rows_per_second: progress.rowsPerSecond,
    bytes_per_second: progress.bytesPerSecond,
    seconds_left: progress.secondsLeft,
    tables: progress.tables.map((table) => ({ ...table, table: { ...table.table } })),
  }
}

export function presentStarted({ id, status }: Job) {
  const self = `${PREFIX}/jobs/${id}`
  return { job_id: id, status, status_url: self, events_url: `${self}/events` }
}

export function presentEvent(jobId: string, { seq, at, type, data }: JobEventRecord) {
  return { job_id: jobId, seq, at, type, data: snakeCase(data) }
}

export function presentKey(key: ApiKey) {
  return {
    id: key.id,
    name: key.name,
    prefix: key.prefix,
    role: key.role,
    datasources: mutable(key.datasources),
    created_at: key.createdAt,
    expires_at: key.expiresAt,
    last_used_at: key.lastUsedAt,
    revoked_at: key.revokedAt,
  }
}

export function presentSession(session: Session, current: Session | null) {
  return {
    id: session.id,
    key_id: session.keyId,
    created_at: session.createdAt,
    seen_at: session.seenAt,
    confirmed_at: session.confirmedAt,
    expires_at: session.expiresAt,
    address: session.address,
    current: session.id === current?.id,
  }
}

/** Names of fields as the API writes them, for structures of the engine whose names are all our own. */
export function snakeCase(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(snakeCase)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, field]) => [
      name.replaceAll(/(?<=[a-z\d])[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      snakeCase(field),
    ]),
  )
}

function mutable<T>(list: readonly T[] | null): T[] | null {
  return list === null ? null : [...list]
}

/** Keys are data of rows, which not everybody sees. */
export function presentValidation(found: TableValidation, withKeys: boolean) {
  const { source, target, ready, problems, fields, unmapped, counted } = found
  return {
    source: formatTableName(source),
    target: formatTableName(target),
    ready,
    problems: problems.map(({ code, message }) => ({ code, message })),
    fields: fields.map(
      ({ columns, sourceType, target: column, targetType, nextStep, way, oneWay, misfits, ...field }) => ({
        ...field,
        columns: [...columns],
        source_type: sourceType,
        target: column,
        target_type: targetType,
        next_step: nextStep,
        // What was judged by an earlier version does not say it.
        way: way ?? null,
        one_way: oneWay ?? null,
        misfits: misfits && {
          rows: misfits.rows,
          keys: withKeys ? misfits.keys.map((key) => key.map((value) => (value === null ? null : String(value)))) : [],
        },
      }),
    ),
    unmapped: {
      source: [...unmapped.source],
      target: unmapped.target.map(({ column, filledBy }) => ({ column, filled_by: filledBy })),
    },
    counted: counted && { rows: counted.rows, partial: counted.partial },
  }
}

export function presentOverview({ configs, days }: Overview, now: string) {
  return {
    configs: configs.map(
      ({ configId, lastJob, lastSucceededAt, openConflicts, openRejections, schemaDrift, schedule }) => ({
        config_id: configId,
        last_job: lastJob === null ? null : { id: lastJob.id, status: lastJob.status, created_at: lastJob.createdAt },
        last_succeeded_at: lastSucceededAt,
        open_conflicts: openConflicts,
        open_rejections: openRejections,
        schema_drift: presentSchemaDriftSummary(schemaDrift),
        schedule: schedule === null ? null : presentScheduleSummary(schedule, lastSucceededAt, now),
      }),
    ),
    days: days.map((day) => ({ ...day })),
  }
}
