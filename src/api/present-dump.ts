import { PREFIX } from '#api/context.ts'
import { fromMasks } from '#api/contract/reading.ts'
import type { Dump, ExportOptions, ReadingOptions } from '#model/dump.ts'
import type { CopyRequest, DrillRequest, ImportRequest } from '#model/job-request.ts'

export function presentDump({ facts, drill, ...dump }: Dump) {
  const self = `${PREFIX}/dumps/${dump.id}`
  const { head } = facts
  return {
    id: dump.id,
    file: dump.file,
    origin: dump.origin,
    database: dump.database,
    datasource_id: dump.datasourceId,
    job_id: dump.jobId,
    compression: dump.compression,
    sealed: dump.sealed,
    bytes: dump.bytes,
    sha256: dump.sha256,
    head:
      head === null
        ? null
        : {
            program: head.program,
            made_at: head.madeAt,
            database: head.database,
            server: head.server,
            server_major: head.serverMajor,
            content: head.content,
            style: head.style,
            partial: head.partial,
            tables: head.tables,
          },
    rows: facts.rows,
    sql_bytes: facts.sqlBytes,
    notes: [...facts.notes],
    drill:
      drill === null
        ? null
        : { job_id: drill.jobId, at: drill.at, server: drill.server, works: drill.works, faults: [...drill.faults] },
    created_by: dump.createdBy,
    created_at: dump.createdAt,
    links: { self, file: `${self}/file`, job: dump.jobId === null ? null : `${PREFIX}/jobs/${dump.jobId}` },
  }
}

/** What an export was asked for. */
export function presentExport(options: ExportOptions) {
  const { style, compression, passphrase } = options
  return { ...presentReading(options), style, compression, passphrase_reference: passphrase }
}

function presentReading(options: ReadingOptions) {
  return {
    content: options.content,
    schemas: options.schemas === null ? null : [...options.schemas],
    exclude_schemas: [...options.excludeSchemas],
    tables: options.tables === null ? null : [...options.tables],
    exclude_tables: [...options.excludeTables],
    owners: options.owners,
    grants: options.grants,
    // What an earlier version was asked for does not say it.
    same_provider: options.sameProvider ?? false,
    parallel: options.parallel,
  }
}

/** What an import was asked for. */
export function presentImport({ dump, replace, backup, swap, trusted, owners, grants, passphrase }: ImportRequest) {
  return {
    dump,
    replace,
    backup,
    // What an earlier version was asked for does not say it.
    swap: swap ?? false,
    trust_file: trusted,
    owners,
    grants,
    passphrase_reference: passphrase,
  }
}

/** What a copy was asked for. */
export function presentCopy({ options, replace, backup, trusted }: CopyRequest) {
  return {
    ...presentReading(options),
    filters: options.filters.map(({ table, where }) => ({ table, where })),
    masks: fromMasks(options.masks),
    replace,
    backup,
    trust_source: trusted,
  }
}

/** What a trial of a dump was asked for. */
export function presentDrill({ dump, trusted, owners, grants, passphrase }: DrillRequest) {
  return { dump, trust_file: trusted, owners, grants, passphrase_reference: passphrase }
}
