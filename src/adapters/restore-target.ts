import type { Join, RestoreObject } from '#model/dump.ts'
import { AppError } from '#model/errors.ts'
import type { TableRef } from '#model/table.ts'
import type { Adapter, Watched } from './adapter.ts'

/** Classes of what is neither replaced nor made twice: what is there of them stays. */
export const OTHER_CLASSES = [
  'collation',
  'conversion',
  'text search configuration',
  'text search dictionary',
  'text search parser',
  'text search template',
  'operator',
  'operator class',
  'operator family',
  'cast',
  'publication',
  'server',
  'foreign data wrapper',
  'event trigger',
  'access method',
  'language',
] as const

export interface OtherObject {
  readonly object: (typeof OTHER_CLASSES)[number]
  /** By which it is told from others. */
  readonly key: string
  /** Empty where it is in no schema. */
  readonly schema: string
  /** For people. */
  readonly name: string
  /** What it is found by beside its schema: a name, or symbol and types of an operator, types of a cast, name and method of a class. */
  readonly parts: readonly string[]
}

/** What a dump makes and builds on. */
export interface RestoreQuestion {
  readonly makes: readonly RestoreObject[]
  readonly others: readonly OtherObject[]
  /** Tables that it brings rows into without making them. */
  readonly fills: readonly TableRef[]
  /** Sequences that it moves without making them. */
  readonly moves: readonly TableRef[]
  /** Tables that it makes parts of tables that it does not make. */
  readonly joins: readonly Join[]
  /** Large objects that it makes, by their OIDs. */
  readonly largeObjects: readonly string[]
  /** What is replaced is to be exchanged at the end: whether the dump says whose it is; null: it is dropped first. */
  readonly swap: { readonly owners: boolean } | null
  readonly roles: readonly string[]
  readonly extensions: readonly string[]
  readonly languages: readonly string[]
  readonly tablespaces: readonly string[]
}

/** An object of the target that a dump makes too. */
export interface ExistingObject extends RestoreObject {
  /** For people: `table`, `view`, `function`. */
  readonly what: string
  /** Bytes on disk, for a table. */
  readonly bytes: number
  /** Whose it is, but for the login itself: several where routines share a name. */
  readonly owners: readonly string[]
  /** Of routines, each that is meant with its arguments. */
  readonly routines: readonly string[]
}

/** What of the target bears on a dump. */
export interface RestoreFacts {
  /** The name of the database. */
  readonly database: string
  /** Why the login may do more than a database holds, or null. */
  readonly privileged: string | null
  /** Schemas among them are kept, and what is in them that the dump does not make. */
  readonly existing: readonly ExistingObject[]
  /** What is there of the others. */
  readonly others: readonly OtherObject[]
  /** What is not in the dump and depends on what exists, as the server describes it. */
  readonly dependents: readonly string[]
  /** Tables that are filled and have rows; of an extension's table, rows of the user. */
  readonly filled: readonly TableRef[]
  /** These, their partitions, and what of the filled tables has to be emptied with them, because it refers to them. */
  readonly emptied: readonly TableRef[]
  /** Sequences that are moved and have given out values. */
  readonly moved: readonly TableRef[]
  /** Large objects of the dump that are there already, by their OIDs. */
  readonly largeObjects: readonly string[]
  /** Why what is replaced cannot be exchanged at the end, as the server describes what is in the way. */
  readonly unswappable: readonly string[]
  readonly missing: {
    readonly tables: readonly TableRef[]
    readonly sequences: readonly TableRef[]
    readonly roles: readonly string[]
    readonly extensions: readonly string[]
    readonly languages: readonly string[]
    readonly tablespaces: readonly string[]
  }
  /** Event triggers that run for what a restore does. */
  readonly eventTriggers: readonly string[]
  /** Extensions of the dump that are there already. */
  readonly extensions: readonly string[]
}

/** Why a statement of a batch was refused. */
export class StatementRefused extends Error {
  override readonly name = 'StatementRefused'
  /** Of the statements that were given at once. */
  readonly index: number
  /** The server's code. */
  readonly state: string
  /** The line among the rows of a COPY, from 1 on; null where it is not about one. */
  readonly row: number | null
  readonly column: string | null

  constructor(
    message: string,
    about: { index: number; state: string; row: number | null; column: string | null; cause: unknown },
  ) {
    super(message, { cause: about.cause })
    this.index = about.index
    this.state = about.state
    this.row = about.row
    this.column = about.column
  }
}

/** The state of a statement that would have written in a transaction that may not. */
export const READ_ONLY = '25006'

/** What a dump puts something else in the place of. */
export interface Replaced {
  readonly drop: readonly RestoreObject[]
  /** Tables that stay, without their rows. */
  readonly empty: readonly TableRef[]
  /** Sequences that stay, and go on from elsewhere. */
  readonly sequences: readonly TableRef[]
  /** Schemas that go where nothing is left in them. */
  readonly schemas: readonly string[]
  /** Tables that the dump makes parts again of tables that stay. */
  readonly joins: readonly Join[]
}

export type Fate = 'in progress' | 'committed' | 'aborted'

/** One transaction that restores a dump: it is rolled back unless it is committed. */
export interface Restoration extends AsyncDisposable {
  readonly connection: Watched
  /** By which the server knows it, now and when it is over. */
  readonly transaction: string
  /**
   * Remembers where sequences stand, so that those which stand before that after a rollback are put back: the server undoes no
   * move of one.
   */
  guardSequences(): Promise<void>
  /** Keeps others from writing to tables of what is replaced; they may still be read. */
  hold(what: Replaced): Promise<void>
  /**
   * Drops what a dump makes anew and empties what it fills, after everybody else is locked out of it.
   * @throws AppError `restore_dependents` where something has come to depend on it meanwhile
   */
  clear(what: Replaced): Promise<void>
  /**
   * For rows that come back into these tables, which stay: until `wake`, triggers of the user do not run, which have seen them,
   * and foreign keys that tie the tables into rings wait.
   */
  quiet(tables: readonly TableRef[]): Promise<void>
  /** All that `quiet` has changed is as it was, and the foreign keys hold. @throws StatementRefused where one does not */
  wake(): Promise<void>
  /** Gives sequences that the dump moves what is undone with the rest: else the server keeps where they were moved to. */
  renew(sequences: readonly TableRef[]): Promise<void>
  /**
   * Instead of `clear`: puts the schemas of what is dropped aside, with empty ones in their place, so that it may be read by
   * others while the dump is restored. `exchange` is owed after it.
   */
  setAside(what: Replaced): Promise<void>
  /**
   * Locks everybody else out of what was put aside, gives others the rights on the new that they had on the old, and drops it.
   * @throws AppError `restore_dependents`; `database_error` where others held on to it
   */
  exchange(what: Replaced, carry: { readonly grants: boolean }): Promise<void>
  /** Remembers which triggers of tables that the dump fills are switched off. */
  mind(tables: readonly TableRef[]): Promise<void>
  /**
   * Switches triggers of these tables back that the dump has switched, and gives others the rights on the new that they had on
   * what was cleared. @throws StatementRefused
   */
  giveBack(carry: { readonly grants: boolean }): Promise<void>
  /**
   * Tables, views and sequences that were there before and that this transaction has written to or altered, and catalogues of
   * the server's roles, but for what was cleared. What was put off to the commit is done first. @throws StatementRefused
   */
  written(): Promise<readonly TableRef[]>
  /** Whether the server knows a setting. */
  knowsSetting(name: string): Promise<boolean>
  /** Each is sent as the one statement that it is. Returns how many rows each has written. @throws StatementRefused */
  run(statements: readonly string[]): Promise<readonly number[]>
  /** @param copy a COPY … FROM stdin; how many rows the server took @throws StatementRefused */
  load(copy: string, rows: AsyncIterable<Uint8Array>): Promise<number>
  /**
   * @param how `closed`: what the commit itself would still have done may write nothing
   * @throws StatementRefused for what is checked at the end, `READ_ONLY` for what would have written; AppError `restore_unknown`,
   * `connection_lost`
   */
  commit(how: { readonly closed: boolean }): Promise<void>
}

/** What the server says of definitions whose rows it has checked. */
export interface Validity {
  readonly constraints: number
  /** Names of constraints that not all rows are known to meet, and of indexes that are not used, as the server describes them. */
  readonly notValid: readonly string[]
}

/** A database of its own beside the target, on the same server, which is there for nobody else: it goes when it is disposed of. */
export interface ScratchDatabase extends AsyncDisposable {
  readonly adapter: Adapter
  /** Of everything that users have made in it. */
  validity(): Promise<Validity>
}

export interface RestoreTarget {
  /** Only looks. */
  inspect(question: RestoreQuestion): Promise<RestoreFacts>
  /** How a transaction ended that was one of `Restoration`. */
  fateOf(transaction: string): Promise<Fate>
  /** Null where the adapter was opened for reading. */
  readonly begin: (() => Promise<Restoration>) | null
  /**
   * Makes a database for a restore on trial; one of this name that an earlier attempt has left is dropped. Null where the
   * adapter was opened for reading.
   * @throws AppError `missing_privilege`, `pooler_not_supported`
   */
  readonly scratch: ((name: string) => Promise<ScratchDatabase>) | null
  /**
   * Drops databases of the server whose names begin so, where nobody needs them any more. One that cannot be dropped stays. Null
   * where the adapter was opened for reading.
   */
  readonly sweepScratch:
    | ((prefix: string, isOver: (name: string) => Promise<boolean>) => Promise<readonly string[]>)
    | null
}

const MOST_NAMED = 20

export function dependentsError(dependents: readonly string[]): AppError {
  const named = dependents.slice(0, MOST_NAMED).join('; ')
  const more = dependents.length > MOST_NAMED ? ` and ${dependents.length - MOST_NAMED} more` : ''
  return new AppError('restore_dependents', `What would be replaced is needed by: ${named}${more}.`)
}
