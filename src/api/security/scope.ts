import { includesRole, type Actor } from '#model/access.ts'
import type { ConfigPolicies } from '#model/config-document.ts'
import { AppError } from '#model/errors.ts'

/**
 * A connection that no datasource holds may lead anywhere: only who may register datasources may name one (S33).
 * @throws AppError `forbidden`
 */
export function refuseOwnConnections(actor: Actor): void {
  if (!includesRole(actor.role, 'admin')) {
    throw new AppError('forbidden', 'Connections that are not datasources need a key with the role admin.')
  }
  refuseScoped(actor)
}

/**
 * A query runs with all rights of the datasource's login and can call any function of the server: only who may register
 * datasources may write one. What an admin wrote stays where others change the rest (S21).
 * @throws AppError `forbidden`
 */
export function refuseOwnQueries(actor: Actor, given: ConfigPolicies, before: ConfigPolicies | null): void {
  if (includesRole(actor.role, 'admin')) return
  const known = queriesOf(before)
  if (queriesOf(given).every((query) => known.includes(query))) return
  throw new AppError('forbidden', 'A query of your own in place of a table needs a key with the role admin.')
}

function queriesOf(policies: ConfigPolicies | null): readonly string[] {
  return (policies?.tables ?? []).flatMap((table) => table.query ?? [])
}

/**
 * What is trusted runs as the login of the database itself: only who may register that login may say so, also where a job
 * that was asked for so is done again.
 * @throws AppError `forbidden`
 */
export function refuseTrusted(actor: Actor, what: 'a file' | 'a source'): void {
  if (includesRole(actor.role, 'admin')) return
  throw new AppError('forbidden', `Only an admin may trust ${what} as the login of the database itself.`)
}

/** @throws AppError `forbidden` */
export function refuseScoped({ datasources }: Actor): void {
  if (datasources !== null)
    throw new AppError('forbidden', 'This key is for certain datasources, and for nothing else.')
}
