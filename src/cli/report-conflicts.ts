/** Conflicts for people. */
import type { z } from 'zod'
import type { Conflict, ConflictPage, ConflictRules, Resolved, ResolvedMany } from '#api/contract/conflicts.ts'
import { calledAs } from '#service/config.ts'
import { formatCount, formatKey, formatTable, formatValue, plural, printable } from './format.ts'

type Entry = z.infer<typeof ConflictPage>['items'][number]
type Group = z.infer<typeof ConflictPage>['groups'][number]
type Full = z.infer<typeof Conflict>

export function listLines(items: readonly Entry[]): string[] {
  if (items.length === 0) return []
  const rows = items.map((item) => [
    item.id,
    nameOf(item.target),
    printable(item.key.map(String).join(', ')),
    item.kind,
    item.fields.length === 0 ? '–' : item.fields.map(printable).join(', '),
    item.resolution === null ? item.status : `${item.status}: ${item.resolution}`,
    reasonOf(item),
  ])
  return formatTable(['id', 'table', 'key', 'kind', 'fields', 'status', ''], rows)
}

function reasonOf({ reason, reopened }: Entry): string {
  const again = reopened === 0 ? [] : ['opened again: a side has changed since it was decided']
  return [...(reason === null ? [] : [printable(reason)]), ...again].join('; ')
}

/** By what caused them; a single cause is said by the list itself. */
export function groupLines(groups: readonly Group[]): string[] {
  if (groups.length < 2) return []
  const lines = groups.map(({ conflicts, target, kind, fields, open }) => {
    const columns = fields.length === 0 ? '' : ` (${fields.map(printable).join(', ')})`
    return `${formatCount(conflicts)} × ${nameOf(target)} ${kind}${columns}, ${formatCount(open)} open`
  })
  return ['', ...lines]
}

export function conflictLines(found: Full): string[] {
  const { id, target, key, key_columns: keyColumns, kind, strategy, status, resolution, resolved, version } = found
  const decided = resolved === null ? '' : `, ${resolution ?? ''} by ${printable(resolved.name)} at ${resolved.at}`
  const reason = reasonOf(found)
  return [
    `${nameOf(target)} ${formatKey(keyColumns, key)}: ${kind}, left by ${strategy}${reason === '' ? '' : `; ${reason}`}`,
    ...rowLines(found),
    ...holderLines(found),
    ...(found.built_row === null && !found.removes_row
      ? []
      : [found.removes_row ? 'There is to be no row.' : 'A row was built in place of both; it is the last column.']),
    ...(found.values_shown ? [] : ['Values are shown to operators and admins.']),
    ...webhookLines(found),
    ...(found.note === null ? [] : [found.note]),
    `${id} is ${status}${decided} (version ${version})`,
  ]
}

function holderLines({ holder, key_columns: keyColumns, columns }: Full): string[] {
  if (holder === null) return []
  const { side, key, index, row, yields } = holder
  const lines =
    row === null
      ? []
      : formatTable(
          ['column', 'in the way'],
          columns.map(({ name }, i) => [
            `${holder.columns.includes(name) ? '* ' : '  '}${printable(name)}`,
            formatValue(row[i]?.value ?? null),
          ]),
        )
  const taken = side === 'target' ? 'source' : 'target'
  const gives =
    yields === null
      ? `cannot go without it, so that ${taken} cannot be taken`
      : `loses ${printable(yields)} where ${taken} is taken`
  return [`In the way by ${printable(index)}: the ${side}'s row ${formatKey(keyColumns, key)}. It ${gives}.`, ...lines]
}

function webhookLines({ webhook }: Full): string[] {
  if (webhook === null) return []
  const { status, attempts, next_at: next, last_at: last, last_error: error, deadline_at: deadline } = webhook
  const states: Readonly<Record<typeof status, string>> = {
    waiting: `is asked${next === null ? '' : ` (again) at ${next}`}, until ${deadline}`,
    accepted: `has said that it answers later, until ${deadline}`,
    answered: 'has decided; a run is to be started for it',
    given_up: 'has not decided in time: somebody has to',
    ended: 'is not asked any more',
  }
  const tried = attempts === 0 ? 'not asked yet' : `${plural(attempts, 'attempt')}, the last at ${last ?? ''}`
  const why = error === null ? [] : [`  ${printable(error)}`]
  return [`The webhook ${states[status]}; ${tried}.`, ...why]
}

const SIDES = {
  none: 'has no such row',
  not_kept: 'has a row that was too large to be kept',
  unknown: 'has a row that cannot be read any more',
} as const

/** Side by side; a star stands before what both sides changed. */
function rowLines({ columns, fields, sides, ...found }: Full): string[] {
  const missing = (['source', 'target'] as const).flatMap((side) => {
    const state = sides[side]
    return state === 'kept' ? [] : [`The ${side} ${SIDES[state]}.`]
  })
  const shown = [
    { heading: 'source', cells: found.source_row },
    { heading: 'target', cells: found.target_row },
    { heading: 'before', cells: found.base_row },
    { heading: 'built', cells: found.built_row },
  ].filter(({ cells }) => cells !== null)
  if (shown.length === 0) return missing
  const rows = columns.map(({ name }, place) => [
    `${fields.includes(name) ? '* ' : '  '}${printable(name)}`,
    ...shown.map(({ cells }) => formatValue(cells?.[place]?.value ?? null)),
  ])
  return [...formatTable(['column', ...shown.map(({ heading }) => heading)], rows), ...missing]
}

/** What a decision about many is about. */
export function selectionLines({ kinds, tables }: z.infer<typeof ResolvedMany>): string[] {
  const rows = [
    ...tables.map(({ target, conflicts }) => [nameOf(target), formatCount(conflicts)]),
    ...kinds.map(({ kind, conflicts }) => [kind, formatCount(conflicts)]),
  ]
  return rows.length === 0 ? [] : formatTable(['', 'conflicts'], rows)
}

export function ruleLines(rules: z.infer<typeof ConflictRules>['items']): string[] {
  if (rules.length === 0) return []
  const rows = rules.map(({ id, target, kind, fields, take, created_at: at, created_by: { name } }) => [
    id,
    nameOf(target),
    kind,
    fields === null ? 'any' : fields.length === 0 ? '–' : fields.map(printable).join(', '),
    take,
    printable(name),
    at.slice(0, 16).replace('T', ' '),
  ])
  return formatTable(['id', 'table', 'kind', 'fields', 'take', 'by', 'since'], rows)
}

/** What carries a decision out. */
export function carriedLine({ job_id: job, note }: Pick<z.infer<typeof Resolved>, 'job_id' | 'note'>): string {
  if (job !== null) return `${job} carries it out (${calledAs()} jobs watch ${job})`
  return printable(note ?? 'the next run carries it out')
}

function nameOf({ schema, name }: { readonly schema: string; readonly name: string }): string {
  return printable(`${schema}.${name}`)
}
