/** What a server is, as it was when it was opened. */
export interface ServerInfo {
  readonly kind: 'postgres' | 'postgrest' | 'mysql'
  /** For people: `PostgreSQL 15.20`. */
  readonly product: string
  readonly major: number
  /** For people, without secrets: `user@host:port/database`. */
  readonly address: string
  /** What stays the same while this is the same database: of the cluster, and of the database in it. */
  readonly identity: string
  /** Where a table is that is named without a schema: `public`, or the database that is connected to. */
  readonly homeSchema: string
  /** On this machine, by its address. */
  readonly local: boolean
  /** A connection pooler stands between, so that nothing may outlive a transaction. */
  readonly pooled: boolean
  /** Why nothing can be written here (a standby, a read-only default), or null. */
  readonly readOnly: string | null
  /** What the fast algorithm makes of constants: where two sides agree, it may stand in for MD5. Empty: it may not. */
  readonly hashProbe: string
  /** Milliseconds that the server's clock is ahead of ours, as well as one question can tell. */
  readonly clockSkewMs: number
  /** What a snapshot is: one moment of the database, or tables that were each read in a while of its own. */
  readonly moments: 'exact' | 'bounded'
  /** How much can be written at once: whatever a transaction holds, or what is in one request. */
  readonly writes: 'transactions' | 'requests'
}
