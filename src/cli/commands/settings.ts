import type { Command } from 'commander'
import { addCommonFlags, type Context, type Outcome, type Runner } from '#cli/command.ts'
import { plural, printable } from '#cli/format.ts'
import { EXIT } from '#model/errors.ts'
import { listSettings } from '#service/config.ts'

export function addSettings(program: Command, run: Runner): void {
  const command = program
    .command('settings')
    .description('show the settings of the service as the environment and .env give them, with secrets hidden')
  addCommonFlags(command).action(async () => run(command, (context) => Promise.resolve(show(context))))
}

function show({ output }: Context): Outcome {
  const settings = listSettings()
  const set = settings.filter(({ from }) => from !== null).length
  const width = Math.max(...settings.map(({ name }) => name.length))
  const summary = `${plural(settings.length, 'setting')}, ${set} set`
  return {
    exit: EXIT.done,
    summary,
    result: settings,
    lines: [
      ...settings.map(({ name, value, from }) => {
        const origin = from === null ? 'default' : from === name ? 'set' : `set by ${from}`
        return `${name.padEnd(width)}  ${printable(value || '–').padEnd(24)}  ${output.paint(origin, 'dim')}`
      }),
      '',
      summary,
    ],
  }
}
