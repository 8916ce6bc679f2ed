import type { Command } from 'commander'
import { systemClock } from '#lib/clock.ts'
import type { Environment } from '#model/environment.ts'
import { AppError } from '#model/errors.ts'
import { calledAs } from '#service/config.ts'
import {
  planDatabases,
  refuseProtected,
  syncDatabases,
  type OneLineRequest,
  type Preview,
  type TargetConsent,
  type TargetFacts,
} from '#service/one-line.ts'
import { hidePassword } from '#service/reference.ts'
import { addCommonFlags, type CommonFlags, type Context, type Outcome, type Runner } from '#cli/command.ts'
import { notAgreed } from '#cli/not-agreed.ts'
import { shellWords } from '#cli/format.ts'
import { Progress } from '#cli/progress.ts'
import {
  exitOfPreview,
  exitOfReceipt,
  previewLines,
  previewSummary,
  proofLine,
  receiptLines,
} from '#cli/report-sync.ts'
import {
  addPolicyFlags,
  addTableFlags,
  readEnvironment,
  toPolicies,
  toRequest,
  type PolicyFlags,
} from '#cli/sync-options.ts'
import { TableFlags } from '#cli/table-options.ts'

interface SyncFlags extends CommonFlags, PolicyFlags {
  readonly dryRun?: true
  readonly yes?: true
  /** `--no-input` makes it false. */
  readonly input: boolean
  readonly targetEnv?: Environment
  readonly allowProtectedWrite?: true
}

/** Rows that a preview shows of each kind of change and table. */
const SAMPLES = 20
const SAMPLES_ASKED = 5

const HELP = `
The target is written only with --yes, or after you answered yes to what would be done. It gets a schema "syncline", in
which a run keeps its place; nothing else is added, and your tables get no columns and no triggers. Calling the same line
again after an interruption goes on from the last committed batch.

Examples:
  syncline sync env:SOURCE env:TARGET --dry-run
  syncline sync env:SOURCE env:TARGET --create --yes
  syncline sync env:SOURCE env:TARGET --table 'shop.*' --exclude-table shop.log --delete --yes
  syncline sync env:SOURCE env:TARGET --table orders:orders_copy --rename orders.total=amount
`

export function addSync(program: Command, run: Runner): void {
  const tables = new TableFlags()
  const command = program
    .command('sync <source> <target>')
    .description('bring the target in step with the source, and prove it')
  addPolicyFlags(addTableFlags(command, tables))
    .option('--dry-run', 'show what would be done, and do nothing')
    .option('--yes', 'write without asking')
    .option('--no-input', 'never ask: without --yes, refuse')
    .option('--target-env <environment>', 'what the target is; on this machine local, else production', readEnvironment)
    .option('--allow-protected-write', 'write although the target is production or staging')
    .addHelpText('after', HELP)
  addCommonFlags(command).action(async (source: string, target: string, flags: SyncFlags) =>
    run(command, async (context) => {
      context.onInterrupt(resumeLine(context.argv, [source, target]))
      const request = toRequest({ source, target }, { tables, policies: toPolicies(flags) }, context.output)
      return sync(request, flags, context)
    }),
  )
}

async function sync(request: OneLineRequest, flags: SyncFlags, context: Context): Promise<Outcome> {
  const consent = { environment: flags.targetEnv ?? null, allowProtectedWrite: flags.allowProtectedWrite ?? false }
  if (flags.dryRun) return plan(request, consent, context)
  if (!flags.yes) await askFor(request, { consent, input: flags.input }, context)
  using progress = new Progress(context.output, systemClock)
  const receipt = await syncDatabases(request, consent, { journal: progress, signal: context.signal })
  const summary = proofLine(receipt)
  return {
    exit: exitOfReceipt(receipt),
    summary,
    result: { ...receipt, notes: progress.notes },
    lines: [...receiptLines(receipt, progress.notes), summary],
  }
}

export async function plan(request: OneLineRequest, consent: TargetConsent, context: Context): Promise<Outcome> {
  const { preview, target, notes } = await look(request, { consent, samples: SAMPLES }, context)
  const summary = `dry run: ${previewSummary(preview)}`
  return {
    exit: exitOfPreview(preview),
    summary,
    result: { dryRun: true, target, ...preview, notes },
    lines: [...previewLines(preview, notes), summary],
  }
}

async function look(
  request: OneLineRequest,
  { consent, samples }: { consent: TargetConsent; samples: number },
  { output, signal }: Context,
): Promise<{ preview: Preview; target: TargetFacts; notes: readonly string[] }> {
  using progress = new Progress(output, systemClock)
  const seen = await planDatabases(request, consent, { journal: progress, signal, samples })
  return { ...seen, notes: progress.notes }
}

/** Shows what would be done and asks; on a pipe there is nobody to ask. @throws AppError unless somebody agrees */
async function askFor(
  request: OneLineRequest,
  { consent, input }: { consent: TargetConsent; input: boolean },
  context: Context,
): Promise<void> {
  const { output, signal } = context
  if (!input || !output.interactive) throw notAgreed()
  const { preview, target, notes } = await look(request, { consent, samples: SAMPLES_ASKED }, context)
  refuseProtected(target, consent)
  for (const line of previewLines(preview, notes)) output.print(line)
  if (preview.stop !== null) throw preview.stop
  output.print(`Target: ${target.address} (${target.product}, ${target.environment})`)
  output.print('The run keeps its place in a schema "syncline" of the target, which is made where it is missing.')
  if (!(await output.agrees('Write this to the target?', signal))) {
    throw new AppError('target_not_writable', 'You did not agree, and nothing was written.')
  }
}

/** The same line again, fit to be pasted: passwords are left out, and then it says so. */
function resumeLine(argv: readonly string[], ends: readonly string[]): string {
  const words = argv.map((word) => (ends.includes(word) ? hidePassword(word) : word))
  const line = `Go on with:\n  ${calledAs()} ${shellWords(words)}`
  return words.every((word, i) => word === argv[i]) ? line : `${line}\n  (with the passwords in the place of ***)`
}
