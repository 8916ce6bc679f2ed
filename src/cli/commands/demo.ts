import type { Command } from 'commander'
import { addCommonFlags, type CommonFlags, type Context, type Outcome, type Runner } from '#cli/command.ts'
import { plural, shellWords } from '#cli/format.ts'
import { AppError, EXIT, type ExitCode } from '#model/errors.ts'
import { calledAs } from '#service/config.ts'
import { Demo, DEMO_CHANGES, DEMO_LATER } from '#service/demo.ts'

/** Runs another command line inside this one. */
export type RunLine = (argv: readonly string[], within: { muted: boolean; signal: AbortSignal }) => Promise<ExitCode>

interface DemoFlags extends CommonFlags {
  readonly once?: true
}

interface Step {
  readonly words: string
  readonly argv: readonly string[]
  /** What the command answers where all is well. */
  readonly exit: ExitCode
}

const HELP = `
Starts two private PostgreSQL servers on this machine, which are gone at the end with all that is in them.

Examples:
  syncline demo           stays until Ctrl-C, so that you can try more
  syncline demo --once    exit code 0 only if every step did what it should
`

export function addDemo(program: Command, run: Runner, runLine: RunLine): void {
  const command = program
    .command('demo')
    .description('show a sync of two databases, on servers of its own')
    .option('--once', 'end after the last step')
    .addHelpText('after', HELP)
  addCommonFlags(command).action(async (flags: DemoFlags) => run(command, (context) => show(flags, context, runLine)))
}

async function show(flags: DemoFlags, context: Context, runLine: RunLine): Promise<Outcome> {
  const { output, signal } = context
  const say = (line = ''): void => output.print(line)
  say('Two PostgreSQL servers start on this machine: one is the source, the other is the target.')
  await using demo = await Demo.start()
  signal.throwIfAborted()
  const { source, target } = demo.servers
  say(`The source (PostgreSQL ${source.major}) holds a shop: customers, products, orders and their lines.`)
  say(`The target (PostgreSQL ${target.major}) is empty. A file for each holds its URL, so that no password is typed.`)
  const done: (Step & { answered: ExitCode })[] = []
  for (const step of stepsOf(demo)) {
    if (step === CHANGES) {
      sayChanges(say)
      await demo.change()
      continue
    }
    say(`\n${output.paint(step.words, 'bold')}\n${output.paint(`$ ${calledAs()} ${shellWords(step.argv)}`, 'cyan')}\n`)
    const answered = await runLine(step.argv, { muted: flags.json ?? false, signal })
    signal.throwIfAborted()
    done.push({ ...step, answered })
    if (answered !== step.exit) {
      throw new AppError('verification_failed', `"${step.words}" answered ${answered} and not ${step.exit}.`)
    }
  }
  say(`\n${output.paint('The same as a service, with both databases registered.', 'bold')}\n`)
  await using service = await demo.startService()
  await demo.changeAgain()
  const { jobId, rows } = await service.sync(signal)
  say(`In the source, ${DEMO_LATER.words}. The job ${jobId} carried ${plural(rows, 'row')} over.`)
  if (rows !== DEMO_LATER.rows) {
    throw new AppError('verification_failed', `The job wrote ${rows} rows and not ${DEMO_LATER.rows}.`)
  }
  const outcome = {
    exit: EXIT.done,
    summary: `${done.length + 1} steps did what they should; the two databases are proved equal`,
    result: { steps: done, job: jobId },
  }
  if (flags.once) return { ...outcome, lines: ['', outcome.summary] }
  say(`\n${outcome.summary}\n\nThe service runs at ${service.url} until you press Ctrl-C. Signed in, once:`)
  say(`  ${service.link}\n\nThe databases:`)
  for (const end of ['source', 'target'] as const) say(`  ${end}  ${demo.url(end)}`)
  say(`\nChange something and run this again:\n  ${calledAs()} ${shellWords(syncLine(demo))}`)
  await stopped(signal)
  return { ...outcome, lines: [] }
}

const CHANGES = 'changes'

function stepsOf(demo: Demo): readonly (Step | typeof CHANGES)[] {
  const ends = [demo.reference('source'), demo.reference('target')]
  const again = syncLine(demo)
  const dryRun = [...again.filter((word) => word !== '--yes'), '--dry-run']
  return [
    { words: 'Bring everything over: tables, rows, keys, indexes.', argv: again, exit: EXIT.done },
    CHANGES,
    { words: 'What differs now? (The exit code 3 says: something.)', argv: ['diff', ...ends], exit: EXIT.findings },
    { words: 'What would a sync do about it? Nothing is written.', argv: dryRun, exit: EXIT.done },
    { words: 'Do it: the very same line as the first time.', argv: again, exit: EXIT.done },
    { words: 'Prove that both sides are equal, each by its own count.', argv: ['verify', ...ends], exit: EXIT.done },
  ]
}

function syncLine(demo: Demo): string[] {
  return ['sync', demo.reference('source'), demo.reference('target'), '--create', '--delete', '--yes']
}

function sayChanges(say: (line?: string) => void): void {
  say('\nA week goes by.')
  for (const { end, words } of DEMO_CHANGES) say(`  in the ${end}: ${words}`)
}

/** Waits for the Ctrl-C that ends the demo in order: it is no interruption. */
function stopped(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const alive = setInterval(() => {}, 60_000)
    signal.addEventListener(
      'abort',
      () => {
        clearInterval(alive)
        resolve()
      },
      { once: true },
    )
  })
}
