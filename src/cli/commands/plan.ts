import type { Command } from 'commander'
import { asObject, type ApiClient } from '#api/client.ts'
import type { Context, Outcome, Runner } from '#cli/command.ts'
import { shellWords } from '#cli/format.ts'
import {
  approveLine,
  changeLines,
  changesSummary,
  exitOfChanges,
  isSomething,
  readChanges,
  targetOf,
} from '#cli/report-changes.ts'
import { addServiceFlags, withService, type ServiceFlags } from '#cli/service-flags.ts'
import {
  addPolicyFlags,
  addTableFlags,
  readEnvironment,
  toPolicies,
  toRequest,
  type PolicyFlags,
} from '#cli/sync-options.ts'
import { TableFlags } from '#cli/table-options.ts'
import type { Environment } from '#model/environment.ts'
import { AppError } from '#model/errors.ts'
import { asRef, formatTableName } from '#model/table-pattern.ts'
import { followJob, outcomeOf } from './jobs.ts'
import { plan } from './sync.ts'

const HELP = `
With a sync config, the service finds all its changes and keeps them: they are shown, can be looked through with jobs changes,
ticked out with jobs decide, and applied as they are with approve. With SOURCE and TARGET it is what sync --dry-run does.
Nothing is written. The exit code is 3 where a brake would stop the run.

Examples:
  syncline plan 'shop to copy'
  syncline plan 'shop to copy' --table orders --limit 100
  syncline plan env:SOURCE env:TARGET --delete
`

interface PlanFlags extends ServiceFlags, PolicyFlags {
  readonly limit: string
  readonly targetEnv?: Environment
}

/** Options that mean something where a config says the rest. */
const OF_CONFIG = ['table', 'strategy', 'limit', 'server', 'json', 'quiet', 'debug']

export function addPlan(program: Command, run: Runner): void {
  const tables = new TableFlags()
  const command = program
    .command('plan <config-or-source> [target]')
    .description('show every change that a sync would make, and do nothing')
  addPolicyFlags(addTableFlags(command, tables))
    .option('--limit <n>', 'changes to show of a sync config, up to 1000', '20')
    .option('--target-env <environment>', 'what the target is; on this machine local, else production', readEnvironment)
    .addHelpText('after', HELP)
  addServiceFlags(command).action(async (source: string, target: string | undefined, flags: PlanFlags) => {
    if (target === undefined) {
      return withService(run, command, (client, context) => {
        refuseOthers(command)
        return planConfig(client, source, { flags, tables: namesOf(tables) }, context)
      })
    }
    return run(command, (context) => {
      context.onInterrupt(`Nothing was written. Again with:\n  ${shellWords(context.argv)}`)
      const request = toRequest({ source, target }, { tables, policies: toPolicies(flags) }, context.output)
      return plan(request, { environment: flags.targetEnv ?? null, allowProtectedWrite: false }, context)
    })
  })
}

/** @throws AppError `usage` */
function refuseOthers(command: Command): void {
  const other = command.options.find((option) => {
    const name = option.attributeName()
    return command.getOptionValueSource(name) === 'cli' && !OF_CONFIG.includes(name)
  })
  if (other === undefined) return
  throw new AppError(
    'usage',
    `${other.long ?? ''} is for a plan of two databases: a sync config has policies of its own.`,
  )
}

/** @throws AppError `usage` */
function namesOf({ include }: TableFlags): readonly string[] | null {
  if (include.length === 0) return null
  return include.map(({ source, target }) => {
    const ref = asRef(source)
    if (ref !== null && target === null) return formatTableName(ref)
    throw new AppError('usage', 'Of a sync config, --table names one table, as it is called in the source.')
  })
}

async function planConfig(
  client: ApiClient,
  config: string,
  { flags, tables }: { flags: PlanFlags; tables: readonly string[] | null },
  context: Context,
): Promise<Outcome> {
  const body = {
    dry_run: true,
    ...(flags.strategy === 'full' ? { mode: 'full' } : {}),
    ...(tables === null ? {} : { tables }),
  }
  const started = asObject(await client.post(`/sync/${encodeURIComponent(config)}`, body))
  const id = String(started['job_id'])
  const job = await followJob(client, id, context)
  if (job['status'] !== 'succeeded') return outcomeOf(client, job)
  const found = await readChanges(client, id, { limit: flags.limit })
  const { summary } = found
  const text = `${id}: ${changesSummary(summary)}`
  const approve = isSomething(summary) ? approveLine(id, summary, await targetOf(client, job)) : null
  return {
    exit: exitOfChanges(summary),
    summary: text,
    result: { job_id: id, ...found, approve },
    lines: [
      ...changeLines(found),
      ...(approve === null ? [] : [`digest ${summary.digest}`, 'Approve exactly this with:', `  ${approve}`]),
      text,
    ],
  }
}
