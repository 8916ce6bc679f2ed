import { Command, CommanderError } from 'commander'
import { AppError, EXIT, type ExitCode } from '#model/errors.ts'
import { version } from '#service/version.ts'
import type { CommonFlags, Context, Outcome, Runner } from './command.ts'
import { addApprove } from './commands/approve.ts'
import { addApply, addExportConfig } from './commands/apply.ts'
import { addAudit } from './commands/audit.ts'
import { addChanges } from './commands/changes.ts'
import { addCompletion } from './commands/completion.ts'
import { addConfigs } from './commands/configs.ts'
import { addConflicts } from './commands/conflicts.ts'
import { addDatasources } from './commands/datasources.ts'
import { addDemo } from './commands/demo.ts'
import { addDiff } from './commands/diff.ts'
import { addDoctor } from './commands/doctor.ts'
import { addJobs } from './commands/jobs.ts'
import { addPlan } from './commands/plan.ts'
import { addRejections } from './commands/rejections.ts'
import { addRevert } from './commands/revert.ts'
import { addKeys } from './commands/keys.ts'
import { addMigrate } from './commands/migrate.ts'
import { addServe } from './commands/serve.ts'
import { addSettings } from './commands/settings.ts'
import { addSync } from './commands/sync.ts'
import { addValidate } from './commands/validate.ts'
import { addVerify } from './commands/verify.ts'
import { addJobProcess, addWorker } from './commands/worker.ts'
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
  addSync(program, run)
  addPlan(program, run)
  addDiff(program, run)
  addVerify(program, run)
  addDoctor(program, run)
  addDemo(program, run, runCli)
  addServe(program, run)
  addWorker(program, run)
  addMigrate(program, run)
  addDatasources(program, run)
  addConfigs(program, run)
  const jobs = addJobs(program, run)
  addChanges(jobs, run)
  addRejections(jobs, run)
  addConflicts(program, run)
  addApprove(program, run)
  addRevert(program, run)
  addAudit(program, run)
  addKeys(program, run)
  addApply(program, run)
  addExportConfig(program, run)
  addValidate(program, run)
  addSettings(program, run)
  addCompletion(program, run)
  addJobProcess(program, run)
  try {
    await program.parseAsync(argv, { from: 'user' })
    return exit
  } catch (error) {
    return refuseUsage(error, program, argv)
  }
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
    // What the abort tore down on its way fails in many voices; the cause is one.
    const error: unknown = stop.signal.aborted ? stop.signal.reason : thrown
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
