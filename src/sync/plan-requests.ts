import type { ServerInfo } from '#adapters/adapter.ts'
import { isThreeWay, needsBaseline, type Policies, type TableMapping } from '#model/sync-config.ts'
import { AppError } from '#model/errors.ts'
import { tableName } from '#model/table.ts'
import type { Problem, Sides } from './plan.ts'

type Server = Pick<ServerInfo, 'writes'>

/**
 * What a side that is written by requests, each of them a transaction of its own, cannot do: keep a baseline, or take part in
 * two ways. Said before anything is compared.
 */
export function requestProblems(
  policies: Policies,
  mapping: TableMapping,
  sides: { readonly [side in keyof Sides]: Server },
): Problem[] {
  const name = tableName(mapping.target)
  const problem = (message: string): Problem => ({ code: 'not_over_rest', message })
  if (policies.direction === 'two_way') {
    if (sides.source.writes === 'transactions' && sides.target.writes === 'transactions') return []
    return [
      problem(`${name} is synced two ways, which takes a baseline beside its rows on a database that is connected to.`),
    ]
  }
  if (sides.target.writes === 'transactions') return []
  if (isThreeWay(policies, mapping)) {
    return [
      problem(`${name} is to be judged by what both sides last agreed on; over REST source_wins alone is possible.`),
    ]
  }
  if (!needsBaseline(policies, mapping)) return []
  const why =
    policies.baseline === 'auto'
      ? 'only rows that this sync wrote are to be deleted (delete_scope owned); over REST delete_scope mirror is possible'
      : `the policy asks for it; over REST baseline none is possible`
  return [problem(`${name} needs a baseline: ${why}.`)]
}

/**
 * Refuses what a target cannot be written by at all.
 * @param wish `inOne`: everything in one transaction; `images`: rows are told as a batch found and left them
 * @throws AppError `read_only_server`; `not_over_rest` for what needs more than a request, or sees into its transaction
 */
export function refuseWriting(
  { address, readOnly, writes }: ServerInfo,
  { inOne, images }: { readonly inOne: boolean; readonly images: boolean },
): void {
  if (readOnly !== null) throw new AppError('read_only_server', `${address} cannot be written: ${readOnly}.`)
  if (writes === 'transactions') return
  const why = inOne
    ? 'is written batch by batch, and changes that were looked at are applied all at once'
    : 'does not show rows as a batch has found and left them; the audit level standard keeps their keys'
  if (inOne || images) throw new AppError('not_over_rest', `${address} ${why}.`)
}

/** For people, with the plan. */
export function requestNotes({ writes }: Server): string[] {
  if (writes === 'transactions') return []
  return [
    'The target is written over its REST API: each batch is one transaction with its counters, and takes effect once. The target is read page by page, at no one moment.',
  ]
}
