import { csvCell } from '#api/csv-cell.ts'
import { presentAuditEvent } from '#api/present-audit.ts'
import { tableName } from '#model/table.ts'
import { changesIn, eventsOf, type ReportChange, type ReportEnd, type ReportFacts, type ReportTools } from './facts.ts'

/**
 * The report as one CSV table (RFC 4180, UTF-8): each line says in `record` what it is. `fact` has a name in `column` and a
 * value in `after`; `change` is one row that was written; `cell` is one value of the change before it. The last line is
 * `end`: a report without it was cut short.
 */
export async function* csvReport(facts: ReportFacts, tools: ReportTools): AsyncGenerator<string> {
  yield line(Object.fromEntries(COLUMNS.map((name) => [name, name])))
  for (const [column, after] of factsOf(facts)) yield line({ record: 'fact', column, after })
  for (const note of facts.notes) yield line({ record: 'note', note })
  for (const { source, target, counts, verification, rejections } of facts.tables) {
    const table = tableName(target)
    const { mode, rows, sourceDigest, targetDigest } = verification
    const values = {
      source: tableName(source),
      ...counts,
      verification: mode,
      verified_rows: rows,
      source_digest: sourceDigest,
      target_digest: targetDigest,
      rejections_told: rejections.length,
    }
    for (const [column, value] of Object.entries(values)) {
      yield line({ record: 'table', table, column, after: String(value) })
    }
  }
  for (const { target, column, code, status, rows, reason } of facts.rejections) {
    const note = `${code}, ${status}: ${reason}`
    yield line({ record: 'rejections', table: tableName(target), column, after: String(rows), note })
  }
  for await (const event of eventsOf(tools, facts.job.id)) {
    const { at, action, subject, actor_name: name, data } = presentAuditEvent(event, tools.actor)
    yield line({ record: 'event', at, op: action, key: subject, after: JSON.stringify(data), note: `by ${name}` })
  }
  for await (const change of changesIn(tools, facts.job.id)) yield changeLines(change)
  yield line({ record: 'end' })
}

function factsOf(facts: ReportFacts): readonly (readonly [string, string | null])[] {
  const { job, config } = facts
  const place = ({ name, id, address }: ReportEnd): string => [name ?? id, address].filter(Boolean).join(' ')
  return [
    ['job', job.id],
    ['status', job.status],
    ['started_by', facts.startedBy],
    ['asked_for_at', job.createdAt],
    ['started_at', job.startedAt],
    ['finished_at', job.finishedAt],
    ['config', config === null ? null : (config.name ?? config.id)],
    ['config_version', config?.version === undefined ? null : String(config.version)],
    ['source', place(facts.source)],
    ['target', place(facts.target)],
    ['audit_level', facts.level],
    ['values_shown', String(facts.valuesShown)],
    ['error', job.error === null ? null : `${job.error.code}: ${job.error.message}`],
    ...Object.entries(job.counts ?? {}).map(([name, count]) => [`total_${name}`, String(count)] as const),
    ['generated_at', facts.generatedAt],
    ['generated_by', facts.generatedBy],
  ]
}

function changeLines({ at, table, batch, op, key, before, after, note }: ReportChange): string {
  const of = { at, table: tableName(table), batch: String(batch), key: key === null ? null : keyText(key) }
  const cells = (after ?? before ?? []).map(({ column }, i) =>
    line({ record: 'cell', ...of, op, column, before: before?.[i]?.value ?? null, after: after?.[i]?.value ?? null }),
  )
  return [line({ record: 'change', ...of, op, note }), ...cells].join('')
}

function keyText(key: readonly (string | null)[]): string {
  return key.length === 1 ? (key[0] ?? '') : JSON.stringify(key)
}

const COLUMNS = ['record', 'at', 'table', 'batch', 'op', 'key', 'column', 'before', 'after', 'note'] as const

type Line = Readonly<Partial<Record<(typeof COLUMNS)[number], string | null>>>

function line(cells: Line): string {
  return `${COLUMNS.map((name) => csvCell(cells[name] ?? null)).join(',')}\r\n`
}
