import type { Condition } from '#model/condition.ts'
import type { TablePattern } from '#model/table-pattern.ts'
import type { Column, TableRef } from '#model/table.ts'
import type { Replaced } from './restore-target.ts'

/** What of a database is to be dumped. */
export interface DumpWish {
  readonly definitions: boolean
  readonly rows: boolean
  /** Only these schemas; null: all that the datasource offers. */
  readonly schemas: readonly string[] | null
  readonly excludeSchemas: readonly string[]
  /** Only tables that one of these names; null: all. */
  readonly tables: readonly TablePattern[] | null
  /** No rows of tables that one of these names. Where tables are named, these are not made either. */
  readonly excludeTables: readonly TablePattern[]
  readonly owners: boolean
  readonly grants: boolean
  /**
   * Instead of all that schemas and tables say: exactly what goes where this is replaced, without what it needs and stays. Null:
   * no such thing.
   */
  readonly exactly: Replaced | null
  /** It goes into another database: what leads to what is not carried cannot be made there, and is left out. */
  readonly elsewhere: boolean
}

export interface OpenDump {
  readonly wish: DumpWish
  /** Tables and pieces of tables that are read at once. */
  readonly readers: number
  readonly signal: AbortSignal
}

/**
 * A database as it is dumped: definitions and rows of one moment. Sequences have no moment; they are read last, so that no row
 * has a value that they would give out again (hazard D1).
 */
export interface DumpSource extends AsyncDisposable {
  readonly database: string
  /** For people: the moment that is dumped. */
  readonly moment: string
  /** Tables whose rows are dumped, in the order in which they are to be written. */
  readonly tables: readonly DumpTable[]
  /** What is left out or has to be known by whoever restores the dump. */
  readonly notes: readonly string[]
  /** Something is not as in the database, although nobody has left it out by name. */
  readonly partial: boolean
  /** In their order; what is made before the rows are there, and what goes by them. */
  readonly definitions: Readonly<Record<'beforeRows' | 'afterRows', readonly Definition[]>>
  /** Cuts a table into pieces of about so many bytes, in the order of its rows; one piece where it cannot be cut. */
  pieces(table: DumpTable, bytes: number): readonly DumpPiece[]
  /** The rows of a piece in the text format of COPY. */
  rows(piece: DumpPiece, wish: RowsWish): Promise<DumpRows>
  /** A statement for each sequence that brings it to where it is now. */
  sequences(): Promise<readonly string[]>
}

export interface RowsWish {
  /** Up to so many bytes are fetched before anybody reads them. */
  readonly aheadBytes: number
  /** Only rows that meet it; null: all. */
  readonly where: RowCondition | null
}

/** A condition on the columns of a table, which may be generated ones too. */
export interface RowCondition {
  readonly condition: Condition
  readonly columns: readonly Column[]
}

/** One statement, without its `;`. */
export interface Definition {
  readonly sql: string
  /** What it is, in one line of a comment; null where it goes with the statement before it. */
  readonly about: string | null
  /** It ties tables to one another, or checks their rows: the last that is done. */
  readonly isConstraint: boolean
}

export interface DumpTable {
  readonly ref: TableRef
  /** The table that the rows are brought into: its root, where partitions of another server would take other rows. */
  readonly into: TableRef
  /** The tables that it is a partition or a child of, at any distance: their rows are its rows too. */
  readonly parents: readonly TableRef[]
  /** All but those that are generated. */
  readonly columns: readonly DumpColumn[]
  /** It has a column whose values a server gives out by itself. */
  readonly hasIdentity: boolean
  /** By the server's statistics; null where there are none. */
  readonly rowEstimate: number | null
  /** On the server's disk. */
  readonly bytes: number
}

export interface DumpColumn {
  readonly name: string
  /** How its values may be written in an INSERT. */
  readonly literal: 'number' | 'boolean' | 'text'
}

export interface DumpPiece {
  readonly table: DumpTable
  readonly bytes: number
  /** Known to the source that cut it. */
  readonly handle: unknown
}

/** The rows of a piece. Whoever opened them disposes of them. */
export interface DumpRows extends AsyncDisposable {
  /** As they come, once. @throws AppError where the connection is lost, or the server refuses */
  readonly chunks: AsyncIterable<Buffer>
  /** Rows that the server says it sent; valid once the chunks have ended. */
  rows(): number
  /** Rows that have come until now. */
  seen(): number
}
