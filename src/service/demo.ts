/** Two private servers with a small shop in one of them, and the changes that happen to both. */
import { writeFileSync } from 'node:fs'
import { readRunConfig } from './config.ts'
import { DEMO_DATABASE, DEMO_ENDS, execute, startDemoServers, type DemoEnd, type DemoServers } from './demo-servers.ts'
import { startDemoService, type DemoService } from './demo-service.ts'
import { DEMO_CHANGES, DEMO_LATER, DEMO_SHOP } from './demo-shop.ts'
import { PrivateFolder } from './private-folder.ts'

export { DEMO_CHANGES, DEMO_LATER } from './demo-shop.ts'

/** The two databases, gone with their holder. */
export class Demo implements AsyncDisposable {
  readonly #resources: AsyncDisposableStack
  readonly #servers: DemoServers
  readonly #folder: PrivateFolder

  private constructor(resources: AsyncDisposableStack, servers: DemoServers, folder: PrivateFolder) {
    this.#resources = resources
    this.#servers = servers
    this.#folder = folder
  }

  /** @throws AppError `no_local_server` where no PostgreSQL is installed */
  static async start(): Promise<Demo> {
    await using resources = new AsyncDisposableStack()
    const servers = resources.use(await startDemoServers())
    const folder = resources.use(new PrivateFolder(readRunConfig().tempDirectory, 'demo'))
    const demo = new Demo(resources.move(), servers, folder)
    for (const end of DEMO_ENDS) {
      await execute(demo.servers[end].url(), `CREATE DATABASE ${DEMO_DATABASE}`)
      writeFileSync(folder.file(end), `${demo.url(end)}\n`, { mode: 0o600 })
    }
    await execute(demo.url('source'), DEMO_SHOP)
    return demo
  }

  get servers(): DemoServers {
    return this.#servers
  }

  url(end: DemoEnd): string {
    return this.#servers[end].url(DEMO_DATABASE)
  }

  /** How a command line names this end: a file that only this user can read. */
  reference(end: DemoEnd): string {
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
