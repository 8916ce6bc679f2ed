import type { Command } from 'commander'
import { addCommonFlags, type Runner } from '#cli/command.ts'
import { EXIT } from '#model/errors.ts'
import { calledAs } from '#service/config.ts'
import { serve, type Serving } from '#service/serve.ts'

const HELP = `
Settings come from the environment and from .env: see settings, and docs/settings.md. At the first start a setup token is
printed, by which the first key is made. A signal stops it in order: jobs go on at the next start.
`

export function addServe(program: Command, run: Runner): void {
  const command = program
    .command('serve')
    .description('run the service: the API, its documentation at /docs, and the jobs')
    .addHelpText('after', HELP)
  addCommonFlags(command).action(async () =>
    run(command, async ({ output, signal }) => {
      await serve((serving) => output.advise(welcome(serving).join('\n')), signal)
      return { exit: EXIT.done, summary: 'Stopped.', result: null, lines: ['Stopped.'] }
    }),
  )
}

function welcome({ url, setupToken }: Serving): string[] {
  const lines = [`Syncline serves at ${url}, described at ${url}/docs`]
  if (setupToken === null) return lines
  const body = JSON.stringify({ token: setupToken })
  return [
    ...lines,
    'There is no key yet. Make the first one within 15 minutes:',
    `  curl -X POST ${url}/api/v1/setup -H 'Content-Type: application/json' -d '${body}'`,
    `or, on this machine: ${calledAs()} keys create NAME --role admin`,
  ]
}
