import { Option, type Command } from 'commander'
import { asObject, type ApiClient } from '#api/client.ts'
import type { Outcome, Runner } from '#cli/command.ts'
import { formatCount, formatTable, plural, printable } from '#cli/format.ts'
import { writeNew } from '#cli/new-file.ts'
import { addServiceFlags, withService } from '#cli/service-flags.ts'
import { AppError, EXIT } from '#model/errors.ts'

type Fields = Readonly<Record<string, unknown>>

type FilterFlags = Readonly<
  Partial<Record<'action' | 'actor' | 'job' | 'config' | 'datasource' | 'search' | 'since' | 'until', string>>
>

/** Who did what, whether the log is what was written, and why a row is as it is. */
export function addAudit(program: Command, run: Runner): void {
  const group = program.command('audit').helpCommand(false).description('who did what, and what was written')
  const list = addFilter(group.command('list').description('events of the audit log, the newest first'))
    .option('--limit <n>', 'no more than so many', '50')
    .addHelpText('after', LIST_HELP)
  addServiceFlags(list).action(async (flags: FilterFlags & { limit: string }) =>
    withService(run, list, (client) => listEvents(client, flags)),
  )
  const stats = addFilter(group.command('stats').description('events and written rows, counted')).addHelpText(
    'after',
    STATS_HELP,
  )
  addServiceFlags(stats).action(async (flags: FilterFlags) =>
    withService(run, stats, (client) => showStats(client, flags)),
  )
  const verify = group
    .command('verify')
    .description('check that the audit log is what was written')
    .option('--noted <seq:hash>', 'the head of an earlier check: that event must still be there')
    .addHelpText('after', VERIFY_HELP)
  addServiceFlags(verify).action(async (flags: { noted?: string }) =>
    withService(run, verify, (client) => verifyLog(client, flags.noted)),
  )
  addReport(group, run)
  addHistory(group, run)
}

function addFilter(command: Command): Command {
  return command
    .option('--action <action>', 'an action such as job.start, or all of one noun: job')
    .option('--actor <actor>', 'the id or the name of who did it')
    .option('--job <id>', 'what concerns a job')
    .option('--config <config>', 'what concerns a sync config and its jobs')
    .option('--datasource <datasource>', 'what concerns a datasource, its configs and jobs')
    .option('--search <text>', 'a part of the action, the subject or the name of who did it')
    .option('--since <time>', 'at this time or later: 2026-01-31, or 2026-01-31T12:00:00Z')
    .option('--until <time>', 'before this time')
}

const LIST_HELP = `
Examples:
  syncline audit list --config "shop copy" --since 2026-01-01
  syncline audit list --action login.refuse
`

const STATS_HELP = `
Example:
  syncline audit stats --since 2026-01-01 --until 2026-02-01
`

const VERIFY_HELP = `
Exits with 3 where the log is not what was written, and names the first event that does not fit. Note the head that it
prints somewhere else: given as --noted the next time, it shows that nothing behind it was taken away.

Examples:
  syncline audit verify
  syncline audit verify --noted 1042:5fad0c04974502c2…
`

function queryOf({ action, actor, job, config, datasource, search, since, until }: FilterFlags): URLSearchParams {
  const query = new URLSearchParams()
  for (const [name, given] of Object.entries({ action, actor, job, config, datasource, search, since, until })) {
    if (given !== undefined) query.set(name, given)
  }
  return query
}

async function listEvents(client: ApiClient, { limit, ...flags }: FilterFlags & { limit: string }): Promise<Outcome> {
  const query = queryOf(flags)
  query.set('limit', limit)
  const { items, next_cursor: next } = asObject(await client.get(`/audit?${query.toString()}`))
  const events = (Array.isArray(items) ? items : []).map(asObject)
  const rows = events.map((event) => [
    String(event['seq']),
    timeOf(event['at']),
    printable(String(event['actor_name'])),
    String(event['action']),
    printable(textOr(event['subject'], '–')),
    printable(JSON.stringify(event['data'])).slice(0, MOST_OF_DATA),
  ])
  const summary = `${plural(events.length, 'event')}${typeof next === 'string' ? ', and there are more' : ''}`
  const table = rows.length === 0 ? [] : formatTable(['seq', 'time', 'who', 'what', 'subject', 'details'], rows)
  return { exit: EXIT.done, summary, result: events, lines: [...table, summary] }
}

const MOST_OF_DATA = 120

async function showStats(client: ApiClient, flags: FilterFlags): Promise<Outcome> {
  const stats = asObject(await client.get(`/audit/stats?${queryOf(flags).toString()}`))
  const { events, actions, actors, days, written } = stats
  const block = (headings: string[], list: unknown, cells: (each: Fields) => string[]): string[] => {
    const rows = (Array.isArray(list) ? list : []).map((each) => cells(asObject(each)))
    return rows.length === 0 ? [] : [...formatTable(headings, rows), '']
  }
  const count = (value: unknown): string => formatCount(Number(value))
  const summary = plural(Number(events), 'event')
  return {
    exit: EXIT.done,
    summary,
    result: stats,
    lines: [
      ...block(['action', 'events'], actions, (each) => [String(each['action']), count(each['events'])]),
      ...block(['who', 'events'], actors, (each) => [printable(String(each['name'])), count(each['events'])]),
      ...block(['day', 'events'], days, (each) => [String(each['day']), count(each['events'])]),
      ...block(['rows written to', 'inserted', 'updated', 'deleted'], written, (each) => [
        nameOf(each['table']),
        ...['inserted', 'updated', 'deleted'].map((name) => count(each[name])),
      ]),
      summary,
    ],
  }
}

async function verifyLog(client: ApiClient, noted: string | undefined): Promise<Outcome> {
  const query = noted === undefined ? '' : `?noted=${encodeURIComponent(noted)}`
  const check = asObject(await client.get(`/audit/verify${query}`))
  const { whole, events, cut_through: cut, head, damage } = check
  const cutLine = typeof cut === 'number' ? [`Events up to ${cut} were cut off by the retention, as the log says.`] : []
  const summary =
    whole === true
      ? `the log is what was written: ${plural(Number(events), 'event')}`
      : printable(String(asObject(damage)['message']))
  return {
    exit: whole === true ? EXIT.done : EXIT.findings,
    summary,
    result: check,
    lines: [...cutLine, ...(whole === true && typeof head === 'string' ? [`head ${head}`] : []), summary],
  }
}

function addReport(group: Command, run: Runner): void {
  const report = group
    .command('report <job>')
    .description('write a report of a job: who, when, what, its proof, and every change')
    .addOption(new Option('--format <format>', 'the form').choices(['json', 'csv', 'html']).default('html'))
    .requiredOption('--out <file>', 'the file to write, which must not be there yet')
    .addHelpText('after', REPORT_HELP)
  addServiceFlags(report).action(async (job: string, { format, out }: { format: string; out: string }) =>
    withService(run, report, async (client) => {
      const pieces = await client.download(`/sync/audit/${encodeURIComponent(job)}/report?format=${format}`)
      const bytes = await writeNew(out, pieces)
      const summary = `the report of ${job} is in ${out}`
      return { exit: EXIT.done, summary, result: { job, format, file: out, bytes }, lines: [summary] }
    }),
  )
}

const REPORT_HELP = `
Rows before and after are in it where audit_level is detailed, and the key has the role operator. The file is readable
by its owner alone. In CSV, a cell that a spreadsheet would take for a formula begins with an apostrophe.

Example:
  syncline audit report job_01m8… --format csv --out job.csv
`

interface HistoryFlags {
  readonly config?: string
  readonly datasource?: string
  readonly table: string
  readonly key: string
  readonly limit: string
}

function addHistory(group: Command, run: Runner): void {
  const history = group
    .command('history')
    .description('why a row is as it is: every change of one key, the newest first')
    .option('--config <config>', 'by the jobs of this sync config')
    .option('--datasource <datasource>', 'by all jobs that write to this datasource')
    .requiredOption('--table <table>', 'the table of the target: schema.name')
    .requiredOption('--key <key>', 'the key; of several columns a JSON list of texts')
    .option('--limit <n>', 'no more than so many', '20')
    .addHelpText('after', HISTORY_HELP)
  addServiceFlags(history).action(async (flags: HistoryFlags) =>
    withService(run, history, (client) => showHistory(client, flags)),
  )
}

const HISTORY_HELP = `
Give --config or --datasource: one of the two.

Examples:
  syncline audit history --config "shop copy" --table orders --key 42
  syncline audit history --datasource copy --table shop.lines --key '["42", "1"]'
`

async function showHistory(client: ApiClient, flags: HistoryFlags): Promise<Outcome> {
  const { config, datasource, table, key, limit } = flags
  if ((config === undefined) === (datasource === undefined)) {
    throw new AppError('usage', 'Give --config or --datasource: one of the two.')
  }
  const scope = config === undefined ? { datasource: datasource ?? '' } : { config }
  const query = new URLSearchParams({ ...scope, table, key, limit })
  const found = asObject(await client.get(`/history?${query.toString()}`))
  const items = listOf(found['items'])
  const loads = listOf(found['loads'])
  const lines = [
    ...items.flatMap((item) => [
      `${timeOf(item['at'])}  ${textOr(item['op'], 'unreadable')}  ${jobLine(item)}`,
      ...cellLines(item),
    ]),
    ...loads.map((load) => {
      const rows = plural(Number(load['rows']), 'row')
      return `${timeOf(load['at'])}  load  ${String(load['job_id'])}: ${rows} at once, this one perhaps among them`
    }),
  ]
  const summary = plural(items.length, 'change')
  return { exit: EXIT.done, summary, result: found, lines: [...lines, summary] }
}

function jobLine(item: Fields): string {
  const by = textOr(item['started_by'], 'somebody who is not known any more')
  return `${String(item['job_id'])} (${textOr(item['job_status'], 'gone')}), started by ${printable(by)}`
}

function textOr(value: unknown, otherwise: string): string {
  return typeof value === 'string' ? value : otherwise
}

function cellLines(item: Fields): string[] {
  const [before, after] = [listOf(item['before']), listOf(item['after'])]
  const rows = after.length > 0 ? after : before
  return rows.flatMap(({ column }, i) => {
    const [old, next] = [before[i]?.['value'], after[i]?.['value']]
    if (old === next) return []
    return [
      `    ${printable(String(column))}: ${[old, next]
        .filter((v) => v !== undefined)
        .map(cellText)
        .join(' → ')}`,
    ]
  })
}

function cellText(value: unknown): string {
  return typeof value === 'string' ? printable(JSON.stringify(value)) : 'NULL'
}

function listOf(value: unknown): Fields[] {
  return (Array.isArray(value) ? value : []).map(asObject)
}

function nameOf(table: unknown): string {
  const { schema, name } = asObject(table)
  return printable(`${String(schema)}.${String(name)}`)
}

function timeOf(at: unknown): string {
  return String(at).slice(0, 19).replace('T', ' ')
}
