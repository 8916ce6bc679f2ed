import { readFileSync } from 'node:fs'
import type { Command } from 'commander'
import type { Outcome, Runner } from '#cli/command.ts'
import { formatProblem, readConfigFile } from '#cli/config-file.ts'
import { plural, printable } from '#cli/format.ts'
import { addServiceFlags, withService } from '#cli/service-flags.ts'
import { AppError, EXIT } from '#model/errors.ts'
import { validateData } from './validate-data.ts'

const HELP = `
A file: nothing is asked of any service. Exit code 0 if the file can be applied, 2 if not.
With --data: a job judges each pair of columns of a sync config and counts on the rows what does not fit. Nothing is
written. Exit code 0 if everything fits, 3 if not.

Examples:
  syncline validate syncline.yaml
  syncline validate --data shop-to-copy
`

export function addValidate(program: Command, run: Runner): void {
  const command = program
    .command('validate [file]')
    .description('check a configuration file, or a sync config against the rows as they are')
    .option('--data <config>', 'a sync config whose columns are judged, and whose rows are counted that do not fit')
    .addHelpText('after', HELP)
  addServiceFlags(command).action(async (name: string | undefined, { data }: { data?: string }) => {
    if (data !== undefined) return withService(run, command, (client, context) => validateData(client, data, context))
    return run(command, async () => {
      if (name === undefined) throw new AppError('usage', 'Name a file, or a sync config with --data.')
      return validate(name)
    })
  })
}

function validate(name: string): Outcome {
  const { file, problems } = readConfigFile(readFile(name))
  const counted = `${plural(file?.datasources?.length ?? 0, 'datasource')}, ${plural(file?.sync_configs?.length ?? 0, 'sync config')}`
  const summary = file === null ? `${plural(problems.length, 'problem')} in ${name}` : `${name} is valid: ${counted}`
  return {
    exit: file === null ? EXIT.usage : EXIT.done,
    summary,
    result: { file: name, problems },
    lines: [...problems.map((problem) => printable(formatProblem(problem, name))), summary],
  }
}

/** `-` is the standard input. @throws AppError `usage` */
export function readFile(name: string): string {
  try {
    return readFileSync(name === '-' ? 0 : name, 'utf8')
  } catch (error) {
    throw new AppError('usage', `The file ${name} cannot be read.`, { cause: error })
  }
}
