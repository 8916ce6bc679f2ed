/** What an import would do to a target, and why it would not be done. Nothing is written. */
import { createHash } from 'node:crypto'
import type { Adapter, ServerInfo } from '#adapters/adapter.ts'
import {
  dependentsError,
  type ExistingObject,
  type Replaced,
  type RestoreFacts,
  type RestoreTarget,
} from '#adapters/restore-target.ts'
import { plural } from '#lib/amounts.ts'
import type { RestoreObject, TakeBack } from '#model/dump.ts'
import { AppError } from '#model/errors.ts'
import { objectName, tableName, type TableRef } from '#model/table.ts'
import type { DumpContents, DumpPlan } from './check-dump.ts'
import { otherText, type RecognizeOptions, type Skipped } from './recognized.ts'

export interface ImportWish extends RecognizeOptions {
  /** What is there is replaced; else it is a refusal. */
  readonly replace: boolean
  /** What is replaced is exchanged at the end: until then it can be read. */
  readonly swap: boolean
}

/** What would be restored, and into what. */
export interface RestorePlan<Dump extends DumpContents = DumpContents> {
  readonly dump: Dump
  /** What is restored, for people. */
  readonly name: string
  /** The major version of the server that it is of; null where nobody knows. */
  readonly serverMajor: number | null
  /** Rows that tables will have brought: counted, or by the statistics of a server; null where nobody knows. */
  readonly expected: readonly { readonly table: TableRef; readonly rows: number | null }[]
  readonly estimated: boolean
  readonly target: Pick<ServerInfo, 'address' | 'product' | 'major'>
  readonly facts: RestoreFacts
  /** What goes: what the dump puts something else in the place of, and what it takes back. */
  readonly replaced: Replaced
  /** What is there of what a restore had made, before which the dump was kept, and what the dump does not make itself. */
  readonly takesBack: readonly ExistingObject[]
  /** It was kept before a restore into this very database: rows come back as they were, whatever triggers would make of them. */
  readonly bringsBack: boolean
  /** It is exchanged at the end. */
  readonly swap: boolean
  readonly notes: readonly string[]
  /** Why it would not be done, the first of all first; none: it would. */
  readonly refusals: readonly AppError[]
}

export type ImportPlan = RestorePlan<DumpPlan>

/**
 * Looks at the target with the eyes of a dump that was checked, which is `checkDump`, by the same wish.
 * @throws AppError `server_not_supported`
 */
export async function planImport(adapter: Adapter, dump: DumpPlan, wish: ImportWish): Promise<ImportPlan> {
  const { file: name, origin, loads: expected } = dump
  const { serverMajor, takeBack } = origin
  return planRestore(adapter, { dump, name, serverMajor, expected, estimated: false, takeBack }, wish)
}

function restoreOf({ restore }: Adapter): RestoreTarget {
  if (restore !== null) return restore
  throw new AppError('server_not_supported', 'A project that is reached over its REST API takes no dump.', {
    hint: 'Register its database with the direct connection string.',
  })
}

/** What is to be restored. */
interface RestoreInput<Dump extends DumpContents> extends Pick<
  RestorePlan<Dump>,
  'dump' | 'name' | 'serverMajor' | 'expected' | 'estimated'
> {
  readonly takeBack: TakeBack | null
}

/** Looks at the target. @throws AppError `server_not_supported` */
export async function planRestore<Dump extends DumpContents>(
  adapter: Adapter,
  { takeBack, ...what }: RestoreInput<Dump>,
  wish: ImportWish,
): Promise<RestorePlan<Dump>> {
  const { server } = adapter
  const restore = restoreOf(adapter)
  const { makes: made, others, fills, moves, largeObjects, roles, extensions, languages, tablespaces } = what.dump
  const own = new Set(made.map(objectKey))
  // In another database something else may be called the same.
  const isHere = takeBack !== null && takeBack.database === databaseDigest(server)
  const back = isHere ? takeBack.made.filter((each) => !own.has(objectKey(each))) : []
  const makes = [...made.map(toObject), ...back]
  const { swap, owners } = wish
  // Two partitions of one table cannot both have the same rows: the old one is there until the end.
  const joins = swap ? [] : what.dump.joins
  const needs = { roles, extensions, languages, tablespaces }
  const question = { makes, others, fills, moves, joins, largeObjects, swap: swap ? { owners } : null, ...needs }
  const facts = await restore.inspect(question)
  const takesBack = facts.existing.filter((each) => !own.has(objectKey(each)))
  const drop = facts.existing.filter(({ object }) => object !== 'schema').map(toObject)
  const schemas = takesBack.flatMap(({ object, name }) => (object === 'schema' ? [name] : []))
  const replaced = { drop, empty: facts.emptied, sequences: facts.moved, schemas, joins }
  const { address, product, major } = server
  return {
    ...what,
    target: { address, product, major },
    facts,
    replaced,
    takesBack,
    bringsBack: isHere,
    swap,
    notes: [
      ...notesOf(what, server),
      ...handsOf({ ...what, facts, takesBack }, wish),
      ...overloadsOf(facts),
      ...staysNote(facts),
    ],
    refusals: refusalsOf({ ...what, facts, replaced, takesBack }, wish, server),
  }
}

/** By which somebody knows again what he has agreed to: what comes, and what goes for it. */
export function planDigest({ dump, replaced, takesBack }: RestorePlan): string {
  const { makes, fills, moves, largeObjects } = dump
  const digest = 'digest' in dump ? dump.digest : null
  const what = { digest, makes, fills, moves, largeObjects, replaced, takesBack: takesBack.map(toObject) }
  return createHash('sha256').update(JSON.stringify(what)).digest('hex')
}

/** What is there and gets something else in its place. */
export function replacedObjects({ facts, takesBack }: Pick<RestorePlan, 'facts' | 'takesBack'>): ExistingObject[] {
  return facts.existing.filter((each) => each.object !== 'schema' && !takesBack.includes(each))
}

export function toObject({ object, schema, name, args }: RestoreObject): RestoreObject {
  return args === undefined ? { object, schema, name } : { object, schema, name, args }
}

/** By which one object is told from another. */
export function objectKey({ object, schema, name, args }: RestoreObject): string {
  return JSON.stringify([object, schema, name, args?.map((type) => [type.schema, type.name, type.array])])
}

/** By which a database is known again, and which tells nobody anything else of it. */
export function databaseDigest({ identity }: Pick<ServerInfo, 'identity'>): string {
  return createHash('sha256').update(identity).digest('hex')
}

const NOTES: Readonly<Record<Skipped, (count: number) => string | null>> = {
  transaction: () => null,
  drop: (count) =>
    `${plural(count, 'statement')} that drop something are not run: what is replaced is dropped by the import.`,
  owner: (count) => `${plural(count, 'statement')} about owners are not run: everything belongs to the login.`,
  grant: (count) => `${plural(count, 'statement')} about rights are not run.`,
  statistics: (count) => `${plural(count, 'statement')} about statistics are not run: run ANALYZE afterwards.`,
  'public schema': () => null,
  'session user': (count) =>
    `${plural(count, 'statement')} to go on as somebody else ${count === 1 ? 'is' : 'are'} not run: what comes behind, the login does.`,
  // Whether the provider is there, no catalogue says: a label that it is not there for would end the restore.
  'security label': (count) =>
    `${plural(count, 'security label')} ${count === 1 ? 'is' : 'are'} not set: they are for a provider that is loaded into the server. Set them afterwards (SECURITY LABEL) where the target has it.`,
}

function notesOf(
  { dump: { skipped, makes, largeObjects }, serverMajor }: Pick<RestorePlan, 'dump' | 'serverMajor'>,
  { major }: ServerInfo,
): string[] {
  const notes = Object.entries(NOTES).flatMap(([kind, note]) => {
    const count = Object.entries(skipped).find(([one]) => one === kind)?.[1] ?? 0
    const text = count === 0 ? null : note(count)
    return text === null ? [] : [text]
  })
  const asOwner = makes.filter((made) => made.asOwner).map((made) => tableName(made))
  if (asOwner.length > 0) {
    notes.push(`Whoever calls these has the rights of their owner while they run (SECURITY DEFINER): ${list(asOwner)}.`)
  }
  if (largeObjects.length > 0) notes.push(`It brings ${plural(largeObjects.length, 'large object')}.`)
  if (serverMajor !== null && serverMajor > major) {
    notes.push(
      `The dump is of PostgreSQL ${serverMajor}, and the target is ${major}: what is new in between is refused.`,
    )
  }
  return notes
}

/** Whose things are replaced by what is the login's, because no statement that is run says whose it is. */
function handsOf(
  { dump: { roles }, ...what }: Pick<RestorePlan, 'dump' | 'facts' | 'takesBack'>,
  { owners }: ImportWish,
): string[] {
  const changing = replacedObjects(what).flatMap((each) => {
    const others = each.owners.filter((owner) => !owners || !roles.includes(owner))
    return others.length === 0 ? [] : [`${describe(each)} (of ${others.join(' and ')})`]
  })
  if (changing.length === 0) return []
  return [`These change owner, and are the login's then where the dump gives them to nobody else: ${list(changing)}.`]
}

function overloadsOf({ existing }: RestoreFacts): string[] {
  const several = existing.filter(({ routines }) => routines.length > 1).flatMap(({ routines }) => routines)
  if (several.length === 0) return []
  return [`It cannot be told which of these the dump makes, so all of them are replaced: ${list(several)}.`]
}

function describe(each: ExistingObject): string {
  return `${each.what} ${each.routines.length === 0 ? tableName(each) : each.routines.join(', ')}`
}

/** Whether it is the same, nobody has compared. */
function staysNote({ others }: RestoreFacts): string[] {
  if (others.length === 0) return []
  return [`There already, and kept as it is, whatever the dump says of it: ${list(others.map(otherText))}.`]
}

const MOST_NAMED = 20

function list(names: readonly string[]): string {
  const more = names.length > MOST_NAMED ? ` and ${names.length - MOST_NAMED} more` : ''
  return `${names.slice(0, MOST_NAMED).join(', ')}${more}`
}

function refusalsOf(
  { dump, name, facts, replaced, takesBack }: Pick<RestorePlan, 'dump' | 'name' | 'facts' | 'replaced' | 'takesBack'>,
  { replace, trusted, swap }: ImportWish,
  { address, readOnly }: ServerInfo,
): AppError[] {
  const refusals: AppError[] = []
  if (readOnly !== null) refusals.push(new AppError('read_only_server', `${address}: ${readOnly}.`))
  const other = dump.connects.filter((database) => database !== facts.database)
  if (other.length > 0) {
    refusals.push(
      new AppError('dump_refused', `${name} connects to ${list(other)}; the target is ${facts.database}.`, {
        hint: 'Make the dump without --create.',
      }),
    )
  }
  refusals.push(...missingOf(facts, dump))
  if (facts.privileged !== null && !trusted) {
    refusals.push(new AppError('restore_privileged', `The login of ${address} ${facts.privileged}.`))
  }
  const there = [
    ...replacedObjects({ facts, takesBack }).map(describe),
    ...facts.filled.map((table) => `rows of ${tableName(table)}`),
    ...replaced.sequences.map((sequence) => `the position of the sequence ${tableName(sequence)}`),
  ]
  const back = takesBack.map((each) => `${each.what} ${objectName(each)}`)
  const stays = facts.others.map(otherText)
  if (there.length + back.length + stays.length > 0 && !replace) {
    const would = [
      ...(there.length === 0 ? [] : [`replace ${list(there)}`]),
      ...(stays.length === 0 ? [] : [`keep as it is what is there already: ${list(stays)}`]),
      ...(back.length === 0 ? [] : [`take back what a restore after it has made: ${list(back)}`]),
    ]
    refusals.push(new AppError('restore_exists', `The dump would ${would.join('; and it would ')}.`))
  }
  if (facts.largeObjects.length > 0) {
    const message = `The dump brings large objects that are there already: ${list(facts.largeObjects)}.`
    const hint =
      'They are never replaced: remove them (SELECT lo_unlink(OID)), or make the dump without (--no-large-objects).'
    refusals.push(new AppError('restore_exists', message, { hint }))
  }
  if (swap) refusals.push(...swapRefusals(facts, replaced))
  if (facts.dependents.length > 0) refusals.push(dependentsError(facts.dependents))
  return refusals
}

function swapRefusals({ unswappable, filled }: RestoreFacts, { sequences }: Replaced): AppError[] {
  const stays = [
    ...filled.map((table) => `rows of ${tableName(table)}, whose table the dump does not make`),
    ...sequences.map((sequence) => `sequence ${tableName(sequence)}, which the dump does not make`),
    ...unswappable,
  ]
  return stays.length === 0 ? [] : [new AppError('restore_unswappable', `In the way: ${list(stays)}.`)]
}

function missingOf({ missing, extensions: there }: RestoreFacts, dump: DumpContents): AppError[] {
  const { roles, extensions, languages, tablespaces } = missing
  // What an extension brings is there once it is made; whether it brings these, its COPY tells.
  const awaited = dump.extensions.some((name) => !there.includes(name))
  const { tables, sequences } = awaited ? { tables: [], sequences: [] } : missing
  const refuse = (what: string, names: readonly string[], hint: string): AppError[] =>
    names.length === 0 ? [] : [new AppError('dump_unfit', `The target has no ${what} ${list(names)}.`, { hint })]
  const tableNames = tables.map((table: TableRef) => tableName(table))
  return [
    ...refuse('table', tableNames, 'Import the definitions first, or make a dump that holds them.'),
    ...refuse('sequence', sequences.map(tableName), 'Import the definitions first, or make a dump that holds them.'),
    ...refuse('role', roles, `Create it (CREATE ROLE), or import without owners and rights.`),
    ...refuse('extension', extensions, 'Install its package on the server, or leave out what uses it.'),
    ...refuse('trusted language', languages, 'Install the extension that brings it.'),
    ...refuse('tablespace', tablespaces, 'Make the dump with pg_dump --no-tablespaces.'),
  ]
}
