import { randomUUID } from 'node:crypto'
import { Option, type Command } from 'commander'
import { asObject, type ApiClient } from '#api/client.ts'
import { DOWNLOAD_FORMATS, MARKS } from '#api/contract/changes.ts'
import type { Context, Outcome, Runner } from '#cli/command.ts'
import { formatBytes, formatCount, plural, printable } from '#cli/format.ts'
import { changeLines, changesSummary, exitOfChanges, readChanges } from '#cli/report-changes.ts'
import { writeNew } from '#cli/new-file.ts'
import { addServiceFlags, withService } from '#cli/service-flags.ts'
import { AppError, EXIT } from '#model/errors.ts'

const CHANGES_HELP = `
Shows the changes of a dry run, of a job that waits for an approval or for decisions, or of an undoing: + is inserted,
~ updated and - deleted, and #N is the number of the change. With --format they are written as a file: json, csv (a line for
each cell), or sql (statements that would make them).

Examples:
  syncline jobs changes JOB --table orders --op update --column price
  syncline jobs changes JOB --mark moved
  syncline jobs changes JOB --format sql --out changes.sql
`

const DECIDE_HELP = `
Says of changes whether they are applied: before an approval, to leave rows or whole tables out; after it, of rows that had
moved, to leave them as they are or to apply the change to the row as it is now. Where nothing is open any more, the job goes
on by itself.

Examples:
  syncline jobs decide JOB --leave --table audit_log
  syncline jobs decide JOB --leave --table orders --key 4711
  syncline jobs decide JOB --apply --all
`

interface FilterFlags {
  readonly table?: string
  readonly op?: string
  readonly column?: string
  readonly key?: string
  readonly mark?: string
}

interface ListFlags extends FilterFlags {
  readonly limit: string
  readonly cursor?: string
  readonly format?: (typeof DOWNLOAD_FORMATS)[number]
  readonly out?: string
  readonly json?: boolean
}

interface DecideFlags extends FilterFlags {
  readonly leave?: true
  readonly apply?: true
  readonly all?: true
  readonly seq?: readonly string[]
}

/** What can be done with the changes of a job before, and while, they are applied. */
export function addChanges(group: Command, run: Runner): void {
  const list = addFilters(group.command('changes <job>').description('the changes of a job, row by row'))
    .option('--limit <n>', 'changes to show, up to 1000', '50')
    .option('--cursor <place>', 'go on where the page before ended')
    .addOption(new Option('--format <format>', 'write all of them as a file').choices(DOWNLOAD_FORMATS))
    .option('--out <file>', 'the file; without it, it is written to stdout')
    .addHelpText('after', CHANGES_HELP)
  addServiceFlags(list).action(async (job: string, flags: ListFlags) =>
    withService(run, list, (client, context) =>
      flags.format === undefined ? listChanges(client, job, flags) : download(client, job, flags, context),
    ),
  )
  const decide = addFilters(
    group.command('decide <job>').description('say of changes of a job whether they are applied'),
  )
    .option('--leave', 'they are not applied')
    .option('--apply', 'they are applied, and where the row had moved, to the row as it is now')
    .option('--seq <n...>', 'changes by their numbers')
    .option('--all', 'all changes that can be decided on')
    .addHelpText('after', DECIDE_HELP)
  addServiceFlags(decide).action(async (job: string, flags: DecideFlags) =>
    withService(run, decide, (client) => decideOn(client, job, flags)),
  )
}

function addFilters(command: Command): Command {
  return command
    .option('--table <table>', 'only changes of this table of the target')
    .option('--op <op>', 'only insert, update or delete, or several with commas between')
    .option('--column <column>', 'only updates that change this column')
    .option('--key <key>', 'only the row of this key; of several columns a JSON list of texts')
    .option('--mark <mark>', `only changes with this mark: ${MARKS.join(', ')}, or several with commas between`)
}

function toFilter({ table, op, column, key, mark }: FilterFlags): Record<string, string> {
  const given = Object.entries({ table, op, column, key, mark })
  return Object.fromEntries(given.flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const])))
}

async function listChanges(client: ApiClient, job: string, flags: ListFlags): Promise<Outcome> {
  const { limit, cursor } = flags
  const found = await readChanges(client, job, {
    ...toFilter(flags),
    limit,
    ...(cursor === undefined ? {} : { cursor }),
  })
  const { summary, next_cursor: next } = found
  const of = summary.state === 'ready' ? '' : `; they are ${summary.state}, and this is what is left of them`
  const text = `${changesSummary(summary)}${of}`
  const more = next === null ? [] : [`More: --cursor ${next}`]
  return {
    exit: exitOfChanges(summary),
    summary: text,
    result: found,
    lines: [...changeLines({ ...found, next_cursor: null }), ...more, text],
  }
}

async function download(client: ApiClient, job: string, flags: ListFlags, { output }: Context): Promise<Outcome> {
  const { format = 'json', out, json } = flags
  if (out === undefined && json) {
    throw new AppError('usage', '--json prints one document of its own: with --format, name a file with --out.')
  }
  const query = new URLSearchParams({ ...toFilter(flags), format })
  const path = `/jobs/${encodeURIComponent(job)}/changes/download?${query.toString()}`
  const pieces = await client.download(path)
  if (out === undefined) {
    for await (const piece of pieces) await output.write(piece)
    return { exit: EXIT.done, summary: `the changes of ${job}`, result: null, lines: [] }
  }
  const bytes = await writeNew(out, pieces)
  const summary = `${printable(out)}: ${formatBytes(bytes)}`
  return { exit: EXIT.done, summary, result: { job_id: job, format, file: out, bytes }, lines: [summary] }
}

/** @throws AppError `usage` where it is not said what is to become of which changes */
async function decideOn(client: ApiClient, job: string, flags: DecideFlags): Promise<Outcome> {
  const { leave, apply, all, seq } = flags
  if ((leave === undefined) === (apply === undefined)) {
    throw new AppError('usage', 'Say --leave or --apply, one of them.')
  }
  const filter = toFilter(flags)
  const named = Object.keys(filter).length > 0
  if (Number(named) + Number(all === true) + Number(seq !== undefined) !== 1) {
    throw new AppError('usage', 'Say which changes: --table, --key and the like, or --seq, or --all.')
  }
  const which = seq === undefined ? { filter } : { seqs: seq.map(Number) }
  const body = { verdict: leave ? 'leave' : 'apply', ...which }
  const path = `/jobs/${encodeURIComponent(job)}/changes/decide`
  const result = asObject(await client.post(path, body, { idempotencyKey: randomUUID() }))
  const open = Number(result['open'])
  const parts = [
    `${plural(Number(result['changed']), 'change')} decided`,
    `${formatCount(open)} still open`,
    `${String(result['job_id'])} is ${String(result['status'])}`,
  ]
  const summary = parts.join(', ')
  return { exit: open > 0 ? EXIT.findings : EXIT.done, summary, result, lines: [summary] }
}
