import type { Job } from '#features/jobs/queries.ts'
import type { Schemas } from '#api/client.ts'
import { formatBytes, formatCount, plural } from '#lib/format.ts'

/** What a job is, in a word or two. */
export function kindWords({ kind, dry_run, mode, replays, approves }: Job): string {
  if (kind === 'revert') return 'Undo'
  if (kind === 'export') return 'Export'
  if (kind === 'import') return dry_run ? 'Plan of an import' : 'Import'
  if (kind === 'copy') return dry_run ? 'Plan of a copy' : 'Copy'
  if (kind === 'drill') return 'Trial of a dump'
  if (replays !== null) return 'Replay of rejected rows'
  if (approves !== null) return 'Approved changes'
  if (kind === 'verify') return 'Verify'
  if (kind === 'validate') return 'Validate'
  const what = mode === 'full' ? 'Full sync' : 'Sync'
  return dry_run ? (mode === 'full' ? 'Full dry run' : 'Dry run') : what
}

/** The kinds that a filter offers. */
export const KIND_WORDS = [
  ['sync', 'Sync or dry run'],
  ['verify', 'Verify'],
  ['validate', 'Validate'],
  ['revert', 'Undo'],
  ['export', 'Export'],
  ['import', 'Import or its plan'],
  ['copy', 'Copy or its plan'],
  ['drill', 'Trial of a dump'],
] as const

const PHASES: Readonly<Record<string, string>> = {
  planning: 'Planning',
  waiting: 'Waiting',
  create: 'Creating the table',
  compare: 'Comparing',
  delete: 'Deleting',
  load: 'Loading',
  write: 'Writing',
  index: 'Building indexes',
  verify: 'Verifying',
  finishing: 'Finishing',
  check: 'Checking the file',
  backup: 'Keeping what is replaced',
  schema: 'Definitions',
  data: 'Rows',
  indexes: 'Indexes',
  constraints: 'Constraints',
  done: 'Done',
}

/** Whether a job does all or nothing, so that there is nothing to go on from. */
export function isWhole({ kind }: Pick<Job, 'kind'>): boolean {
  return kind === 'export' || kind === 'import' || kind === 'copy' || kind === 'drill'
}

export function phaseWord(phase: string): string {
  return PHASES[phase] ?? phase
}

type Progress = Schemas['Progress']

/** `12,000 of about 200,000`; where nobody knows the whole, what was done until now. */
export function rowsOf({
  rows,
  total,
  estimated,
}: Pick<Progress['tables'][number], 'rows' | 'total' | 'estimated'>): string {
  if (total === null) return formatCount(rows)
  // Statistics may lag behind what is there.
  if (estimated && rows > total) return `${formatCount(rows)}, more than estimated`
  return `${formatCount(rows)} of ${estimated ? 'about ' : ''}${formatCount(total)}`
}

/** `about 43 %`, never rounded up to the end; null where nobody knows the whole. */
export function percentOf({ percent, estimated }: Pick<Progress, 'percent' | 'estimated'>): string | null {
  if (percent === null) return null
  return `${estimated && percent < 100 ? 'about ' : ''}${Math.floor(percent)} %`
}

/** `5 to 20 s left`, `2 to 5 min left`, `3 to 4 h left`. */
export function leftOf(left: Progress['seconds_left']): string | null {
  if (left === null) return null
  const [size, unit] = left.high < 100 ? [1, 's'] : left.high < 100 * 60 ? [60, 'min'] : [3_600, 'h']
  const low = Math.max(left.low > 0 ? 1 : 0, Math.floor(left.low / size))
  const high = Math.max(1, Math.ceil(left.high / size))
  return low === high ? `about ${high} ${unit} left` : `${low} to ${high} ${unit} left`
}

/** `public.orders`, or `orders` where it is in the schema that everybody takes first. */
export function tableWords({ schema, name }: { readonly schema: string; readonly name: string }): string {
  return schema === 'public' ? name : `${schema}.${name}`
}

/** Where a job is, in one line. What is not known yet is left out: no 0 stands for it. */
export function progressWords(progress: Progress): string {
  const { phase, rows, bytes, rows_per_second: rate, seconds_left: left } = progress
  return [
    phaseWord(phase),
    ...(rows === 0 ? [] : [plural(rows, 'row')]),
    ...(bytes === 0 ? [] : [formatBytes(bytes)]),
    ...(rate === 0 ? [] : [`${formatCount(Math.round(rate))} rows/s`]),
    percentOf(progress) ?? 'the whole is not known yet',
    ...[leftOf(left)].filter((words) => words !== null),
  ].join(', ')
}

/** Rows that a job has written, as far as it is known. */
export function writtenOf({ counts }: Pick<Job, 'counts'>): number | null {
  return counts === null ? null : counts.inserted + counts.updated + counts.deleted
}

/** `id=3`, `order=7, line=2`. */
export function keyWords(columns: readonly string[], key: readonly (string | null)[]): string {
  return key.map((part, i) => `${columns[i] ?? `key ${i + 1}`}=${part ?? 'NULL'}`).join(', ')
}
