/**
 * Gives the tests their servers: those that the environment names as they are, else private ones that are started here
 * and stopped at the end, on a signal too. Templates are made once a run, for the private servers of single tests.
 */
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import pg from 'pg'
import type { TestProject } from 'vitest/node'

import {
  createPostgresTemplate,
  findPostgresBinaries,
  removeAbandonedServers,
  startLocalPostgres,
  type PostgresBinaries,
  type PostgresTemplate,
} from '#service/local-postgres.ts'

import { TEMPLATE_FOLDER } from './mariadb.ts'
import type { TestServer } from './postgres.ts'
import { UNUSUAL_SETTINGS } from './settings.ts'

type Role = keyof typeof UNUSUAL_SETTINGS

const VARIABLES = {
  source: 'SYNCLINE_TEST_POSTGRES_SOURCE',
  target: 'SYNCLINE_TEST_POSTGRES_TARGET',
} as const satisfies Record<Role, string>

export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const stack = new AsyncDisposableStack()
  // The listeners of `exit` stop the servers; without this one a signal would end the process past them.
  const onSignal = (signal: NodeJS.Signals): void => process.exit(signal === 'SIGINT' ? 130 : 143)
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, onSignal)
    stack.defer(() => void process.off(signal, onSignal))
  }
  try {
    await removeAbandonedServers()
    shareMariadbTemplate(stack)
    const { pair, templates } = await prepare(stack)
    const source = await serverFor('source', pair.source, templates, stack)
    const target = await serverFor('target', pair.target, templates, stack)
    const folders = Object.fromEntries([...templates].map(([major, template]) => [major, template.folder]))
    project.provide('postgres', { source, target, templates: folders })
  } catch (error) {
    await stack.disposeAsync()
    throw error
  }
  return () => stack.disposeAsync()
}

/** Only some files need it: the first of them makes it. */
function shareMariadbTemplate(stack: AsyncDisposableStack): void {
  if (process.env[TEMPLATE_FOLDER] !== undefined) return
  const folder = join(tmpdir(), `syncline-mariadb-template-of-${process.pid}`)
  process.env[TEMPLATE_FOLDER] = folder
  stack.defer(() => rm(folder, { recursive: true, force: true }))
}

type Templates = ReadonlyMap<number, PostgresTemplate>

async function prepare(
  stack: AsyncDisposableStack,
): Promise<{ pair: Partial<Record<Role, PostgresBinaries>>; templates: Templates }> {
  const found = await findPostgresBinaries()
  const [source] = found
  const pair = source ? { source, target: found.find((other) => other.major !== source.major) ?? source } : {}
  const templates = new Map<number, PostgresTemplate>()
  for (const binaries of Object.values(pair)) {
    if (templates.has(binaries.major)) continue
    templates.set(binaries.major, stack.use(await createPostgresTemplate(binaries)))
  }
  return { pair, templates }
}

async function serverFor(
  role: Role,
  binaries: PostgresBinaries | undefined,
  templates: Templates,
  stack: AsyncDisposableStack,
): Promise<TestServer> {
  const url = process.env[VARIABLES[role]]
  if (url) return { url, major: await majorOf(url) }
  if (!binaries) throw new Error(`No PostgreSQL is installed, and ${VARIABLES[role]} names no server.`)
  const template = templates.get(binaries.major)
  const settings = { ...UNUSUAL_SETTINGS[role], max_connections: '200' }
  const server = await startLocalPostgres({ binaries, settings, ...(template ? { template } : {}) })
  stack.use(server)
  return { url: server.url(), major: server.major }
}

async function majorOf(url: string): Promise<number> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    const { rows } = await client.query<{ version: number }>(
      "SELECT current_setting('server_version_num')::int / 10000 AS version",
    )
    const version = rows[0]?.version
    if (version === undefined) throw new Error(`The server named for the tests does not tell its version.`)
    return version
  } finally {
    await client.end()
  }
}
