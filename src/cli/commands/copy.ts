import { randomUUID } from 'node:crypto'
import type { Command } from 'commander'
import { asObject, type ApiClient } from '#api/client.ts'
import { addCommonFlags, type Context, type Outcome, type Runner } from '#cli/command.ts'
import { notAgreed } from '#cli/not-agreed.ts'
import { addCopyFlags, copyBody, CopyRules, MASK_HELP, toCopyOptions } from '#cli/copy-options.ts'
import { formatCount, plural, printable } from '#cli/format.ts'
import { Progress } from '#cli/progress.ts'
import type { ReadingFlags } from '#cli/reading-options.ts'
import { withService, type ServiceFlags } from '#cli/service-flags.ts'
import { readEnvironment } from '#cli/sync-options.ts'
import { formatBytes } from '#lib/amounts.ts'
import { systemClock } from '#lib/clock.ts'
import type { CopyOptions } from '#model/copy.ts'
import type { Environment } from '#model/environment.ts'
import { AppError, EXIT } from '#model/errors.ts'
import { toJobError } from '#model/job.ts'
import { tableName } from '#model/table.ts'
import { copyFrom, planCopyFrom, type CopyPlan, type OneLineCopy } from '#service/one-line-copy.ts'
import { planDigest, type Agreed } from '#service/one-line-import.ts'
import { judgeUrl } from '#service/one-line.ts'
import { isReference, readReference } from '#service/reference.ts'
import { followJob, outcomeOf } from './jobs.ts'

const HELP = `
SOURCE and TARGET are the names of two datasources, which the service copies. Or both are URLs (or env:NAME, file:PATH, which
hold one), and the copy is done here, without a service.

Definitions and rows of one moment of the source stream into the target in one transaction: after an error, or when it is
interrupted, the target is as it was. What is there already is a refusal, or replaced with --replace; what is replaced is kept
as a dump first, which syncline import brings back.
${MASK_HELP}
Examples:
  syncline copy env:STAGING env:LOCAL --dry-run
  syncline copy env:STAGING env:LOCAL --replace --trust-source --yes
  syncline copy env:STAGING env:LOCAL --replace --mask 'customer.email=mask_email' --where 'orders=total > 100'
  syncline copy env:STAGING env:LOCAL --replace --mask 'card.number=[{"mask_digits":{"keep_end":4}}]'
  syncline copy shop shop-copy --replace --yes
`

interface Flags extends ServiceFlags, ReadingFlags {
  readonly dryRun?: true
  readonly yes?: true
  /** `--no-input` makes it false. */
  readonly input: boolean
  readonly replace?: true
  /** `--no-backup` makes it false. */
  readonly backup: string | boolean
  readonly trustSource?: true
  readonly targetEnv?: Environment
  readonly allowProtectedWrite?: true
}

interface Ends {
  readonly source: string
  readonly target: string
}

export function addCopy(program: Command, run: Runner): void {
  const rules = new CopyRules()
  const command = program
    .command('copy <source> <target>')
    .description('copy a database into another one, in one transaction and with no file between')
  addCopyFlags(command, rules)
    .option('--dry-run', 'show what would be done, and do nothing')
    .option('--yes', 'write without asking')
    .option('--no-input', 'never ask: without --yes, refuse')
    .option('--replace', 'replace what the copy makes and is there already')
    .option('--backup <file>', 'where what is replaced is kept; by itself in the working directory')
    .option('--no-backup', 'do not keep what is replaced')
    .option('--trust-source', 'what the source brings may do whatever the login of the target may')
    .option('--target-env <environment>', 'what the target is; on this machine local, else production', readEnvironment)
    .option('--allow-protected-write', 'write although the target is production or staging')
    .option('--server <url>', 'the service to speak to, such as http://127.0.0.1:8001')
    .addHelpText('after', HELP)
  addCommonFlags(command).action(async (source: string, target: string, flags: Flags) => {
    const asked = { ends: { source, target }, options: toCopyOptions(flags, rules) }
    return isReference(source) || isReference(target)
      ? run(command, (context) => copyHere(asked, flags, context))
      : withService(run, command, (client, context) => copyThere(client, asked, flags, context))
  })
}

interface Asked {
  readonly ends: Ends
  readonly options: CopyOptions
}

function toRequest({ ends: { source, target }, options }: Asked, { replace, trustSource, backup }: Flags): OneLineCopy {
  if (!isReference(source) || !isReference(target)) {
    throw new AppError('usage', 'A datasource of a service and a URL are not copied into one another.', {
      hint: 'Name two datasources, or give two URLs; syncline datasources add NAME URL registers one.',
    })
  }
  return {
    source: readReference(source),
    target: readReference(target),
    options,
    wish: { replace: replace ?? false, trusted: trustSource ?? false },
    backup: backup === false ? null : typeof backup === 'string' ? backup : 'auto',
  }
}

async function copyHere(asked: Asked, flags: Flags, { output, signal }: Context): Promise<Outcome> {
  if (flags.server !== undefined) {
    throw new AppError('usage', '--server goes with the names of datasources, and URLs are copied here.')
  }
  const request = toRequest(asked, flags)
  judgeUrl('source', request.source)
  judgeUrl('target', request.target)
  if (request.source.exposed || request.target.exposed) {
    output.warn('Other users of this machine can read the password on the command line.')
  }
  if (flags.dryRun) return planOutcome(await planCopyFrom(request, signal))
  const agreed = flags.yes ? null : await askFor(await planCopyFrom(request, signal), flags, { output, signal })
  const { targetEnv: environment = null, allowProtectedWrite = false } = flags
  // Nothing is drawn over the question.
  using progress = new Progress(output, systemClock)
  const consent = { environment, allowProtectedWrite, agreed }
  const { tables, rows, backup, notes, moment } = await copyFrom(request, consent, { journal: progress, signal })
  const summary = copied(tables.length, rows, backup)
  return {
    exit: EXIT.done,
    summary,
    result: { moment, tables, rows, backup, notes },
    lines: [...notes.map((note) => `note: ${printable(note)}`), summary],
  }
}

function copied(tables: number, rows: number, backup: string | null): string {
  const kept = backup === null ? '' : `; what was replaced is in ${backup}`
  return `copied ${plural(tables, 'table')}, ${plural(rows, 'row')}${kept}`
}

/**
 * Shows what would be done and asks; on a pipe there is nobody to ask. Returns what was agreed to.
 * @throws AppError unless somebody agrees
 */
async function askFor(
  plan: CopyPlan,
  { input }: Flags,
  { output, signal }: Pick<Context, 'output' | 'signal'>,
): Promise<Agreed> {
  if (!input || !output.interactive) throw notAgreed()
  const [refusal] = plan.plan.refusals
  if (refusal !== undefined) throw refusal
  for (const line of planLines(plan)) output.print(line)
  if (!(await output.agrees('Write this to the target?', signal))) {
    throw new AppError('target_not_writable', 'You did not agree, and nothing was written.')
  }
  return planDigest(plan.plan)
}

function planLines({ plan: { expected, target, facts, notes } }: CopyPlan): string[] {
  const existing = facts.existing.filter(({ object }) => object !== 'schema')
  const about = (rows: number | null): string => (rows === null ? 'rows' : `about ${formatCount(rows)} rows`)
  return [
    `Target: ${target.address} (${target.product})`,
    ...expected.map(({ table, rows }) => `  ${printable(tableName(table))}: ${about(rows)}`),
    ...existing.map((each) => `  replaces ${each.what} ${printable(tableName(each))} (${formatBytes(each.bytes)})`),
    ...facts.filled.map((table) => `  replaces the rows of ${printable(tableName(table))}`),
    ...notes.map((note) => `note: ${printable(note)}`),
  ]
}

function planOutcome(planned: CopyPlan): Outcome {
  const { plan, moment } = planned
  const { dump, target, expected, replaced, notes, refusals } = plan
  const what = `${plural(dump.statements, 'statement')}, ${plural(expected.length, 'table')}`
  const summary = refusals.length === 0 ? `dry run: ${what}` : `dry run: ${what}; it would be refused`
  return {
    exit: refusals.length === 0 ? EXIT.done : EXIT.findings,
    summary,
    result: {
      dry_run: true,
      target,
      moment,
      statements: dump.statements,
      makes: dump.makes.map((made) => ({ what: made.word, name: tableName(made) })),
      tables: expected,
      replaced: [...replaced.drop, ...plan.facts.filled].map(tableName),
      notes,
      refusals: refusals.map(toJobError),
    },
    lines: [
      ...planLines(planned),
      ...refusals.map(({ code, message, hint }) => `refused: ${printable(message)} (${code})\n  ${hint}`),
      summary,
    ],
  }
}

async function copyThere(
  client: ApiClient,
  { ends: { source, target }, options }: Asked,
  flags: Flags,
  context: Context,
): Promise<Outcome> {
  if (!flags.yes && !flags.dryRun) throw notAgreed({ asks: false })
  const body = {
    source,
    target,
    ...copyBody(options),
    dry_run: flags.dryRun ?? false,
    replace: flags.replace ?? false,
    backup: flags.backup !== false,
    trust_source: flags.trustSource ?? false,
    ...(flags.allowProtectedWrite === undefined ? {} : { allow_protected_write: true, confirm: target }),
  }
  const started = asObject(await client.post('/sync/copy', body, { idempotencyKey: randomUUID() }))
  const job = await followJob(client, String(started['job_id']), context)
  const outcome = await outcomeOf(client, job)
  if (job['status'] !== 'succeeded') return outcome
  const { tables, rows, backup, refusals } = asObject(asObject(outcome.result)['receipt'])
  const refused = Array.isArray(refusals) ? refusals.map(asObject) : []
  const count = Array.isArray(tables) ? tables.length : 0
  const summary = flags.dryRun
    ? `dry run: ${plural(count, 'table')}${refused.length === 0 ? '' : '; it would be refused'}`
    : copied(count, Number(rows), typeof backup === 'string' ? backup : null)
  const lines = refused.map(({ code, message }) => `refused: ${printable(String(message))} (${String(code)})`)
  return { ...outcome, exit: refused.length === 0 ? outcome.exit : EXIT.findings, summary, lines: [...lines, summary] }
}
