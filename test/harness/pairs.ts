/** The four pairs of engines: a test that takes one as its parameter says once what holds of each. */
import { afterAll } from 'vitest'

import { startMariadb, type MariadbServer } from './mariadb.ts'
import { MysqlSide } from './mysql-tables.ts'
import { sharedServers } from './postgres.ts'
import type { Engine, Side } from './side.ts'
import { databaseOn, openPair, type Opened, type Pair } from './sync.ts'

/** A pair whose sides are of any engine. */
export type AnyPair = Pair<Side, Side>

export interface Engines {
  /** For titles: `PostgreSQL to MariaDB`. */
  readonly name: string
  readonly source: Engine
  readonly target: Engine
}

export const ENGINES = ['PostgreSQL', 'MariaDB'] as const satisfies readonly Engine[]

export const PAIRS: readonly Engines[] = ENGINES.flatMap((source) =>
  ENGINES.map((target) => ({ name: `${source} to ${target}`, source, target })),
)

export const PAIRS_WITH_MARIADB = PAIRS.filter(({ source, target }) => source === 'MariaDB' || target === 'MariaDB')

/** Two new databases of these engines. */
export type OpenPair = (engines: Engines) => Promise<AnyPair>

/** For a test file: MariaDB is started with the first pair that needs it, and ended after the last test. */
export function usePairs(): OpenPair {
  let running: Promise<MariadbServer> | null = null
  afterAll(async () => {
    await (await running)?.[Symbol.asyncDispose]()
  })
  const open =
    (engine: Engine, role: 'source' | 'target') =>
    async (stack: AsyncDisposableStack): Promise<Opened<Side>> => {
      if (engine === 'PostgreSQL') return databaseOn(sharedServers()[role], stack)
      const side = stack.use(await MysqlSide.make(await (running ??= startMariadb())))
      return { side, url: side.url }
    }
  return ({ source, target }) => openPair(open(source, 'source'), open(target, 'target'))
}
