import type { Context, Outcome } from '#cli/command.ts'
import { formatCount, formatTable, plural, printable } from '#cli/format.ts'
import { asObject, type ApiClient } from '#api/client.ts'
import { EXIT } from '#model/errors.ts'
import { watchJob } from './jobs.ts'

type Fields = Readonly<Record<string, unknown>>

/** Judges the columns of a sync config against the rows as they are: a job, which is waited for. */
export async function validateData(client: ApiClient, name: string, context: Context): Promise<Outcome> {
  const started = asObject(await client.post(`/sync-configs/${encodeURIComponent(name)}/validate`, {}))
  const ended = await watchJob(client, String(started['job_id']), context)
  const found = asObject(asObject(ended.result)['receipt'])
  if (ended.exit !== EXIT.done || !Array.isArray(found['tables'])) return ended
  const tables = found['tables'].map(asObject)
  const misfits = tables.flatMap(fieldsOf).filter((field) => misfitsOf(field) > 0)
  const isReady = found['ready'] === true
  const summary = !isReady
    ? `${name} cannot run as it is`
    : misfits.length > 0
      ? `${name} can run; rows do not fit in ${plural(misfits.length, 'field')}`
      : `${name} can run: ${plural(tables.length, 'table')}`
  return {
    exit: isReady && misfits.length === 0 ? EXIT.done : EXIT.findings,
    summary,
    result: found,
    lines: [...tables.flatMap(tableLines), summary],
  }
}

function fieldsOf(table: Fields): Fields[] {
  return Array.isArray(table['fields']) ? table['fields'].map(asObject) : []
}

function misfitsOf(field: Fields): number {
  return Number(asObject(field['misfits'])['rows'] ?? 0)
}

function tableLines(table: Fields): string[] {
  const name = (ref: unknown): string =>
    printable(`${String(asObject(ref)['schema'])}.${String(asObject(ref)['name'])}`)
  const { rows, partial } = asObject(table['counted'])
  const counted =
    typeof rows === 'number' ? `, ${plural(rows, 'row')} looked at${partial === true ? ' so far' : ''}` : ''
  const problems = Array.isArray(table['problems']) ? table['problems'].map(asObject) : []
  const bothWays = fieldsOf(table).some(({ way }) => way === 'two_way')
  const told = fieldsOf(table).filter(({ verdict }) => bothWays || verdict !== 'lossless')
  const lines = told.map((field) => [
    printable(String(field['target'])),
    printable(`${String(field['source_type'])} → ${String(field['target_type'])}`),
    field['verdict'] === 'checked' ? 'lossy unless each value fits' : String(field['verdict']),
    field['misfits'] === null ? '' : formatCount(misfitsOf(field)),
    printable(typeof field['reason'] === 'string' ? field['reason'] : ''),
    ...(bothWays ? [field['way'] === 'two_way' ? 'two ways' : printable(`one way: ${String(field['one_way'])}`)] : []),
  ])
  const head = ['field', 'types', 'verdict', 'do not fit', 'reason', ...(bothWays ? ['ways'] : [])]
  return [
    `${name(table['source'])} → ${name(table['target'])}${counted}`,
    ...problems.map(({ message }) => `  ${printable(String(message))}`),
    ...(lines.length === 0 ? [] : formatTable(head, lines)),
  ]
}
