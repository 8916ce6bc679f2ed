import { InvalidArgumentError, Option, type Command } from 'commander'
import { asObject, type ApiClient } from '#api/client.ts'
import { MatchBody } from '#api/contract/match.ts'
import type { Outcome, Runner } from '#cli/command.ts'
import { formatCount, formatTable, formatValue, plural, printable } from '#cli/format.ts'
import { addServiceFlags, withService } from '#cli/service-flags.ts'
import { EXIT } from '#model/errors.ts'
import { MATCH_LISTS, type MatchList } from '#model/match.ts'

const HELP = `
Before two databases meet for the first time: which rows a run would take for the same, by the key that each mapping declares or
finds. Nothing is written. --by tries other columns out; what fits is declared as key of the table. Rows that several rows of a
side could be are never matched by a guess: the run refuses such a key.

  differing     pairs with other values: conflicts of first contact, or what the strategy makes of them
  duplicates    values of the match fields that several rows of a side share
  source_only   rows that the target lacks
  target_only   rows that the source lacks

Examples:
  syncline configs match 'shop and crm'
  syncline configs match 'shop and crm' --table customer --by email --list differing
`

interface MatchFlags {
  readonly table?: string
  readonly by?: readonly string[]
  readonly list?: MatchList
  readonly limit?: number
  readonly cursor?: string
}

export function addMatch(group: Command, run: Runner): void {
  const command = group
    .command('match <name>')
    .description('see which rows of both sides a first run would take for the same')
    .option('--table <name>', 'the table as it is called in the source; else all of the config')
    .option('--by <columns>', 'with --table: columns of the source to match by, with commas between', toColumns)
    .addOption(new Option('--list <what>', 'with --table: rows of this kind too').choices(MATCH_LISTS))
    .option('--limit <rows>', 'rows of the list to show, up to 200', toLimit)
    .option('--cursor <cursor>', 'go on with the list where the page before ended')
    .addHelpText('after', HELP)
  addServiceFlags(command).action(async (name: string, flags: MatchFlags) =>
    withService(run, command, (client) => match(client, name, flags)),
  )
}

function toColumns(text: string): readonly string[] {
  const columns = text.split(',').map((name) => name.trim())
  if (columns.every((name) => name !== '')) return columns
  throw new InvalidArgumentError('Columns are names with commas between.')
}

function toLimit(text: string): number {
  const limit = Number(text)
  if (Number.isInteger(limit) && limit >= 1 && limit <= 200) return limit
  throw new InvalidArgumentError('It is a whole number from 1 to 200.')
}

async function match(client: ApiClient, name: string, flags: MatchFlags): Promise<Outcome> {
  const { table, by, list, limit, cursor } = flags
  const body = Object.fromEntries(
    Object.entries({ table, by, list, limit, cursor }).filter(([, value]) => value !== undefined),
  )
  const answer = asObject(await client.post(`/sync-configs/${encodeURIComponent(name)}/match`, body))
  const found = MatchBody.parse(answer)
  const doubtful = found.tables.filter(
    ({ counts, problems }) => problems.length > 0 || counts === null || counts.differing > 0,
  ).length
  const summary = `${plural(found.tables.length, 'table')} matched, ${formatCount(doubtful)} with something to look at`
  const lines = [
    ...tableLines(found),
    ...listLines(found),
    ...found.notes.map((text) => `note: ${printable(text)}`),
    summary,
  ]
  return { exit: doubtful > 0 ? EXIT.findings : EXIT.done, summary, result: answer, lines }
}

type Found = ReturnType<typeof MatchBody.parse>

function tableLines({ tables }: Found): string[] {
  const rows = tables.map(({ source, target, match_by: by, counts }) => [
    printable(source === target ? source : `${source} -> ${target}`),
    by
      .map((column) =>
        printable(column.source === column.target ? column.source : `${column.source} -> ${column.target}`),
      )
      .join(', '),
    ...(counts === null
      ? ['–', '–', '–', '–', '–']
      : [counts.equal, counts.differing, counts.duplicates.values, counts.source_only, counts.target_only].map(
          formatCount,
        )),
  ])
  const heading = ['table', 'by', 'equal', 'differing', 'duplicates', 'source only', 'target only']
  const problems = tables.flatMap(({ source, problems: texts }) =>
    texts.map((text) => `${printable(source)}: ${printable(text)}`),
  )
  return [...formatTable(heading, rows), ...problems]
}

function listLines({ list }: Found): string[] {
  if (list === null) return []
  const lines = list.items.flatMap(({ key, rows, source, target, differs }) => {
    const at = `  ${key.map((value) => formatValue(value)).join(', ')}`
    if (rows.source > 1 || rows.target > 1) return [`${at}: ${rows.source} in the source, ${rows.target} in the target`]
    if (source !== null && target !== null) {
      const changes = list.columns.flatMap((column, i) =>
        differs.includes(column)
          ? [`${printable(column)} ${formatValue(source[i] ?? null)} | ${formatValue(target[i] ?? null)}`]
          : [],
      )
      return [`${at}: ${changes.join('  ')}`]
    }
    const row = source ?? target
    const cells = list.columns.map((column, i) => `${printable(column)}=${formatValue(row?.[i] ?? null)}`)
    return [row === null ? at : `${at}: ${cells.join('  ')}`]
  })
  const more = list.next_cursor === null ? [] : [`… and more: --cursor ${list.next_cursor}`]
  return ['', ...(lines.length === 0 ? ['  none'] : lines), ...more, '']
}
