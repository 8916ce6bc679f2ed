import { Option, type Command } from 'commander'
import { asObject, type ApiClient } from '#api/client.ts'
import { RETRY_CONFIGS } from '#api/contract/jobs.ts'
import type { Context, Outcome, Runner } from '#cli/command.ts'
import { formatCount, formatTable, plural, printable, shellWords } from '#cli/format.ts'
import { askedLines, cameToLines, isDumpJob } from '#cli/report-dump-jobs.ts'
import { addServiceFlags, withService } from '#cli/service-flags.ts'
import { delay } from '#lib/clock.ts'
import { AppError, EXIT, type ExitCode } from '#model/errors.ts'
import { calledAs } from '#service/config.ts'

type Fields = Readonly<Record<string, unknown>>

/** How often a job that is watched is looked at. */
const WATCH_MS = 500

export function addJobs(program: Command, run: Runner): Command {
  const group = program.command('jobs').helpCommand(false).description('what the service does and has done')
  const list = group
    .command('list')
    .description('jobs, the newest first')
    .option('--status <status>', 'only jobs in this status, or in several with commas between')
    .option('--limit <n>', 'no more than so many', '20')
  addServiceFlags(list).action(async (flags: { status?: string; limit: string }) =>
    withService(run, list, (client) => listJobs(client, flags)),
  )
  const show = group.command('show <id>').description('one job: its state, its counts, its error')
  addServiceFlags(show).action(async (id: string) => withService(run, show, (client) => showJob(client, id)))
  const watch = group.command('watch <id>').description('follow a job until it ends or waits for somebody')
  addServiceFlags(watch).action(async (id: string) =>
    withService(run, watch, (client, context) => watchJob(client, id, context)),
  )
  const log = group.command('log <id>').description('what happened in a job')
  addServiceFlags(log).action(async (id: string) => withService(run, log, (client) => showLog(client, id)))
  const receipt = group.command('receipt <id>').description('the proof that a job left')
  addServiceFlags(receipt).action(async (id: string) =>
    withService(run, receipt, async (client) => {
      const found = await client.get(`/jobs/${encodeURIComponent(id)}/receipt`)
      return { exit: EXIT.done, summary: id, result: found, lines: [JSON.stringify(found, null, 2)] }
    }),
  )
  for (const { verb, help } of VERBS) {
    const command = group.command(`${verb} <id>`).description(help)
    addServiceFlags(command).action(async (id: string) =>
      withService(run, command, async (client) => {
        const job = asObject(await client.post(`/jobs/${encodeURIComponent(id)}/${verb}`, {}))
        const summary = `${id} is ${String(job['status'])}`
        return { exit: EXIT.done, summary, result: job, lines: [summary] }
      }),
    )
  }
  addRetry(group, run)
  return group
}

const RETRY_HELP = `
A config may have been changed since the job: current takes it as it is now, original as it was when the job was asked for,
between the databases of that time.

Examples:
  syncline jobs retry job_01h455vb4pex5vsknk084sn02q
  syncline jobs retry job_01h455vb4pex5vsknk084sn02q --config original
`

function addRetry(group: Command, run: Runner): void {
  const retry = group
    .command('retry <id>')
    .description('do again, as a new job, what a job that is over was asked for')
    .addOption(
      new Option('--config <which>', 'the sync config as it is now, or as it was for the job')
        .choices(RETRY_CONFIGS)
        .default('current'),
    )
    .addHelpText('after', RETRY_HELP)
  addServiceFlags(retry).action(async (id: string, { config }: { config: string }) =>
    withService(run, retry, async (client) => {
      const started = asObject(await client.post(`/jobs/${encodeURIComponent(id)}/retry`, { config }))
      const summary = `${String(started['job_id'])} is ${String(started['status'])}`
      return { exit: EXIT.done, summary, result: started, lines: [summary] }
    }),
  )
}

async function showJob(client: ApiClient, id: string): Promise<Outcome> {
  const job = asObject(await client.get(`/jobs/${encodeURIComponent(id)}`))
  const next = nextStep(job)
  const result = next === null ? job : { ...job, next }
  const summary = String(job['status'])
  const lines = jobLines(job)
  if (!isDumpJob(job)) return { exit: EXIT.done, summary, result, lines }
  const nameOf = await namesOf(client, job)
  const receipt = await receiptOf(client, job)
  const [first = '', ...rest] = lines
  const asked = askedLines(job, nameOf)
  const cameTo = receipt === null ? [] : cameToLines(job, asObject(receipt), nameOf)
  return { exit: EXIT.done, summary, result: { ...result, receipt }, lines: [first, ...asked, ...cameTo, ...rest] }
}

/** What its datasources are called; one that is gone by its id. */
async function namesOf(client: ApiClient, job: Fields): Promise<(id: string) => string> {
  const ids = [...new Set([job['source_datasource_id'], job['target_datasource_id']].map(String))]
  const names = new Map<string, string>()
  for (const id of ids) {
    const { name } = asObject(await client.get(`/datasources/${encodeURIComponent(id)}`).catch(() => null))
    if (typeof name === 'string') names.set(id, printable(name))
  }
  return (id) => names.get(id) ?? id
}

const VERBS = [
  { verb: 'stop', help: 'stop a job after the batch in hand; it can be resumed' },
  { verb: 'resume', help: 'let a stopped or failed job go on from where it is' },
  { verb: 'cancel', help: 'end a job for good; what was committed stays' },
] as const

async function listJobs(client: ApiClient, { status, limit }: { status?: string; limit: string }): Promise<Outcome> {
  const query = new URLSearchParams({ limit, ...(status === undefined ? {} : { status }) })
  const { items } = asObject(await client.get(`/jobs?${query.toString()}`))
  const jobs = (Array.isArray(items) ? items : []).map(asObject)
  const rows = jobs.map((job) => {
    const { inserted, updated, deleted } = asObject(job['counts'])
    return [
      String(job['id']),
      `${String(job['kind'])}${job['dry_run'] === true ? ' (dry run)' : ''}`,
      String(job['status']),
      String(job['created_at']).slice(0, 19).replace('T', ' '),
      ...[inserted, updated, deleted].map((count) => (typeof count === 'number' ? formatCount(count) : '–')),
    ]
  })
  const summary = plural(jobs.length, 'job')
  const table =
    rows.length === 0 ? [] : formatTable(['id', 'kind', 'status', 'asked for', 'inserted', 'updated', 'deleted'], rows)
  return { exit: EXIT.done, summary, result: jobs, lines: [...table, summary] }
}

const ENDS: Readonly<Record<string, ExitCode>> = {
  succeeded: EXIT.done,
  failed: EXIT.failed,
  stopped: EXIT.failed,
  cancelled: EXIT.failed,
  awaiting_resolution: EXIT.findings,
  awaiting_approval: EXIT.findings,
}

/** Follows a job until it has ended or waits for somebody, and tells how it is then. */
export async function watchJob(client: ApiClient, id: string, context: Context): Promise<Outcome> {
  return outcomeOf(client, await followJob(client, id, context))
}

/** The job once it has ended or waits for somebody. An interruption ends the watching, not the job. */
export async function followJob(client: ApiClient, id: string, context: Context): Promise<Fields> {
  const { output, signal } = context
  context.onInterrupt(`The job goes on. Watch it with jobs watch ${id}, stop it with jobs stop ${id}.`)
  for (let isFirst = true; ; isFirst = false) {
    const job = asObject(await client.get(`/jobs/${encodeURIComponent(id)}`))
    if (ENDS[String(job['status'])] !== undefined) {
      output.status([])
      return job
    }
    if (isFirst) await refuseIdle(client, job)
    if (output.live) output.status([progressLine(job)])
    await delay(WATCH_MS, signal)
  }
}

/** Where nobody carries out jobs, none ever ends. @throws AppError `service_unreachable` */
async function refuseIdle(client: ApiClient, { id, status }: Fields): Promise<void> {
  const service = asObject(await client.get('/status'))
  if (service['status'] !== 'down') return
  throw new AppError('service_unreachable', `${String(id)} is ${String(status)}, and no service takes on work now.`, {
    hint: 'Start one with syncline serve: the job goes on by itself, and can be watched then.',
  })
}

/** How a job is that has ended or waits for somebody. */
export async function outcomeOf(client: ApiClient, job: Fields): Promise<Outcome> {
  const end = ENDS[String(job['status'])] ?? EXIT.failed
  const receipt = await receiptOf(client, job)
  const lines = jobLines(job)
  const next = nextStep(job)
  return {
    exit: hasFindings(job) && end === EXIT.done ? EXIT.findings : end,
    summary: lines.at(-1) ?? '',
    result: { ...job, receipt, ...(next === null ? {} : { next }) },
    lines,
  }
}

/** What it left; null where it has left nothing yet. */
async function receiptOf(client: ApiClient, { id }: Fields): Promise<unknown> {
  const path = `/jobs/${encodeURIComponent(String(id))}/receipt`
  return asObject(await client.get(path).catch(() => null))['receipt'] ?? null
}

/** What somebody has to do for a job to go on; null where it does not wait for anybody. */
function nextStep(job: Fields): { readonly waits_for: string; readonly commands: readonly string[] } | null {
  const id = String(job['id'])
  const command = (...words: string[]): string => `${calledAs()} ${shellWords(words)}`
  switch (job['status']) {
    case 'awaiting_approval':
      return {
        waits_for: 'somebody who approves its changes',
        commands: [command('jobs', 'changes', id), command('approve', id), command('jobs', 'cancel', id)],
      }
    case 'awaiting_resolution':
      return {
        waits_for: 'somebody who decides on conflicts, and on changes whose rows moved',
        commands: [
          command('conflicts', 'list', '--job', id),
          command('jobs', 'changes', id, '--mark', 'moved'),
          command('jobs', 'decide', id, '--leave', '--all'),
          command('jobs', 'decide', id, '--apply', '--all'),
        ],
      }
    default:
      return null
  }
}

function hasFindings(job: Fields): boolean {
  const { rejected, conflicted } = asObject(job['counts'])
  return Number(rejected ?? 0) + Number(conflicted ?? 0) > 0
}

function progressLine(job: Fields): string {
  const { phase, rows, percent, rows_per_second: rate, seconds_left: left } = asObject(job['progress'])
  const parts = [String(job['status']), typeof phase === 'string' ? phase : '']
  if (typeof percent === 'number') parts.push(`${Math.floor(percent)} %`)
  if (typeof rows === 'number') parts.push(plural(rows, 'row'))
  if (typeof rate === 'number' && rate > 0) parts.push(`${formatCount(Math.round(rate))} rows/s`)
  const { low, high } = asObject(left)
  if (typeof low === 'number' && typeof high === 'number')
    parts.push(`${Math.round(low)} to ${Math.round(high)} s left`)
  return parts.filter((part) => part !== '').join(', ')
}

function jobLines(job: Fields): string[] {
  const { code, message, hint } = asObject(job['error'])
  const next = nextStep(job)
  const counts = Object.entries(asObject(job['counts'])).map(([name, n]) => `${name} ${formatCount(Number(n))}`)
  return [
    `${String(job['kind'])}${ofAnother(job)}, asked for ${String(job['created_at'])}`,
    ...(counts.length > 0 ? [`${job['status'] === 'succeeded' ? '' : 'until now: '}${counts.join(', ')}`] : []),
    ...(typeof code === 'string'
      ? [`error ${code}: ${printable(String(message))}`, `  ${printable(String(hint))}`]
      : []),
    ...(next === null ? [] : [`It waits for ${next.waits_for}:`, ...next.commands.map((line) => `  ${line}`)]),
    `${String(job['id'])} ${String(job['status'])}`,
  ]
}

/** What a job is to do that another one left. */
function ofAnother(job: Fields): string {
  if (job['dry_run'] === true) return ', a dry run'
  if (typeof job['approves'] === 'string') return ` of the changes of ${job['approves']}`
  return typeof job['reverts'] === 'string' ? ` of ${job['reverts']}` : ''
}

async function showLog(client: ApiClient, id: string): Promise<Outcome> {
  const events = await client.all(`/jobs/${encodeURIComponent(id)}/log?limit=1000`)
  const lines = events.map((event) => {
    const data = Object.entries(asObject(event['data'])).map(([name, value]) => `${name} ${textOf(value)}`)
    return `${String(event['at'])}  ${String(event['type']).padEnd(8)}  ${printable(data.join(', '))}`
  })
  const summary = plural(events.length, 'event')
  return { exit: EXIT.done, summary, result: events, lines: [...lines, summary] }
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}
