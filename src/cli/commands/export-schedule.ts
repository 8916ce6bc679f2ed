import type { Command } from 'commander'
import { asObject, type ApiClient } from '#api/client.ts'
import type { Outcome, Runner } from '#cli/command.ts'
import { addDumpFlags, exportBody, type DumpFlags } from '#cli/dump-options.ts'
import { formatTable, plural, printable } from '#cli/format.ts'
import { addServiceFlags, withService } from '#cli/service-flags.ts'
import { AppError, EXIT } from '#model/errors.ts'
import { scheduleLines } from './schedule.ts'

const HELP = `
With --cron, the datasource is exported by itself at these times, as the other flags say. What was missed while no service ran
is made up for by one export. How long dumps are kept is set under Settings, Retention.

Examples:
  syncline dumps schedule shop --cron '30 2 * * *' --time-zone Europe/Berlin
  syncline dumps schedule shop --cron '0 * * * *' --exclude-table 'public.log_*' --passphrase file:/run/secrets/dump
  syncline dumps schedule shop            # when it runs, and what became of the last times
  syncline dumps schedule                 # all of them
`

interface Flags extends DumpFlags {
  readonly cron?: string
  readonly timeZone?: string
  readonly pause?: true
  readonly resume?: true
  readonly remove?: true
}

/** What is not an answer to "what, and how", and so needs no times. */
const ACTS = ['pause', 'resume', 'remove'] as const
const COMMON = ['server', 'json', 'quiet', 'debug']
const NOT_EXPORT = ['cron', 'timeZone', ...COMMON, ...ACTS]

/** `dumps schedule`: when datasources are exported by themselves. */
export function addExportSchedule(group: Command, run: Runner): void {
  const command = group
    .command('schedule [datasource]')
    .description(
      'when a datasource is exported by itself, and what became of the last times; all of them without a name',
    )
    .option('--cron <text>', 'minute, hour, day of the month, month, day of the week')
    .option('--time-zone <name>', 'the zone of these times, such as Europe/Berlin; else UTC')
    .option('--pause', 'let it no longer be exported by itself; the schedule is kept')
    .option('--resume', 'let it be exported by itself again')
    .option('--remove', 'forget the schedule; dumps stay')
  addDumpFlags(command).addHelpText('after', HELP)
  addServiceFlags(command).action(async (datasource: string | undefined, flags: Flags) => {
    const said = Object.keys(flags).filter((name) => command.getOptionValueSource(name) === 'cli')
    return withService(run, command, (client) => act(client, { datasource: datasource ?? null, flags, said }))
  })
}

async function act(
  client: ApiClient,
  { datasource, flags, said }: { datasource: string | null; flags: Flags; said: readonly string[] },
): Promise<Outcome> {
  const acts = ACTS.filter((name) => flags[name])
  refuseMixed({ datasource, flags, said, acts })
  if (datasource === null) return listSchedules(client)
  const path = `/datasources/${encodeURIComponent(datasource)}/export-schedule`
  if (flags.remove) {
    const result = await client.delete(path)
    const summary = `the export of ${datasource} is no longer scheduled`
    return { exit: EXIT.done, summary, result, lines: [summary] }
  }
  if (flags.cron !== undefined) {
    const { cron, timeZone } = flags
    const schedule = { cron, ...(timeZone === undefined ? {} : { time_zone: timeZone }) }
    await client.put(path, { schedule, ...exportBody(flags) })
  }
  if (flags.pause) await client.post(`${path}/pause`, {})
  if (flags.resume) await client.post(`${path}/resume`, {})
  const result = asObject(await client.get(path))
  const lines = scheduleLines(result)
  return { exit: EXIT.done, summary: lines[0] ?? '', result, lines: [...lines, newestLine(result)] }
}

/** @throws AppError `usage` */
function refuseMixed({
  datasource,
  flags,
  said,
  acts,
}: {
  readonly datasource: string | null
  readonly flags: Flags
  readonly said: readonly string[]
  readonly acts: readonly string[]
}): void {
  if (datasource === null && said.some((name) => !COMMON.includes(name))) {
    throw new AppError('usage', 'Name the datasource that these flags are for.')
  }
  if (acts.length > 1) throw new AppError('usage', 'Give one of --pause, --resume and --remove.')
  if (flags.cron === undefined && (flags.timeZone !== undefined || said.some((name) => !NOT_EXPORT.includes(name)))) {
    throw new AppError('usage', 'Say when with --cron: these flags go with the times of a schedule.')
  }
  if (flags.cron !== undefined && flags.remove) {
    throw new AppError('usage', '--remove forgets the times that --cron sets: give one of them.')
  }
}

async function listSchedules(client: ApiClient): Promise<Outcome> {
  const result = asObject(await client.get('/export-schedules'))
  const items = (result['items'] as readonly unknown[]).map(asObject)
  const summary = plural(items.length, 'scheduled export')
  const rows = items.map((item) => {
    const { datasource, words, paused_at: paused, next_run_at: next } = item
    const when = typeof paused === 'string' ? 'paused' : typeof next === 'string' ? next : 'never'
    return [printable(String(datasource)), String(words), when, newestText(item)]
  })
  const table = rows.length === 0 ? [] : formatTable(['datasource', 'when', 'next', 'newest'], rows)
  return { exit: EXIT.done, summary, result, lines: [...table, summary] }
}

function newestText(state: Readonly<Record<string, unknown>>): string {
  const { last_dump: newest, overdue_since: overdue } = state
  const late = typeof overdue === 'string' ? `, overdue since ${overdue}` : ''
  if (newest === null) return `none${late}`
  const { id, created_at: at, works } = asObject(newest)
  const tried = works === null ? '' : works === true ? ', works' : ', DOES NOT WORK'
  return `${String(id)} of ${String(at)}${tried}${late}`
}

function newestLine(state: Readonly<Record<string, unknown>>): string {
  return `Newest export: ${newestText(state)}`
}
