import { Command, CommanderError } from 'commander'
import { AppError, EXIT, type ExitCode, leavesDoubt } from '#model/errors.ts'
import { version } from '#service/version.ts'
import type { CommonFlags, Context, Outcome, Runner } from './command.ts'
import { factsOf, outliveReaders, Output, printHelp } from './output.ts'

const EXIT_CODES = `
Exit codes: 0 done (diff and verify: equal), 1 failed, 2 wrong usage, 3 finished with findings (differences, open
conflicts, rejected rows), 4 cannot connect, 5 refused by a guard, 130 interrupted. What each error means: docs/errors.md
`

/** A command line that runs inside another. */
interface Within {
  readonly muted: boolean
  readonly signal: AbortSignal
}

/** Runs one command line. Never throws: whatever happens ends in an exit code. */
export async function runCli(argv: readonly string[], within: Within | null = null): Promise<ExitCode> {
  if (within === null) outliveReaders()
  let exit: ExitCode = EXIT.done
  const program = new Command('syncline')
    .description('Keeps databases in step, and proves it.')
    .version(version(), '--version')
    .helpOption('--help', 'show help')
    .helpCommand(false)
    .exitOverride()
    .showSuggestionAfterError()
    .configureOutput({ writeOut: printHelp, writeErr: () => {} })
    .addHelpText('after', EXIT_CODES)
  const run: Runner = async (command, work) => {
    exit = await execute(command, work, { argv, within })
  }
  await addCommands(program, run, argv)
  try {
    await program.parseAsync(argv, { from: 'user' })
    return exit
  } catch (error) {
    return refuseUsage(error, program, argv)
  }
}

/**
 * The commands in the order of the help. A command's modules are loaded where it is called, or where all of them are
 * asked about: loading the service for a line that does not need it would take longer than many a line does.
 */
const COMMANDS: Readonly<Record<string, (program: Command, run: Runner) => Promise<unknown>>> = {
  sync: async (program, run) => (await import('./commands/sync.ts')).addSync(program, run),
  plan: async (program, run) => (await import('./commands/plan.ts')).addPlan(program, run),
  diff: async (program, run) => (await import('./commands/diff.ts')).addDiff(program, run),
  verify: async (program, run) => (await import('./commands/verify.ts')).addVerify(program, run),
  doctor: async (program, run) => (await import('./commands/doctor.ts')).addDoctor(program, run),
  demo: async (program, run) => (await import('./commands/demo.ts')).addDemo(program, run, runCli),
  serve: async (program, run) => (await import('./commands/serve.ts')).addServe(program, run),
  worker: async (program, run) => (await import('./commands/worker.ts')).addWorker(program, run),
  migrate: async (program, run) => (await import('./commands/migrate.ts')).addMigrate(program, run),
  datasources: async (program, run) => (await import('./commands/datasources.ts')).addDatasources(program, run),
  configs: async (program, run) => (await import('./commands/configs.ts')).addConfigs(program, run),
  jobs: async (program, run) => {
    const jobs = (await import('./commands/jobs.ts')).addJobs(program, run)
    ;(await import('./commands/changes.ts')).addChanges(jobs, run)
    ;(await import('./commands/rejections.ts')).addRejections(jobs, run)
  },
  conflicts: async (program, run) => (await import('./commands/conflicts.ts')).addConflicts(program, run),
  approve: async (program, run) => (await import('./commands/approve.ts')).addApprove(program, run),
  revert: async (program, run) => (await import('./commands/revert.ts')).addRevert(program, run),
  export: async (program, run) => (await import('./commands/export.ts')).addExport(program, run),
  import: async (program, run) => (await import('./commands/import.ts')).addImport(program, run),
  copy: async (program, run) => (await import('./commands/copy.ts')).addCopy(program, run),
  dumps: async (program, run) => (await import('./commands/dumps.ts')).addDumps(program, run),
  audit: async (program, run) => (await import('./commands/audit.ts')).addAudit(program, run),
  keys: async (program, run) => (await import('./commands/keys.ts')).addKeys(program, run),
  apply: async (program, run) => (await import('./commands/apply.ts')).addApply(program, run),
  'export-config': async (program, run) => (await import('./commands/apply.ts')).addExportConfig(program, run),
  validate: async (program, run) => (await import('./commands/validate.ts')).addValidate(program, run),
  settings: async (program, run) => (await import('./commands/settings.ts')).addSettings(program, run),
  completion: async (program, run) => (await import('./commands/completion.ts')).addCompletion(program, run),
  'job-process': async (program, run) => (await import('./commands/job-process.ts')).addJobProcess(program, run),
}

/** Adds the command that a line calls; all of them where it calls none, or asks what there is. */
async function addCommands(program: Command, run: Runner, argv: readonly string[]): Promise<void> {
  const [first = ''] = argv
  if (first === '--version') return
  const isAlone = Object.hasOwn(COMMANDS, first) && first !== 'completion'
  for (const [name, add] of Object.entries(COMMANDS)) if (!isAlone || name === first) await add(program, run)
}

/** A command line that says nothing that could be done. */
function refuseUsage(error: unknown, program: Command, argv: readonly string[]): ExitCode {
  if (error instanceof CommanderError && error.exitCode === 0) return EXIT.done
  const json = argv.includes('--json')
  const output = new Output({ json, quiet: false, debug: argv.includes('--debug') })
  if (error instanceof CommanderError && argv.length === 0) printHelp(program.helpInformation())
  const refusal =
    error instanceof CommanderError
      ? new AppError('usage', error.message.replace(/^error: /, '').replace(/^\(outputHelp\)$/, 'No command is given.'))
      : error
  report(refusal, output, argv.find((word) => !word.startsWith('-')) ?? '')
  return refusal instanceof AppError ? refusal.exit : EXIT.failed
}

async function execute(
  command: Command,
  work: (context: Context) => Promise<Outcome>,
  { argv, within }: { argv: readonly string[]; within: Within | null },
): Promise<ExitCode> {
  const { json = false, quiet = false, debug = false } = command.opts<CommonFlags>()
  const output = new Output({ json, quiet, debug, muted: within?.muted ?? false })
  const stop = new Interruption(output, within?.signal ?? null)
  try {
    const { exit, summary, result, lines } = await work({
      output,
      argv,
      signal: stop.signal,
      onInterrupt: stop.onInterrupt,
    })
    output.status([])
    for (const line of lines) output.print(line)
    output.envelope({ command: command.name(), ok: exit === EXIT.done, summary, result, error: null })
    return exit
  } catch (thrown) {
    // What the abort tore down on its way fails in many voices; the cause is one, unless the target may have become another.
    const error: unknown = stop.signal.aborted && !leavesDoubt(thrown) ? stop.signal.reason : thrown
    report(error, output, command.name())
    if (stop.line !== null && mayRepeat(error)) output.advise(stop.line)
    return error instanceof AppError ? error.exit : EXIT.failed
  } finally {
    stop.forget()
  }
}

/** Whether the same command line, called again, goes on where this one stopped. */
function mayRepeat(error: unknown): boolean {
  if (!(error instanceof AppError) || error.retry !== 'later') return false
  return error.exit === EXIT.failed || error.exit === EXIT.interrupted
}

function report(error: unknown, output: Output, command: string): void {
  output.error(error)
  const facts = factsOf(error)
  output.envelope({ command, ok: false, summary: facts.message, result: null, error: facts })
}

/** How long stopping in order may take. */
const PATIENCE_MS = 15_000

/** The first signal asks the work to stop where it can go on later; the second ends the process. */
class Interruption {
  readonly #output: Output
  readonly #controller = new AbortController()
  readonly signal: AbortSignal
  line: string | null = null
  #patience: NodeJS.Timeout | undefined

  /** Inside another command, its signal stops this one too. */
  constructor(output: Output, outer: AbortSignal | null) {
    this.#output = output
    this.signal = outer ?? this.#controller.signal
    if (outer === null) process.on('SIGINT', this.#stop).on('SIGTERM', this.#stop).on('uncaughtException', this.#fail)
  }

  readonly onInterrupt = (line: string): void => {
    this.line = line
  }

  /** What nobody caught ends the process, told as every error is: its fields may hold what must not be seen. */
  readonly #fail = (error: unknown): void => {
    this.#output.error(error)
    process.exit(EXIT.failed)
  }

  readonly #stop = (signal: NodeJS.Signals): void => {
    if (this.signal.aborted) {
      this.#output.status([])
      process.exit(EXIT.interrupted)
    }
    // What does not end by itself, such as a connection that nobody answers, is left behind.
    this.#patience = setTimeout(() => process.exit(EXIT.interrupted), PATIENCE_MS).unref()
    this.#output.note('Stopping … (once more: stop at once)')
    this.#controller.abort(new AppError('interrupted', `Stopped by ${signal === 'SIGINT' ? 'Ctrl-C' : signal}.`))
  }

  forget(): void {
    clearTimeout(this.#patience)
    process.off('SIGINT', this.#stop).off('SIGTERM', this.#stop).off('uncaughtException', this.#fail)
  }
}
