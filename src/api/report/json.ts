import { presentAuditEvent, presentWrites } from '#api/present-audit.ts'
import { presentJob, snakeCase } from '#api/present.ts'
import { changesIn, eventsOf, type ReportFacts, type ReportTools } from './facts.ts'

/** The report as one JSON document, piece by piece. One that was cut short is no JSON. */
export async function* jsonReport(facts: ReportFacts, tools: ReportTools): AsyncGenerator<string> {
  const { job, config, tables } = facts
  const head = {
    generated_at: facts.generatedAt,
    generated_by: facts.generatedBy,
    started_by: facts.startedBy,
    job: presentJob(job, facts.startedBy),
    config,
    source: facts.source,
    target: facts.target,
    audit_level: facts.level,
    values_shown: facts.valuesShown,
    tables: tables.map(({ rejections, ...table }) => ({
      ...(snakeCase(table) as object),
      rejections: rejections.length,
    })),
    written: facts.written.map(presentWrites),
    rejections: facts.rejections.map((group) => ({ ...group, target: { ...group.target } })),
    notes: facts.notes,
  }
  yield `${JSON.stringify(head).slice(0, -1)},"events":[`
  for await (const piece of items(eventsOf(tools, job.id), (event) => presentAuditEvent(event, tools.actor)))
    yield piece
  yield '],"changes":['
  for await (const piece of items(changesIn(tools, job.id), (change) => change)) yield piece
  yield ']}\n'
}

async function* items<T>(all: AsyncIterable<T>, present: (item: T) => unknown): AsyncGenerator<string> {
  let comma = ''
  for await (const item of all) {
    yield `${comma}${JSON.stringify(present(item))}`
    comma = ',\n'
  }
}
