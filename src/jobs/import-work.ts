import type { Adapter } from '#adapters/adapter.ts'
import { startersOf } from '#control/audit-list.ts'
import { earlierBackups, getDump, listDumps } from '#control/dumps.ts'
import { readJobEvents, type Job } from '#control/jobs.ts'
import type { DumpFile, ReadDump } from '#dump/dump-file.ts'
import { BACKUP_OPTIONS, readBackup, writeBackup } from '#dump/backup.ts'
import { DumpWriter } from '#dump/dump-writer.ts'
import { importDump, type Backup, type Imported, type Kept } from '#dump/import-dump.ts'
import { planDigest, planImport, replacedObjects, type ImportPlan, type RestorePlan } from '#dump/plan-import.ts'
import { checkDump, type DumpContents, type DumpPlan } from '#dump/check-dump.ts'
import { must, toError } from '#lib/assert.ts'
import { delay } from '#lib/clock.ts'
import { SYSTEM } from '#model/access.ts'
import type { Datasource } from '#model/datasource.ts'
import type { Dump } from '#model/dump.ts'
import { AppError, leavesDoubt } from '#model/errors.ts'
import { toJobError, type JobError } from '#model/job.ts'
import { objectName, tableName } from '#model/table.ts'
import { fromStore } from './from-store.ts'
import { limitsOf, removeDump, sweepDumps, writeDump } from './dumps.ts'
import type { WorkTools } from './job-work.ts'

/** What a restore does, or would do, to its target. */
export interface RestoreFindings {
  readonly target: RestorePlan['target']
  readonly makes: readonly { readonly what: string; readonly name: string }[]
  /** What was there and is, or would be, replaced; null where the process is gone that knew. */
  readonly replaced:
    | readonly {
        readonly what: string
        readonly name: string
        /** On disk; null where that is not known, or is nothing of its own. */
        readonly bytes: number | null
      }[]
    | null
  /** What a restore had made before which the dump was kept: it went, or would go. */
  readonly takesBack: readonly { readonly what: string; readonly name: string; readonly bytes: number | null }[]
  /** What is not among it and depends on what is replaced, as the server describes it: that is a refusal. */
  readonly dependents: readonly string[]
  /** By which a plan is known again; null where the process is gone that knew. */
  readonly planDigest: string | null
}

/** What an import ended with, or would do. */
export interface ImportResult extends RestoreFindings {
  readonly dump: Pick<Dump, 'id' | 'file' | 'bytes' | 'sha256'>
  readonly tables: Imported['tables']
  readonly rows: number
  /** The dump that has what was replaced; null where nothing was. */
  readonly backup: string | null
  readonly notes: readonly string[]
  /** Of a dry run: why it would not be done. */
  readonly refusals: readonly JobError[]
}

export interface ImportEnds {
  /** Opens the database, once the file is known to be a dump. */
  readonly open: () => Promise<Adapter>
  readonly datasource: Datasource
  readonly tools: WorkTools
}

/** Of what is restored, the database that is open by now. */
export interface RestoreEnds extends Omit<ImportEnds, 'open'> {
  readonly target: Adapter
}

/**
 * Restores a dump of the directory into the database of a job, once, however often its process dies: by which transaction it is
 * committed is known before that, and the server knows how it ended.
 * @throws AppError
 */
export async function importWork(job: Job, { open, datasource, tools }: ImportEnds): Promise<ImportResult> {
  const { dumps, store, journal, stop } = tools
  const request = must(job.request.import, 'what is to be imported')
  const dump = await fromStore(getDump(store, request.dump))
  await using handle = await dumps.directory.open(dump.file)
  const file: DumpFile = {
    name: dump.file,
    bytes: dump.bytes,
    read: () => handle.createReadStream({ start: 0, autoClose: false }),
  }
  const passphrase = request.passphrase === null ? null : await dumps.lookUpPassphrase(request.passphrase)
  const limits = limitsOf(dump, dumps, request)
  const options: ReadDump = { limits, passphrase, signal: stop }
  try {
    const { trusted, owners, grants, swap } = request
    journal.record({ type: 'stage', stage: 'check' })
    const checked = await checkDump(file, { ...options, trusted, owners, grants })
    if (checked.digest !== dump.sha256) {
      throw new AppError(
        'dump_damaged',
        `The file ${dump.file} is not the one that was written: its digest is another.`,
      )
    }
    await using target = await open()
    const isCommitted = await wasCommitted(job, { target, tools })
    if (!isCommitted) await sweepBackups(job, tools)
    if (isCommitted) return committedEarlier(dump, checked, { target, backup: await earlierBackup(job, tools) })
    const wish = { trusted, owners, grants, swap, replace: request.replace }
    const plan = await planImport(target, checked, wish)
    if (job.request.dryRun) return { ...toResult(dump, plan, null), refusals: plan.refusals.map(toJobError) }
    const imported = await importDump(
      target,
      { file, plan },
      { ...options, ...wish },
      {
        journal,
        agreed: request.agreed ?? null,
        backup: request.backup ? (kept) => backUp(job, kept, { target, datasource, tools }) : null,
        beforeCommit: (transaction) => announceCommit(transaction, tools),
      },
    )
    return toResult(dump, plan, imported)
  } catch (error) {
    if (!stop.aborted || leavesDoubt(error)) throw error
    throw new AppError('interrupted', 'The import was interrupted; the target is as it was.', { cause: error })
  }
}

const COMMITTED = /^It is committed as transaction (\d+)\.$/

/** Notes by which transaction a restore is committed, so that whoever takes the job over can ask how that ended. */
export async function announceCommit(
  transaction: string,
  { journal, keepJournal, identity }: WorkTools,
): Promise<void> {
  journal.record({ type: 'note', text: `It is committed as transaction ${transaction}.` })
  await keepJournal()
  // Whoever has lost the lease commits nothing (invariant 8).
  await identity.confirm()
}

const EVENTS = 500
const FATE_WAIT_MS = 1_000

/** Whether an earlier process of this job came to commit it. */
export async function wasCommitted(
  job: Job,
  { target, tools }: Pick<RestoreEnds, 'target' | 'tools'>,
): Promise<boolean> {
  for (let after = 0; ;) {
    const events = await fromStore(readJobEvents(tools.store, job.id, { after, limit: EVENTS }))
    for (const { type, data } of events) {
      const transaction = type === 'log' ? COMMITTED.exec(String(data['text']))?.[1] : undefined
      if (transaction !== undefined && (await endOf(transaction, target, tools)) === 'committed') return true
    }
    const last = events.at(-1)
    if (last === undefined) return false
    after = last.seq
  }
}

/** What a process that came to commit had kept before. */
export async function earlierBackup({ id }: Job, { store }: WorkTools): Promise<string | null> {
  const page = { sort: 'created_at', descending: true, after: null, limit: 1 } as const
  const [last] = await fromStore(listDumps(store, { origin: 'backup', jobId: id }, page))
  return last?.id ?? null
}

/** Removes what earlier processes of this job have kept or begun to keep, none of which has replaced anything. */
export async function sweepBackups({ id }: Job, { dumps, store, journal, identity }: WorkTools): Promise<void> {
  const earlier = { jobId: id, before: must(identity.lease, 'the claim of a job') }
  let swept = await fromStore(sweepDumps(dumps, earlier))
  for (const backup of await fromStore(earlierBackups(store, earlier))) {
    try {
      await fromStore(removeDump(dumps, backup.id, { actor: SYSTEM, action: 'dump.delete', by: id }))
      swept += 1
    } catch (error) {
      // Somebody reads it, or it has gone meanwhile.
      if (!(error instanceof AppError) || (error.code !== 'in_use' && error.code !== 'not_found')) throw error
    }
  }
  if (swept > 0)
    journal.record({ type: 'note', text: 'Nothing was replaced by an earlier attempt: its backup is removed.' })
}

async function endOf(transaction: string, target: Adapter, tools: WorkTools): Promise<'committed' | 'aborted'> {
  const restore = must(target.restore, 'a target that takes dumps')
  for (;;) {
    const fate = await restore.fateOf(transaction)
    if (fate !== 'in progress') return fate
    await delay(FATE_WAIT_MS, tools.stop)
  }
}

/** What is there is by now what it has brought itself: what that came to replace, nobody sees any more. */
function committedEarlier(
  { id, file, bytes, sha256 }: Dump,
  { makes, loads }: DumpPlan,
  { target, backup }: { readonly target: Adapter; readonly backup: string | null },
): ImportResult {
  return {
    ...committedFindings(target),
    makes: namesOf(makes),
    dump: { id, file, bytes, sha256 },
    tables: loads.map(({ table, rows }) => ({ table, rows })),
    rows: loads.reduce((sum, load) => sum + load.rows, 0),
    backup,
    notes: ['The process that imported it died after the commit: what it replaced is not known any more.'],
    refusals: [],
  }
}

/** What can be said of a restore whose process died after its commit. */
export function committedFindings({ server }: Adapter): RestoreFindings {
  const { address, product, major } = server
  return {
    target: { address, product, major },
    makes: [],
    replaced: null,
    takesBack: [],
    dependents: [],
    planDigest: null,
  }
}

function toResult(
  { id, file, bytes, sha256 }: Dump,
  plan: ImportPlan,
  imported: Omit<Imported, 'statements'> | null,
): ImportResult {
  const { dump, notes } = plan
  return {
    ...findingsOf(plan),
    dump: { id, file, bytes, sha256 },
    tables: imported?.tables ?? dump.loads.map(({ table, rows }) => ({ table, rows })),
    rows: imported?.rows ?? dump.loads.reduce((sum, { rows }) => sum + rows, 0),
    backup: imported?.backup ?? null,
    notes: imported?.notes ?? notes,
    refusals: [],
  }
}

function namesOf(makes: DumpContents['makes']): RestoreFindings['makes'] {
  return makes.map((made) => ({ what: made.word, name: objectName(made) }))
}

export function findingsOf(plan: RestorePlan): RestoreFindings {
  const { dump, target, facts, replaced, takesBack } = plan
  const sized = (bytes: number): number | null => (bytes === 0 ? null : bytes)
  return {
    target,
    makes: namesOf(dump.makes),
    replaced: [
      ...replacedObjects({ facts, takesBack }).map((each) => ({
        what: each.what,
        name: tableName(each),
        bytes: sized(each.bytes),
      })),
      ...facts.filled.map((table) => ({ what: 'rows', name: tableName(table), bytes: null })),
      ...replaced.sequences.map((sequence) => ({ what: 'sequence', name: tableName(sequence), bytes: null })),
    ],
    takesBack: takesBack.map((each) => ({ what: each.what, name: objectName(each), bytes: sized(each.bytes) })),
    dependents: facts.dependents,
    planDigest: planDigest(plan),
  }
}

/** Keeps what is replaced, reads the file back and checks it. */
export async function backUp(job: Job, kept: Kept, { target, datasource, tools }: RestoreEnds): Promise<Backup> {
  const { dumps, store, journal, clock, identity, stop } = tools
  const epoch = must(identity.lease, 'the claim of a job')
  const starter = (await startersOf(store, [job.id])).get(job.id)
  const draft = {
    origin: 'backup',
    database: datasource.connection.database,
    datasourceId: datasource.id,
    writer: { jobId: job.id, epoch },
    compression: BACKUP_OPTIONS.compression,
    sealed: false,
    createdBy: starter?.name ?? job.requestedBy,
    createdAt: clock.now(),
  } as const
  const dump = await writeDump(dumps, { draft, content: 'all', actor: SYSTEM }, async (file) => {
    await using packed = await DumpWriter.open(file, { compression: draft.compression, passphrase: null })
    const tool = { clock, signal: stop, program: dumps.program }
    const { head, rows, bytes, notes } = await writeBackup(target, kept, packed, tool)
    return { head, rows, sqlBytes: bytes, notes }
  })
  const discard = async (): Promise<void> => {
    await removeDump(dumps, dump.id, { actor: SYSTEM, action: 'dump.delete', by: job.id })
    journal.record({ type: 'note', text: `Nothing was replaced: the backup ${dump.id} is removed.` })
  }
  try {
    await readBack(dump, kept, tools)
  } catch (error) {
    await discard().catch(toError)
    throw error
  }
  journal.record({ type: 'note', text: `What is replaced is kept in the backup ${dump.id}.` })
  return { name: dump.id, discard }
}

async function readBack({ file, bytes }: Dump, kept: Kept, { dumps, stop }: WorkTools): Promise<void> {
  await using handle = await dumps.directory.open(file)
  const read = (): AsyncIterable<Buffer> => handle.createReadStream({ start: 0, autoClose: false })
  await readBackup(kept, { name: file, bytes, read }, stop)
}
