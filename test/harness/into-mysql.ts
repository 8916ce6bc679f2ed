/** Runs from PostgreSQL into MariaDB: the tables of a pair's source, and a database of MariaDB in the place of its target. */
import type { Receipt } from '#model/receipt.ts'
import { plainMapping, type SyncConfig, type TableMapping } from '#model/sync-config.ts'

import type { MariadbServer } from './mariadb.ts'
import { MysqlSide } from './mysql-tables.ts'
import type { TestServer } from './postgres.ts'
import { createPair, MIRROR, type Pair, type RunHooks } from './sync.ts'

export class IntoMysql implements AsyncDisposable {
  readonly pair: Pair
  readonly side: MysqlSide
  /** By which the product reaches the target. */
  readonly url: string

  private constructor(pair: Pair, side: MysqlSide, url: string) {
    this.pair = pair
    this.side = side
    this.url = url
  }

  static async make(source: TestServer, server: MariadbServer): Promise<IntoMysql> {
    const side = await MysqlSide.make(server)
    return new IntoMysql(await createPair(source, source), side, server.url(side.name))
  }

  /** The same statements on both sides. */
  async both(...statements: readonly string[]): Promise<void> {
    for (const statement of statements) await this.pair.source.sql(statement)
    await this.side.sql(...statements)
  }

  /** Each of these tables into the one of the same name. */
  tables(...names: readonly string[]): TableMapping[] {
    return names.map((name) => plainMapping({ schema: 'public', name }, this.side.ref(name)))
  }

  run(names: readonly string[], config: Partial<SyncConfig> = {}, hooks: RunHooks = {}): Promise<Receipt> {
    const policies = { ...MIRROR, maxOverwritePercent: 100, verifyAfter: 'full' as const, ...config }
    return this.pair.run({ ...policies, tables: this.tables(...names) }, { targetUrl: this.url, ...hooks })
  }

  /** What a table has on each side, by its first column. */
  async rows(table: string): Promise<{ source: (string | null)[][]; target: (string | null)[][] }> {
    const source = await this.pair.source.sql(`SELECT t.* FROM ${table} t ORDER BY 1`)
    const target = await this.side.sql(`SELECT t.* FROM ${table} t ORDER BY 1`)
    return { source: source.map((row) => [...row]), target }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.pair[Symbol.asyncDispose]()
  }
}
