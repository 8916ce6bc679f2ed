import { InvalidArgumentError, type Command } from 'commander'
import { asObject, type ApiClient } from '#api/client.ts'
import { MappingPreviewBody } from '#api/contract/mapping-preview.ts'
import type { Outcome, Runner } from '#cli/command.ts'
import { plural, printable } from '#cli/format.ts'
import { addServiceFlags, withService } from '#cli/service-flags.ts'
import { EXIT } from '#model/errors.ts'

const HELP = `
Reads some rows of the source and maps them as a run would, beside what the target has now. Nothing is written. A dry
run (configs run NAME --dry-run) tells of all rows what would change.

Example:
  syncline configs preview 'shop to crm' --table customer --limit 5
`

interface PreviewFlags {
  readonly table?: string
  readonly limit: number
}

export function addPreview(group: Command, run: Runner): void {
  const command = group
    .command('preview <name>')
    .description('see what the mapping of a table makes of some rows')
    .option('--table <name>', 'the table as it is called in the source; else the first one of the config')
    .option('--limit <rows>', 'rows to look at, up to 200', toLimit, 5)
    .addHelpText('after', HELP)
  addServiceFlags(command).action(async (name: string, flags: PreviewFlags) =>
    withService(run, command, (client) => preview(client, name, flags)),
  )
}

function toLimit(text: string): number {
  const limit = Number(text)
  if (Number.isInteger(limit) && limit >= 1 && limit <= 200) return limit
  throw new InvalidArgumentError('It is a whole number from 1 to 200.')
}

async function preview(client: ApiClient, name: string, { table, limit }: PreviewFlags): Promise<Outcome> {
  const body = { limit, ...(table === undefined ? {} : { table }) }
  const answer = asObject(await client.post(`/sync-configs/${encodeURIComponent(name)}/preview`, body))
  const found = MappingPreviewBody.parse(answer)
  const faults = found.rows.filter(({ fault }) => fault !== null).length
  const summary = `${plural(found.rows.length, 'row')} of ${found.source} looked at, ${faults} cannot be carried`
  return { exit: faults > 0 ? EXIT.findings : EXIT.done, summary, result: answer, lines: [...toLines(found), summary] }
}

type Found = ReturnType<typeof MappingPreviewBody.parse>

/** A block for each row: what it comes from, and each field with what the target has and would have. */
function toLines(found: Found): string[] {
  const width = Math.max(...found.fields.map(({ target }) => target.length))
  const rows = found.rows.flatMap(({ source, before, after, fault, warnings, filtered, micros }) => {
    const from = found.columns.map((name, i) => `${name}=${shown(source[i])}`).join('  ')
    const end =
      fault !== null ? `cannot be carried: ${fault.reason}` : filtered ? 'does not meet the filter' : `${micros} µs`
    const cells = (after ?? []).map((value, i) => {
      const old = before?.[i]
      const change = before === null || old === value ? shown(value) : `${shown(old)} -> ${shown(value)}`
      return `    ${(found.fields[i]?.target ?? '').padEnd(width)}  ${change}`
    })
    return [`  ${from}`, ...cells, ...warnings.map((text) => `    warning: ${text}`), `    (${end})`, '']
  })
  const losses = found.fields.flatMap(({ target, losses: lost }) => lost.map((text) => `  ${target} loses: ${text}`))
  const { source, target } = found.unmapped
  return [
    `${found.source} -> ${found.target}`,
    '',
    ...rows,
    ...losses,
    ...(source.length > 0 ? [`Not carried: ${source.join(', ')}`] : []),
    ...(target.length > 0 ? [`Left to the target: ${target.join(', ')}`] : []),
  ].map(printable)
}

function shown(value: string | null | undefined): string {
  return value === null || value === undefined ? 'NULL' : JSON.stringify(value)
}
