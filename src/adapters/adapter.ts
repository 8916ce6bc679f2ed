import type { Readable } from 'node:stream'
import type { Key, Operation, Rejection, RowFault } from '#model/change.ts'
import type { Form } from '#model/column-type.ts'
import type { Condition } from '#model/condition.ts'
import type { BaselineDetail, KeptAgreement } from '#model/conflict.ts'
import type { Cursor } from '#model/detection.ts'
import type { AppError } from '#model/errors.ts'
import type { ColumnHash, Digest, Fingerprint, FingerprintAlgorithm } from '#model/fingerprint.ts'
import type { Position } from '#model/position.ts'
import type { Column, Right, TableRef, TableSchema } from '#model/table.ts'
import type { Row, SentRow } from '#model/value.ts'
import type { Agreement, Baseline, RememberedRow } from './baseline.ts'
import type { DetectionFacts, FactsQuestion } from './detection-facts.ts'
import type { DumpSource, OpenDump } from './dump-source.ts'
import type { RestoreTarget } from './restore-target.ts'
import type {
  Claim,
  Closing,
  CommittedCounts,
  CursorReached,
  Horizon,
  JobIdentity,
  KnownColumns,
  MappingIdentity,
} from './sync-state.ts'
import type { ServerInfo } from './server-info.ts'
import type { PendingDdl, TableDdl, TableMaker } from './table-ddl.ts'
import type { TableDrafts } from './table-draft.ts'
import type { Telling } from './written-rows.ts'

export type { ColumnFacts, DetectionFacts, FactsQuestion, SessionFacts, TableFacts, Upkeep } from './detection-facts.ts'
export type { ServerInfo } from './server-info.ts'
export type {
  Claim,
  Closing,
  CommittedCounts,
  CursorReached,
  Horizon,
  JobIdentity,
  KnownColumns,
  MappingIdentity,
  StatePhase,
} from './sync-state.ts'
export type { RowImage, Telling } from './written-rows.ts'

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
  /**
   * Takes a SELECT for a table: from now on it is read under this name as any table is. It is never written.
   * @throws AppError `invalid_query`, with what the server says of it
   */
  describeQuery(name: TableRef, query: string): Promise<TableSchema>
  /** `TableSchema.definition` as it is now, of tables that were described; null where there is no such table any more. */
  definitions(tables: readonly TableRef[]): Promise<readonly (string | null)[]>
  /** The statement by which an owner gives this login rights on a table. */
  grant(table: TableRef, rights: readonly Right[]): string
  /** How columns of a source of the same kind would be added to a table here, in their order. Only looks. */
  additions(table: TableRef, columns: readonly Column[]): Promise<readonly Addition[]>
  /** The statement that gives a column another name. */
  rename(table: TableRef, from: string, to: string): string
  /** What the last run of each mapping knew of the source's table, where its state is here; else null. */
  lastColumns(mappings: readonly SourceOfTarget[]): Promise<readonly (KnownColumns | null)[]>
  /**
   * How far back transactions reach that are open now. Whoever opens a snapshot after that sees all that was committed by
   * others than these, and by others than those that have begun since.
   * @throws AppError where this kind of source has no transactions to be asked for
   */
  horizon(): Promise<Horizon>
  /**
   * What bears on how changes of these tables, which were described, can be found. Some rows of each are looked at, within
   * bounds of rows and time; what cannot be read is a fact that is not known, and no failure.
   */
  detectionFacts(wanted: readonly FactsQuestion[]): Promise<DetectionFacts>
  /** Opens one moment of the database, to be read over up to `connections` connections at once. */
  snapshot(connections: number, signal: AbortSignal): Promise<Snapshot>
  /** A mark that only the very same database can see, for as long as it is not disposed of. */
  plantMark(): Promise<AsyncDisposable & { readonly id: string }>
  seesMark(id: string): Promise<boolean>
  /** What a job has committed here, by the counters that were committed with its rows; null where none are its. */
  committedBy(jobId: string): Promise<CommittedCounts | null>
  /** What runs that were ended have left to be carried out for tables that they made here, in order. Only looks. */
  pendingDdl(): Promise<readonly PendingDdl[]>
  /** Tables that are made like those of another engine; null where this adapter can neither tell of its own nor make any. */
  readonly drafts: TableDrafts | null
  /** The DDL of tables, where source and target speak the same; null where this adapter cannot tell. */
  readonly ddl: ((tables: readonly TableRef[], snapshot: Snapshot, target: ServerInfo) => Promise<TableDdl>) | null
  /** Opens the database to be dumped, where this adapter can. */
  readonly dump: ((options: OpenDump) => Promise<DumpSource>) | null
  /** Where a dump can be restored; null where it cannot. */
  readonly restore: RestoreTarget | null
}

/** A column that may be added to a table, or why not. */
export interface Addition {
  /** As it would be here: it may be NULL, and the server fills it in no way. */
  readonly column: Column
  /** The statement that adds it. */
  readonly sql: string
  /** Why this login cannot add it here, with what mends that; null where nothing is known to stand in the way. */
  readonly refused: string | null
}

/** A source as the state in the target names it (see `MappingIdentity.source`), and the table that takes its rows. */
export interface SourceOfTarget {
  readonly source: string
  readonly target: TableRef
}

/** A column as a scan reads it: by name, in the form in which both sides write it, hashed as both sides hash it. */
export interface ScanColumn {
  readonly name: string
  readonly form: Form
  readonly hash: ColumnHash
  /** The table is to get it only: until then it is NULL in every row. */
  readonly absent?: true
}

/** A table as one side of a comparison: which columns, in which order and form, keyed how, hashed how. */
export interface Scan {
  readonly table: TableRef
  /** The key's columns first, in the order of the key. */
  readonly columns: readonly ScanColumn[]
  /** How many of the columns are the key. */
  readonly keyLength: number
  readonly algorithm: FingerprintAlgorithm
  /** Rows that do not meet it are not there. */
  readonly filter: Condition | null
}

/**
 * How rows fall into buckets, the same on both sides: by ranges of an integer key of `width` from `start` on (keys
 * beyond the ends fall into the first and the last bucket), or by a hash of the key (`count` is a power of two).
 */
export type Bucketing =
  | { readonly by: 'key range'; readonly start: bigint; readonly width: bigint; readonly count: number }
  | { readonly by: 'key hash'; readonly count: number }

/** Buckets by key range, and how they are cut into parts: part `p` of bucket `b` is bucket `b * parts + p` of `finer`. */
export interface Parts {
  readonly of: Extract<Bucketing, { by: 'key range' }>
  readonly buckets: readonly number[]
  readonly finer: Extract<Bucketing, { by: 'key range' }>
}

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
  /** Why the row cannot be carried, where it was computed on its way and failed at that; its fingerprint says nothing then. */
  readonly fault?: RowFault
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

/** A format of a stream of rows; two sides that name the same format may be piped together. */
export type CopyFormat = string

/** The format that every adapter speaks, and the only one that the engine itself reads: see `model/row-text.ts`. */
export const TEXT_ROWS: CopyFormat = 'text rows'

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
  /** How many rows the stream gave, of which the server says that it sent them; valid once it has ended. */
  rows(): number
  /** Rows that were left out on their way, where rows are computed there; valid once it has ended. */
  rejected?(): readonly Rejection[]
  /** Rows that break a rule and were given all the same, by what they break; valid once it has ended. */
  warnings?(): ReadonlyMap<string, number>
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

/**
 * The rows of one table as a comparison reads them. A snapshot gives them as they are stored; the engine puts its mapping
 * in front of that where rows are computed on their way.
 */
export interface RowSource {
  /** Exact number of rows. */
  count(scan: Scan): Promise<number>
  /** About how many rows there are, without reading them. */
  estimate(scan: Scan): Promise<number>
  /** Smallest and largest value of the first key column, an integer; null for an empty table. */
  keyBounds(scan: Scan): Promise<{ readonly min: bigint; readonly max: bigint } | null>
  /** Rows in which the key has a NULL, and keys that more than one row has; asked where no constraint forbids them. */
  keyFaults(scan: Scan): Promise<{ readonly nulls: number; readonly duplicates: number; readonly sample: Key | null }>
  /** One pass over the table in slices of about half a second; each yield is one slice. */
  digests(scan: Scan, bucketing: Bucketing): AsyncIterable<readonly BucketDigest[]>
  /** Digests of the parts of some buckets. Null where nothing finds their rows but another pass over the table. */
  partDigests(scan: Scan, parts: Parts): AsyncIterable<readonly BucketDigest[]> | null
  /** Keys and fingerprints of the rows in some buckets (`all`: in every one), ordered by bucket. */
  keys(scan: Scan, bucketing: Bucketing, buckets: readonly number[] | 'all'): AsyncIterable<KeyFingerprint>
  /** Some rows, to be looked at: at most `limit`. */
  sample(scan: Scan, limit: number): Promise<readonly Row[]>
  /**
   * The rows that these keys have here, in no order; keys without a row are left out. They are keys of this side, and so
   * values of the key's types, unless something else is said.
   */
  rows(scan: Scan, keys: readonly Key[], of?: 'the other side'): Promise<readonly Row[]>
  /** As `rows`, for rows that are known to be large; their large values can be read for as long as the snapshot lives. */
  largeRows(scan: Scan, keys: readonly Key[]): Promise<readonly SentRow[]>
  /** Fingerprints of the rows that these keys, of whichever side, have here. */
  fingerprints(scan: Scan, keys: readonly Key[]): Promise<readonly KeyFingerprint[]>
  /** Formats in which this side can send these columns, best first. */
  copyFormats(scan: Scan): readonly CopyFormat[]
  /** Cuts the table into pieces of about `bytes` bytes. */
  pieces(scan: Scan, bytes: number): Promise<readonly Piece[]>
  copyOut(scan: Scan, piece: Piece, format: CopyFormat): Promise<RowStream>
  /** The proof over all rows of the scan's table, or over the rows that these keys, of whichever side, have. */
  proof(scan: Scan, keys?: readonly Key[]): Promise<Proof>
  /** Where the sequences that feed a table's columns stand now (sequences have no snapshot). */
  sequences(table: TableRef): Promise<readonly SequenceState[]>
}

export interface Snapshot extends RowSource, AsyncDisposable {
  readonly position: Position
  /** The name under which another session of the same server can see the same moment; null where it cannot be shared. */
  readonly id: string | null
  /**
   * Keeps tables from being altered, emptied or dropped until the snapshot is closed. Whoever holds them compares their
   * definitions after that: a table that was rewritten between the snapshot and this looks empty to the snapshot.
   * @throws AppError `schema_changed`, worth another try, where one is gone
   */
  hold(tables: readonly TableRef[]): Promise<void>
  isEmpty(table: TableRef): Promise<boolean>
  /** Which of these mappings a run has claimed before: from then on their differences may be our own half-done work. */
  knownMappings(mappingIds: readonly string[]): Promise<ReadonlySet<string>>
  /** Which rows here the job of a claim was the last to write. */
  writtenBy(claim: Claim, plan: WritePlan, sent: Sent): Promise<OwnRows>
  /**
   * Who holds what a unique index (null: any of the table) lets one row alone have: for each of these rows, given by all
   * columns of the scan, another row that has the values that it is to have. Rows in whose way none is are left out, and so
   * is an index that is about other columns too, or about another table.
   */
  holders(scan: Scan, index: TableRef | null, rows: readonly Row[]): Promise<readonly Holder[]>
  /**
   * What the columns of the scan are compared by in an index here, for each of these rows of them: two rows with the same
   * text have values that are one to a unique index; null where one of them is NULL, which is like no other.
   */
  comparedAs(scan: Scan, rows: readonly Row[]): Promise<readonly (string | null)[]>
  /** Which of these keys the baseline holds: rows that this sync wrote or found in step. As JSON of the key. */
  owned(mappingId: string, scan: Scan, keys: readonly Key[]): Promise<ReadonlySet<string>>
  /** The keys of rows whose cursor has come to a value, or has none, in no order; the scan's columns are the key. */
  changedKeys(scan: Scan, cursor: Cursor, from: string): AsyncIterable<Key>
  /** @param ceiling of a cursor that goes by the clock: no value after this time, in microseconds since 1970 */
  cursorReached(table: TableRef, cursor: Cursor, ceiling: bigint | null): Promise<CursorReached>
  /** What the last run of a mapping wrote down for the next one to find changes by; null under another mapping. */
  detectionState(mapping: Pick<MappingIdentity, 'mappingId' | 'mappingHash'>): Promise<string | null>
  /** What both sides last agreed on; null where nothing is known of that, or was known under another mapping. */
  baseline(mapping: Pick<MappingIdentity, 'mappingId' | 'mappingHash'>, scan: Scan): Promise<Baseline | null>
}

/** Rows of which somebody asks who has written them, and what the job had to do with them: most servers need not be told. */
export interface Sent {
  readonly keys: readonly Key[]
  /** What the job has, or would have, left under these keys, by their JSON; of those that were to be without a row, nothing. */
  rows(): Promise<ReadonlyMap<string, SentRow>>
  /** Those of the keys that it set out to write. */
  touched(): readonly Key[]
}

/** Rows that a job was the last to write. */
export interface OwnRows {
  readonly keys: readonly Key[]
  /** Why some of them may be somebody else's after all, and what would tell, as sentences; null where all are the job's. */
  readonly doubt: string | null
}

/** A row that another one cannot get past. */
export interface Holder {
  /** The place of the other one among those that were asked about. */
  readonly place: number
  readonly index: TableRef
  /** The columns that the values of the index are made of. */
  readonly columns: readonly string[]
  readonly row: KeyFingerprint
}

export interface SequenceState {
  readonly column: string
  readonly lastValue: bigint
  readonly called: boolean
}

/** One row of a batch: what to do, to which row, in which state (see PlannedChange), with which values. */
export interface BatchRow {
  readonly op: Operation
  readonly key: Key
  readonly expect: Fingerprint | null
  /** All columns of the scan, for insert and update. */
  readonly row: SentRow | null
  /** What the baseline has for it afterwards (null: nothing), where that is not what is written. */
  readonly baseline?: BaselineRow | null
  /** What the sides agree on once it is written, where that is not the row that is written. */
  readonly agreed?: Agreement
}

/** What the baseline has for a row. */
export type BaselineRow = KeptAgreement

/** A batch of one table. */
export interface Batch {
  readonly rows: readonly BatchRow[]
  readonly kind: BatchKind
  readonly telling: Telling | null
}

/** What a batch over several tables does to one of them. */
export interface BatchPart {
  readonly claim: Claim
  readonly plan: WritePlan
  readonly rows: readonly BatchRow[]
  readonly telling: Telling | null
}

/** Where batches are written: see `Writer`. */
export type BatchWriter = Pick<Writer, 'apply' | 'applyAcross' | 'startPhase' | 'remember'>

/** What batches are written through, and looked at again: a database, or a transaction of it. */
export interface BatchTarget {
  readonly writer: BatchWriter | null
  snapshot(connections: number, signal: AbortSignal): Promise<Snapshot>
}

/**
 * A transaction that is committed as a whole. Calls of its writer commit nothing by themselves, and what it refuses is
 * taken back alone; its snapshot is the database as the transaction sees it, with what it has written.
 */
export interface Transaction extends BatchTarget {
  readonly writer: BatchWriter
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
  /** The definition of the target's table that this was planned for: into another one nothing is written (hazard D10). */
  readonly definition: string
  /** Names of the scan's columns that are written; the others are generated by the target. */
  readonly written: readonly string[]
  /** A unique index on the key can arbitrate; without one the table is locked against other writers for each batch. */
  readonly keyIsUnique: boolean
  /** Silence user triggers for the session; asked for only where the role may. */
  readonly silenceTriggers: boolean
  /** Dates and times of which a part is zero are written as they are, where the server has such; else they are refused. */
  readonly keepsZeroDates: boolean
  /** Keep the baseline in the same transaction. */
  readonly baseline: boolean
  /** What it keeps beside the fingerprints of both rows. */
  readonly baselineDetails: readonly BaselineDetail[]
}

/**
 * The writing side. `apply` and `load` commit; whatever they throw, nothing of that call was committed, unless the
 * error is `connection_lost` after a COMMIT whose outcome they could not learn; a repeated call then finds the batch
 * done (hazard B3) because batches are numbered.
 * @throws RowsRefused where the server refuses rows for what they hold
 * @throws AppError `stale_epoch` where another run has taken over
 * @throws AppError `schema_changed` where the table's definition is not the plan's any more
 */
export interface Writer {
  readonly tables: TableMaker
  /** Brings the state that an earlier version of the program has left here up to date; no snapshot of ours may be open. */
  upgradeState(): Promise<void>
  /**
   * Keeps every other run of these mappings out until this writer is closed or its process ends. Under a lease it first
   * ends the sessions that older leases of the same job hold still: their process is paused or cut off (hazard B7). Where
   * sessions are not ours (a pooler) this does nothing, and the epoch alone keeps a second run from committing.
   * @throws AppError `already_running` where one stays alive
   */
  keepOthersOut(mappingIds: readonly string[], job: JobIdentity): Promise<void>
  /**
   * Creates the state schema where it is missing and takes over the mappings: from now on only this run commits. A job
   * without a lease goes on with whichever job of these mappings is unfinished, under that one's id. A job with a lease
   * goes on with nothing but its own counters, even where it was closed before: its service may not have heard of that.
   */
  claim(mappings: readonly MappingIdentity[], job: JobIdentity): Promise<readonly Claim[]>
  /** Whether the role may silence triggers for its own session. */
  maySilenceTriggers(): Promise<boolean>
  apply(claim: Claim, plan: WritePlan, batch: Batch): Promise<BatchResult>
  /**
   * Writes rows of several tables in one transaction, and looks at deferrable constraints when all of them are there: for
   * rows that refer to one another in a ring. Results in the order of the parts.
   */
  applyAcross(parts: readonly BatchPart[]): Promise<readonly BatchResult[]>
  /**
   * One transaction over everything that `body` does through it; it is committed when `body` resolves, and undone whole
   * where it rejects. `body` is called once.
   */
  atomically<T>(body: (transaction: Transaction) => Promise<T>): Promise<T>
  /** Formats in which rows can be loaded into these columns, best first. None: rows of an empty table go by batches too. */
  copyFormats(plan: WritePlan): readonly CopyFormat[]
  /** Loads one piece straight into the table: rows, batch record and counters in one transaction. */
  load(
    claim: Claim,
    plan: WritePlan,
    source: { rows: RowStream; format: CopyFormat; label: string },
  ): Promise<CommittedCounts>
  /**
   * Fills the baseline with the target's rows as they were at a moment in which a proof found them equal to the source,
   * except the keys that the proof left out, which may be asked for more than once. Returns how many it holds then.
   */
  adopt(
    claim: Claim,
    plan: WritePlan,
    what: { moment: Snapshot; except: () => Iterable<readonly Key[]> },
  ): Promise<number>
  /**
   * Sets what the baseline has for rows that are not written. May be done again. Returns the keys of those of which it was to
   * keep the values of the target's row, and that are other rows there by now.
   */
  remember(claim: Claim, plan: WritePlan, rows: readonly RememberedRow[]): Promise<readonly Key[]>
  /** Says what the job is about to do to the table, so that a later run knows where this one was. */
  startPhase(claim: Claim, phase: 'loading' | 'applying'): Promise<void>
  /** Closes the job for all its mappings at once and makes everything before it durable. Returns the counters, by claim. */
  finish(claims: readonly Claim[], facts: Closing): Promise<readonly CommittedCounts[]>
  /**
   * Advances the sequences that feed the table's columns to at least these states and the table's own largest values.
   * @throws AppError `missing_privilege` where a number could be given out that a row has
   */
  advanceSequences(table: TableRef, states: readonly SequenceState[]): Promise<Advanced>
}

export interface Advanced {
  readonly moved: number
  /** What the login may not do, with the step that mends it, where no row's number is given out all the same; null: nothing. */
  readonly left: string | null
}
