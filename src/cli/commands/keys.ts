import { Option, type Command } from 'commander'
import { asObject } from '#api/client.ts'
import type { Runner } from '#cli/command.ts'
import { formatTable, plural, printable } from '#cli/format.ts'
import { addServiceFlags, withService } from '#cli/service-flags.ts'
import { ROLES } from '#model/access.ts'
import { systemClock } from '#lib/clock.ts'
import { EXIT } from '#model/errors.ts'
import { rotateSecretKey } from '#service/base.ts'
import { addCommonFlags } from '#cli/command.ts'

const ROTATE_HELP = `
Set SECRET_KEY to the new key and SECRET_KEY_PREVIOUS to the old one, and run this; then SECRET_KEY_PREVIOUS may go. A
service that is running meanwhile reads both.
`

export function addKeys(program: Command, run: Runner): void {
  const group = program.command('keys').helpCommand(false).description('the keys by which programs and people enter')
  const list = group.command('list').description('all keys, without their secrets')
  addServiceFlags(list).action(async () =>
    withService(run, list, async (client) => {
      const all = await client.all('/keys?limit=1000')
      const rows = all.map((key) => [
        String(key['id']),
        printable(String(key['name'])),
        String(key['prefix']),
        String(key['role']),
        day(key['expires_at']),
        day(key['last_used_at']),
        stateOf(key),
      ])
      const summary = plural(all.length, 'key')
      const table =
        rows.length === 0
          ? []
          : formatTable(['id', 'name', 'begins with', 'role', 'expires', 'last used', 'state'], rows)
      return { exit: EXIT.done, summary, result: all, lines: [...table, summary] }
    }),
  )
  const create = group
    .command('create <name>')
    .description('make a key; it is shown this once')
    .addOption(new Option('--role <role>', 'what it may do').choices(ROLES).default('viewer'))
    .option('--expires <time>', 'when it ends, such as 2027-01-31T00:00:00Z; without it, never')
  addServiceFlags(create).action(async (name: string, { role, expires }: { role: string; expires?: string }) =>
    withService(run, create, async (client) => {
      const body = { name, role, ...(expires === undefined ? {} : { expires_at: expires }) }
      const made = asObject(await client.post('/keys', body))
      const summary = `The key ${printable(name)} (${role}) is shown this once.`
      return { exit: EXIT.done, summary, result: made, lines: [String(made['key']), summary] }
    }),
  )
  const revoke = group.command('revoke <id>').description('take the rights of a key away at once')
  addServiceFlags(revoke).action(async (id: string) =>
    withService(run, revoke, async (client) => {
      await client.delete(`/keys/${encodeURIComponent(id)}`)
      const summary = `${id} is revoked`
      return { exit: EXIT.done, summary, result: { id }, lines: [summary] }
    }),
  )
  const rotate = group
    .command('rotate-secret')
    .description('seal all stored passwords with the new SECRET_KEY')
    .addHelpText('after', ROTATE_HELP)
  addCommonFlags(rotate).action(async () =>
    run(rotate, async () => {
      const sealed = await rotateSecretKey()
      const summary = `${plural(sealed, 'password')} sealed anew`
      return { exit: EXIT.done, summary, result: { sealed }, lines: [summary] }
    }),
  )
}

function stateOf({ revoked_at: revoked, expires_at: expires }: Readonly<Record<string, unknown>>): string {
  if (revoked !== null) return 'revoked'
  return typeof expires === 'string' && expires <= systemClock.now() ? 'expired' : 'good'
}

function day(time: unknown): string {
  return typeof time === 'string' ? time.slice(0, 16).replace('T', ' ') : '–'
}
