/** Two private PostgreSQL servers of this machine, as the demo has them: an older one to be read, a newer one to be written. */
import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { AppError } from '#model/errors.ts'
import {
  findPostgresBinaries,
  removeAbandonedServers,
  startLocalPostgres,
  type LocalPostgres,
  type PostgresBinaries,
} from './local-postgres.ts'

export const DEMO_ENDS = ['source', 'target'] as const

export type DemoEnd = (typeof DEMO_ENDS)[number]

/** The database of the shop, on either server. */
export const DEMO_DATABASE = 'shop'

/** Gone with their holder, with all that is in them. */
export type DemoServers = Readonly<Record<DemoEnd, LocalPostgres>> & AsyncDisposable

/** @throws AppError `no_local_server` where no PostgreSQL is installed, `local_server_failed` */
export async function startDemoServers(settings: Readonly<Record<string, string>> = {}): Promise<DemoServers> {
  await using resources = new AsyncDisposableStack()
  await removeAbandonedServers()
  const { older, newer } = await demoBinaries()
  const password = randomBytes(18).toString('base64url')
  const source = resources.use(await startLocalPostgres({ binaries: older, password, settings }))
  const target = resources.use(await startLocalPostgres({ binaries: newer, password, settings }))
  const held = resources.move()
  return { source, target, [Symbol.asyncDispose]: () => held.disposeAsync() }
}

/**
 * From the older to the newer: that is the way in which definitions of tables travel.
 * @throws AppError `no_local_server`
 */
export async function demoBinaries(): Promise<Readonly<Record<'older' | 'newer', PostgresBinaries>>> {
  const found = (await findPostgresBinaries()).toSorted((a, b) => a.major - b.major)
  const [older] = found
  if (older === undefined) {
    throw new AppError('no_local_server', 'The demo needs the programs of PostgreSQL, and this machine has none.', {
      hint: 'Run it from a checkout after npm ci, or install PostgreSQL (Debian: apt install postgresql).',
    })
  }
  return { older, newer: found.findLast(({ major }) => major !== older.major) ?? older }
}

/** Runs statements over a connection of their own. Returns the rows of a single one. */
export async function execute(url: string, sql: string): Promise<readonly Readonly<Record<string, unknown>>[]> {
  const client = new pg.Client({ connectionString: url, application_name: 'syncline demo' })
  await client.connect()
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows
  } finally {
    await client.end()
  }
}
