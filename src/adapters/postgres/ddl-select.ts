/** Chooses from the entries of a dump those that a set of tables needs, and says of each when it can run. */
import type { DdlStatement, TableDdl } from '#adapters/table-ddl.ts'

import type { CatalogObject, ForeignKeyFacts, TableFacts } from './ddl-catalog.ts'
import type { DumpEntry, DumpStatement } from './dump-entries.ts'
import { quote, quoteTable } from './sql.ts'
import { isWord, readQualifiedName, type Token } from './sql-statements.ts'

/** What is known of the set of tables, all read in the snapshot of the dump. */
export interface TableSet {
  /** OIDs of the wanted tables. */
  readonly wanted: readonly string[]
  readonly objects: readonly CatalogObject[]
  readonly tables: readonly TableFacts[]
  readonly foreignKeys: readonly ForeignKeyFacts[]
}

type Stage = 'beforeData' | 'afterData' | 'foreignKeys'

/** An entry that is taken: its kind and the OIDs of its tables. */
interface Selected {
  readonly kind: string
  readonly stage: Stage
  readonly tables: readonly string[]
  readonly object?: CatalogObject
}

/** @param grants whether the entries have the rights of what is selected */
export function selectTableDdl(
  entries: readonly DumpEntry[],
  set: TableSet,
  { grants }: { readonly grants: boolean },
): TableDdl {
  const selection = new Selection(set)
  const refs = new Map(set.tables.map(({ oid, schema, name }) => [oid, { schema, name }]))
  const statements: Record<Stage, DdlStatement[]> = { beforeData: [], afterData: [], foreignKeys: [] }
  for (const entry of entries) {
    const selected = selection.select(entry)
    if (!selected) continue
    const tables = selected.tables.flatMap((oid) => refs.get(oid) ?? [])
    const { kind, object } = selected
    const identity = object ? { object: { kind, schema: schemaOf(object), name: object.name } } : {}
    for (const statement of entry.statements) {
      const creates = isWord(statement.tokens[0], 'CREATE')
      statements[selected.stage].push({ sql: tolerant(statement), kind, tables, ...(creates ? identity : {}) })
    }
  }
  return { tables: [...refs.values()], ...statements, notes: notesOf(set, grants) }
}

function schemaOf(object: CatalogObject): string {
  return object.catalog === 'pg_namespace' ? '' : object.schema
}

/** A schema may exist already; pg_dump writes extensions so by itself. */
function tolerant({ sql, tokens }: DumpStatement): string {
  const [create, schema, name] = tokens
  if (!isWord(create, 'CREATE') || !isWord(schema, 'SCHEMA') || !name) return sql
  return `CREATE SCHEMA IF NOT EXISTS ${name.text}`
}

const CLASS_KINDS: Record<string, string> = {
  r: 'TABLE',
  p: 'TABLE',
  f: 'FOREIGN TABLE',
  S: 'SEQUENCE',
  i: 'INDEX',
  I: 'INDEX',
  v: 'VIEW',
  m: 'MATERIALIZED VIEW',
}

const CATALOG_KINDS: Record<string, string> = {
  pg_namespace: 'SCHEMA',
  pg_extension: 'EXTENSION',
  pg_attrdef: 'DEFAULT',
  pg_statistic_ext: 'STATISTICS',
  pg_rewrite: 'RULE',
  pg_opclass: 'OPERATOR CLASS',
  pg_opfamily: 'OPERATOR FAMILY',
  pg_am: 'ACCESS METHOD',
  pg_language: 'PROCEDURAL LANGUAGE',
  pg_ts_config: 'TEXT SEARCH CONFIGURATION',
  pg_ts_dict: 'TEXT SEARCH DICTIONARY',
  pg_ts_parser: 'TEXT SEARCH PARSER',
  pg_ts_template: 'TEXT SEARCH TEMPLATE',
  pg_foreign_server: 'SERVER',
  pg_foreign_data_wrapper: 'FOREIGN DATA WRAPPER',
}

function kindOf({ catalog, kind }: CatalogObject): string {
  switch (catalog) {
    case 'pg_class':
      return CLASS_KINDS[kind] ?? 'TYPE'
    case 'pg_type':
      return kind === 'd' ? 'DOMAIN' : 'TYPE'
    case 'pg_proc':
      return { a: 'AGGREGATE', p: 'PROCEDURE' }[kind] ?? 'FUNCTION'
    case 'pg_constraint':
      return kind === 'c' ? 'CHECK CONSTRAINT' : 'CONSTRAINT'
    default:
      return CATALOG_KINDS[catalog] ?? catalog.replace('pg_', '').toUpperCase()
  }
}

const AFTER_DATA = new Set(['INDEX', 'CONSTRAINT', 'CHECK CONSTRAINT', 'STATISTICS', 'RULE'])

/** Goes through the entries in their order, because a comment or an attachment follows what it belongs to. */
class Selection {
  readonly #objects: ReadonlyMap<string, CatalogObject>
  /** Relations and types by their unique names. */
  readonly #named: ReadonlyMap<string, CatalogObject>
  readonly #foreignKeys: ReadonlyMap<string, ForeignKeyFacts>
  readonly #tables: ReadonlySet<string>
  readonly #selected = new Map<string, Selected>()

  constructor(set: TableSet) {
    this.#objects = new Map(set.objects.map((object) => [key(object.classId, object.objectId), object]))
    this.#named = new Map(
      set.objects.flatMap((object) =>
        object.catalog === 'pg_class' || object.catalog === 'pg_type'
          ? [[key(object.catalog, object.schema, object.name), object] as const]
          : [],
      ),
    )
    this.#foreignKeys = new Map(set.foreignKeys.map((foreignKey) => [foreignKey.oid, foreignKey]))
    this.#tables = new Set(set.tables.map((table) => table.oid))
  }

  select(entry: DumpEntry): Selected | undefined {
    const selected = entry.classId === '0' ? this.#selectPart(entry) : this.#selectObject(entry)
    if (selected) this.#selected.set(entry.id, selected)
    return selected
  }

  #selectObject(entry: DumpEntry): Selected | undefined {
    const object = this.#objects.get(key(entry.classId, entry.objectId))
    if (!object) return this.#selectForeignKey(entry)
    const kind = kindOf(object)
    return {
      kind,
      stage: AFTER_DATA.has(kind) ? 'afterData' : 'beforeData',
      tables: object.table === null ? [] : [object.table],
      object,
    }
  }

  #selectForeignKey(entry: DumpEntry): Selected | undefined {
    const foreignKey = this.#foreignKeys.get(entry.objectId)
    if (!foreignKey || entry.classId !== PG_CONSTRAINT || !this.#tables.has(foreignKey.referenced)) return undefined
    const tables = [...new Set([foreignKey.table, foreignKey.referenced])]
    return { kind: 'FK CONSTRAINT', stage: 'foreignKeys', tables }
  }

  /** What has no catalog row of its own. */
  #selectPart({ statements, dependencies }: DumpEntry): Selected | undefined {
    const tokens = statements[0]?.tokens ?? []
    const [verb, noun] = tokens
    const whole = this.#selected.get(dependencies[0] ?? '')
    if (isWord(verb, 'COMMENT')) return whole && commentOn(whole)
    if (isWord(verb, 'GRANT') || isWord(verb, 'REVOKE')) return whole && { ...whole, kind: 'ACL' }
    if (isWord(verb, 'CREATE') && isWord(noun, 'TYPE')) {
      const type = this.#find('pg_type', tokens, 2)
      return type && { kind: 'SHELL TYPE', stage: 'beforeData', tables: [] }
    }
    if (isWord(verb, 'ALTER') && isWord(noun, 'SEQUENCE')) {
      const owner = whole?.object?.table
      return owner && this.#tables.has(owner)
        ? { kind: 'SEQUENCE OWNED BY', stage: 'beforeData', tables: [owner] }
        : undefined
    }
    return this.#selectAttachment(tokens)
  }

  /** ALTER TABLE ONLY parent ATTACH PARTITION child; ALTER INDEX parent ATTACH PARTITION child. */
  #selectAttachment(tokens: readonly Token[]): Selected | undefined {
    const ofIndex = isWord(tokens[1], 'INDEX')
    const start = ofIndex ? 2 : 3
    if (!isWord(tokens[start + 3], 'ATTACH')) return undefined
    const parent = this.#find('pg_class', tokens, start)?.table
    const child = this.#find('pg_class', tokens, start + 5)?.table
    if (!parent || !child) return undefined
    const tables = [parent, child]
    return ofIndex
      ? { kind: 'INDEX ATTACH', stage: 'afterData', tables }
      : { kind: 'TABLE ATTACH', stage: 'beforeData', tables }
  }

  #find(catalog: string, tokens: readonly Token[], index: number): CatalogObject | undefined {
    const name = readQualifiedName(tokens, index)
    return name && this.#named.get(key(catalog, name.schema, name.name))
  }
}

/** OID of the catalog of constraints, the same on every server. */
const PG_CONSTRAINT = '2606'

function key(...parts: readonly string[]): string {
  return JSON.stringify(parts)
}

/** Only the owner of a schema or an extension may comment on it, and these may exist already. */
function commentOn(whole: Selected): Selected | undefined {
  if (whole.kind === 'SCHEMA' || whole.kind === 'EXTENSION') return undefined
  return { kind: 'COMMENT', stage: whole.stage, tables: whole.tables }
}

function notesOf(set: TableSet, grants: boolean): string[] {
  return [
    ...set.tables.filter((table) => table.rowSecurity).map(rowSecurityNote),
    ...companionNotes(set),
    ...foreignKeyNotes(set),
    ...set.tables.flatMap((table) => leftOutNotes(table, grants)),
  ]
}

/** For SQL and people alike. */

function rowSecurityNote(table: TableFacts): string {
  return `ROW-LEVEL SECURITY of ${quoteTable(table)} is not carried: on the target, whoever may read the table sees every row`
}

function companionNotes({ wanted, tables, objects }: TableSet): string[] {
  const companions = tables.filter((table) => !wanted.includes(table.oid)).map(quoteTable)
  const inExtension = objects.filter(
    (object) => object.inExtension && tables.some(({ oid }) => oid === object.objectId),
  )
  const functions = objects.filter((object) => object.catalog === 'pg_proc' && !object.inExtension)
  return [
    ...listNote('made too, because the tables cannot be without them', companions),
    ...listNote('made by their extension, not by a statement of their own', inExtension.map(quoteTable)),
    ...listNote('functions that come along, without what their bodies may call', functions.map(quoteTable)),
  ]
}

function listNote(text: string, names: readonly string[]): string[] {
  return names.length > 0 ? [`${text}: ${[...new Set(names)].join(', ')}`] : []
}

function foreignKeyNotes({ tables, foreignKeys, objects }: TableSet): string[] {
  const refs = new Map(tables.map((table) => [table.oid, table]))
  const sequences = objects.filter(
    (object) =>
      object.kind === 'S' && object.catalog === 'pg_class' && object.table !== null && !refs.has(object.table),
  )
  return [
    ...foreignKeys.flatMap(({ name, table, referenced, referencedName }) => {
      const ref = refs.get(table)
      if (!ref || refs.has(referenced)) return []
      const foreignKey = quote(name)
      return [`foreign key ${foreignKey} of ${quoteTable(ref)} is left out: ${referencedName} is not among the tables`]
    }),
    ...listNote('sequences that lose their owner, a table that is not among the tables', sequences.map(quoteTable)),
  ]
}

function leftOutNotes(table: TableFacts, grants: boolean): string[] {
  const of = (what: string): string => `${what} of ${quoteTable(table)}, not carried`
  const quoted = (names: readonly string[]): string[] => names.map((name) => quote(name))
  return [
    ...listNote(of('policies'), quoted(table.policies)),
    ...listNote(of('triggers'), quoted(table.triggers)),
    ...listNote(of('rules'), quoted(table.rules)),
    ...listNote(of('views'), table.views),
    ...listNote(of('publications'), quoted(table.publications)),
    ...(table.hasPrivileges && !grants ? [of('privileges')] : []),
    ...(table.accessMethod === null ? [] : [of(`access method ${table.accessMethod}`)]),
  ]
}
