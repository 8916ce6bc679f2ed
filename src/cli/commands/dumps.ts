import { randomUUID } from 'node:crypto'
import { basename } from 'node:path'
import type { Command } from 'commander'
import { asObject, type ApiClient } from '#api/client.ts'
import { addCommonFlags, type Context, type Outcome, type Runner } from '#cli/command.ts'
import { formatCount, formatTable, plural, printable } from '#cli/format.ts'
import { writeNew } from '#cli/new-file.ts'
import { withService } from '#cli/service-flags.ts'
import { formatBytes } from '#lib/amounts.ts'
import { AppError, EXIT } from '#model/errors.ts'
import { followJob, outcomeOf } from './jobs.ts'
import { addExportSchedule } from './export-schedule.ts'
import { uploadDump } from './upload-dump.ts'

const UPLOAD_HELP = `
The file is plain SQL, gzip or zstd, or one that was sealed. It is looked at as a whole when it is imported.

Examples:
  syncline dumps upload shop.sql.zst
  syncline dumps upload shop.sql.zst --server https://syncline.example.com
`

export function addDumps(program: Command, run: Runner): void {
  const group = program.command('dumps').helpCommand(false).description('dumps in the directory of the service')
  const list = group
    .command('list')
    .description('dumps, the newest first')
    .option('--datasource <name>', 'only dumps of this datasource')
    .option('--limit <n>', 'no more than so many', '50')
  addServiceOption(list).action(async (flags: { datasource?: string; limit: string }) =>
    withService(run, list, (client) => listDumps(client, flags)),
  )
  const show = group.command('show <id>').description('what is known of a dump')
  addServiceOption(show).action(async (id: string) => withService(run, show, (client) => showDump(client, id)))
  const drill = group
    .command('drill <id>')
    .description('try a dump: restore it into a database of its own, check that, and drop it')
    .requiredOption('--into <datasource>', 'on whose server; the datasource itself stays as it is')
    .option('--trust-file', 'the file may do whatever the login may, which may be a superuser')
    .option('--owners', 'with who owns what, as the dump has it')
    .option('--grants', 'with who has been granted what')
    .option('--passphrase <reference>', 'where the passphrase is of a sealed file: env:NAME or file:PATH')
    .option('--allow-protected-write', 'although the datasource is production or staging')
  addServiceOption(drill).action(async (id: string, flags: DrillFlags) =>
    withService(run, drill, (client, context) => drillDump(client, id, flags, context)),
  )
  addExportSchedule(group, run)
  const get = group
    .command('get <id>')
    .description('take the file of a dump along')
    .option('--output <file>', 'where it is written; it must not be there yet')
  addServiceOption(get).action(async (id: string, flags: { output?: string }) =>
    withService(run, get, (client) => getDump(client, id, flags.output ?? null)),
  )
  const upload = group
    .command('upload <file>')
    .description('bring a file of syncline export or pg_dump, to be imported')
    .addHelpText('after', UPLOAD_HELP)
  addServiceOption(upload).action(async (file: string) =>
    withService(run, upload, (client, context) => uploadDump(client, file, context)),
  )
  const remove = group.command('delete <id>').description('delete a dump and its file')
  addServiceOption(remove).action(async (id: string) =>
    withService(run, remove, async (client) => {
      const result = await client.delete(`/dumps/${encodeURIComponent(id)}`)
      const summary = `${id} is deleted`
      return { exit: EXIT.done, summary, result, lines: [summary] }
    }),
  )
}

function addServiceOption(command: Command): Command {
  return addCommonFlags(command).option('--server <url>', 'the service to speak to, such as http://127.0.0.1:8001')
}

async function listDumps(
  client: ApiClient,
  { datasource, limit }: { datasource?: string; limit: string },
): Promise<Outcome> {
  const query = new URLSearchParams({ limit, ...(datasource === undefined ? {} : { datasource }) })
  const page = asObject(await client.get(`/dumps?${query.toString()}`))
  const dumps = listOf(page['items']).map(asObject)
  const rows = dumps.map((dump) => [
    String(dump['id']),
    printable(String(dump['file'])),
    String(dump['origin']),
    typeof dump['rows'] === 'number' ? formatCount(dump['rows']) : '–',
    formatBytes(Number(dump['bytes'])),
    triedText(dump['drill']),
  ])
  const { bytes, most_bytes: most } = asObject(page['total'])
  const summary = `${plural(dumps.length, 'dump')}; ${formatBytes(Number(bytes))} of ${formatBytes(Number(most))} are used`
  const table = rows.length === 0 ? [] : formatTable(['id', 'file', 'origin', 'rows', 'size', 'tried'], rows)
  return { exit: EXIT.done, summary, result: page, lines: [...table, summary] }
}

/** What came of the last trial, in a few words. */
function triedText(drill: unknown): string {
  if (drill === null || drill === undefined) return 'never'
  const { works, at } = asObject(drill)
  return `${works === true ? 'works' : 'DOES NOT WORK'} (${String(at).slice(0, 10)})`
}

async function showDump(client: ApiClient, id: string): Promise<Outcome> {
  const dump = asObject(await client.get(`/dumps/${encodeURIComponent(id)}`))
  const drill = asObject(dump['drill'])
  const faults = listOf(drill['faults']).map((fault) => `  ${printable(String(fault))}`)
  const lines = [
    `${String(dump['id'])} ${printable(String(dump['file']))}`,
    `database: ${printable(typeof dump['database'] === 'string' ? dump['database'] : 'unknown')}`,
    `made: ${String(dump['created_at'])} by ${printable(String(dump['created_by']))} (${String(dump['origin'])})`,
    `size: ${formatBytes(Number(dump['bytes']))}`,
    `SHA-256: ${String(dump['sha256'])}`,
    `tried: ${triedText(dump['drill'])}`,
    ...faults,
    ...listOf(dump['notes']).map((note) => `note: ${printable(String(note))}`),
  ]
  return { exit: EXIT.done, summary: String(dump['file']), result: dump, lines }
}

interface DrillFlags {
  readonly into: string
  readonly trustFile?: true
  readonly owners?: true
  readonly grants?: true
  readonly passphrase?: string
  readonly allowProtectedWrite?: true
}

async function drillDump(client: ApiClient, id: string, flags: DrillFlags, context: Context): Promise<Outcome> {
  const body = {
    into: flags.into,
    trust_file: flags.trustFile ?? false,
    owners: flags.owners ?? false,
    grants: flags.grants ?? false,
    ...(flags.passphrase === undefined ? {} : { passphrase_reference: flags.passphrase }),
    ...(flags.allowProtectedWrite === undefined ? {} : { allow_protected_write: true, confirm: flags.into }),
  }
  const path = `/dumps/${encodeURIComponent(id)}/drill`
  const started = asObject(await client.post(path, body, { idempotencyKey: randomUUID() }))
  const job = await followJob(client, String(started['job_id']), context)
  const outcome = await outcomeOf(client, job)
  if (job['status'] !== 'succeeded') return outcome
  const { tables, rows, constraints, server } = asObject(asObject(outcome.result)['receipt'])
  const what = `${plural(listOf(tables).length, 'table')}, ${plural(Number(rows), 'row')}, ${plural(Number(constraints), 'constraint')}`
  const summary = `${id} works: ${what} on ${printable(String(server))}`
  return { ...outcome, summary, lines: [summary] }
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

async function getDump(client: ApiClient, id: string, output: string | null): Promise<Outcome> {
  const path = `/dumps/${encodeURIComponent(id)}`
  const dump = asObject(await client.get(path))
  // Whatever the service calls it, it is put here and nowhere else.
  const file = output ?? basename(String(dump['file']))
  const bytes = await writeNew(file, await client.download(`${path}/file`))
  if (bytes !== dump['bytes']) {
    throw new AppError('service_unreachable', `${file} has ${bytes} of ${String(dump['bytes'])} bytes.`)
  }
  const summary = `${file}: ${formatBytes(bytes)}`
  return { exit: EXIT.done, summary, result: { ...dump, output: file }, lines: [summary] }
}
