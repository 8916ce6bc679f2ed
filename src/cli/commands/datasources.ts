import type { Command } from 'commander'
import { asObject, type ApiClient } from '#api/client.ts'
import { addCommonFlags, type Context, type Outcome, type Runner } from '#cli/command.ts'
import { formatCheck, formatTable, plural, printable } from '#cli/format.ts'
import { addServiceFlags, withService } from '#cli/service-flags.ts'
import { readEnvironment } from '#cli/sync-options.ts'
import type { Secret } from '#lib/secret.ts'
import type { Check } from '#model/check.ts'
import { EXIT } from '#model/errors.ts'
import { readKey, readReference } from '#service/reference.ts'
import { addAdvise } from './advise.ts'

const HELP = `
Examples:
  syncline datasources add shop env:SHOP_URL
  syncline datasources add app https://abcdefghijklmnop.supabase.co --service-role-key env:APP_KEY
  syncline datasources add copy postgres://app@localhost/copy --writable --environment development
  syncline datasources test shop
  syncline datasources prepare > prepare.sql
`

interface AddFlags {
  readonly writable?: true
  readonly environment?: string
  readonly kind?: string
  readonly serviceRoleKey?: string
}

export function addDatasources(program: Command, run: Runner): void {
  const group = program
    .command('datasources')
    .helpCommand(false)
    .description('the databases that the service knows')
    .addHelpText('after', HELP)
  const list = group.command('list').description('all datasources')
  addServiceFlags(list).action(async () => withService(run, list, listAll))
  const show = group.command('show <name>').description('one datasource, without its secrets')
  addServiceFlags(show).action(async (name: string) => withService(run, show, (client) => showOne(client, name)))
  const add = group
    .command('add <name> <url>')
    .description('register a database, or a Supabase project by its URL; the URL may be env:NAME or file:PATH')
    .option('--writable', 'syncs may write to it')
    .option('--environment <name>', 'what it is to the people who depend on it', readEnvironment)
    .option('--kind <kind>', 'postgres, supabase or neon, where the address does not tell')
    .option('--service-role-key <key>', 'the secret key of a project, as env:NAME or file:PATH')
  addServiceFlags(add).action(async (name: string, url: string, flags: AddFlags) =>
    withService(run, add, (client, { output }) => {
      const reference = readReference(url)
      if (reference.exposed) {
        output.warn(
          'a password stands on the command line, where others can read it; env:NAME or file:PATH keeps it away.',
        )
      }
      const key = flags.serviceRoleKey === undefined ? null : readKey(flags.serviceRoleKey)
      return register(client, name, { ...flags, url: reference.url.reveal(), key })
    }),
  )
  const test = group.command('test <name>').description('connect step by step, and say what is wrong')
  addServiceFlags(test).action(async (name: string) =>
    withService(run, test, (client, context) => testOne(client, name, context)),
  )
  const confirm = group
    .command('confirm <name>')
    .description('take the server that it leads to now for the right one, after wrong_server')
  addServiceFlags(confirm).action(async (name: string) =>
    withService(run, confirm, async (client) => {
      const path = `/datasources/${encodeURIComponent(name)}`
      const found = asObject(await client.get(path))
      const answer = await client.post(`/datasources/${String(found['id'])}/confirm-server`, { confirm: name })
      const summary = `${name} is pinned to the server that it leads to now`
      return { exit: EXIT.done, summary, result: answer, lines: [summary] }
    }),
  )
  addPrepare(group, run)
  const remove = group.command('remove <name>').description('forget a datasource; the database itself is not touched')
  addServiceFlags(remove).action(async (name: string) => withService(run, remove, (client) => removeOne(client, name)))
  addAdvise(group, run, 'datasources')
}

function addPrepare(group: Command, run: Runner): void {
  const prepare = group
    .command('prepare')
    .description('print the SQL by which a Supabase project can be written over its REST API')
    .option('--schema <name>', 'an exposed schema, for the functions', 'public')
  addCommonFlags(prepare).action(async ({ schema }: { schema: string }) =>
    run(prepare, async () => {
      const { projectScript } = await import('#service/project-script.ts')
      const script = projectScript(schema)
      const summary = 'Run it in the SQL Editor of the project; it may be run again.'
      return { exit: EXIT.done, summary, result: { script }, lines: [script] }
    }),
  )
}

async function listAll(client: ApiClient): Promise<Outcome> {
  const all = await client.all('/datasources?limit=1000')
  const rows = all.map((each) => [
    printable(String(each['name'])),
    String(each['kind']),
    printable(`${String(each['user'])}@${String(each['host'])}:${String(each['port'])}/${String(each['database'])}`),
    String(each['effective_environment']),
    each['writable'] === true ? 'writable' : 'read-only',
    testState(each['last_test']),
  ])
  const summary = plural(all.length, 'datasource')
  const table =
    rows.length === 0 ? [] : formatTable(['name', 'kind', 'where', 'environment', 'writing', 'last test'], rows)
  return { exit: EXIT.done, summary, result: all, lines: [...table, summary] }
}

function testState(test: unknown): string {
  const { ok, at } = asObject(test)
  if (typeof at !== 'string') return 'never'
  return `${ok === true ? 'passed' : 'failed'} ${at.slice(0, 16).replace('T', ' ')}`
}

async function showOne(client: ApiClient, name: string): Promise<Outcome> {
  const found = asObject(await client.get(`/datasources/${encodeURIComponent(name)}`))
  const lines = Object.entries(found).flatMap(([field, value]) =>
    typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
      ? [`${field.padEnd(24)}${printable(String(value))}`]
      : [],
  )
  return { exit: EXIT.done, summary: name, result: found, lines }
}

async function register(
  client: ApiClient,
  name: string,
  { url, writable, environment, kind, key }: AddFlags & { url: string; key: Secret | null },
): Promise<Outcome> {
  const made = await client.post('/datasources', {
    name,
    ...(/^https?:\/\//i.test(url) ? { project_url: url } : { url }),
    ...(key === null ? {} : { service_role_key: key.reveal() }),
    ...(kind === undefined ? {} : { kind }),
    ...(environment === undefined ? {} : { environment }),
    writable: writable ?? false,
  })
  const { id } = asObject(made)
  const summary = `${name} is registered as ${String(id)}`
  return { exit: EXIT.done, summary, result: made, lines: [summary] }
}

async function testOne(client: ApiClient, name: string, { output }: Context): Promise<Outcome> {
  const test = asObject(await client.post(`/datasources/${encodeURIComponent(name)}/test`, {}))
  const { ok, checks } = test
  const lines = (checks as readonly Check[]).flatMap((check) => formatCheck(check, output.paint))
  const summary = `${name}: ${ok === true ? 'the connection works' : 'the connection does not work'}`
  return { exit: ok === true ? EXIT.done : EXIT.cannotConnect, summary, result: test, lines: [...lines, summary] }
}

async function removeOne(client: ApiClient, name: string): Promise<Outcome> {
  const path = `/datasources/${encodeURIComponent(name)}`
  const { id } = asObject(await client.get(path))
  await client.delete(`/datasources/${String(id)}?confirm=${encodeURIComponent(name)}`)
  const summary = `${name} is forgotten`
  return { exit: EXIT.done, summary, result: { id, name }, lines: [summary] }
}
