import type { Command } from 'commander'
import { stringify } from 'yaml'
import { asObject, type ApiClient } from '#api/client.ts'
import { Advice } from '#api/contract/advice.ts'
import type { Outcome, Runner } from '#cli/command.ts'
import { plural, printable } from '#cli/format.ts'
import { addServiceFlags, withService } from '#cli/service-flags.ts'
import { EXIT } from '#model/errors.ts'

const HELP = `
Looks at the source, read-only: indexes, triggers, rights, the server's statistics and some rows of each table. Says for
each by which strategy its changes can be found, best first, and what that does not see. Nothing is changed: --yaml prints
the first of each as tables of a config.
`

interface AdviseFlags {
  readonly table?: readonly string[]
  readonly all?: true
  readonly yaml?: true
}

type Table = Advice['tables'][number]
type Proposal = Table['proposals'][number]

/** What is advised, and how the API calls it. */
const OF = {
  configs: { path: 'sync-configs', words: 'the tables of a sync config' },
  datasources: { path: 'datasources', words: 'the tables of a datasource, before there is a sync config' },
} as const

export function addAdvise(group: Command, run: Runner, of: keyof typeof OF): void {
  const { path, words } = OF[of]
  const command = group
    .command('advise <name>')
    .description(`advise how changes can be found, for ${words}`)
    .option('--table <name>', 'only this table of the source; repeatable', collect)
    .option('--all', 'show every strategy in full')
    .option('--yaml', 'print the first strategy of each table as YAML for a config')
    .addHelpText('after', HELP)
  addServiceFlags(command).action(async (name: string, flags: AdviseFlags) =>
    withService(run, command, (client) => advise(client, `/${path}/${encodeURIComponent(name)}/advise`, flags)),
  )
}

function collect(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text]
}

async function advise(client: ApiClient, path: string, { table, all, yaml }: AdviseFlags): Promise<Outcome> {
  const answer = asObject(await client.post(path, table === undefined ? {} : { tables: table }))
  const { tables, left_out: leftOut } = Advice.parse(answer)
  const summary = `${plural(tables.length, 'table')} looked at`
  const left =
    leftOut.length === 0 ? [] : [`Not looked at: ${leftOut.map(printable).join(', ')}. Name them with --table.`]
  const lines = yaml
    ? [toYaml(tables)]
    : [...tables.flatMap((each) => [...tableLines(each, all === true), '']), ...left, summary]
  return { exit: EXIT.done, summary, result: answer, lines }
}

/** Tables of a config, each with what is proposed first. */
function toYaml(tables: readonly Table[]): string {
  const document = tables.flatMap(({ source, proposals: [first] }) => {
    if (first === undefined) return []
    const { strategy, cursor_column: column } = first
    return [{ source, detection_strategy: strategy, ...(column === null ? {} : { cursor_column: column }) }]
  })
  return stringify({ tables: document }, { lineWidth: 0 }).trimEnd()
}

function tableLines(
  { source, current, proposals, ruled_out: ruledOut, unknown, notes }: Table,
  all: boolean,
): string[] {
  const now = current === null ? '' : `  (now ${nameOf(current)})`
  return [
    `${printable(source)}${now}`,
    ...proposals.flatMap((proposal, i) => {
      const head = `  ${i + 1}. ${nameOf(proposal)}: ${proposal.label}`
      return i === 0 || all ? [head, ...details(proposal)] : [head]
    }),
    ...ruledOut.map(({ strategy, column, why }) => {
      const what = strategy === null ? '' : `${nameOf({ strategy, cursor_column: column })}: `
      return `  not ${what}${printable(why)}`
    }),
    ...unknown.map((text) => `  unknown: ${printable(text)}`),
    ...notes.map((text) => `  note: ${printable(text)}`),
  ]
}

function nameOf({ strategy, cursor_column: column }: Pick<Proposal, 'strategy' | 'cursor_column'>): string {
  return column === null ? strategy : `${strategy} by ${printable(column)}`
}

function details({ cost, reasons, cannot_see: unseen, needs }: Proposal): string[] {
  const line = (label: string, text: string): string => `     ${label.padEnd(DETAIL_WIDTH)}${printable(text)}`
  return [
    line('why', reasons.join('; ')),
    line('costs', cost),
    ...unseen.map((text) => line('does not see', text)),
    ...needs.flatMap(({ text, sql, required }) => [
      line(required ? 'needs' : 'better with', text),
      ...(sql === null ? [] : [line('', sql)]),
    ]),
  ]
}

const DETAIL_WIDTH = 14
