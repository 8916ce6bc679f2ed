import type { Readable } from 'node:stream'
import type { Key, Operation } from '#model/change.ts'
import type { Form } from '#model/column-type.ts'
import type { AppError } from '#model/errors.ts'
import type { Digest, Fingerprint, FingerprintAlgorithm } from '#model/fingerprint.ts'
import type { Position } from '#model/position.ts'
import type { Right, TableRef, TableSchema } from '#model/table.ts'
import type { Row } from '#model/value.ts'

/**
 * The contract between the engine and a database. The engine knows databases by these words alone.
 *
 * Reading: an adapter opens a **snapshot**, one moment of the database seen through several connections. Everything that
 * a run reads of a side, it reads from one snapshot: digests of buckets, keys and fingerprints of the buckets that
 * differ, rows by key, pieces for the bulk path, and the proof at the end.
 *
 * Writing: an adapter opened for writing has a **writer**. Each of its commits is one transaction that holds the rows,
 * the baseline, the counters, the checkpoint and the test of the epoch together (invariants 1, 2, 8). An adapter opened
 * for reading has no writer, and its sessions are read-only in the database itself (invariant 5).
 *
 * All waits end: by an answer, by an AppError within the deadline of the adapter, or by the abort of the signal.
 */
export interface Adapter extends AsyncDisposable {
  readonly server: ServerInfo
  /** Null where the adapter was opened for reading. */
  readonly writer: Writer | null
  /** Tables by the catalogue; `all` leaves out what users do not think of as theirs (system, extensions, partitions). */
  describe(wanted: readonly TableRef[] | 'all'): Promise<readonly TableSchema[]>
  /** The statement by which an owner gives this login rights on a table. */
  grant(table: TableRef, rights: readonly Right[]): string
  /** Opens one moment of the database, to be read over up to `connections` connections at once. */
  snapshot(connections: number, signal: AbortSignal): Promise<Snapshot>
  /** A mark that only the very same database can see, for as long as it is not disposed of. */
  plantMark(): Promise<AsyncDisposable & { readonly id: string }>
  seesMark(id: string): Promise<boolean>
  /** The DDL of tables, where source and target speak the same; null where this adapter cannot tell. */
  readonly ddl: ((tables: readonly TableRef[], snapshot: Snapshot, target: ServerInfo) => Promise<TableDdl>) | null
}

export interface ServerInfo {
  readonly kind: 'postgres'
  /** For people: `PostgreSQL 15.20`. */
  readonly product: string
  readonly major: number
  /** For people, without secrets: `user@host:port/database`. */
  readonly address: string
  /** What stays the same while this is the same database: of the cluster, and of the database in it. */
  readonly identity: string
  /** On this machine, by its address. */
  readonly local: boolean
  /** A connection pooler stands between, so that nothing may outlive a transaction. */
  readonly pooled: boolean
  /** Why nothing can be written here (a standby, a read-only default), or null. */
  readonly readOnly: string | null
  /** The hash of a constant by the fast algorithm: where two sides agree, it may stand in for MD5. */
  readonly textHashProbe: string
  /** Milliseconds that the server's clock is ahead of ours, as well as one question can tell. */
  readonly clockSkewMs: number
}

/** A column as a scan reads it: by name, in the form in which both sides write it. */
export interface ScanColumn {
  readonly name: string
  readonly form: Form
}

/** A table as one side of a comparison: which columns, in which order and form, keyed how, hashed how. */
export interface Scan {
  readonly table: TableRef
  /** The key's columns first, in the order of the key. */
  readonly columns: readonly ScanColumn[]
  /** How many of the columns are the key. */
  readonly keyLength: number
  readonly algorithm: FingerprintAlgorithm
}

/**
 * How rows fall into buckets, the same on both sides: by ranges of an integer key of `width` from `start` on (keys
 * beyond the ends fall into the first and the last bucket), or by a hash of the key (`count` is a power of two).
 */
export type Bucketing =
  | { readonly by: 'key range'; readonly start: bigint; readonly width: bigint; readonly count: number }
  | { readonly by: 'key hash'; readonly count: number }

/** A part of a scan's digests: what one slice of the table adds to the buckets that it touches. */
export interface BucketDigest {
  readonly bucket: number
  readonly digest: Digest
}

export interface KeyFingerprint {
  readonly bucket: number
  readonly key: Key
  readonly fingerprint: Fingerprint
  /** About how many bytes the row has. */
  readonly bytes: number
}

/** A work item of the bulk path: a part of a table whose rows travel in one COPY. Valid inside its snapshot only. */
export interface Piece {
  readonly table: TableRef
  /** For people and for the batch record, e.g. `blocks 0-16383`. */
  readonly label: string
  readonly bytes: number
  /** What the adapter needs to read it; opaque to the engine. */
  readonly handle: unknown
}

/** A format of a COPY stream, e.g. `postgres-text`; two sides that name the same format may be piped together. */
export type CopyFormat = string

/** A connection as the watchdog sees it. */
export interface Watched {
  /** Bytes that have crossed the wire both ways since it was opened. */
  readonly bytes: number
  /**
   * Asks the server, over another connection, whether it is at work for this one. `waiting`: the server waits for us.
   * `gone`: the server no longer knows the session.
   */
  probe(): Promise<'working' | 'waiting' | 'gone'>
  /** Calls back once when the connection is lost, at once if it is lost already. Returns how to take that back. */
  onLost(callback: (error: AppError) => void): () => void
  /** Gives the connection up: it is lost from now on, with this error. */
  destroy(error: AppError): void
}

/** Rows under way as one stream. */
export interface RowStream extends AsyncDisposable {
  readonly stream: Readable
  /** The connection that sends it: whoever pipes it watches both ends. */
  readonly connection: Watched
  /** How many rows the server says it sent; valid once the stream has ended. */
  rows(): number
}

/** 128 bits and a count over whole rows in canonical form. Made by the code of verification alone. */
export interface Proof {
  readonly rows: number
  /**
   * Four 64-bit words as 64 hex digits: xor of the first and of the second half of the rows' MD5, then the sum of each
   * modulo 2^64. Two sides are equal if their texts are; sets of rows can be added and subtracted word by word.
   */
  readonly digest: string
}

export interface Snapshot extends AsyncDisposable {
  readonly position: Position
  /** The name under which another session of the same server can see the same moment; null where it cannot be shared. */
  readonly id: string | null
  /** Exact number of rows. */
  count(table: TableRef): Promise<number>
  isEmpty(table: TableRef): Promise<boolean>
  /** Smallest and largest value of an integer key column, or null for an empty table. */
  keyBounds(table: TableRef, column: string): Promise<{ readonly min: bigint; readonly max: bigint } | null>
  /** Rows in which the key has a NULL, and keys that more than one row has; asked where no constraint forbids them. */
  keyFaults(scan: Scan): Promise<{ readonly nulls: number; readonly duplicates: number; readonly sample: Key | null }>
  /** One pass over the table in slices of about half a second; each yield is one slice. */
  digests(scan: Scan, bucketing: Bucketing): AsyncIterable<readonly BucketDigest[]>
  /** Keys and fingerprints of the rows in some buckets (`all`: in every one), ordered by bucket. */
  keys(scan: Scan, bucketing: Bucketing, buckets: readonly number[] | 'all'): AsyncIterable<KeyFingerprint>
  /** Some rows, to be looked at: at most `limit`. */
  sample(scan: Scan, limit: number): Promise<readonly Row[]>
  /** The rows that these keys have here, in no order; keys without a row are left out. */
  rows(scan: Scan, keys: readonly Key[]): Promise<readonly Row[]>
  /** Fingerprints of the rows that these keys have here. */
  fingerprints(scan: Scan, keys: readonly Key[]): Promise<readonly KeyFingerprint[]>
  /** Formats in which this side can send these columns, best first. */
  copyFormats(scan: Scan): readonly CopyFormat[]
  /** Cuts a table into pieces of about `bytes` bytes. */
  pieces(table: TableRef, bytes: number): Promise<readonly Piece[]>
  copyOut(scan: Scan, piece: Piece, format: CopyFormat): Promise<RowStream>
  /** The proof over all rows of the scan's table, or over the rows that these keys have. */
  proof(scan: Scan, keys?: readonly Key[]): Promise<Proof>
  /** Which of these mappings a run has claimed before: from then on their differences may be our own half-done work. */
  knownMappings(mappingIds: readonly string[]): Promise<ReadonlySet<string>>
  /** Which of these keys' rows were last written by the job of a claim. */
  writtenBy(claim: Claim, scan: Scan, keys: readonly Key[]): Promise<readonly Key[]>
  /** Which of these keys the baseline holds: rows that this sync wrote or found in step. As JSON of the key. */
  owned(mappingId: string, scan: Scan, keys: readonly Key[]): Promise<ReadonlySet<string>>
  /** Where the sequences that feed a table's columns stand now (sequences have no snapshot). */
  sequences(table: TableRef): Promise<readonly SequenceState[]>
}

export interface SequenceState {
  readonly column: string
  readonly lastValue: bigint
  readonly called: boolean
}

/** What a job owns of one table mapping in the target, while its epoch is current. */
export interface Claim {
  readonly mappingId: string
  readonly jobId: string
  readonly epoch: bigint
  /** What an earlier, unfinished run of the same job has committed already. */
  readonly committed: CommittedCounts
  /** The phase in which the earlier run stopped, or `new` or `done`. */
  readonly phase: StatePhase
  /** Whether the baseline holds every row that is in step. */
  readonly baselineComplete: boolean
  /** Seconds since the last full verification that succeeded; null if there was none. */
  readonly verifiedSecondsAgo: number | null
}

export type StatePhase = 'new' | 'loading' | 'applying' | 'done'

export interface CommittedCounts {
  readonly inserted: number
  readonly updated: number
  readonly deleted: number
  readonly batches: number
}

/** What identifies a table mapping in the target's state, and what must be the same for its fingerprints to hold. */
export interface MappingIdentity {
  readonly mappingId: string
  readonly source: string
  readonly target: TableRef
  /** Hash of everything that decides what a fingerprint means: columns, forms, key, algorithm, source version. */
  readonly mappingHash: string
  /** The key's columns in the target, for the baseline. */
  readonly key: readonly string[]
  /** Keep a baseline for it. */
  readonly baseline: boolean
}

/** One row of a batch: what to do, to which row, in which state (see PlannedChange), with which values. */
export interface BatchRow {
  readonly op: Operation
  readonly key: Key
  readonly expect: Fingerprint | null
  /** All columns of the scan, for insert and update. */
  readonly row: Row | null
}

export interface BatchResult {
  readonly committed: CommittedCounts
  /** Rows that had moved and were left alone (invariant 9). */
  readonly moved: readonly BatchRow[]
  /** Rows of a `together` batch that a row outside of it stands in the way of, left alone too. */
  readonly blocked: readonly BatchRow[]
}

/**
 * `patch`: completes rows that were counted before; the counters do not move. `together`: rows that stand in one another's
 * way change places at once (hazard D4), where `apply` would carry them out one by one.
 */
export type BatchKind = 'apply' | 'patch' | 'together'

/** How rows of one table are written, besides the scan of the target's side. */
export interface WritePlan {
  readonly scan: Scan
  /** Names of the scan's columns that are written; the others are generated by the target. */
  readonly written: readonly string[]
  /** A unique index on the key can arbitrate; without one the table is locked against other writers for each batch. */
  readonly keyIsUnique: boolean
  /** Silence user triggers for the session; asked for only where the role may. */
  readonly silenceTriggers: boolean
  /** Keep the baseline in the same transaction. */
  readonly baseline: boolean
}

/**
 * The writing side. `apply` and `load` commit; whatever they throw, nothing of that call was committed, unless the
 * error is `connection_lost` after a COMMIT whose outcome they could not learn; a repeated call then finds the batch
 * done (hazard B3) because batches are numbered.
 * @throws RowsRefused where the server refuses rows for what they hold
 * @throws AppError `stale_epoch` where another run has taken over
 */
export interface Writer {
  readonly tables: TableMaker
  /**
   * Keeps every other run of these mappings out until this writer is closed or its process ends. Where sessions are not
   * ours (a pooler) this does nothing, and the epoch alone keeps a second run from committing.
   * @throws AppError `already_running` where one stays alive
   */
  keepOthersOut(mappingIds: readonly string[]): Promise<void>
  /** Creates the state schema where it is missing and takes over the mappings: from now on only this run commits. */
  claim(mappings: readonly MappingIdentity[], jobId: string): Promise<readonly Claim[]>
  /** Whether the role may silence triggers for its own session. */
  maySilenceTriggers(): Promise<boolean>
  apply(claim: Claim, plan: WritePlan, batch: { rows: readonly BatchRow[]; kind: BatchKind }): Promise<BatchResult>
  /** Formats in which rows can be loaded into these columns, best first. */
  copyFormats(plan: WritePlan): readonly CopyFormat[]
  /** Loads one piece straight into the table: rows, batch record and counters in one transaction. */
  load(
    claim: Claim,
    plan: WritePlan,
    source: { rows: RowStream; format: CopyFormat; label: string },
  ): Promise<CommittedCounts>
  /**
   * Fills the baseline with the target's rows as they were at a moment in which a proof found them equal to the source,
   * except the keys that the proof left out. Returns how many it holds then.
   */
  adopt(claim: Claim, plan: WritePlan, what: { moment: Snapshot; except: Iterable<readonly Key[]> }): Promise<number>
  /** Says what the job is about to do to the table, so that a later run knows where this one was. */
  startPhase(claim: Claim, phase: 'loading' | 'applying'): Promise<void>
  /** Closes the job for all its mappings at once and makes everything before it durable. Returns the counters, by claim. */
  finish(
    claims: readonly Claim[],
    facts: { position: Position; verified: readonly string[] },
  ): Promise<readonly CommittedCounts[]>
  /** Advances the sequences that feed the table's columns to at least these states and the table's own largest values. */
  advanceSequences(table: TableRef, states: readonly SequenceState[]): Promise<number>
}

/**
 * Making tables. What belongs after the data (indexes, constraints, foreign keys) is kept in the target from the moment
 * in which the tables are made, and leaves that list in the transaction that carries it out: a run that was killed in
 * between is completed by the next.
 */
export interface TableMaker {
  /** Makes the tables in one transaction, or none of them. */
  create(ddl: TableDdl): Promise<void>
  /** What is still to be carried out for tables, in order. */
  pending(): Promise<readonly PendingDdl[]>
  carryOut(pending: PendingDdl): Promise<void>
}

export interface PendingDdl extends DdlStatement {
  readonly id: string
  /** Foreign keys wait until all the tables hold their rows. */
  readonly stage: 'after data' | 'foreign keys'
}

/**
 * One statement without its `;`, all names qualified and quoted. Those before the data run one after another. One after
 * the data can run once its tables are loaded and the earlier ones that share a table with it have run.
 */
export interface DdlStatement {
  readonly sql: string
  /** As pg_dump names it in its table of contents: TABLE, INDEX, FK CONSTRAINT, COMMENT, … */
  readonly kind: string
  /** The tables that it touches; none for what stands for itself, such as a type. */
  readonly tables: readonly TableRef[]
  /** What CREATE makes, by the names of the catalogue (no schema for a schema or an extension). */
  readonly object?: { readonly kind: string; readonly schema: string; readonly name: string }
}

/** Statements that make tables elsewhere. */
export interface TableDdl {
  /** All tables that are made: the wanted ones, and those that these cannot be without. */
  readonly tables: readonly TableRef[]
  /** Schemas, extensions, types, functions, sequences, tables, partitions, defaults; in their order. */
  readonly beforeData: readonly DdlStatement[]
  /** Keys, indexes, checks that are not validated, statistics; in their order. */
  readonly afterData: readonly DdlStatement[]
  readonly foreignKeys: readonly DdlStatement[]
  /** What is left out or comes along, for people; row-level security first. */
  readonly notes: readonly string[]
}

/**
 * A row or a few that the server refuses for what they hold: type, constraint, a trigger's exception. The batch is
 * innocent: halve it to find the row (hazard B4).
 */
export class RowsRefused extends Error {
  override readonly name = 'RowsRefused'
  /** The server's code, e.g. a SQLSTATE. */
  readonly code: string
  /** Another row may be in the way that is still to come or to go (unique, foreign key): worth a later try. */
  readonly orderMatters: boolean

  constructor(code: string, message: string, options: { orderMatters: boolean; cause: unknown }) {
    super(message, { cause: options.cause })
    this.code = code
    this.orderMatters = options.orderMatters
  }
}
