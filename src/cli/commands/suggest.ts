import type { Command } from 'commander'
import { stringify } from 'yaml'
import { asObject, type ApiClient } from '#api/client.ts'
import { Suggestions } from '#api/contract/suggestions.ts'
import type { Outcome, Runner } from '#cli/command.ts'
import { formatTable, plural, printable } from '#cli/format.ts'
import { addServiceFlags, withService } from '#cli/service-flags.ts'
import { EXIT } from '#model/errors.ts'

const HELP = `
Looks at both databases, read-only, and suggests which column feeds which, with a score from 0 to 1. Nothing is changed:
--yaml prints what can be put under field_mappings of a table in the config.
`

interface SuggestFlags {
  readonly table?: readonly string[]
  readonly yaml?: true
  readonly candidates?: true
  /** False where --no-ai is given. */
  readonly ai: boolean
}

type Table = Suggestions['tables'][number]

export function addSuggest(group: Command, run: Runner): void {
  const command = group
    .command('suggest <name>')
    .description('suggest field mappings for the tables of a sync config')
    .option('--table <name>', 'only this table of the source; repeatable', collect)
    .option('--yaml', 'print the suggestions as YAML for the config')
    .option('--candidates', 'also show what else could feed a column')
    .option('--no-ai', 'do not ask the model, where one is configured')
    .addHelpText('after', HELP)
  addServiceFlags(command).action(async (name: string, flags: SuggestFlags) =>
    withService(run, command, (client) => suggest(client, name, flags)),
  )
}

function collect(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text]
}

async function suggest(client: ApiClient, name: string, flags: SuggestFlags): Promise<Outcome> {
  const body = { refine: flags.ai, ...(flags.table === undefined ? {} : { tables: flags.table }) }
  const answer = asObject(await client.post(`/sync-configs/${encodeURIComponent(name)}/suggest`, body))
  const result = Suggestions.parse(answer)
  const count = result.tables.reduce((total, { fields }) => total + fields.length, 0)
  const summary = `${plural(count, 'field')} suggested for ${plural(result.tables.length, 'table')}`
  const lines = flags.yaml ? [toYaml(result)] : [...toLines(result, flags.candidates === true), summary]
  return { exit: EXIT.done, summary, result: answer, lines }
}

/** The tables of a config, as they would stand in its document. */
function toYaml({ tables }: Suggestions): string {
  const document = tables
    .filter(({ fields }) => fields.length > 0)
    .map(({ source, target, fields }) => ({ source, target, field_mappings: fields.map(({ mapping }) => mapping) }))
  return stringify({ tables: document }, { lineWidth: 0 }).trimEnd()
}

function toLines({ tables, unmatched, left_out: leftOut }: Suggestions, candidates: boolean): string[] {
  return [
    ...tables.flatMap((table) => [...tableLines(table, candidates), '']),
    ...(unmatched.length === 0 ? [] : [`Nothing suits ${unmatched.map(printable).join(', ')}.`]),
    ...(leftOut.length === 0
      ? []
      : [`Not looked into: ${leftOut.map(({ source }) => printable(source)).join(', ')}. Name them with --table.`]),
  ]
}

function tableLines(table: Table, candidates: boolean): string[] {
  const { source, sampled, unmapped, notes } = table
  const rows = table.fields.map(toCells)
  const others = candidates ? table.candidates.map(toCells) : []
  const left = [...unmapped.source.map((name) => `${name} →`), ...unmapped.target.map((name) => `→ ${name}`)]
  return [
    `${printable(source)} → ${printable(table.target)}  (${table.score.toFixed(2)}, ${plural(sampled.matched, 'matched row')})`,
    ...(rows.length === 0 ? ['no field is sure enough'] : formatTable(HEADINGS, rows)),
    ...(others.length === 0 ? [] : ['candidates', ...formatTable(HEADINGS, others)]),
    ...(left.length === 0 ? [] : [`left over: ${left.map(printable).join(', ')}`]),
    ...notes.map(printable),
  ]
}

const HEADINGS = ['source', 'target', 'score', 'transforms', 'why']

function toCells({ mapping, score, reasons, by }: Table['fields'][number]): string[] {
  const { column, columns, constant, transforms = [] } = mapping
  const from = column ?? columns?.join(' + ') ?? (constant === undefined ? '' : `constant ${JSON.stringify(constant)}`)
  const steps = transforms.map((step) => (typeof step === 'string' ? step : Object.keys(step).join()))
  const why = [...(by === 'ai' ? ['AI'] : []), ...reasons].join('; ')
  return [from, mapping.target, score.toFixed(2), steps.join(', '), why].map(printable)
}
