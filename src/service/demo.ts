/** Two private servers with a small shop in one of them, and the changes that happen to both. */
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import pg from 'pg'
import { AppError } from '#model/errors.ts'
import { readRunConfig } from './config.ts'
import { startDemoService, type DemoService } from './demo-service.ts'
import { DEMO_CHANGES, DEMO_LATER, DEMO_SHOP } from './demo-shop.ts'
import {
  findPostgresBinaries,
  removeAbandonedServers,
  startLocalPostgres,
  type LocalPostgres,
} from './local-postgres.ts'
import { PrivateFolder } from './private-folder.ts'

export { DEMO_CHANGES, DEMO_LATER } from './demo-shop.ts'

const DATABASE = 'shop'

/** The two databases, gone with their holder. */
export class Demo implements AsyncDisposable {
  readonly #resources: AsyncDisposableStack
  readonly #servers: { readonly source: LocalPostgres; readonly target: LocalPostgres }
  readonly #folder: PrivateFolder

  private constructor(resources: AsyncDisposableStack, servers: Demo['servers'], folder: PrivateFolder) {
    this.#resources = resources
    this.#servers = servers
    this.#folder = folder
  }

  /** @throws AppError `no_local_server` where no PostgreSQL is installed */
  static async start(): Promise<Demo> {
    await using resources = new AsyncDisposableStack()
    await removeAbandonedServers()
    const found = (await findPostgresBinaries()).toSorted((a, b) => a.major - b.major)
    const [older] = found
    if (older === undefined) {
      throw new AppError('no_local_server', 'The demo needs the programs of PostgreSQL, and this machine has none.', {
        hint: 'Run it from a checkout after npm ci, or install PostgreSQL (Debian: apt install postgresql).',
      })
    }
    // From the older to the newer: that is the way in which definitions of tables travel.
    const newer = found.findLast((binaries) => binaries.major !== older.major) ?? older
    const password = randomBytes(18).toString('base64url')
    const source = resources.use(await startLocalPostgres({ binaries: older, password }))
    const target = resources.use(await startLocalPostgres({ binaries: newer, password }))
    const folder = resources.use(new PrivateFolder(readRunConfig().tempDirectory, 'demo'))
    const demo = new Demo(resources.move(), { source, target }, folder)
    for (const end of ['source', 'target'] as const) {
      await execute(demo.servers[end].url(), `CREATE DATABASE ${DATABASE}`)
      writeFileSync(folder.file(end), `${demo.url(end)}\n`, { mode: 0o600 })
    }
    await execute(demo.url('source'), DEMO_SHOP)
    return demo
  }

  get servers(): { readonly source: LocalPostgres; readonly target: LocalPostgres } {
    return this.#servers
  }

  url(end: 'source' | 'target'): string {
    return this.#servers[end].url(DATABASE)
  }

  /** How a command line names this end: a file that only this user can read. */
  reference(end: 'source' | 'target'): string {
    return `file:${this.#folder.file(end)}`
  }

  /** The service on both databases. Its settings hold for this process from then on. */
  startService(): Promise<DemoService> {
    const folder = this.#folder.file('service')
    return startDemoService({ source: this.url('source'), target: this.url('target'), folder })
  }

  /** One more change of the source. */
  async changeAgain(): Promise<void> {
    await execute(this.url('source'), DEMO_LATER.sql)
  }

  /** What happens to a shop in a week, on both sides. */
  async change(): Promise<void> {
    for (const { end, sql } of DEMO_CHANGES) await execute(this.url(end), sql)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#resources.disposeAsync()
  }
}

async function execute(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url, application_name: 'syncline demo' })
  await client.connect()
  try {
    await client.query(sql)
  } finally {
    await client.end()
  }
}
