import { randomUUID } from 'node:crypto'
import type { Command } from 'commander'
import { asObject, type ApiClient } from '#api/client.ts'
import type { Outcome, Runner } from '#cli/command.ts'
import { formatCount, formatTable, plural, printable } from '#cli/format.ts'
import { addServiceFlags, withService } from '#cli/service-flags.ts'
import { AppError, EXIT } from '#model/errors.ts'
import { watchJob } from './jobs.ts'

type Fields = Readonly<Record<string, unknown>>

interface ListFlags {
  readonly status?: string
  readonly table?: string
}

/** What can be done with rows that a job set aside. */
export function addRejections(group: Command, run: Runner): void {
  const list = group
    .command('rejections <job>')
    .description('rows that a job set aside, with the reason of each')
    .option('--status <status>', 'only rows in this status, or in several with commas between')
    .option('--table <table>', 'only rows of this table of the target')
  addServiceFlags(list).action(async (job: string, flags: ListFlags) =>
    withService(run, list, (client) => listRejections(client, job, flags)),
  )
  const replay = group
    .command('replay <job>')
    .description('try rows again that a job set aside, and watch that')
    .option('--rejection <id...>', 'only these rows; without it all that are open or edited')
  addServiceFlags(replay).action(async (job: string, { rejection }: { rejection?: readonly string[] }) =>
    withService(run, replay, async (client, context) => {
      const body = rejection === undefined ? {} : { rejections: rejection }
      const path = `/jobs/${encodeURIComponent(job)}/rejections/replay`
      const started = asObject(await client.post(path, body, { idempotencyKey: randomUUID() }))
      return await watchJob(client, String(started['job_id']), context)
    }),
  )
  const edit = group
    .command('edit-rejection <id> [field=value...]')
    .description('give values for fields of the target, which a replay writes')
    .option('--null <field...>', 'fields that are to be NULL')
  addServiceFlags(edit).action(async (id: string, given: readonly string[], flags: { null?: readonly string[] }) =>
    withService(run, edit, async (client) => {
      const values = Object.fromEntries([...given.map(readPair), ...(flags.null ?? []).map((field) => [field, null])])
      const result = asObject(await client.put(`/rejections/${encodeURIComponent(id)}`, { values }))
      const summary = `${id} is ${String(result['status'])}`
      return { exit: EXIT.done, summary, result, lines: [summary] }
    }),
  )
  const dismiss = group.command('dismiss <id...>').description('leave rows as they are, until their source changes')
  addServiceFlags(dismiss).action(async (ids: readonly string[]) =>
    withService(run, dismiss, async (client) => {
      const dismissed: unknown[] = []
      for (const id of ids) dismissed.push(await client.post(`/rejections/${encodeURIComponent(id)}/dismiss`, {}))
      const summary = `${plural(dismissed.length, 'row')} dismissed`
      return { exit: EXIT.done, summary, result: dismissed, lines: [summary] }
    }),
  )
}

/** @throws AppError `usage` */
function readPair(text: string): [string, string] {
  const at = text.indexOf('=')
  if (at > 0) return [text.slice(0, at), text.slice(at + 1)]
  throw new AppError('usage', `Fields are given as field=value; one of them has no name or no =.`)
}

async function listRejections(client: ApiClient, job: string, { status, table }: ListFlags): Promise<Outcome> {
  const query = new URLSearchParams({
    limit: '1000',
    ...(status === undefined ? {} : { status }),
    ...(table === undefined ? {} : { table }),
  })
  const path = `/jobs/${encodeURIComponent(job)}/rejections?${query.toString()}`
  const { groups } = asObject(await client.get(path))
  const items = await client.all(path)
  const rows = items.map((item) => [
    String(item['id']),
    nameOf(item['target']),
    keyOf(item['key']),
    typeof item['column'] === 'string' ? printable(item['column']) : '–',
    String(item['status']),
    printable(`${String(item['code'])} ${String(item['reason'])}`),
  ])
  const open = items.filter((item) => item['status'] === 'open' || item['status'] === 'edited').length
  const summary = `${plural(items.length, 'row')} set aside, ${formatCount(open)} still to be dealt with`
  const causes = (Array.isArray(groups) ? groups : []).map(asObject)
  const lines = [
    ...(rows.length === 0 ? [] : formatTable(['id', 'table', 'key', 'field', 'status', 'reason'], rows)),
    ...(causes.length < 2 ? [] : ['', ...causes.map(causeLine)]),
    summary,
  ]
  return { exit: open > 0 ? EXIT.findings : EXIT.done, summary, result: { items, groups: causes }, lines }
}

function causeLine(cause: Fields): string {
  const { rows, target, column, code, status } = cause
  const field = typeof column === 'string' ? `.${printable(column)}` : ''
  return `${formatCount(Number(rows))} × ${nameOf(target)}${field} ${String(code)}, ${String(status)}`
}

function nameOf(table: unknown): string {
  const { schema, name } = asObject(table)
  return printable(`${String(schema)}.${String(name)}`)
}

function keyOf(key: unknown): string {
  return printable((Array.isArray(key) ? key : []).map(String).join(', '))
}
