import { randomUUID } from 'node:crypto'
import type { Command } from 'commander'
import { asObject, type ApiClient } from '#api/client.ts'
import { addCommonFlags, type Context, type Outcome, type Runner } from '#cli/command.ts'
import { notAgreed } from '#cli/not-agreed.ts'
import { plural, printable } from '#cli/format.ts'
import { Progress } from '#cli/progress.ts'
import { withService, type ServiceFlags } from '#cli/service-flags.ts'
import { readEnvironment } from '#cli/sync-options.ts'
import { formatBytes } from '#lib/amounts.ts'
import { systemClock } from '#lib/clock.ts'
import type { Environment } from '#model/environment.ts'
import { AppError, EXIT } from '#model/errors.ts'
import { toJobError } from '#model/job.ts'
import { objectName, tableName } from '#model/table.ts'
import {
  importFrom,
  planImportFrom,
  replacedObjects,
  type Imported,
  type ImportPlan,
  type OneLineImport,
  planDigest,
  type Agreed,
} from '#service/one-line-import.ts'
import { judgeUrl } from '#service/one-line.ts'
import { isReference, readReference } from '#service/reference.ts'
import { followJob, outcomeOf } from './jobs.ts'

const HELP = `
TARGET is the name of a datasource, and DUMP the id of a dump in the directory of the service. Or TARGET is a URL (or env:NAME,
file:PATH, which hold one), and DUMP a file: of syncline export, or of pg_dump in its plain format; plain, gzip or zstd.

The whole file is checked before anything is written. Everything comes in one transaction: after an error, or when it is
interrupted, the target is as it was. What is there already is a refusal, or replaced with --replace; what is replaced is kept
as a dump first, which is imported in the same way.

Examples:
  syncline import env:TARGET shop.sql.zst --dry-run
  syncline import env:TARGET shop.sql.zst --replace --swap --yes
  syncline import shop-copy dmp_01k00000000000000000000000 --replace --yes
`

interface ImportFlags extends ServiceFlags {
  readonly dryRun?: true
  readonly yes?: true
  /** `--no-input` makes it false. */
  readonly input: boolean
  readonly replace?: true
  /** `--no-backup` makes it false. */
  readonly backup: string | boolean
  readonly swap?: true
  readonly trustFile?: true
  readonly owners?: true
  readonly grants?: true
  readonly passphrase?: string
  readonly targetEnv?: Environment
  readonly allowProtectedWrite?: true
}

export function addImport(program: Command, run: Runner): void {
  const command = program
    .command('import <target> <dump>')
    .description('restore a dump into a database, in one transaction')
    .option('--dry-run', 'check the file and show what would be done, and do nothing')
    .option('--yes', 'write without asking')
    .option('--no-input', 'never ask: without --yes, refuse')
    .option('--replace', 'replace what the dump makes and is there already')
    .option('--backup <file>', 'where what is replaced is kept; by itself in the working directory')
    .option('--no-backup', 'do not keep what is replaced')
    .option('--swap', 'keep what is replaced readable until the end, and exchange it then')
    .option('--trust-file', 'the file may do whatever the login may, which may be a superuser')
    .option('--owners', 'with who owns what, as the dump has it')
    .option('--grants', 'with who has been granted what')
    .option('--passphrase <reference>', 'where the passphrase is of a sealed file: env:NAME or file:PATH')
    .option('--target-env <environment>', 'what the target is; on this machine local, else production', readEnvironment)
    .option('--allow-protected-write', 'write although the target is production or staging')
    .option('--server <url>', 'the service to speak to, such as http://127.0.0.1:8001')
    .addHelpText('after', HELP)
  addCommonFlags(command).action(async (target: string, dump: string, flags: ImportFlags) =>
    isReference(target)
      ? run(command, (context) => importHere({ target, dump }, flags, context))
      : withService(run, command, (client, context) => importThere(client, { target, dump }, flags, context)),
  )
}

function toRequest({ target, dump }: { target: string; dump: string }, flags: ImportFlags): OneLineImport {
  const { backup } = flags
  return {
    target: readReference(target),
    file: dump,
    wish: {
      replace: flags.replace ?? false,
      swap: flags.swap ?? false,
      trusted: flags.trustFile ?? false,
      owners: flags.owners ?? false,
      grants: flags.grants ?? false,
    },
    passphrase: flags.passphrase ?? null,
    backup: backup === false ? null : typeof backup === 'string' ? backup : 'auto',
  }
}

async function importHere(
  ends: { target: string; dump: string },
  flags: ImportFlags,
  { output, signal }: Context,
): Promise<Outcome> {
  if (flags.server !== undefined) {
    throw new AppError('usage', '--server goes with the name of a datasource, and into a URL is imported here.')
  }
  const request = toRequest(ends, flags)
  judgeUrl('target', request.target)
  if (request.target.exposed) output.warn('Other users of this machine can read the password on the command line.')
  if (flags.dryRun) return planOutcome(await planImportFrom(request, signal))
  const agreed = flags.yes ? null : await askFor(await planImportFrom(request, signal), flags, { output, signal })
  const { targetEnv: environment = null, allowProtectedWrite = false } = flags
  // Nothing is drawn over the question.
  using progress = new Progress(output, systemClock)
  const tools = { journal: progress, signal }
  return importedOutcome(await importFrom(request, { environment, allowProtectedWrite, agreed }, tools))
}

/**
 * Shows what would be done and asks; on a pipe there is nobody to ask. Returns what was agreed to.
 * @throws AppError unless somebody agrees
 */
async function askFor(
  plan: ImportPlan,
  { input }: ImportFlags,
  { output, signal }: Pick<Context, 'output' | 'signal'>,
): Promise<Agreed> {
  if (!input || !output.interactive) throw notAgreed()
  const [refusal] = plan.refusals
  if (refusal !== undefined) throw refusal
  for (const line of planLines(plan)) output.print(line)
  if (!(await output.agrees('Write this to the target?', signal))) {
    throw new AppError('target_not_writable', 'You did not agree, and nothing was written.')
  }
  return planDigest(plan)
}

function planLines({ dump, target, facts, replaced, takesBack, notes }: ImportPlan): string[] {
  const existing = replacedObjects({ facts, takesBack })
  return [
    `Target: ${target.address} (${target.product})`,
    ...dump.loads.map(({ table, rows }) => `  ${printable(tableName(table))}: ${plural(rows, 'row')}`),
    ...existing.map((each) => `  replaces ${each.what} ${printable(tableName(each))} (${formatBytes(each.bytes)})`),
    ...facts.filled.map((table) => `  replaces the rows of ${printable(tableName(table))}`),
    ...replaced.sequences.map((sequence) => `  moves the sequence ${printable(tableName(sequence))}`),
    ...takesBack.map((each) => `  takes back ${each.what} ${printable(objectName(each))} (${formatBytes(each.bytes)})`),
    ...notes.map((note) => `note: ${printable(note)}`),
  ]
}

function planOutcome(plan: ImportPlan): Outcome {
  const { dump, target, facts, replaced, takesBack, notes, refusals } = plan
  const rows = dump.loads.reduce((sum, load) => sum + load.rows, 0)
  const what = `${dump.file}: ${plural(dump.statements, 'statement')}, ${plural(dump.loads.length, 'table')}, ${plural(rows, 'row')}`
  const summary = refusals.length === 0 ? `dry run: ${what}` : `dry run: ${what}; it would be refused`
  return {
    exit: refusals.length === 0 ? EXIT.done : EXIT.findings,
    summary,
    result: {
      dry_run: true,
      target,
      writer: dump.origin.writer,
      statements: dump.statements,
      makes: dump.makes.map((made) => ({ what: made.word, name: objectName(made) })),
      tables: dump.loads,
      replaced: [...replacedObjects({ facts, takesBack }), ...facts.filled, ...replaced.sequences].map(tableName),
      takes_back: takesBack.map((each) => ({ what: each.what, name: objectName(each) })),
      notes,
      refusals: refusals.map(toJobError),
    },
    lines: [
      ...planLines(plan),
      ...refusals.map(({ code, message, hint }) => `refused: ${printable(message)} (${code})\n  ${hint}`),
      summary,
    ],
  }
}

function importedOutcome({ tables, rows, statements, backup, notes }: Imported): Outcome {
  const kept = backup === null ? '' : `; what was replaced is in ${backup}`
  const summary = `imported ${plural(tables.length, 'table')}, ${plural(rows, 'row')}${kept}`
  return {
    exit: EXIT.done,
    summary,
    result: { tables, rows, statements, backup, notes },
    lines: [...notes.map((note) => `note: ${printable(note)}`), summary],
  }
}

async function importThere(
  client: ApiClient,
  { target, dump }: { target: string; dump: string },
  flags: ImportFlags,
  context: Context,
): Promise<Outcome> {
  if (!flags.yes && !flags.dryRun) throw notAgreed({ asks: false })
  const body = {
    datasource: target,
    dump,
    dry_run: flags.dryRun ?? false,
    replace: flags.replace ?? false,
    backup: flags.backup !== false,
    swap: flags.swap ?? false,
    trust_file: flags.trustFile ?? false,
    owners: flags.owners ?? false,
    grants: flags.grants ?? false,
    ...(flags.passphrase === undefined ? {} : { passphrase_reference: flags.passphrase }),
    ...(flags.allowProtectedWrite === undefined ? {} : { allow_protected_write: true, confirm: target }),
  }
  const started = asObject(await client.post('/sync/import', body, { idempotencyKey: randomUUID() }))
  const job = await followJob(client, String(started['job_id']), context)
  const outcome = await outcomeOf(client, job)
  if (job['status'] !== 'succeeded') return outcome
  const { rows, backup, refusals } = asObject(asObject(outcome.result)['receipt'])
  const refused = Array.isArray(refusals) ? refusals.map(asObject) : []
  const kept = typeof backup === 'string' ? `; what was replaced is in ${backup}` : ''
  const summary = flags.dryRun
    ? `dry run: ${plural(Number(rows), 'row')}${refused.length === 0 ? '' : '; it would be refused'}`
    : `imported ${plural(Number(rows), 'row')}${kept}`
  const lines = refused.map(({ code, message }) => `refused: ${printable(String(message))} (${String(code)})`)
  return { ...outcome, exit: refused.length === 0 ? outcome.exit : EXIT.findings, summary, lines: [...lines, summary] }
}
