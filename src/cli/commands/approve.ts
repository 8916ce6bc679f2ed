import { randomUUID } from 'node:crypto'
import type { Command } from 'commander'
import { asObject, type ApiClient } from '#api/client.ts'
import type { Context, Outcome, Runner } from '#cli/command.ts'
import { notAgreed } from '#cli/not-agreed.ts'
import { changeLines, changesSummary, isSomething, readChanges, targetOf, type Changes } from '#cli/report-changes.ts'
import { addServiceFlags, withService, type ServiceFlags } from '#cli/service-flags.ts'
import { AppError, EXIT } from '#model/errors.ts'
import { watchJob } from './jobs.ts'

const HELP = `
Shows what will be applied, asks, and follows the job to its end. Exactly the changes that were shown are applied: those of a
dry run by a new job, those of a job that waits by itself. A row that somebody has changed since is left as it is; then the
job waits for a decision, and the exit code is 3.

Examples:
  syncline approve JOB
  syncline approve JOB --yes --digest 5fad0c04974502c2...
  syncline approve JOB --approve-deletes 1200 --confirm 'shop copy'
`

/** What lets changes be applied that need more than a yes. */
export interface ConsentFlags {
  readonly yes?: true
  /** `--no-input` makes it false. */
  readonly input: boolean
  readonly approveDeletes?: string
  readonly approveOverwrites?: string
  readonly allowProtectedWrite?: true
  readonly confirm?: string
}

interface ApproveFlags extends ServiceFlags, ConsentFlags {
  readonly digest?: string
  readonly detach?: true
  readonly limit: string
}

export function addApprove(program: Command, run: Runner): void {
  const command = addConsentFlags(
    program.command('approve <job>').description('apply the changes of a dry run, or of a job that waits'),
  )
    .option('--digest <digest>', 'only if the changes are still the ones with this digest')
    .option('--approve-deletes <n>', 'the very number of deletes that a brake named')
    .option('--approve-overwrites <n>', 'the very number of overwrites that a brake named')
    .option('--detach', 'approve, and do not wait for the end')
    .addHelpText('after', HELP)
  addServiceFlags(command).action(async (job: string, flags: ApproveFlags) =>
    withService(run, command, (client, context) => approve(client, job, flags, context)),
  )
}

export function addConsentFlags(command: Command): Command {
  return command
    .option('--yes', 'apply without asking')
    .option('--no-input', 'never ask: without --yes, refuse')
    .option('--limit <n>', 'changes to show, up to 1000', '20')
    .option('--allow-protected-write', 'write although the environment of the target is protected')
    .option('--confirm <name>', 'the name of the target, where the service asks for it')
}

async function approve(client: ApiClient, id: string, flags: ApproveFlags, context: Context): Promise<Outcome> {
  refuseSilence(flags, context)
  const job = asObject(await client.get(`/jobs/${encodeURIComponent(id)}`))
  const waits = job['status'] === 'awaiting_approval' || job['dry_run'] === true
  // Of all others the service says why there is nothing to approve, or lets them go on.
  const found = waits ? await readChanges(client, id, { mark: 'planned,again', limit: flags.limit }) : null
  const shown = found?.summary.state === 'ready' && isSomething(found.summary) ? found : null
  if (shown !== null) await showAndAsk(client, { job, shown, flags }, context)
  const digest = flags.digest ?? shown?.summary.digest ?? null
  return approveAndFollow(client, { id, digest, flags }, context)
}

/** @throws AppError where nobody agreed and there is nobody to ask */
export function refuseSilence({ yes, input }: ConsentFlags, { output }: Context): void {
  if (yes || (input && output.interactive)) return
  throw notAgreed({ look: 'jobs changes JOB' })
}

/** @throws AppError unless somebody agrees */
export async function showAndAsk(
  client: ApiClient,
  { job, shown, flags }: { job: Readonly<Record<string, unknown>>; shown: Changes; flags: ConsentFlags },
  { output, signal }: Context,
): Promise<void> {
  for (const line of changeLines(shown)) output.print(line)
  output.print(changesSummary(shown.summary))
  if (flags.yes) return
  if (!(await output.agrees(`Write this to ${await targetOf(client, job)}?`, signal))) {
    throw new AppError('target_not_writable', 'You did not agree, and nothing was written.')
  }
}

/** Approves the changes that were shown, and follows whichever job applies them. */
export async function approveAndFollow(
  client: ApiClient,
  { id, digest, flags }: { id: string; digest: string | null; flags: ConsentFlags & { readonly detach?: true } },
  context: Context,
): Promise<Outcome> {
  const body = {
    ...(digest === null ? {} : { digest }),
    ...(flags.approveDeletes === undefined ? {} : { approve_deletes: Number(flags.approveDeletes) }),
    ...(flags.approveOverwrites === undefined ? {} : { approve_overwrites: Number(flags.approveOverwrites) }),
    ...consentBody(flags),
  }
  const path = `/jobs/${encodeURIComponent(id)}/approve`
  const started = asObject(await client.post(path, body, { idempotencyKey: randomUUID() }))
  const applying = String(started['job_id'])
  if (!flags.detach) return watchJob(client, applying, context)
  const summary = `${applying} applies them`
  return { exit: EXIT.done, summary, result: started, lines: [summary] }
}

export function consentBody({
  allowProtectedWrite,
  confirm,
}: Pick<ConsentFlags, 'allowProtectedWrite' | 'confirm'>): Readonly<Record<string, unknown>> {
  return {
    ...(allowProtectedWrite ? { allow_protected_write: true } : {}),
    ...(confirm === undefined ? {} : { confirm }),
  }
}
