import { createHash } from 'node:crypto'
import { presentAuditEvent } from '#api/present-audit.ts'
import { tableName } from '#model/table.ts'
import { changesIn, eventsOf, type ReportChange, type ReportEnd, type ReportFacts, type ReportTools } from './facts.ts'

const STYLE = `
:root { color-scheme: light; font: 14px/1.45 system-ui, sans-serif; }
body { margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #1a1a1a; background: #fff; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0; }
th, td { border: 1px solid #bbb; padding: .25rem .5rem; text-align: left; vertical-align: top; }
td:last-child { overflow-wrap: anywhere; } th { background: #f0f0f0; white-space: nowrap; } thead { display: table-header-group; } tr { break-inside: avoid; }
bdi { white-space: pre-wrap; } code { font-size: .9em; }
.null { color: #666; font-style: italic; } .changed { background: #fff6d6; }
@media print { body { margin: 0; max-width: none; } }
`

/** Nothing but the page's own style; the same stands in the page, for when it was saved. */
const POLICY = `default-src 'none'; style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'; base-uri 'none'; form-action 'none'`

export const REPORT_POLICY = `${POLICY}; frame-ancestors 'none'`

/** The report as one page without anything from elsewhere, to be read and printed. Every text in it is data (S18). */
export async function* htmlReport(facts: ReportFacts, tools: ReportTools): AsyncGenerator<string> {
  const { job } = facts
  yield `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${escapeHtml(POLICY)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Audit of ${escapeHtml(job.id)}</title>
<style>${STYLE}</style>
</head>
<body>
<h1>Audit of ${escapeHtml(job.id)}</h1>
`
  yield table(null, factsOf(facts))
  yield `<ul>${facts.notes.map((note) => `<li>${text(note)}</li>`).join('')}</ul>\n`
  yield section(
    'Tables',
    ['table', ...COUNTS],
    facts.tables.map(({ target, counts }) => [tableName(target), ...COUNTS.map((name) => String(counts[name]))]),
  )
  yield section(
    'Verification',
    ['table', 'verified', 'rows', 'digest'],
    facts.tables.map(({ target, verification: { mode, rows, sourceDigest, targetDigest } }) => [
      tableName(target),
      mode,
      String(rows),
      sourceDigest === targetDigest ? `${sourceDigest} (both sides)` : `source ${sourceDigest}, target ${targetDigest}`,
    ]),
  )
  yield section(
    'Rows set aside',
    ['table', 'column', 'code', 'status', 'rows', 'reason'],
    facts.rejections.map(({ target, column, code, status, rows, reason }) => [
      tableName(target),
      column,
      code,
      status,
      String(rows),
      reason,
    ]),
  )
  yield `<h2>Events</h2>\n<table><thead>${headings(['time', 'who', 'what', 'details'])}</thead><tbody>\n`
  for await (const event of eventsOf(tools, job.id)) {
    const { at, actor_name: name, action, data } = presentAuditEvent(event, tools.actor)
    yield row([at, name, action, JSON.stringify(data)])
  }
  yield `</tbody></table>\n<h2>Changes</h2>\n<table><thead>${headings(['time', 'table', 'batch', 'operation', 'key', 'row'])}</thead><tbody>\n`
  let changes = 0
  for await (const change of changesIn(tools, job.id)) {
    changes += 1
    yield changeRow(change)
  }
  yield `</tbody></table>\n<p>${changes} entries. End of the report.</p>\n</body>\n</html>\n`
}

const COUNTS = ['read', 'inserted', 'updated', 'deleted', 'unchanged', 'skipped', 'conflicted', 'rejected'] as const

function factsOf(facts: ReportFacts): (string | null)[][] {
  const { job, config } = facts
  const place = ({ name, id, address }: ReportEnd): string => [name ?? id, address].filter(Boolean).join(', ')
  const version = config?.version === null || config === null ? '' : `, version ${config.version}`
  return [
    ['Status', job.status],
    ['Started by', facts.startedBy],
    ['Asked for', job.createdAt],
    ['Began', job.startedAt],
    ['Ended', job.finishedAt],
    ['Sync config', config === null ? null : `${config.name ?? config.id}${version}`],
    ['Source', place(facts.source)],
    ['Target', place(facts.target)],
    ['Audit level', facts.level],
    [
      'Values of rows',
      facts.valuesShown ? 'shown where they were kept' : 'not shown: they are for operators and admins',
    ],
    ['Error', job.error === null ? null : `${job.error.code}: ${job.error.message}`],
    ['Report of', `${facts.generatedAt}, for ${facts.generatedBy}`],
  ].filter(([, value]) => value !== null)
}

function changeRow({ at, table: of, batch, op, key, before, after, note }: ReportChange): string {
  const cells = (after ?? before ?? []).map(({ column }, i) => {
    const [old, next] = [before?.[i]?.value, after?.[i]?.value]
    const mark = before !== null && after !== null && old !== next ? ' class="changed"' : ''
    const values = [...(before === null ? [] : [value(old ?? null)]), ...(after === null ? [] : [value(next ?? null)])]
    return `<div${mark}><code>${text(column)}</code>: ${values.join(' → ')}</div>`
  })
  const rest = `${note === null ? '' : text(note)}${cells.join('')}`
  const parts = [
    at,
    tableName(of),
    String(batch),
    op,
    key === null ? null : key.map((part) => part ?? 'NULL').join(', '),
  ]
  return `<tr>${parts.map((part) => `<td>${part === null ? '' : text(part)}</td>`).join('')}<td>${rest}</td></tr>\n`
}

function section(title: string, names: readonly string[], rows: readonly (readonly (string | null)[])[]): string {
  return rows.length === 0 ? '' : `<h2>${escapeHtml(title)}</h2>\n${table(names, rows)}`
}

function table(names: readonly string[] | null, rows: readonly (readonly (string | null)[])[]): string {
  const head = names === null ? '' : `<thead>${headings(names)}</thead>`
  return `<table>${head}<tbody>\n${rows.map(row).join('')}</tbody></table>\n`
}

function headings(names: readonly string[]): string {
  return `<tr>${names.map((name) => `<th>${escapeHtml(name)}</th>`).join('')}</tr>`
}

function row(cells: readonly (string | null)[]): string {
  return `<tr>${cells.map((cell) => `<td>${cell === null ? '' : text(cell)}</td>`).join('')}</tr>\n`
}

function value(of: string | null): string {
  return of === null ? '<span class="null">NULL</span>' : text(of)
}

/** Data among other text: a change of the direction of writing in it ends with it. */
function text(of: string): string {
  return `<bdi>${escapeHtml(of)}</bdi>`
}

/** U+0000 has no place in a page. */
export function escapeHtml(of: string): string {
  return of.replaceAll(/[&<>"'\0]/g, (character) => ENTITIES[character] ?? '')
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
  '\0': '\u2400',
}
