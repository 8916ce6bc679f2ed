/**
 * The PostgreSQL servers of the tests: two shared ones, which the global set-up starts or finds in the environment, and
 * private ones for the tests that stop, kill or configure their server.
 */
import { inject } from 'vitest'

import {
  findPostgresBinaries,
  startLocalPostgres,
  type LocalPostgres,
  type PostgresBinaries,
} from '#service/local-postgres.ts'

/** A server as tests see it: where it is, and what it is. */
export interface TestServer {
  /** Superuser's URL of a database that exists. */
  readonly url: string
  readonly major: number
}

/** What the global set-up hands to the test processes, so that these start private servers without `initdb`. */
export interface ProvidedPostgres {
  readonly source: TestServer
  readonly target: TestServer
  /** Folders of the templates, by major version. */
  readonly templates: Readonly<Record<number, string>>
}

declare module 'vitest' {
  interface ProvidedContext {
    postgres: ProvidedPostgres
  }
}

/** The shared servers: of different majors where two are installed. Make databases in them, do not stop them. */
export function sharedServers(): { readonly source: TestServer; readonly target: TestServer } {
  return inject('postgres')
}

/** Both shared servers, for a test that runs once on each. */
export function eachServer(): readonly TestServer[] {
  const { source, target } = sharedServers()
  return source.major === target.major ? [source] : [source, target]
}

export interface PrivateServerOptions {
  /** The first that is found where not given. */
  readonly major?: number
  readonly fsync?: boolean
  readonly settings?: Readonly<Record<string, string>>
  /** The superuser's, asked for on every connection; without it whoever connects is let in. */
  readonly password?: string
}

/** A server for one test alone, to be held with `await using`. */
export async function startPrivateServer(options: PrivateServerOptions = {}): Promise<LocalPostgres> {
  const { major, ...rest } = options
  endInOrder()
  const binaries = chooseBinaries(await findPostgresBinaries(), major)
  const folder = inject('postgres').templates[binaries.major]
  const template = folder === undefined ? {} : { template: { major: binaries.major, folder } }
  return startLocalPostgres({ binaries, ...template, ...rest })
}

/**
 * A test process that is told to end, or whose parent is gone, ends by way of `exit`, whose listeners stop the private
 * servers; by default it would end past them, or not at all.
 */
function endInOrder(): void {
  if (process.listeners('disconnect').includes(exitNow)) return
  process.on('SIGINT', exitNow).on('SIGTERM', exitNow).on('disconnect', exitNow)
}

function exitNow(): void {
  process.exit(1)
}

function chooseBinaries(found: readonly PostgresBinaries[], major: number | undefined): PostgresBinaries {
  const binaries = found.find((each) => major === undefined || each.major === major)
  if (!binaries) throw new Error(`No PostgreSQL ${major ?? ''} on this machine (found: ${found.map((b) => b.major)}).`)
  return binaries
}
