import { createHash } from 'node:crypto'
import { pipeline } from 'node:stream/promises'
import type { Adapter } from '#adapters/adapter.ts'
import { getDump, recordDrill } from '#control/dumps.ts'
import { getJob, type Job } from '#control/jobs.ts'
import type { DumpFile } from '#dump/dump-file.ts'
import { broken, drillDump, type Drilled } from '#dump/drill-dump.ts'
import type { RecognizeOptions } from '#dump/recognized.ts'
import { must } from '#lib/assert.ts'
import { SYSTEM } from '#model/access.ts'
import type { Dump } from '#model/dump.ts'
import { AppError } from '#model/errors.ts'
import { isActive } from '#model/job.ts'
import { limitsOf } from './dumps.ts'
import { fromStore } from './from-store.ts'
import type { WorkTools } from './job-work.ts'

/** What a trial of a dump ended with. */
export interface DrillResult extends Drilled {
  readonly dump: Pick<Dump, 'id' | 'file' | 'bytes' | 'sha256'>
  readonly works: boolean
  /** As the server calls itself. */
  readonly server: string
}

/**
 * Tries the dump of a job in a database of its own beside the job's target, and keeps with the dump what came of it. The
 * database bears the name of the job, so that another attempt drops what this one may leave.
 * @returns `failure` where the dump does not work
 * @throws AppError for what is no fault of the dump
 */
export async function drillWork(
  job: Job,
  { target, tools }: { readonly target: Adapter; readonly tools: WorkTools },
): Promise<{ readonly result: DrillResult; readonly failure: AppError | null }> {
  const { store, clock, identity, stop } = tools
  const { dump: id, passphrase, ...wish } = must(job.request.drill, 'what is to be tried')
  const dump = await fromStore(getDump(store, id))
  const scratchOf = target.restore?.scratch
  if (scratchOf === undefined || scratchOf === null) {
    throw new AppError('server_not_supported', 'Dumps are tried on PostgreSQL servers alone.')
  }
  try {
    await sweepTrials(target, tools)
    await using scratch = await scratchOf(`${TRIAL}${job.id}`)
    const drilled = await tryDump(dump, scratch, { wish, passphrase, tools })
    await identity.confirm()
    const { file, bytes, sha256 } = dump
    const works = drilled.faults.length === 0
    const server = target.server.product
    const { faults } = drilled
    await fromStore(recordDrill(store, id, { jobId: job.id, at: clock.now(), server, works, faults }, SYSTEM))
    return {
      result: { dump: { id, file, bytes, sha256 }, works, server, ...drilled },
      failure: failureOf(dump, faults),
    }
  } catch (error) {
    if (!stop.aborted) throw error
    throw new AppError('interrupted', 'The trial was interrupted; its database was dropped.', { cause: error })
  }
}

/** A file that is lost, or not the one that was written, is as much a fault of the dump as what is in it. */
async function tryDump(
  dump: Dump,
  scratch: Parameters<typeof drillDump>[0],
  {
    wish,
    passphrase,
    tools,
  }: { readonly wish: RecognizeOptions; readonly passphrase: string | null; readonly tools: WorkTools },
): Promise<Drilled> {
  const { dumps, stop, journal } = tools
  const other = `The file ${dump.file} is not the one that was written.`
  const handle = await dumps.directory.open(dump.file).catch((error: unknown) => {
    if (error instanceof AppError && error.code === 'dump_missing') return error.message
    throw error
  })
  if (typeof handle === 'string') return broken(handle)
  await using held = handle
  const file = fileOf(dump, held)
  try {
    return await drillDump(scratch, file, wish, {
      limits: limitsOf(dump, dumps, wish),
      passphrase: passphrase === null ? null : await dumps.lookUpPassphrase(passphrase),
      signal: stop,
      journal,
      program: dumps.program,
      onDigest: (sha256) => {
        if (sha256 !== dump.sha256) throw new AppError('dump_damaged', other)
      },
    })
  } catch (error) {
    // One that does not open may have another passphrase, or may be damaged: its bytes tell.
    if (!(error instanceof AppError) || error.code !== 'dump_sealed' || passphrase === null) throw error
    if ((await digestOf(file, stop)) === dump.sha256) throw error
    return broken(other)
  }
}

async function digestOf(file: DumpFile, signal: AbortSignal): Promise<string> {
  const digest = createHash('sha256')
  await pipeline(file.read(), digest, { signal })
  return digest.digest('hex')
}

const TRIAL = 'syncline_drill_'

/**
 * Drops what other trials have left on the server whose processes were killed, and which nobody goes on with. The name says of
 * which job a database is. A job that this store does not know may be at work for another service that tries its dumps on the
 * same server: its database is not ours to drop.
 */
async function sweepTrials({ restore }: Adapter, { store, journal }: WorkTools): Promise<void> {
  const isOver = async (name: string): Promise<boolean> => {
    try {
      const { kind, status } = await fromStore(getJob(store, name.slice(TRIAL.length)))
      return kind === 'drill' && !isActive(status)
    } catch (error) {
      if (error instanceof AppError && error.code === 'not_found') return false
      throw error
    }
  }
  const dropped = (await restore?.sweepScratch?.(TRIAL, isOver)) ?? []
  for (const name of dropped) {
    journal.record({ type: 'note', text: `The database ${name}, which a trial before had left, was dropped.` })
  }
}

function fileOf(
  { file: name, bytes }: Dump,
  handle: Awaited<ReturnType<WorkTools['dumps']['directory']['open']>>,
): DumpFile {
  return { name, bytes, read: () => handle.createReadStream({ start: 0, autoClose: false }) }
}

function failureOf({ file }: Dump, faults: readonly string[]): AppError | null {
  return faults.length === 0 ? null : new AppError('drill_failed', `${file} does not work. ${faults.join(' ')}`)
}
