/** Which schemas and relations a dump looks at, as parts of its queries. */
import type { TableRef } from '#model/table.ts'

/** Schemas that hold what we keep in a database: never dumped. A `*` as in patterns of psql. */
export const OWN_SCHEMAS = ['syncline', 'syncline_control*'] as const

/** Which schemas are dumped; `choiceOf` makes the first three parameters of a query of it. */
export interface SchemaChoice {
  /** Null: all but the excluded ones. */
  readonly only: readonly string[] | null
  readonly exclude: readonly string[]
  /** Extensions that are not: of a provider. */
  readonly withoutExtensions: readonly string[]
}

/** Of a schema `n`, by a `SchemaChoice`. */
export const CHOSEN = `n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
   AND n.nspname <> 'syncline' AND n.nspname !~ '^syncline_control'
   AND ($1::text[] IS NULL OR n.nspname = ANY ($1)) AND n.nspname <> ALL ($2::text[])`

/** As parts of a WITH RECURSIVE, by a `SchemaChoice`: each table with all that it is a partition or a child of; tables that extensions leave to the user. */
export const ABOVE = `above(child, parent) AS (
      SELECT inhrelid, inhparent FROM pg_catalog.pg_inherits
    UNION
      SELECT above.child, i.inhparent FROM above JOIN pg_catalog.pg_inherits i ON i.inhrelid = above.parent
  )`
export const CONFIG = `config AS (
      SELECT x.extconfig[i] AS oid, x.extcondition[i] AS condition
        FROM pg_catalog.pg_extension x, generate_subscripts(x.extconfig, 1) i WHERE x.extname <> ALL ($3::text[])
  )`

/** Of a table `c`, by `ABOVE`. */
export const PARENTS = `(SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_array(pn.nspname, p.relname) ORDER BY pn.nspname, p.relname), '[]')
            FROM above a JOIN pg_catalog.pg_class p ON p.oid = a.parent JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace
           WHERE a.child = c.oid)`

/** Of a relation `c`, by `CONFIG`: made by a statement of its own, or one whose rows an extension leaves to the user. */
export const OF_USER = `(config.oid IS NOT NULL OR NOT EXISTS (SELECT FROM pg_catalog.pg_depend e WHERE e.classid = 'pg_catalog.pg_class'::regclass
   AND e.objid = c.oid AND e.deptype = 'e'))`

export function choiceOf({ only, exclude, withoutExtensions }: SchemaChoice): readonly unknown[] {
  return [only, exclude, withoutExtensions]
}

/** What `PARENTS` gives. */
export function toRefs(json: string): TableRef[] {
  return toPairs(json).map(([schema, name]) => ({ schema: String(schema), name: String(name) }))
}

export function toPairs(json: string): readonly (readonly unknown[])[] {
  const found: unknown = JSON.parse(json)
  return (Array.isArray(found) ? found : []).map((pair: unknown) => (Array.isArray(pair) ? pair : []))
}
