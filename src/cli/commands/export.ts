import { randomUUID } from 'node:crypto'
import type { Command } from 'commander'
import { asObject, type ApiClient } from '#api/client.ts'
import { addCommonFlags, type Context, type Outcome, type Runner } from '#cli/command.ts'
import { plural, printable } from '#cli/format.ts'
import { writeNew } from '#cli/new-file.ts'
import { Progress } from '#cli/progress.ts'
import { addDumpFlags, exportBody, toExport, type DumpFlags } from '#cli/dump-options.ts'
import { withService, type ServiceFlags } from '#cli/service-flags.ts'
import { formatBytes } from '#lib/amounts.ts'
import { systemClock } from '#lib/clock.ts'
import { AppError, EXIT } from '#model/errors.ts'
import { exportToFile, type ExportedFile } from '#service/one-line-export.ts'
import { isReference, readReference } from '#service/reference.ts'
import { followJob, outcomeOf } from './jobs.ts'

const HELP = `
SOURCE is the name of a datasource: the service writes the dump into its directory, and --output takes it along. Or it is a
URL (or env:NAME, file:PATH, which hold one): the dump is written here, without a service. The file is plain SQL that psql
restores: zstd -dc FILE | psql -v ON_ERROR_STOP=1 --single-transaction DATABASE

Examples:
  syncline export shop
  syncline export shop --table 'public.order*' --output orders.sql.zst
  syncline export env:SOURCE --output shop.sql --compress none
  syncline export env:SOURCE --passphrase file:/run/secrets/dump
`

interface ExportFlags extends ServiceFlags, DumpFlags {
  readonly output?: string
}

export function addExport(program: Command, run: Runner): void {
  const command = program.command('export <source>').description('write a database as plain SQL, which psql restores')
  addDumpFlags(command)
    .option('--output <file>', 'where the file is written; it must not be there yet')
    .option('--server <url>', 'the service to speak to, such as http://127.0.0.1:8001')
    .addHelpText('after', HELP)
  addCommonFlags(command).action(async (source: string, flags: ExportFlags) =>
    isReference(source)
      ? run(command, (context) => exportHere(source, flags, context))
      : withService(run, command, (client, context) => exportThere(client, source, flags, context)),
  )
}

async function exportHere(source: string, flags: ExportFlags, { output, signal }: Context): Promise<Outcome> {
  if (flags.server !== undefined) {
    throw new AppError('usage', '--server goes with the name of a datasource, and a URL is exported here.')
  }
  const reference = readReference(source)
  if (reference.exposed) output.warn('Other users of this machine can read the password on the command line.')
  using progress = new Progress(output, systemClock)
  const request = { source: reference, options: toExport(flags), file: flags.output ?? null }
  const exported = await exportToFile(request, { journal: progress, signal })
  return hereOutcome(exported)
}

function hereOutcome({ file, packedBytes, sha256, head, moment, rows, bytes, tables, notes }: ExportedFile): Outcome {
  const summary = `${file}: ${plural(tables.length, 'table')}, ${plural(rows, 'row')}, ${formatBytes(packedBytes)}`
  const result = {
    file,
    bytes: packedBytes,
    sha256,
    database: head.database,
    server: head.server,
    moment,
    rows,
    sql_bytes: bytes,
    tables,
    notes,
  }
  return { exit: EXIT.done, summary, result, lines: [...notes.map((note) => `note: ${printable(note)}`), summary] }
}

async function exportThere(
  client: ApiClient,
  datasource: string,
  flags: ExportFlags,
  context: Context,
): Promise<Outcome> {
  const body = { datasource, ...exportBody(flags) }
  const started = asObject(await client.post('/sync/export', body, { idempotencyKey: randomUUID() }))
  const job = await followJob(client, String(started['job_id']), context)
  const outcome = await outcomeOf(client, job)
  if (job['status'] !== 'succeeded') return outcome
  const { dump, rows, tables, notes } = asObject(asObject(outcome.result)['receipt'])
  const { id, file, bytes } = asObject(dump)
  const size = formatBytes(Number(bytes))
  const there = `${String(id)} ${String(file)}: ${plural(listOf(tables).length, 'table')}, ${plural(Number(rows), 'row')}, ${size}`
  const told = listOf(notes).map((note) => `note: ${printable(String(note))}`)
  if (flags.output === undefined) return { ...outcome, summary: there, lines: [...told, there] }
  await writeNew(flags.output, await client.download(`/dumps/${String(id)}/file`))
  const summary = `${there}, written to ${flags.output}`
  return { ...outcome, summary, lines: [...told, summary] }
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}
