import type { Command } from 'commander'
import type { ApiClient } from '#api/client.ts'
import { connect } from '#service/connect.ts'
import { addCommonFlags, type CommonFlags, type Context, type Outcome, type Runner } from './command.ts'

export interface ServiceFlags extends CommonFlags {
  readonly server?: string
}

const SERVICE_HELP = `
The command speaks to the service at --server or SYNCLINE_SERVER with the key in SYNCLINE_API_KEY. Without an address it
works on the store of this machine (SYNCLINE_DATA_DIR), whether or not a service is running on it.
`

/** A command that speaks to a service. */
export function addServiceFlags(command: Command): Command {
  return addCommonFlags(command)
    .option('--server <url>', 'the service to speak to, such as http://127.0.0.1:8001')
    .addHelpText('after', SERVICE_HELP)
}

/** Runs a command's work with the API of the service that it means. */
export function withService(
  run: Runner,
  command: Command,
  work: (client: ApiClient, context: Context) => Promise<Outcome>,
): Promise<void> {
  return run(command, async (context) => {
    const { server } = command.opts<ServiceFlags>()
    await using client = await connect(server ?? null, context.signal)
    return await work(client, context)
  })
}
