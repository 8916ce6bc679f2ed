import type { Adapter } from '#adapters/adapter.ts'
import { openDatabase, resolveAllowed, type DescribedDatabase } from '#adapters/registry.ts'
import {
  findDatasource,
  pinDatasource,
  readPassword,
  type DatasourceDraft,
  type DatasourceTools,
} from '#control/datasources.ts'
import { Secret } from '#lib/secret.ts'
import type { Resolve } from '#lib/network-address.ts'
import type { Datasource } from '#model/datasource.ts'
import { AppError } from '#model/errors.ts'
import { WritePermit, type WriteConsent, type WriteRules } from '#model/write-protection.ts'
import { lookUpPassword, type ReferenceSources } from './references.ts'

export interface OpeningTools extends DatasourceTools {
  readonly references: ReferenceSources
  /** Finds the addresses of hosts; `resolveAllowed` where not given. */
  readonly resolve?: Resolve
}

export interface OpenDatasourceOptions {
  /** What was agreed to by whoever wants to write; null: to read, with no writer and read-only in the database itself. */
  readonly write: WriteConsent | null
  readonly rules: WriteRules
  /** Ends every connection of the adapter. */
  readonly signal: AbortSignal
}

/**
 * Opens a datasource: refuses to write what may not be written, finds the password, and refuses another server than the
 * one that it was at first (hazard D11).
 * @throws AppError `target_not_writable`, `target_protected`, `secret_unreadable`, `host_not_allowed`, `wrong_server`, and
 *   whatever keeps a database from being opened
 */
export async function openDatasource(
  tools: OpeningTools,
  datasource: Datasource,
  { write, rules, signal }: OpenDatasourceOptions,
): Promise<Adapter> {
  const permit = write === null ? null : WritePermit.forDatasource(datasource, write, rules)
  const adapter = await openDatabase(await describeDatasource(tools, datasource), { write: permit, signal })
  try {
    await holdPin(tools, datasource, adapter.server.identity)
    return adapter
  } catch (error) {
    await adapter[Symbol.asyncDispose]()
    throw error
  }
}

/** A datasource, or what somebody says of one that is not kept yet, as a database to be opened. */
export async function describeDatasource(
  tools: OpeningTools,
  what: Datasource | DatasourceDraft,
): Promise<DescribedDatabase> {
  const { kind, connection, schemas, connectTimeoutMs } = what
  const origin = 'origin' in what ? what.origin : 'stored'
  const found = 'origin' in what ? await readPassword(tools, what.id) : what.password
  const password =
    found === null || found instanceof Secret ? found : await lookUpPassword(found.reference, origin, tools.references)
  return { kind, connection, schemas, connectTimeoutMs, password, resolve: tools.resolve ?? resolveAllowed }
}

/** The first opening says which server it is; from then on it stays that one until somebody says otherwise. */
async function holdPin({ store }: OpeningTools, datasource: Datasource, identity: string): Promise<void> {
  const { id, name, connection } = datasource
  if (datasource.pin === null) await pinDatasource(store, id, { host: connection.host, identity })
  // As it is now: two openings at once may have met two servers.
  const pin = (await findDatasource(store, id))?.pin ?? null
  if (pin === null || pin.identity === identity) return
  throw new AppError(
    'wrong_server',
    `The datasource ${name} leads to another database than before: it was ${pin.identity} at ${pin.host}, and is ${identity} at ${connection.host}.`,
  )
}
