import type { Command } from 'commander'
import { asObject } from '#api/client.ts'
import { SchemaDrift } from '#api/contract/schema-drift.ts'
import type { Runner } from '#cli/command.ts'
import { plural, printable, shellWords } from '#cli/format.ts'
import { addServiceFlags, withService } from '#cli/service-flags.ts'
import { EXIT } from '#model/errors.ts'
import { calledAs } from '#service/config.ts'

const HELP = `
Looks at the tables of both databases, and says what has changed since the mapping of the sync config was last looked over: since
it was made or changed, or since somebody accepted what had changed. Exit code 3 where something has.

Examples:
  syncline configs schema-drift 'shop to copy'
  syncline configs schema-drift 'shop to copy' --accept 5f0c…   the digest that was shown: exactly this is accepted
`

export function addSchemaDrift(group: Command, run: Runner): void {
  const command = group
    .command('schema-drift <name>')
    .description('what of the tables has changed since the mapping was looked over')
    .option('--accept <digest>', 'take the tables, as they were shown, for what the mapping is about')
    .addHelpText('after', HELP)
  addServiceFlags(command).action(async (name: string, { accept }: { accept?: string }) =>
    withService(run, command, async (client) => {
      const path = `/sync-configs/${encodeURIComponent(name)}/schema-drift`
      if (accept !== undefined) {
        const accepted = asObject(await client.post(`${path}/accept`, { digest: accept }))
        const summary = 'accepted: later looks are held against the tables as they are now'
        return { exit: EXIT.done, summary, result: accepted, lines: [summary] }
      }
      const found = SchemaDrift.parse(await client.post(`${path}/look`, {}))
      const { changes, digest } = found
      if (changes.length === 0) {
        const summary = 'nothing has changed since the mapping was looked over'
        return { exit: EXIT.done, summary, result: found, lines: [summary] }
      }
      const summary = `${plural(changes.length, 'change')} since the mapping was looked over`
      return {
        exit: EXIT.findings,
        summary,
        result: found,
        lines: [
          ...changes.map(({ words }) => printable(words)),
          '',
          'Look the mapping over, then accept exactly this with:',
          `  ${calledAs()} ${shellWords(['configs', 'schema-drift', name, '--accept', digest ?? ''])}`,
          summary,
        ],
      }
    }),
  )
}
