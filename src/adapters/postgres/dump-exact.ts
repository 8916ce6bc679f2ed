/**
 * What of a database goes where certain objects are dropped, and no more: their definitions with all that goes by them, without
 * what they need, which stays.
 */
import type { Definition } from '#adapters/dump-source.ts'
import type { Replaced } from '#adapters/restore-target.ts'
import { tableId, type TableRef } from '#model/table.ts'
import type { Connection, TextRow } from './connection.ts'
import type { CatalogObject } from './ddl-catalog.ts'
import type { CataloguedTable } from './dump-catalog.ts'
import { readResets } from './dump-defaults.ts'
import type { Entry, EntryHead } from './dump-definitions.ts'
import { FOUND, namesOf, WANTED } from './restore-objects.ts'
import { isWord, readQualifiedName, type Token } from './sql-statements.ts'

/** Whatever depends on them goes with them; that nothing but their parts does, whoever drops them has looked at. */
const GONE = `
  WITH RECURSIVE ${WANTED}, ${FOUND},
  gone(classid, objid) AS (
    SELECT classid, objid FROM found
    UNION
    SELECT d.classid, d.objid FROM pg_catalog.pg_depend d JOIN gone g ON d.refclassid = g.classid AND d.refobjid = g.objid
  ),
  around(classid, objid) AS (
    SELECT 'pg_catalog.pg_namespace'::pg_catalog.regclass::oid, n.oid FROM pg_catalog.pg_namespace n WHERE n.nspname IN (SELECT nsp FROM found)
    UNION
    SELECT e.refclassid, e.refobjid FROM gone g JOIN pg_catalog.pg_depend d ON d.classid = g.classid AND d.objid = g.objid
    JOIN pg_catalog.pg_depend e ON e.classid = d.refclassid AND e.objid = d.refobjid AND e.deptype = 'e'
  )
  SELECT g.classid::text, g.objid::text, coalesce(c.relkind, '')::text, coalesce(n.nspname, ''), coalesce(c.relname, t.typname, '')
  FROM (SELECT * FROM gone UNION SELECT * FROM around) g
  LEFT JOIN pg_catalog.pg_class c ON g.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND c.oid = g.objid
  LEFT JOIN pg_catalog.pg_type t ON g.classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND t.oid = g.objid
  LEFT JOIN pg_catalog.pg_namespace n ON n.oid = coalesce(c.relnamespace, t.typnamespace)`

/** OIDs of catalogues, the same on every server. */
const PG_CLASS = '1259'
const PG_TYPE = '1247'

export class ExactContents {
  readonly #what: Replaced
  /** Of all that goes, by the OIDs of catalogue and row. */
  readonly #rows: ReadonlySet<string>
  /** Of relations and of types, by their names. */
  readonly #named: ReadonlySet<string>
  readonly #emptied: ReadonlySet<string>
  readonly #tables: ReadonlySet<string>
  readonly #sequences: ReadonlySet<string>
  /** Of rights that default privileges give: `readResets`. */
  readonly resets: readonly Definition[]
  /** Relations that go, for whoever keeps pg_dump from looking at others. */
  readonly relations: readonly CatalogObject[]
  /** Numbers of the entries of a dump that were taken. */
  readonly #taken = new Set<string>()

  private constructor(what: Replaced, rows: readonly TextRow[], resets: readonly Definition[]) {
    this.resets = resets
    const found = rows.map(([classId, objectId, kind, schema, name]) => ({
      classId: classId ?? '',
      objectId: objectId ?? '',
      kind: kind ?? '',
      ref: { schema: schema ?? '', name: name ?? '' },
    }))
    const relations = found.filter(({ classId }) => classId === PG_CLASS)
    const idsOf = (kinds: string): string[] =>
      relations.flatMap(({ kind, ref }) => (kinds.includes(kind) ? [tableId(ref)] : []))
    this.#what = what
    this.#rows = new Set(found.map(({ classId, objectId }) => keyOf(classId, objectId)))
    this.#named = new Set(found.flatMap(({ classId, ref }) => (ref.name === '' ? [] : [keyOf(classId, tableId(ref))])))
    this.#emptied = new Set(what.empty.map(tableId))
    this.#tables = new Set([...idsOf('r'), ...this.#emptied])
    this.#sequences = new Set([...idsOf('S'), ...what.sequences.map(tableId)])
    this.relations = relations.map(({ classId, objectId, kind, ref: { schema, name } }) => {
      return { classId, objectId, catalog: 'pg_class', kind, schema, name, table: null, inExtension: false }
    })
  }

  static async read(connection: Connection, what: Replaced): Promise<ExactContents> {
    if (what.drop.length === 0) return new ExactContents(what, [], [])
    const rows = await connection.query(GONE, namesOf(what.drop))
    return new ExactContents(what, rows, await readResets(connection, what.drop))
  }

  /** Schemas of what goes; none: only rows do. */
  get schemas(): readonly string[] {
    return [...new Set(this.#what.drop.map(({ schema }) => schema))]
  }

  /** Rows of a partition go with those of the tables above it. */
  wantsRows({ ref, oid, rootOid, parents }: CataloguedTable): boolean {
    const isPartition = rootOid !== oid
    return this.#tables.has(tableId(ref)) || (isPartition && parents.some((each) => this.#emptied.has(tableId(each))))
  }

  /** The table stays, and its foreign keys hold while its rows come back. */
  keepsTable(ref: TableRef): boolean {
    return !this.#named.has(keyOf(PG_CLASS, tableId(ref)))
  }

  wantsSequence(ref: TableRef): boolean {
    return this.#sequences.has(tableId(ref))
  }

  /**
   * The definitions of a section that are of what goes. Comments and rights follow what they are about. A partition of a table
   * that stays becomes one at the very end: else the indexes and constraints of that table would be made for it, in the way of
   * its own.
   */
  choose(section: Iterable<Entry>): {
    readonly definitions: readonly Definition[]
    readonly late: readonly Definition[]
  } {
    const definitions: Definition[] = []
    const late: Definition[] = []
    for (const { head, tokens, definition } of section) {
      if (head !== null && !this.#wants(head, tokens)) continue
      const isLate = isAttachment(tokens, 'TABLE') && !this.#has(PG_CLASS, tokens, 3)
      ;(isLate ? late : definitions).push(definition)
    }
    return { definitions, late }
  }

  #wants({ id, classId, objectId, dependencies }: EntryHead, tokens: readonly Token[]): boolean {
    const isOwn =
      classId === NONE && objectId === NONE
        ? this.#taken.has(dependencies[0] ?? '') || this.#isPart(tokens)
        : this.#rows.has(keyOf(classId === NONE ? PG_CLASS : classId, objectId))
    if (isOwn) this.#taken.add(id)
    return isOwn
  }

  /** What is attached to a table that stays: an index finds its own place then. */
  #isPart(tokens: readonly Token[]): boolean {
    const [verb, noun] = tokens
    if (isWord(verb, 'CREATE') && isWord(noun, 'TYPE')) return this.#has(PG_TYPE, tokens, 2)
    if (isAttachment(tokens, 'TABLE')) return this.#has(PG_CLASS, tokens, ATTACHED + 1)
    return isAttachment(tokens, 'INDEX') && this.#has(PG_CLASS, tokens, ATTACHED) && this.#has(PG_CLASS, tokens, 2)
  }

  #has(catalog: string, tokens: readonly Token[], at: number): boolean {
    const name = readQualifiedName(tokens, at)
    return name !== undefined && this.#named.has(keyOf(catalog, tableId(name)))
  }
}

/** What pg_dump writes where there is no row of a catalogue. */
const NONE = '0'

/** Where in ALTER INDEX … ATTACH PARTITION the name of the part stands; after TABLE ONLY one further. */
const ATTACHED = 7

function isAttachment(tokens: readonly Token[], noun: 'TABLE' | 'INDEX'): boolean {
  const at = noun === 'TABLE' ? 6 : 5
  return isWord(tokens[0], 'ALTER') && isWord(tokens[1], noun) && isWord(tokens[at], 'ATTACH')
}

function keyOf(catalog: string, row: string): string {
  return `${catalog} ${row}`
}
