import type { Command } from 'commander'
import { isDeepStrictEqual } from 'node:util'
import { stringify } from 'yaml'
import type { ApiClient } from '#api/client.ts'
import type { ConfigFile } from '#api/contract/config-file.ts'
import { DatasourceInput, ParsedUrl } from '#api/contract/datasources.ts'
import type { Context, Outcome, Runner } from '#cli/command.ts'
import { mustReadConfigFile } from '#cli/config-file.ts'
import { plural, printable } from '#cli/format.ts'
import { addServiceFlags, withService } from '#cli/service-flags.ts'
import { ConfigDocument } from '#model/config-document.ts'
import { DEFAULT_CONNECT_TIMEOUT_MS, DEFAULT_POOL_SIZE, DEFAULT_PORTS, type DatasourceKind } from '#model/datasource.ts'
import { AppError, EXIT } from '#model/errors.ts'
import { readFile } from './validate.ts'

type Fields = Readonly<Record<string, unknown>>

const APPLY_HELP = `
What the file does not name stays as it is. Applying the same file again changes nothing. Passwords are not in the file:
give password_reference, or set them once with datasources password.

On a terminal it shows what would change, and asks. No row of any database is written by it, and of sync configs every version
is kept.

Examples:
  syncline apply -f syncline.yaml --dry-run
  syncline apply -f syncline.yaml --yes
  syncline export-config | ssh other syncline apply -f -
`

interface Noun {
  readonly word: string
  readonly path: string
  /** The fields that a file may hold, as the service has them. */
  readonly fieldsOf: (stored: Fields) => Fields
}

interface Step {
  readonly noun: Noun
  readonly name: string
  readonly what: 'create' | 'update' | 'unchanged'
  readonly fields: readonly string[]
  readonly carryOut: (client: ApiClient) => Promise<unknown>
}

export function addApply(program: Command, run: Runner): void {
  const command = program
    .command('apply')
    .description('make datasources and sync configs what a file says')
    .requiredOption('-f, --file <file>', 'the file; - is the standard input')
    .option('--dry-run', 'show what would change, and change nothing')
    .option('--yes', 'change it without asking')
    .addHelpText('after', APPLY_HELP)
  addServiceFlags(command).action(async (flags: ApplyFlags) =>
    withService(run, command, (client, context) => apply(client, context, flags)),
  )
}

interface ApplyFlags {
  readonly file: string
  readonly dryRun?: true
  readonly yes?: true
}

export function addExportConfig(program: Command, run: Runner): void {
  const command = program
    .command('export-config')
    .description('print all datasources and sync configs as a file for apply, without secrets')
  addServiceFlags(command).action(async () =>
    withService(run, command, async (client) => {
      const file = await exportFile(client)
      const text = stringify(file, { lineWidth: 0 }).trimEnd()
      return { exit: EXIT.done, summary: 'exported', result: file, lines: [text] }
    }),
  )
}

async function apply(
  client: ApiClient,
  { output, signal }: Context,
  { file: name, dryRun = false, yes = false }: { file: string; dryRun?: boolean; yes?: boolean },
): Promise<Outcome> {
  // The whole file is checked before the first change.
  const file = mustReadConfigFile(readFile(name), name)
  const steps = await plan(client, file)
  const changes = steps.filter(({ what }) => what !== 'unchanged')
  const isAsked = !dryRun && !yes && output.interactive && changes.length > 0
  if (isAsked) {
    for (const step of steps) output.print(stepLine(step, output))
    if (!(await output.agrees(`Change ${plural(changes.length, 'thing')}?`, signal))) {
      throw new AppError('target_not_writable', 'You did not agree, and nothing was changed.')
    }
  }
  if (!dryRun) {
    for (const step of changes) await step.carryOut(client)
  }
  const summary = `${dryRun ? 'would change' : 'changed'} ${changes.length} of ${plural(steps.length, 'thing')}`
  return {
    exit: EXIT.done,
    summary,
    result: {
      dry_run: dryRun,
      steps: steps.map(({ noun, name: of, what, fields }) => ({ noun: noun.word, name: of, what, fields })),
    },
    lines: [...(isAsked ? [] : steps.map((step) => stepLine(step, output))), summary],
  }
}

const MARKS = { create: '+', update: '~', unchanged: '=' } as const
const STYLES = { create: 'green', update: 'yellow', unchanged: 'dim' } as const

function stepLine({ noun, name, what, fields }: Step, { paint }: Context['output']): string {
  const of = fields.length === 0 ? '' : `: ${fields.join(', ')}`
  return paint(`${MARKS[what]} ${what} ${noun.word} ${printable(name)}${of}`, STYLES[what])
}

async function plan(client: ApiClient, file: ConfigFile): Promise<readonly Step[]> {
  const datasources = await collect(client, DATASOURCES.path)
  const names = namesById(datasources)
  const configs = await collect(client, '/sync-configs')
  const steps: Step[] = []
  for (const wanted of file.datasources ?? []) {
    steps.push(planStep(DATASOURCES, wanted, datasources, await completedDatasource(client, wanted)))
  }
  for (const wanted of file.sync_configs ?? []) {
    steps.push(planStep(syncConfigs(names), withNames(wanted, names), configs))
  }
  return steps
}

const DATASOURCES: Noun = {
  word: 'datasource',
  path: '/datasources',
  fieldsOf: datasourceFields,
}

function syncConfigs(names: ReadonlyMap<string, string>): Noun {
  return {
    word: 'sync config',
    path: '/sync-configs',
    fieldsOf: (stored) => configFields(stored, names),
  }
}

/** `after`: what `wanted` comes to, so that it compares with what the service has. */
function planStep(noun: Noun, wanted: Fields, stored: readonly Fields[], after = wanted): Step {
  const name = String(wanted['name'])
  const found = stored.find((each) => each['name'] === name)
  if (found === undefined) {
    return { noun, name, what: 'create', fields: [], carryOut: (client) => client.post(noun.path, wanted) }
  }
  const before = noun.fieldsOf(found)
  const all = [...new Set([...Object.keys(before), ...Object.keys(after)])]
  const fields = all.filter((field) => !isDeepStrictEqual(before[field], after[field]))
  return {
    noun,
    name,
    what: fields.length === 0 ? 'unchanged' : 'update',
    fields,
    carryOut: (client) =>
      client.put(`${noun.path}/${String(found['id'])}`, wanted, { ifMatch: `"${String(found['version'])}"` }),
  }
}

async function exportFile(client: ApiClient): Promise<Fields> {
  const datasources = await collect(client, DATASOURCES.path)
  const configs = await collect(client, '/sync-configs')
  const names = namesById(datasources)
  return {
    datasources: datasources.filter(({ origin }) => origin === 'stored').map(datasourceFields),
    sync_configs: configs.map((config) => configFields(config, names)),
  }
}

async function collect(client: ApiClient, path: string): Promise<Fields[]> {
  const all: Fields[] = []
  for await (const each of client.list(`${path}?limit=1000`)) all.push(each)
  return all.toSorted((a, b) => (String(a['name']) < String(b['name']) ? -1 : 1))
}

function namesById(datasources: readonly Fields[]): ReadonlyMap<string, string> {
  return new Map(datasources.map(({ id, name }) => [String(id), String(name)]))
}

const SECRETS = new Set(['url', 'password', 'service_role_key'])
/** Where a project is, its URL says. */
const OF_DATABASES = new Set([...SECRETS, 'host', 'port', 'database', 'user', 'ssl'])

/** The fields of a file's datasource; what has no value, and what is so by default, is left out. */
function datasourceFields(stored: Fields): Fields {
  const isProject = typeof stored['project_url'] === 'string'
  const order = Object.keys(DatasourceInput.shape).filter((field) => !(isProject ? OF_DATABASES : SECRETS).has(field))
  const kept = order.filter((field) => stored[field] !== null && stored[field] !== undefined)
  return Object.fromEntries(kept.map((field) => [field, stored[field]]))
}

/** With the URL taken apart, and what holds where nothing is said. A password is a change: nobody can tell what is kept. */
async function completedDatasource(client: ApiClient, { url, ...said }: Fields): Promise<Fields> {
  const parsed = url === undefined ? null : ParsedUrl.parse(await client.post('/datasources/parse-url', { url }))
  const isProject = said['project_url'] !== undefined
  const kind = said['kind'] ?? parsed?.kind ?? (isProject ? 'supabase' : 'postgres')
  const { host, port, database, user, ssl } = parsed ?? {}
  const all = {
    kind,
    ...(isProject ? {} : { host, port: port ?? DEFAULT_PORTS[kind as DatasourceKind], database, user, ssl }),
    ...(parsed?.has_password && said['password_reference'] === undefined ? { password: true } : {}),
    connect_timeout_ms: parsed?.connect_timeout_ms ?? DEFAULT_CONNECT_TIMEOUT_MS,
    pool_size: DEFAULT_POOL_SIZE,
    writable: false,
    ...said,
  }
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== null && value !== undefined))
}

/** The same for a sync config, whose datasources have names, so that the file fits another installation. */
function configFields(stored: Fields, names: ReadonlyMap<string, string>): Fields {
  const order = Object.keys(ConfigDocument.shape).filter(
    (field) => stored[field] !== undefined && stored[field] !== null,
  )
  return withNames(Object.fromEntries(order.map((field) => [field, stored[field]])), names)
}

function withNames(config: Fields, names: ReadonlyMap<string, string>): Fields {
  return Object.fromEntries(
    Object.entries(config).map(([field, value]) => [
      field,
      field.endsWith('_datasource_id') ? (names.get(String(value)) ?? value) : value,
    ]),
  )
}
