import type {
  CopyRequest,
  DrillRequest,
  Dump,
  ExportRequest,
  ExportScheduleRequest,
  ImportRequest,
} from '#features/dumps/queries.ts'
import { readingFlags } from '#features/dumps/reading-draft.ts'
import { quoteName } from '#lib/table-name.ts'
import { cliOf, curlOf, quote, type OtherMeans } from '#ui/copy.tsx'

/** What the pages of dumps do, by the command line and by curl. */

function exportFlags(request: Omit<ExportRequest, 'datasource'>): readonly string[] {
  const { style, compression, passphrase_reference: passphrase } = request
  return [
    ...readingFlags(request),
    ...(style === undefined ? [] : ['--style', style]),
    ...(compression === undefined ? [] : ['--compress', compression]),
    ...(passphrase === undefined ? [] : ['--passphrase', passphrase]),
  ]
}

export function exportMeans(request: ExportRequest): OtherMeans {
  return {
    cli: cliOf('export', request.datasource, ...exportFlags(request)),
    curl: curlOf('POST', '/api/v1/sync/export', request),
  }
}

export function exportScheduleMeans(
  { id, name }: { readonly id: string; readonly name: string },
  request: ExportScheduleRequest,
): OtherMeans {
  const { schedule, ...exported } = request
  const { cron, time_zone: zone } = schedule
  const when = ['--cron', cron, ...(zone === undefined ? [] : ['--time-zone', zone])]
  return {
    cli: cliOf('dumps', 'schedule', name, ...when, ...exportFlags(exported)),
    curl: curlOf('PUT', `/api/v1/datasources/${id}/export-schedule`, request),
  }
}

export function copyMeans(request: CopyRequest): OtherMeans {
  const { source, target, filters = [], masks = [] } = request
  return {
    cli: cliOf(
      'copy',
      source,
      target,
      ...readingFlags(request),
      ...filters.flatMap(({ table, where }) => ['--where', `${table}=${where}`]),
      ...masks.flatMap(({ table, column, transforms }) => [
        '--mask',
        `${table}.${quoteName(column)}=${JSON.stringify(transforms)}`,
      ]),
      ...(request.replace === true ? ['--replace'] : []),
      ...(request.backup === false ? ['--no-backup'] : []),
      ...(request.trust_source === true ? ['--trust-source'] : []),
      ...(request.allow_protected_write === true ? ['--allow-protected-write'] : []),
      request.dry_run === true ? '--dry-run' : '--yes',
    ),
    curl: curlOf('POST', '/api/v1/sync/copy', request),
  }
}

export function drillMeans(dump: string, request: DrillRequest): OtherMeans {
  const { into, passphrase_reference: passphrase } = request
  return {
    cli: cliOf(
      'dumps',
      'drill',
      dump,
      '--into',
      into,
      ...(request.trust_file === true ? ['--trust-file'] : []),
      ...(request.owners === true ? ['--owners'] : []),
      ...(request.grants === true ? ['--grants'] : []),
      ...(passphrase === undefined ? [] : ['--passphrase', passphrase]),
      ...(request.allow_protected_write === true ? ['--allow-protected-write'] : []),
    ),
    curl: curlOf('POST', `/api/v1/dumps/${dump}/drill`, request),
  }
}

export function importMeans(request: ImportRequest): OtherMeans {
  const { datasource, dump, passphrase_reference: passphrase } = request
  return {
    cli: cliOf(
      'import',
      datasource,
      dump,
      ...(request.replace === true ? ['--replace'] : []),
      ...(request.backup === false ? ['--no-backup'] : []),
      ...(request.swap === true ? ['--swap'] : []),
      ...(request.trust_file === true ? ['--trust-file'] : []),
      ...(request.owners === true ? ['--owners'] : []),
      ...(request.grants === true ? ['--grants'] : []),
      ...(passphrase === undefined ? [] : ['--passphrase', passphrase]),
      ...(request.allow_protected_write === true ? ['--allow-protected-write'] : []),
      request.dry_run === true ? '--dry-run' : '--yes',
    ),
    curl: curlOf('POST', '/api/v1/sync/import', request),
  }
}

export function deleteMeans({ id }: Dump): OtherMeans {
  return { cli: cliOf('dumps', 'delete', id), curl: curlOf('DELETE', `/api/v1/dumps/${id}`) }
}

export function downloadMeans({ id, file }: Dump): OtherMeans {
  return { cli: cliOf('dumps', 'get', id), curl: `${curlOf('GET', fileOf(id))} \\\n  -o ${quote(file)}` }
}

/** `name` is that of a file of whoever copies it. */
export function uploadMeans(name: string): OtherMeans {
  const sends = `-H 'content-type: application/octet-stream' \\\n  -T ${quote(name)}`
  return { cli: cliOf('dumps', 'upload', name), curl: `${curlOf('POST', '/api/v1/dumps')} \\\n  ${sends}` }
}

/** Where the file of a dump is. */
export function fileOf(id: string): string {
  return `/api/v1/dumps/${id}/file`
}

/** The lines that restore a file by programs that everybody has. */
export function restoreWithout({ file, compression, sealed }: Dump): string | null {
  if (sealed) return null
  const unpack = { zstd: 'zstd -dc', gzip: 'gzip -dc', none: 'cat' }[compression]
  return `${unpack} ${quote(file)} | psql -X -v ON_ERROR_STOP=1 --single-transaction "$TARGET"`
}
