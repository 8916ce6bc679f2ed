import type { Adapter } from '#adapters/adapter.ts'
import { getDatasource } from '#control/datasources.ts'
import type { Job } from '#control/jobs.ts'
import { findKnown, noteSchemas, type SchemaDrift } from '#control/schema-drift.ts'
import type { Store } from '#control/store.ts'
import { getConfig, type StoredConfig } from '#control/sync-configs.ts'
import { policiesOf, toPolicies, toTableChoice, type ConfigPolicies } from '#model/config-document.ts'
import { AppError } from '#model/errors.ts'
import { joinPairs, knownTable, lacksTables, type KnownPair, type KnownSchemas } from '#model/schema-drift.ts'
import { counterpart, sameTable } from '#model/table.ts'
import { chooseTables } from '#sync/choose-tables.ts'
import { openDatasource, type OpeningTools } from './open-datasource.ts'
import type { WriteRules } from '#model/write-protection.ts'

interface Ends {
  readonly source: Adapter
  readonly target: Adapter
}

/**
 * Looks at the tables of a sync config, over read-only sessions, and notes what has become of them.
 * @throws AppError `not_found`, and whatever keeps a database from being opened
 */
export async function lookForSchemaDrift(
  tools: OpeningTools & { readonly rules: WriteRules },
  config: StoredConfig,
  signal: AbortSignal,
): Promise<SchemaDrift | null> {
  const { source_datasource_id: from, target_datasource_id: to } = config.document
  const options = { write: null, rules: tools.rules, signal }
  await using source = await openDatasource(tools, await getDatasource(tools.store, from), options)
  await using target = await openDatasource(tools, await getDatasource(tools.store, to), options)
  return (await noteDrift(tools.store, config, { source, target })).drift
}

/**
 * The same from within a job, whose databases are open. It is beside the work: what goes wrong with it is left to the work
 * to meet, and a job with another version of its config says nothing of the present one.
 * @returns whether the target lacks tables that a run would make
 */
export async function noteDriftOfJob(store: Store, job: Job, ends: Ends): Promise<boolean> {
  const { configId, configVersion, request } = job
  const isWhole = request.tables === null && request.replay === undefined && request.changeSet === undefined
  if (configId === null || job.kind !== 'sync' || !isWhole) return false
  try {
    const config = await getConfig(store, configId)
    return config.version === configVersion && (await noteDrift(store, config, ends)).lacks
  } catch {
    // The work meets the same databases, and the same store.
    return false
  }
}

async function noteDrift(
  store: Store,
  config: StoredConfig,
  ends: Ends,
): Promise<{ readonly drift: SchemaDrift | null; readonly lacks: boolean }> {
  const known = await findKnown(store, config)
  const now = await readSchemas(policiesOf(config.document), ends, known?.pairs ?? [])
  // What has no tables yet is nothing to hold later looks against.
  const isNothing = known === null && now.pairs.length === 0
  return { drift: isNothing ? null : await noteSchemas(store, config, now), lacks: lacksTables(now) }
}

/** The tables that a config picks now, and those that it was known to pick, as the catalogues have them. */
async function readSchemas(
  policies: ConfigPolicies,
  { source, target }: Ends,
  known: readonly KnownPair[],
): Promise<KnownSchemas> {
  const pairs = await pickPairs(policies, { source, target })
  const all = joinPairs(pairs, known)
  const queries = toTableChoice(policies).include.flatMap(({ query, target: to }) => (query === null ? [] : [to]))
  // A query stands for no table: what it reads is not known here.
  const tables = all.filter((pair) => !queries.some((to) => to !== null && sameTable(to, pair.target)))
  const [here, there] = await Promise.all([
    source.describe(tables.map((pair) => pair.source)),
    target.describe(all.map((pair) => pair.target)),
  ])
  return { pairs, source: here.map(knownTable), target: there.map(knownTable) }
}

async function pickPairs(policies: ConfigPolicies, ends: Ends): Promise<readonly KnownPair[]> {
  const { create } = toPolicies(policies)
  try {
    const chosen = await chooseTables(toTableChoice(policies), ends, { create, note: () => {} })
    if (chosen !== null) return chosen.map(({ source, target }) => ({ source, target }))
  } catch (error) {
    // What it named is gone: that shows in what it was known to pick.
    if (error instanceof AppError && (error.code === 'no_tables' || error.code === 'table_not_found')) return []
    throw error
  }
  const { source, target } = ends
  const [here, there] = await Promise.all([source.describe('all'), target.describe('all')])
  const across = { from: source.server, to: target.server }
  return here
    .filter(({ kind }) => kind === 'table' || kind === 'partitioned')
    .map(({ ref }) => ({ source: ref, target: counterpart(ref, across) }))
    .filter((pair) => create || there.some(({ ref }) => sameTable(ref, pair.target)))
}
