/** Ways that random schemas go: between the versions of PostgreSQL that are here, and between the engines. */
import { PAIRS_WITH_MARIADB, type AnyPair, type Engines, type OpenPair } from './pairs.ts'
import { sharedServers, type TestServer } from './postgres.ts'
import {
  foreignDialect,
  mariadbDialect,
  postgresDialect,
  postgresIntoMariadbDialect,
  type Dialect,
} from './random-dialect.ts'
import type { RandomSchema } from './random-schema.ts'
import { createPair } from './sync.ts'

export interface Way {
  readonly name: string
  readonly open: () => Promise<AnyPair>
  /** Of schemas of the source that the target has a place for. */
  readonly dialect: Dialect
}

export function postgresWays(directions: readonly (readonly [TestServer, TestServer])[]): Way[] {
  return directions.map(([from, to]) => ({
    name: `PostgreSQL ${from.major} to ${to.major}`,
    open: () => createPair(from, to),
    dialect: postgresDialect(Math.min(from.major, to.major)),
  }))
}

/** The pairs that MariaDB has a part in. */
export function waysWithMariadb(open: OpenPair): Way[] {
  return PAIRS_WITH_MARIADB.map((engines) => ({
    name: engines.name,
    open: () => open(engines),
    dialect: dialectOf(engines),
  }))
}

function dialectOf({ source, target }: Engines): Dialect {
  if (source === 'MariaDB') return mariadbDialect({ within: target === 'MariaDB' })
  return postgresIntoMariadbDialect(sharedServers().source.major)
}

/** The schema as the target has it. Where that is of another engine, no value but NULL is known there. */
export function inTarget(schema: RandomSchema, { source, target }: AnyPair): RandomSchema {
  return source.engine === target.engine ? schema : { ...schema, dialect: foreignDialect(target.engine) }
}
