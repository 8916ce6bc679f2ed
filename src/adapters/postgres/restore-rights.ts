/**
 * Who may do what with what is replaced: read of the old, and given for the new, exactly. What the new has been given by itself
 * (by rights on what is made later) is taken from it again.
 */
import type { RestoreObject } from '#model/dump.ts'
import type { Connection, TextRow } from './connection.ts'
import { FOUND, GOING, namesOf, WANTED } from './restore-objects.ts'

/** A schema that was put aside, and what it is called meanwhile. */
export interface Aside {
  readonly schema: string
  readonly as: string
}

/** Rights as JSON that the server has written and reads. */
export type Rights = string

const ARGUMENTS = (oid: string): string => `
  (SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(NAMED(n.nspname), t.typname) ORDER BY a.at), '[]')
   FROM pg_catalog.unnest(${oid}::pg_catalog.oid[]) WITH ORDINALITY a(type, at)
   JOIN pg_catalog.pg_type t ON t.oid = a.type JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace)`

/** What a schema is called that is aside. */
const REAL = (name: string): string =>
  `coalesce((SELECT s.schema FROM unnest($5::text[], $6::text[]) s(aside, schema) WHERE s.aside = ${name}), ${name})`

/** Rights that nobody has changed are those that the server gives by itself. */
const ENTRIES = (acl: string): string => `
  (SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(a.grantee::text, a.privilege_type, a.is_grantable)), '[]')
   FROM pg_catalog.aclexplode(${acl}) a)`

const RELATIONS = `('r', 'p', 'v', 'm', 'f', 'S')`

/** Sequences of its columns go with a table. */
const OF_OBJECTS = `
  WITH RECURSIVE ${WANTED}, ${FOUND}, ${GOING},
  classes AS (
    SELECT c.*, n.nspname, CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END AS code
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ${RELATIONS} AND c.oid IN (SELECT objid FROM parts WHERE classid = 'pg_catalog.pg_class'::pg_catalog.regclass)
  ),
  rights AS (
    SELECT c.code, ${REAL('c.nspname')} AS nsp, c.relname AS name, NULL::jsonb AS args, '' AS part, c.relowner AS owner,
           ${ENTRIES('coalesce(c.relacl, pg_catalog.acldefault(c.code::"char", c.relowner))')} AS entries
    FROM classes c
    UNION ALL
    SELECT c.code, ${REAL('c.nspname')}, c.relname, NULL, a.attname::text, c.relowner, ${ENTRIES('a.attacl')}
    FROM classes c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attacl IS NOT NULL AND NOT a.attisdropped
    UNION ALL
    SELECT 'f', ${REAL('f.nsp')}, f.name, ${ARGUMENTS('p.proargtypes').replace('NAMED(n.nspname)', REAL('n.nspname'))}, '', p.proowner,
           ${ENTRIES(`coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner))`)}
    FROM found f JOIN pg_catalog.pg_proc p ON f.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND p.oid = f.objid
    UNION ALL
    SELECT 'T', ${REAL('f.nsp')}, f.name, NULL, '', t.typowner, ${ENTRIES(`coalesce(t.typacl, pg_catalog.acldefault('T', t.typowner))`)}
    FROM found f JOIN pg_catalog.pg_type t ON f.classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND t.oid = f.objid
  )
  SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(r)), '[]')::text FROM rights r`

const OF_SCHEMA = `
  SELECT pg_catalog.jsonb_build_array(pg_catalog.jsonb_build_object('code', 'n', 'nsp', $2::text, 'name', $2::text, 'part', '', 'owner', n.nspowner::text,
    'entries', ${ENTRIES(`coalesce(n.nspacl, pg_catalog.acldefault('n', n.nspowner))`)}))::text
  FROM pg_catalog.pg_namespace n WHERE n.nspname = $1`

/**
 * For each new object of the same name: what to revoke and what to grant, so that its rights are the old ones. Whoever owns it
 * now has what an owner has. Who owned it before keeps what he could do where it is the login's now, as everything is that no
 * dump gives to somebody else; a dump that says whose it is takes it from him.
 */
const STATEMENTS = `
  WITH old AS (
    SELECT * FROM pg_catalog.jsonb_to_recordset($1::jsonb)
      o(code text, nsp text, name text, args jsonb, part text, owner pg_catalog.oid, entries jsonb)
  ),
  here AS (
    SELECT o.*, pg_catalog.format('%s %I.%I', CASE o.code WHEN 's' THEN 'SEQUENCE' ELSE 'TABLE' END, o.nsp, o.name) AS target, c.relowner AS new,
           CASE WHEN o.part = '' THEN coalesce(c.relacl, pg_catalog.acldefault(o.code::"char", c.relowner)) ELSE a.attacl END AS acl
    FROM old o JOIN pg_catalog.pg_namespace n ON n.nspname = o.nsp
    JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = o.name AND c.relkind IN ${RELATIONS}
      AND (c.relkind = 'S') = (o.code = 's') AND o.code IN ('r', 's')
    LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attname = o.part AND NOT a.attisdropped
    WHERE o.part = '' OR a.attrelid IS NOT NULL
    UNION ALL
    SELECT o.*, pg_catalog.format('ROUTINE %s', p.oid::pg_catalog.regprocedure), p.proowner, coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner))
    FROM old o JOIN pg_catalog.pg_namespace s ON s.nspname = o.nsp
    JOIN pg_catalog.pg_proc p ON p.pronamespace = s.oid AND p.proname = o.name AND o.code = 'f'
      AND ${ARGUMENTS('p.proargtypes').replace('NAMED(n.nspname)', 'n.nspname')} = o.args
    UNION ALL
    SELECT o.*, pg_catalog.format('TYPE %I.%I', o.nsp, o.name), t.typowner, coalesce(t.typacl, pg_catalog.acldefault('T', t.typowner))
    FROM old o JOIN pg_catalog.pg_namespace n ON n.nspname = o.nsp
    JOIN pg_catalog.pg_type t ON t.typnamespace = n.oid AND t.typname = o.name AND o.code = 'T'
    UNION ALL
    SELECT o.*, pg_catalog.format('SCHEMA %I', o.nsp), n.nspowner, coalesce(n.nspacl, pg_catalog.acldefault('n', n.nspowner))
    FROM old o JOIN pg_catalog.pg_namespace n ON n.nspname = o.nsp AND o.code = 'n'
  ),
  wanted AS (
    SELECT w.target, w.part, w.grantee, w.privilege, pg_catalog.bool_or(w.grantable) AS grantable FROM (
      SELECT h.target, h.part, e.grantee, e.privilege, e.grantable AND e.grantee <> h.new AS grantable
      FROM here h CROSS JOIN LATERAL (
        SELECT (j->>0)::pg_catalog.oid AS grantee, j->>1 AS privilege, (j->>2)::bool AS grantable FROM pg_catalog.jsonb_array_elements(h.entries) j
      ) e
      WHERE h.owner = h.new OR e.grantee NOT IN (h.owner, h.new)
        OR (e.grantee = h.owner AND h.new = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = current_user))
      UNION ALL
      SELECT h.target, h.part, a.grantee, a.privilege_type, false
      FROM here h CROSS JOIN LATERAL pg_catalog.aclexplode(pg_catalog.acldefault(h.code::"char", h.new)) a
      WHERE h.owner <> h.new AND h.part = '' AND a.grantee = h.new
    ) w GROUP BY 1, 2, 3, 4
  ),
  given AS (
    SELECT h.target, h.part, a.grantee, a.privilege_type AS privilege, pg_catalog.bool_or(a.is_grantable AND a.grantee <> h.new) AS grantable
    FROM here h CROSS JOIN LATERAL pg_catalog.aclexplode(h.acl) a GROUP BY 1, 2, 3, 4
  ),
  changes AS (
    SELECT target, grantee, pg_catalog.concat(privilege, CASE WHEN part <> '' THEN pg_catalog.format(' (%I)', part) END) AS privilege,
           CASE WHEN w.grantable IS NULL THEN 0 WHEN g.grantable AND NOT w.grantable THEN 1 WHEN NOT w.grantable THEN 2 ELSE 3 END AS change
    FROM wanted w FULL JOIN given g USING (target, part, grantee, privilege)
    WHERE w.grantable IS DISTINCT FROM g.grantable
  )
  SELECT c.change, pg_catalog.concat(CASE WHEN c.change < 2 THEN 'REVOKE ' ELSE 'GRANT ' END, CASE WHEN c.change = 1 THEN 'GRANT OPTION FOR ' END,
           pg_catalog.string_agg(c.privilege, ', ' ORDER BY c.privilege), ' ON ', c.target, CASE WHEN c.change < 2 THEN ' FROM ' ELSE ' TO ' END,
           CASE WHEN c.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(r.rolname) END, CASE WHEN c.change = 3 THEN ' WITH GRANT OPTION' END)
  FROM changes c LEFT JOIN pg_catalog.pg_roles r ON r.oid = c.grantee WHERE c.grantee = 0 OR r.oid IS NOT NULL
  GROUP BY c.change, c.target, c.grantee, r.rolname ORDER BY 1, 2`

/** @param aside schemas among which they are just now, under another name */
export async function readRights(
  connection: Connection,
  objects: readonly RestoreObject[],
  aside: readonly Aside[] = [],
): Promise<Rights> {
  const names = [aside.map(({ as }) => as), aside.map(({ schema }) => schema)]
  return one(await connection.query(OF_OBJECTS, [...namesOf(objects), ...names]))
}

export async function readSchemaRights(connection: Connection, { schema, as }: Aside): Promise<Rights> {
  return one(await connection.query(OF_SCHEMA, [as, schema]))
}

function one([row]: readonly TextRow[]): Rights {
  return row?.[0] ?? '[]'
}

/** Gives what there is now of the same names the rights that were read. */
export async function giveRights(connection: Connection, rights: Rights): Promise<void> {
  for (const [, statement] of await connection.query(STATEMENTS, [rights])) {
    if (statement) await connection.script(statement)
  }
}
