/** The words of what is recognized in a dump, and what is known of it so far. */
import { OTHER_CLASSES, type OtherObject } from '#adapters/restore-target.ts'
import type { ArgumentType, Join } from '#model/dump.ts'
import {
  nameText,
  type Address,
  type MadeObjects,
  type ObjectName,
  type Place,
  type PlannedClass,
} from './named-objects.ts'

/** What a statement does. `label` names it for people, without anything that could be a value. */
export type Recognized =
  /** `fix` is what somebody may do about it, where that can be told. */
  | { readonly does: 'refused'; readonly label: string; readonly why: string; readonly fix: string | null }
  | { readonly does: 'skip'; readonly label: string; readonly because: Skipped }
  | {
      readonly does: 'run'
      readonly label: string
      readonly makes: Made | null
      /** What else it makes: kept as it is where it is there. */
      readonly other: OtherObject | null
      /** Not run where these are there already, as they may be: what is there is kept as it is. */
      readonly about: Kept | null
      /** A sequence that it moves and that the file does not make. */
      readonly moves: ObjectName | null
      /** A table that others have made, and whose triggers it switches: for a table that the file fills. */
      readonly silences: ObjectName | null
      /** A large object that it makes. */
      readonly largeObject: string | null
    }
  /** `sql` sets the same for the transaction alone. */
  | {
      readonly does: 'set'
      readonly label: string
      readonly name: string
      readonly value: string
      readonly sql: string
    }
  | { readonly does: 'load'; readonly label: string; readonly table: ObjectName }
  | {
      readonly does: 'insert'
      readonly label: string
      readonly table: ObjectName
      readonly rows: number
      /** Rows whose key is there already are left out. */
      readonly skips: boolean
    }

export type Skipped =
  | 'transaction'
  | 'drop'
  | 'owner'
  | 'grant'
  | 'statistics'
  | 'public schema'
  | 'security label'
  | 'session user'

export interface Made extends ObjectName {
  readonly object: PlannedClass
  /** As its statement calls it: `table`, `view`, `function`. */
  readonly word: string
  /** A function that runs with the rights of its owner, whoever calls it. */
  readonly asOwner: boolean
  /** Of a function or procedure, what it is called with, where that can be told. */
  readonly args?: readonly ArgumentType[] | undefined
}

/** What a dump makes only where it is not there. */
export interface Kept {
  readonly extensions: readonly string[]
  readonly schemas: readonly string[]
  /** By their keys. */
  readonly others: readonly string[]
}

/** What the target must have. */
export interface Needs {
  readonly roles: Set<string>
  readonly extensions: Set<string>
  readonly languages: Set<string>
  readonly tablespaces: Set<string>
}

export interface RecognizeOptions {
  /** Who owns what and who has been granted what is carried. */
  readonly owners: boolean
  readonly grants: boolean
  /** The file may do whatever the login may, but for what no dump does. */
  readonly trusted: boolean
}

/** A statement of the file. */
export interface Statement extends Place {
  readonly label: string
  readonly text: string
}

/** A file as far as it was read. */
export interface FileSoFar {
  readonly options: RecognizeOptions
  readonly made: MadeObjects
  readonly needs: Needs
  /** Tables of the file that have part in tables of others. */
  readonly joins: Join[]
  /** Where a name without a schema is. */
  schema: string
  /** As `pg_dump --clean` puts something in the place of a view before it drops what that needs: it is made later. */
  expect(view: ObjectName, label: string): void
  /** The triggers of a table that others have made are switched off, or on again. */
  silence(table: ObjectName, off: boolean, label: string): void
}

const NOTHING: Kept = { extensions: [], schemas: [], others: [] }
export const RUN = {
  does: 'run',
  makes: null,
  other: null,
  about: null,
  moves: null,
  silences: null,
  largeObject: null,
} as const

/** What a dump says of `public` is part of it, although every database has that schema. */
export function keptSchemas(schemas: readonly string[]): Kept {
  return { ...NOTHING, schemas: schemas.filter((name) => name !== 'public') }
}

export function keptExtension(name: string): Kept {
  return { ...NOTHING, extensions: [name] }
}

/** An object of a class that is kept where it is there; null of other classes. */
export function otherOf({ classes, name, parts = [name.name] }: Address): OtherObject | null {
  const object = OTHER_CLASSES.find((one) => classes.includes(one))
  return object === undefined ? null : { object, key: JSON.stringify([object, name.schema, name.name]), ...name, parts }
}

export function keptOther(other: OtherObject | null): Kept | null {
  return other === null ? null : { ...NOTHING, others: [other.key] }
}

export function otherText({ object, schema, name }: OtherObject): string {
  return `${object} ${nameText({ schema, name })}`
}
