import type { Adapter } from '#adapters/adapter.ts'
import type { TableDdl } from '#adapters/table-ddl.ts'
import type { TableDraft } from '#adapters/table-draft.ts'
import { must } from '#lib/assert.ts'
import { AppError } from '#model/errors.ts'
import { mayHoldZeroDates } from '#model/column-type.ts'
import type { TableMapping } from '#model/sync-config.ts'
import type { TableOutline } from '#model/table-outline.ts'
import { counterpart, sameTable, type TableRef, type TableSchema } from '#model/table.ts'

/** Tables that the target is to get, made like those of another engine. */
export interface Drafts {
  readonly ddl: TableDdl
  draftOf(mapping: TableMapping): TableDraft | undefined
}

interface Ends {
  readonly source: Adapter
  readonly target: Adapter
}

/**
 * Drafts the tables that the target lacks, where the source's own statements say nothing there. Null where they do: source
 * and target are of one engine that writes its own definitions.
 * @throws AppError `create_failed` where one side cannot tell of its tables, or make any
 */
export async function draftMissing(
  mappings: readonly TableMapping[],
  { source, target }: Ends,
  of: { readonly sourceTables: readonly TableSchema[]; readonly targetTables: readonly TableSchema[] },
): Promise<Drafts | null> {
  if (source.ddl !== null && source.server.kind === target.server.kind) return null
  const isThere = (tables: readonly TableSchema[], ref: TableRef): boolean =>
    tables.some((table) => sameTable(table.ref, ref))
  const missing = mappings.filter(
    (mapping) =>
      keepsShape(mapping) && isThere(of.sourceTables, mapping.source) && !isThere(of.targetTables, mapping.target),
  )
  if (missing.length === 0) return { ddl: NOTHING, draftOf: () => undefined }
  const { outline } = draftsOf(source, 'Tables of this kind of source cannot be created.')
  const { draft } = draftsOf(target, 'Tables cannot be created in this kind of target.')
  const outlines = await outline(missing.map((mapping) => mapping.source))
  const across = { from: source.server, to: target.server }
  const parentOf = (parent: TableRef): TableRef | null => {
    const mapped = mappings.find((mapping) => sameTable(mapping.source, parent))?.target
    const ref = mapped ?? counterpart(parent, across)
    const made = missing.some((mapping) => sameTable(mapping.target, ref))
    return made || isThere(of.targetTables, ref) ? ref : null
  }
  const { tables, ddl } = await draft(
    missing.map((mapping, i) => {
      const like = withRoomForNull(must(outlines[i], 'an outline of a table'), mapping)
      const parents = like.schema.foreignKeys.map(({ parent }) => parentOf(parent))
      return { outline: like, target: mapping.target, parents }
    }),
  )
  return { ddl, draftOf: (mapping) => tables[missing.indexOf(mapping)] }
}

/** A column may be NULL where NULL is to stand for its days of zeros, unless it is of the key. */
function withRoomForNull(outline: TableOutline, { zeroDates }: TableMapping): TableOutline {
  if (typeof zeroDates !== 'object' || zeroDates?.as !== null) return outline
  const { schema } = outline
  const key = schema.primaryKey?.columns ?? []
  const columns = schema.columns.map((column) =>
    mayHoldZeroDates(column.type) && !key.includes(column.name) ? { ...column, nullable: true } : column,
  )
  return { ...outline, schema: { ...schema, columns } }
}

/** A table that is made has the columns of its source, under their names. */
export function keepsShape({ rename, query, fields }: TableMapping): boolean {
  return rename.size === 0 && query === null && fields === null
}

const NOTHING: TableDdl = { tables: [], beforeData: [], afterData: [], foreignKeys: [], notes: [] }

function draftsOf({ drafts }: Adapter, message: string): NonNullable<Adapter['drafts']> {
  if (drafts !== null) return drafts
  throw new AppError('create_failed', message)
}
