/** A database of MariaDB as a side of a run: opened for reading, and written by the test over sessions of its own. */
import type { Adapter, Snapshot } from '#adapters/adapter.ts'
import { openMysql } from '#adapters/mysql/adapter.ts'
import { Connection } from '#adapters/mysql/connection.ts'
import type { MysqlEndpoint } from '#adapters/mysql/endpoint.ts'
import { literal, quote } from '#adapters/mysql/sql.ts'
import { plainMapping, type TableMapping } from '#model/sync-config.ts'
import type { TableRef } from '#model/table.ts'

import type { MariadbServer } from './mariadb.ts'
import { scanOf, type ScanOptions } from './scan.ts'
import type { Side, TextRow } from './side.ts'
import type { RunHooks } from './sync.ts'

export class MysqlSide implements Side {
  readonly engine = 'MariaDB'
  readonly name: string
  readonly endpoint: MysqlEndpoint

  constructor(endpoint: MysqlEndpoint) {
    this.name = endpoint.database
    this.endpoint = endpoint
  }

  get home(): string {
    return this.name
  }

  get url(): string {
    const { user, password, host, port, database } = this.endpoint
    return `mysql://${user}:${password?.reveal() ?? ''}@${host}:${port}/${database}`
  }

  static async make(server: MariadbServer): Promise<MysqlSide> {
    return new MysqlSide(server.endpoint(await server.createDatabase()))
  }

  /** Statements one after the other; the rows of the last. */
  async sql(...statements: readonly string[]): Promise<TextRow[]> {
    await using connection = await Connection.open(this.endpoint, { readOnly: false })
    let rows: TextRow[] = []
    for (const statement of statements) rows = await connection.query(statement)
    return rows
  }

  async each(statements: readonly string[]): Promise<void> {
    await this.sql(...statements)
  }

  ref(table: string): TableRef {
    return { schema: this.name, name: table }
  }

  quote(name: string): string {
    return quote(name)
  }

  literal(value: string | null): string {
    return value === null ? 'NULL' : literal(value)
  }

  numbers(first: number, last: number): string {
    return `(SELECT CAST(seq AS SIGNED) + ${first} AS n FROM seq_0_to_${last - first}) AS numbers`
  }

  analyze(table: string): Promise<unknown> {
    return this.sql(`ANALYZE TABLE ${quote(table)}`)
  }

  own(table: string): string {
    return quote(`syncline_${table}`)
  }

  sessions(): Promise<TextRow[]> {
    return this.sql(
      'SELECT id, command, info FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()',
    )
  }

  /** The database goes; its server stays. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.sql(`DROP DATABASE IF EXISTS ${quote(this.name)}`)
  }

  open(signal = new AbortController().signal): Promise<Adapter> {
    return openMysql(this.endpoint, { write: false, signal })
  }

  /** The source of a run in place of the pair's own. */
  get asSource(): Pick<RunHooks, 'openSource'> {
    return { openSource: (signal) => this.open(signal) }
  }

  /** A table of it into the one of the same name of schema public. */
  mapping(table: string): TableMapping {
    return plainMapping(this.ref(table), { schema: 'public', name: table })
  }

  scan(adapter: Adapter, table: string, options: ScanOptions = {}): ReturnType<typeof scanOf> {
    return scanOf(adapter, this.ref(table), options)
  }

  /** One moment of it, for as long as `use` takes. */
  async moment<T>(use: (moment: Snapshot, adapter: Adapter) => Promise<T>, connections = 1): Promise<T> {
    const { signal } = new AbortController()
    await using adapter = await this.open(signal)
    await using moment = await adapter.snapshot(connections, signal)
    return await use(moment, adapter)
  }
}
