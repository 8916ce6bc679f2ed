import { randomUUID } from 'node:crypto'
import type { Command } from 'commander'
import { asObject, type ApiClient } from '#api/client.ts'
import { parseKey } from '#api/contract/changes.ts'
import type { Context, Outcome, Runner } from '#cli/command.ts'
import { changeLines, changesSummary, readChanges } from '#cli/report-changes.ts'
import { addServiceFlags, withService, type ServiceFlags } from '#cli/service-flags.ts'
import { AppError, EXIT } from '#model/errors.ts'
import {
  addConsentFlags,
  approveAndFollow,
  consentBody,
  refuseSilence,
  showAndAsk,
  type ConsentFlags,
} from './approve.ts'
import { followJob, outcomeOf } from './jobs.ts'

const HELP = `
Undoes what a job wrote: each row becomes what it was before. Shows the changes that do so, asks, and follows the job to its
end. A row that somebody has edited since stays as it is. Only jobs that ran at audit_level detailed can be undone.

Examples:
  syncline revert JOB --dry-run
  syncline revert JOB --table orders --key 4711
  syncline revert JOB --yes
`

interface RevertFlags extends ServiceFlags, ConsentFlags {
  readonly table?: readonly string[]
  readonly key?: readonly string[]
  readonly dryRun?: true
  readonly limit: string
}

export function addRevert(program: Command, run: Runner): void {
  const command = addConsentFlags(program.command('revert <job>').description('undo what a job wrote'))
    .option('--table <name>', 'only this table of the target; repeatable', collect)
    .option('--key <key>', 'only the row of this key of the one table; repeatable', collect)
    .option('--dry-run', 'show what would be undone, and do nothing')
    .addHelpText('after', HELP)
  addServiceFlags(command).action(async (job: string, flags: RevertFlags) =>
    withService(run, command, (client, context) => revert(client, job, flags, context)),
  )
}

function collect(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text]
}

async function revert(client: ApiClient, of: string, flags: RevertFlags, context: Context): Promise<Outcome> {
  if (!flags.dryRun) refuseSilence(flags, context)
  const body = {
    ...(flags.table === undefined ? {} : { tables: flags.table }),
    ...(flags.key === undefined ? {} : { keys: flags.key.map(parseKey) }),
    ...consentBody(flags),
  }
  const path = `/jobs/${encodeURIComponent(of)}/revert`
  const started = asObject(await client.post(path, body, { idempotencyKey: randomUUID() }))
  const id = String(started['job_id'])
  const job = await followJob(client, id, context)
  if (job['status'] !== 'awaiting_approval') return outcomeOf(client, job)
  const shown = await readChanges(client, id, { limit: flags.limit })
  const cancel = async (): Promise<void> => void (await client.post(`/jobs/${encodeURIComponent(id)}/cancel`, {}))
  if (flags.dryRun) {
    await cancel()
    const summary = `dry run: ${changesSummary(shown.summary)}`
    return { exit: EXIT.done, summary, result: shown, lines: [...changeLines(shown), summary] }
  }
  try {
    await showAndAsk(client, { job, shown, flags }, context)
  } catch (error) {
    // What waits keeps the sync from running.
    if (error instanceof AppError && error.code === 'target_not_writable') await cancel()
    throw error
  }
  return approveAndFollow(client, { id, digest: shown.summary.digest, flags }, context)
}
