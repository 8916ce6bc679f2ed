import type { Command } from 'commander'
import { addCommonFlags, type Context, type Outcome, type Runner } from '#cli/command.ts'
import { formatCheck, plural } from '#cli/format.ts'
import { ENDS_HELP } from '#cli/sync-options.ts'
import type { Check } from '#model/check.ts'
import { EXIT, type ExitCode } from '#model/errors.ts'
import { examineMachine, examineReference } from '#service/doctor.ts'
import { readReference } from '#service/reference.ts'

const HELP = `
Each step passes, is worth a word, or fails with what to do next. A right that only a target needs is worth a word.
Exit code 0 if nothing failed, 4 if a database cannot be reached or entered, 1 if anything else failed.

Examples:
  syncline doctor
  syncline doctor env:SOURCE env:TARGET
`

interface Examined {
  /** The database as it was named, or this machine. */
  readonly what: string
  readonly checks: readonly Check[]
}

export function addDoctor(program: Command, run: Runner): void {
  const command = program
    .command('doctor [url...]')
    .description('examine this machine, or databases, step by step')
    .addHelpText('after', `${ENDS_HELP}${HELP}`)
  addCommonFlags(command).action(async (urls: string[]) => run(command, (context) => examine(urls, context)))
}

async function examine(urls: readonly string[], { output, signal }: Context): Promise<Outcome> {
  const examined: Examined[] = []
  if (urls.length === 0) examined.push({ what: 'this machine', checks: examineMachine() })
  for (const reference of urls.map(readReference)) {
    const checks: Check[] = []
    for await (const check of examineReference(reference, signal)) checks.push(check)
    signal.throwIfAborted()
    examined.push({ what: reference.shown, checks })
  }
  const all = examined.flatMap(({ checks }) => checks)
  const [warnings, failures] = (['warn', 'fail'] as const).map((state) => all.filter((check) => check.state === state))
  const summary = `${plural(all.length, 'step')}: ${failures?.length} failed, ${warnings?.length} worth a word`
  return {
    exit: exitOf(failures ?? []),
    summary,
    result: examined,
    lines: [
      ...examined.flatMap(({ what, checks }) => [
        what,
        ...checks.flatMap((check) => formatCheck(check, output.paint)),
        '',
      ]),
      summary,
    ],
  }
}

/** Steps on the way into a database. */
const WAY_IN = new Set(['host name', 'port', 'encryption', 'login', 'database', 'server'])

function exitOf(failures: readonly Check[]): ExitCode {
  if (failures.some(({ step }) => WAY_IN.has(step))) return EXIT.cannotConnect
  return failures.length > 0 ? EXIT.failed : EXIT.done
}
