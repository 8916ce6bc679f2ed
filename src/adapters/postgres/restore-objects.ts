/** Objects of a restore as rows of the catalogue. */
import type { RestoreObject } from '#model/dump.ts'

/** The parameters $1 to $4 of a query as a table of names: `namesOf`. */
export const WANTED = `wanted(object, nsp, name, args, at) AS (
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) WITH ORDINALITY)`

/** A word that the server does not write for a type of its own: it may be another word for any. */
const UNREADABLE = `EXISTS (
      SELECT FROM pg_catalog.jsonb_array_elements(w.args::jsonb) a WHERE a->>'schema' IS NULL AND a->>'name' NOT IN
        (SELECT pg_catalog.format_type(t.oid, NULL) FROM pg_catalog.pg_type t WHERE t.typnamespace = 'pg_catalog'::pg_catalog.regnamespace))`

/** A type whose schema is empty is of any. */
const SAME_ARGUMENTS = `pg_catalog.jsonb_array_length(w.args::jsonb) = p.pronargs AND NOT EXISTS (
      SELECT FROM pg_catalog.jsonb_array_elements(w.args::jsonb) WITH ORDINALITY a(arg, at)
      JOIN pg_catalog.pg_type t ON t.oid = p.proargtypes[(a.at - 1)::int] LEFT JOIN pg_catalog.pg_type e ON e.typarray = t.oid
      JOIN pg_catalog.pg_namespace tn ON tn.oid = t.typnamespace
      WHERE (e.oid IS NOT NULL) <> (a.arg->>'array')::bool OR NOT CASE
        WHEN a.arg->>'schema' IS NULL THEN tn.nspname = 'pg_catalog' AND pg_catalog.format_type(coalesce(e.oid, t.oid), NULL) = a.arg->>'name'
        ELSE coalesce(e.typname, t.typname) = a.arg->>'name' AND a.arg->>'schema' IN (tn.nspname, '') END)`

/** Objects by their names, as rows of the catalogue. */
export const FOUND = `
  found(classid, objid, object, nsp, name, what, bytes, owner, args, at) AS (
    SELECT 'pg_catalog.pg_class'::pg_catalog.regclass::oid, c.oid, w.object, w.nsp, w.name,
           CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'S' THEN 'sequence' WHEN 'i' THEN 'index'
             WHEN 'I' THEN 'index' WHEN 'f' THEN 'foreign table' WHEN 'c' THEN 'type' ELSE 'table' END,
           CASE WHEN c.relkind IN ('r', 'm', 'p') THEN pg_catalog.pg_total_relation_size(c.oid) ELSE 0 END, c.relowner, NULL, w.at
    FROM wanted w JOIN pg_catalog.pg_namespace n ON n.nspname = w.nsp
    JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = w.name WHERE w.object = 'relation'
    UNION ALL
    SELECT 'pg_catalog.pg_type'::pg_catalog.regclass, t.oid, w.object, w.nsp, w.name, CASE t.typtype WHEN 'd' THEN 'domain' ELSE 'type' END, 0, t.typowner, NULL, w.at
    FROM wanted w JOIN pg_catalog.pg_namespace n ON n.nspname = w.nsp
    JOIN pg_catalog.pg_type t ON t.typnamespace = n.oid AND t.typname = w.name WHERE w.object = 'type'
    UNION ALL
    SELECT 'pg_catalog.pg_proc'::pg_catalog.regclass, p.oid, w.object, w.nsp, w.name,
           CASE p.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' ELSE 'function' END, 0, p.proowner, w.args, w.at
    FROM wanted w JOIN pg_catalog.pg_namespace n ON n.nspname = w.nsp
    JOIN pg_catalog.pg_proc p ON p.pronamespace = n.oid AND p.proname = w.name WHERE w.object = 'routine'
      AND (w.args IS NULL OR ${UNREADABLE} OR (${SAME_ARGUMENTS}))
  )`

/**
 * What goes with them. A part of an object (a constraint, a rule, a default, a trigger, an index, a TOAST table, what the server
 * has made for it) goes by the object that has it; what is neither among them nor a part of them would be lost with them. Which
 * object has a part is told by the catalogue, and never by a name. Triggers of a constraint go by that: those of a foreign key
 * are on the table that it refers to as well.
 */
export const GOING = `
  gone(classid, objid, objsubid) AS (
    SELECT classid, objid, 0 FROM found
    UNION
    SELECT d.classid, d.objid, d.objsubid FROM pg_catalog.pg_depend d JOIN gone g ON d.refclassid = g.classid AND d.refobjid = g.objid
      AND (g.objsubid = 0 OR d.refobjsubid = g.objsubid)
  ),
  belongs(classid, objid, objsubid, ofclass, ofid) AS (
    SELECT classid, objid, objsubid, classid, objid FROM gone
    UNION
    SELECT b.classid, b.objid, b.objsubid, o.classid, o.objid FROM belongs b CROSS JOIN LATERAL (
      SELECT d.refclassid, d.refobjid FROM pg_catalog.pg_depend d
      WHERE d.classid = b.ofclass AND d.objid = b.ofid AND d.objsubid = 0 AND d.deptype = 'i'
      UNION ALL
      SELECT 'pg_catalog.pg_class'::pg_catalog.regclass, k.conrelid FROM pg_catalog.pg_constraint k
      WHERE b.ofclass = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND k.oid = b.ofid AND k.conrelid <> 0
      UNION ALL
      SELECT 'pg_catalog.pg_type'::pg_catalog.regclass, k.contypid FROM pg_catalog.pg_constraint k
      WHERE b.ofclass = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND k.oid = b.ofid AND k.contypid <> 0
      UNION ALL
      SELECT 'pg_catalog.pg_class'::pg_catalog.regclass, r.ev_class FROM pg_catalog.pg_rewrite r
      WHERE b.ofclass = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND r.oid = b.ofid
      UNION ALL
      SELECT 'pg_catalog.pg_class'::pg_catalog.regclass, a.adrelid FROM pg_catalog.pg_attrdef a
      WHERE b.ofclass = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND a.oid = b.ofid
      UNION ALL
      SELECT 'pg_catalog.pg_class'::pg_catalog.regclass, t.tgrelid FROM pg_catalog.pg_trigger t
      WHERE b.ofclass = 'pg_catalog.pg_trigger'::pg_catalog.regclass AND t.oid = b.ofid AND NOT (t.tgisinternal AND t.tgconstraint <> 0)
      UNION ALL
      SELECT 'pg_catalog.pg_class'::pg_catalog.regclass, p.polrelid FROM pg_catalog.pg_policy p
      WHERE b.ofclass = 'pg_catalog.pg_policy'::pg_catalog.regclass AND p.oid = b.ofid
      UNION ALL
      SELECT 'pg_catalog.pg_class'::pg_catalog.regclass, s.stxrelid FROM pg_catalog.pg_statistic_ext s
      WHERE b.ofclass = 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass AND s.oid = b.ofid
      UNION ALL
      SELECT 'pg_catalog.pg_class'::pg_catalog.regclass, i.indrelid FROM pg_catalog.pg_index i
      WHERE b.ofclass = 'pg_catalog.pg_class'::pg_catalog.regclass AND i.indexrelid = b.ofid
      UNION ALL
      SELECT d.refclassid, d.refobjid FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_class c ON c.oid = d.objid AND c.relkind = 'S'
      WHERE b.ofclass = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.classid = b.ofclass AND d.objid = b.ofid
        AND d.refclassid = b.ofclass AND d.deptype = 'a'
    ) o(classid, objid)
  ),
  parts AS (
    SELECT b.classid, b.objid, b.objsubid FROM belongs b JOIN found f ON f.classid = b.ofclass AND f.objid = b.ofid
  )`

export function namesOf(objects: readonly RestoreObject[]): [string[], string[], string[], (string | null)[]] {
  return [
    objects.map(({ object }) => object),
    objects.map(({ schema }) => schema),
    objects.map(({ name }) => name),
    objects.map(({ args }) => (args === undefined ? null : JSON.stringify(args))),
  ]
}
