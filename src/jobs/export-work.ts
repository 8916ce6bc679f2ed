import type { Adapter } from '#adapters/adapter.ts'
import type { Job } from '#control/jobs.ts'
import { startersOf } from '#control/audit-list.ts'
import { DumpWriter } from '#dump/dump-writer.ts'
import { exportDatabase, type Exported } from '#dump/export-database.ts'
import { must } from '#lib/assert.ts'
import { SYSTEM } from '#model/access.ts'
import type { Datasource } from '#model/datasource.ts'
import { isPartial, type Dump } from '#model/dump.ts'
import { AppError } from '#model/errors.ts'
import { exportReaders } from './connections.ts'
import { sweepDumps, writeDump } from './dumps.ts'
import type { WorkTools } from './job-work.ts'

/** What an export ended with. */
export interface ExportResult {
  readonly dump: Pick<Dump, 'id' | 'file' | 'bytes' | 'sha256' | 'compression' | 'sealed'>
  readonly moment: string
  readonly rows: number
  readonly sqlBytes: number
  readonly tables: Exported['tables']
  readonly notes: readonly string[]
}

export interface ExportEnds {
  readonly source: Adapter
  readonly datasource: Datasource
  readonly tools: WorkTools
}

/**
 * Writes the database of a job into a file of the directory. A file that is interrupted goes, and the job begins anew: the
 * moment that it was of is gone.
 * @throws AppError
 */
export async function exportWork(job: Job, { source, datasource, tools }: ExportEnds): Promise<ExportResult> {
  const { dumps, store, journal, clock, identity, stop } = tools
  const wanted = must(job.request.export, 'what is to be exported')
  const options = { ...wanted, parallel: exportReaders(wanted, datasource.poolSize) }
  const passphrase = options.passphrase === null ? null : await dumps.lookUpPassphrase(options.passphrase)
  const epoch = must(identity.lease, 'the claim of a job')
  const writer = { jobId: job.id, epoch }
  const left = await sweepDumps(dumps, { jobId: job.id, before: epoch })
  if (left > 0) journal.record({ type: 'note', text: 'The file that an earlier attempt had begun was removed.' })
  const starter = (await startersOf(store, [job.id])).get(job.id)
  let exported: Exported | null = null
  const draft = {
    origin: 'export',
    database: datasource.connection.database,
    datasourceId: datasource.id,
    writer,
    compression: options.compression,
    sealed: passphrase !== null,
    createdBy: starter?.name ?? job.requestedBy,
    createdAt: clock.now(),
  } as const
  const rotates = {
    datasourceId: datasource.id,
    content: options.content,
    partial: isPartial(options),
    onExpired: (old: string) => journal.record({ type: 'note', text: `${old} went, to make room for this one.` }),
  }
  const doing = { draft, content: options.content, actor: SYSTEM, rotates }
  try {
    const dump = await writeDump(dumps, doing, async (file) => {
      await using packed = await DumpWriter.open(file, { compression: options.compression, passphrase })
      const made = await exportDatabase(source, options, packed, {
        journal,
        clock,
        signal: stop,
        program: dumps.program,
      })
      // Whoever has lost the lease gives no file its name.
      await identity.confirm()
      exported = made
      return { head: made.head, rows: made.rows, sqlBytes: made.bytes, notes: made.notes }
    })
    return toResult(dump, must<Exported>(exported, 'what was exported'))
  } catch (error) {
    if (stop.aborted) {
      journal.record({ type: 'note', text: 'The export was interrupted; the file that it had begun was removed.' })
      throw new AppError('interrupted', 'The export was interrupted.', { cause: error })
    }
    throw error
  }
}

function toResult({ id, file, bytes, sha256, compression, sealed }: Dump, exported: Exported): ExportResult {
  const { moment, rows, bytes: sqlBytes, tables, notes } = exported
  return { dump: { id, file, bytes, sha256, compression, sealed }, moment, rows, sqlBytes, tables, notes }
}
