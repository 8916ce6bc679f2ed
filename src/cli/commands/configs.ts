import type { Command } from 'commander'
import { asObject, type ApiClient } from '#api/client.ts'
import type { Outcome, Runner } from '#cli/command.ts'
import { formatTable, plural, printable } from '#cli/format.ts'
import { addServiceFlags, withService } from '#cli/service-flags.ts'
import { EXIT } from '#model/errors.ts'
import { addAdvise } from './advise.ts'
import { watchJob } from './jobs.ts'
import { addMatch } from './match.ts'
import { addPreview } from './preview.ts'
import { addSchedule, readSchedule } from './schedule.ts'
import { addSchemaDrift } from './schema-drift.ts'
import { addSuggest } from './suggest.ts'

const RUN_HELP = `
Waits for the end of the job and shows how it goes; --detach only starts it. Exit code 0 if it succeeded, 3 if it left
rows aside or found differences, 1 if it failed or was stopped.
`

interface RunFlags {
  readonly full?: true
  readonly verify?: true
  readonly dryRun?: true
  readonly detach?: true
  readonly table?: readonly string[]
  readonly allowProtectedWrite?: true
  readonly allowProtectedSourceWrite?: true
  readonly approveDeletes?: string
  readonly approveOverwrites?: string
  readonly confirm?: string
}

export function addConfigs(program: Command, run: Runner): void {
  const group = program.command('configs').helpCommand(false).description('the sync configs of the service')
  const list = group.command('list').description('all sync configs')
  addServiceFlags(list).action(async () => withService(run, list, listAll))
  const show = group.command('show <name>').description('one sync config, as its document')
  addServiceFlags(show).action(async (name: string) =>
    withService(run, show, async (client) => {
      const config = asObject(await client.get(`/sync-configs/${encodeURIComponent(name)}`))
      const document = JSON.stringify(config, null, 2)
      if (config['schedule'] === undefined && config['sync_interval'] === undefined) {
        return { exit: EXIT.done, summary: name, result: config, lines: [document] }
      }
      const state = await readSchedule(client, name)
      const result = { ...config, schedule_state: state.result }
      return { exit: EXIT.done, summary: name, result, lines: [document, ...state.lines] }
    }),
  )
  const history = group.command('history <name>').description('what a sync config has been, and what was changed')
  addServiceFlags(history).action(async (name: string) =>
    withService(run, history, (client) => showHistory(client, name)),
  )
  const remove = group.command('remove <name>').description('forget a sync config; no data is touched')
  addServiceFlags(remove).action(async (name: string) => withService(run, remove, (client) => removeOne(client, name)))
  addSchedule(group, run)
  addWebhookSecret(group, run)
  addRun(group, run)
  addSuggest(group, run)
  addAdvise(group, run, 'configs')
  addSchemaDrift(group, run)
  addPreview(group, run)
  addMatch(group, run)
}

const SECRET_HELP = `
Messages to the webhook_url of the sync config are signed with it, as Standard Webhooks says. Without one nothing is sent. Where
there is one already, both sign for --keep-previous hours: give the receiver the new one meanwhile.
`

function addWebhookSecret(group: Command, run: Runner): void {
  const command = group
    .command('webhook-secret <name>')
    .description('make the secret that messages to its webhook are signed with; it is shown this once')
    .option('--keep-previous <hours>', 'how long the one before signs as well', '24')
    .addHelpText('after', SECRET_HELP)
  addServiceFlags(command).action(async (name: string, { keepPrevious }: { keepPrevious: string }) =>
    withService(run, command, async (client) => {
      const body = { keep_previous_hours: Number(keepPrevious) }
      const made = asObject(await client.post(`/sync-configs/${encodeURIComponent(name)}/webhook-secret`, body))
      const until = made['previous_until']
      const before = typeof until === 'string' ? ` The one before signs as well until ${until}.` : ''
      const summary = `The secret of the webhook of ${printable(name)} is shown this once.${before}`
      return { exit: EXIT.done, summary, result: made, lines: [String(made['secret']), summary] }
    }),
  )
}

function addRun(group: Command, run: Runner): void {
  const command = group
    .command('run <name>')
    .description('run a sync config')
    .option('--full', 'compare row by row')
    .option('--verify', 'only compare both sides, and write nothing')
    .option('--dry-run', 'find what would be done, and write nothing')
    .option('--table <name>', 'only this table of the config; repeatable', collect)
    .option('--allow-protected-write', 'write although the environment of the target is protected')
    .option('--allow-protected-source-write', 'the same of the source, for a sync in two ways')
    .option('--approve-deletes <n>', 'delete this very number of rows, whatever the brake says')
    .option('--approve-overwrites <n>', 'overwrite this very number of rows, whatever the brake says')
    .option('--confirm <name>', 'the name of the target, where the service asks for it')
    .option('--detach', 'start the job, and do not wait for it')
    .addHelpText('after', RUN_HELP)
  addServiceFlags(command).action(async (name: string, flags: RunFlags) =>
    withService(run, command, async (client, context) => {
      const job = asObject(await client.post(`/sync/${encodeURIComponent(name)}`, toBody(flags)))
      const id = String(job['job_id'])
      if (!flags.detach) return watchJob(client, id, context)
      const summary = `${id} is started`
      return { exit: EXIT.done, summary, result: job, lines: [summary] }
    }),
  )
}

function toBody(flags: RunFlags): Record<string, unknown> {
  return {
    ...(flags.full ? { mode: 'full' } : {}),
    ...(flags.verify ? { kind: 'verify' } : {}),
    ...(flags.dryRun ? { dry_run: true } : {}),
    ...(flags.table === undefined ? {} : { tables: flags.table }),
    ...(flags.allowProtectedWrite ? { allow_protected_write: true } : {}),
    ...(flags.allowProtectedSourceWrite ? { allow_protected_source_write: true } : {}),
    ...(flags.approveDeletes === undefined ? {} : { approve_deletes: Number(flags.approveDeletes) }),
    ...(flags.approveOverwrites === undefined ? {} : { approve_overwrites: Number(flags.approveOverwrites) }),
    ...(flags.confirm === undefined ? {} : { confirm: flags.confirm }),
  }
}

function collect(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text]
}

async function listAll(client: ApiClient): Promise<Outcome> {
  const names = new Map<string, string>()
  for await (const each of client.list('/datasources?limit=1000')) names.set(String(each['id']), String(each['name']))
  const all = await client.all('/sync-configs?limit=1000')
  const end = (config: Readonly<Record<string, unknown>>, field: string): string =>
    printable(names.get(String(config[field])) ?? String(config[field]))
  const rows = all.map((config) => [
    printable(String(config['name'])),
    end(config, 'source_datasource_id'),
    end(config, 'target_datasource_id'),
    String(config['version']),
  ])
  const summary = plural(all.length, 'sync config')
  const table = rows.length === 0 ? [] : formatTable(['name', 'source', 'target', 'version'], rows)
  return { exit: EXIT.done, summary, result: all, lines: [...table, summary] }
}

async function showHistory(client: ApiClient, name: string): Promise<Outcome> {
  const { id } = asObject(await client.get(`/sync-configs/${encodeURIComponent(name)}`))
  const versions = await client.all(`/sync-configs/${String(id)}/versions?limit=1000`)
  const lines = versions.flatMap((version) => {
    const changes = Array.isArray(version['changes']) ? version['changes'].map(asObject) : []
    const head = `version ${String(version['version'])}  ${String(version['changed_at'])}  by ${String(version['changed_by'])}`
    return [head, ...changes.map((change) => `  ${printable(JSON.stringify(change))}`)]
  })
  const summary = plural(versions.length, 'version')
  return { exit: EXIT.done, summary, result: versions, lines: [...lines, summary] }
}

async function removeOne(client: ApiClient, name: string): Promise<Outcome> {
  const { id } = asObject(await client.get(`/sync-configs/${encodeURIComponent(name)}`))
  await client.delete(`/sync-configs/${String(id)}?confirm=${encodeURIComponent(name)}`)
  const summary = `${name} is forgotten`
  return { exit: EXIT.done, summary, result: { id, name }, lines: [summary] }
}
