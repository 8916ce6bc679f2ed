import { examineDatabase, openDatabase } from '#adapters/registry.ts'
import { recordTest, repinDatasource, type DatasourceDraft } from '#control/datasources.ts'
import type { Actor } from '#model/access.ts'
import type { Check } from '#model/check.ts'
import type { ConnectionTest, Datasource } from '#model/datasource.ts'
import { AppError } from '#model/errors.ts'
import { systemClock } from '#lib/clock.ts'
import { describeDatasource, openDatasource, type OpeningTools } from './open-datasource.ts'

/**
 * Connects step by step, and tells of each step what was found, how long it took and the one next thing to do. A failure
 * is a result. The test of a datasource that is kept is remembered with it.
 */
export async function testDatasource(
  tools: OpeningTools,
  what: Datasource | DatasourceDraft,
  signal: AbortSignal,
): Promise<ConnectionTest> {
  const at = tools.store.clock.now()
  const checks: Check[] = []
  for await (const check of lookAt(tools, what, signal)) checks.push(check)
  signal.throwIfAborted()
  const test = { at, ok: checks.every(({ state }) => state !== 'fail'), checks }
  if ('origin' in what) await recordTest(tools.store, what.id, test)
  return test
}

async function* lookAt(
  tools: OpeningTools,
  what: Datasource | DatasourceDraft,
  signal: AbortSignal,
): AsyncGenerator<Check> {
  const before = systemClock.elapsed()
  const done = (step: string, error: AppError): Check => ({
    step,
    state: 'fail',
    found: error.message,
    next: error.hint,
    ms: Math.round(systemClock.elapsed() - before),
  })
  try {
    const place = await describeDatasource(tools, what)
    let failed = false
    for await (const check of examineDatabase(place, { steps: 'all', signal })) {
      failed ||= check.state === 'fail'
      yield check
    }
    if (failed || !('origin' in what)) return
    await using _opened = await openDatasource(tools, what, { write: null, rules: NO_RULES, signal })
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    yield done(error.code === 'wrong_server' ? 'same server' : 'password', error)
  }
}

/** Nothing is written here. */
const NO_RULES = { protectedEnvironments: [] }

/**
 * Takes the server that a datasource leads to now for the right one: what somebody does who has looked, and meant the
 * move. Returns its identity.
 * @throws AppError whatever keeps it from being opened
 */
export async function confirmServer(
  tools: OpeningTools,
  datasource: Datasource,
  { actor, signal }: { actor: Actor; signal: AbortSignal },
): Promise<string> {
  await using adapter = await openDatabase(await describeDatasource(tools, datasource), { write: null, signal })
  const { identity } = adapter.server
  await repinDatasource(tools.store, {
    id: datasource.id,
    pin: { host: datasource.connection.host, identity },
    actor,
  })
  return identity
}
