/** Objects of a restore as rows of the catalogue. */
import type { RestoreObject } from '#model/dump.ts'

/** The parameters $1 to $3 of a query as a table of names: `namesOf`. */
export const WANTED = `wanted(object, nsp, name) AS (SELECT * FROM unnest($1::text[], $2::text[], $3::text[]))`

/** Objects by their names, as rows of the catalogue. */
export const FOUND = `
  found(classid, objid, object, nsp, name, what, bytes) AS (
    SELECT 'pg_catalog.pg_class'::pg_catalog.regclass::oid, c.oid, w.object, w.nsp, w.name,
           CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'S' THEN 'sequence' WHEN 'i' THEN 'index'
             WHEN 'I' THEN 'index' WHEN 'f' THEN 'foreign table' WHEN 'c' THEN 'type' ELSE 'table' END,
           CASE WHEN c.relkind IN ('r', 'm', 'p') THEN pg_catalog.pg_total_relation_size(c.oid) ELSE 0 END
    FROM wanted w JOIN pg_catalog.pg_namespace n ON n.nspname = w.nsp
    JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = w.name WHERE w.object = 'relation'
    UNION ALL
    SELECT 'pg_catalog.pg_type'::pg_catalog.regclass, t.oid, w.object, w.nsp, w.name, CASE t.typtype WHEN 'd' THEN 'domain' ELSE 'type' END, 0
    FROM wanted w JOIN pg_catalog.pg_namespace n ON n.nspname = w.nsp
    JOIN pg_catalog.pg_type t ON t.typnamespace = n.oid AND t.typname = w.name WHERE w.object = 'type'
    UNION ALL
    SELECT 'pg_catalog.pg_proc'::pg_catalog.regclass, p.oid, w.object, w.nsp, w.name,
           CASE p.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' ELSE 'function' END, 0
    FROM wanted w JOIN pg_catalog.pg_namespace n ON n.nspname = w.nsp
    JOIN pg_catalog.pg_proc p ON p.pronamespace = n.oid AND p.proname = w.name WHERE w.object = 'routine'
  )`

export function namesOf(objects: readonly RestoreObject[]): [string[], string[], string[]] {
  return [objects.map(({ object }) => object), objects.map(({ schema }) => schema), objects.map(({ name }) => name)]
}
