/**
 * What default privileges of the login would give to others when it makes again what goes. A dump tells rights as they differ
 * from those that the server itself gives, and so these come first.
 */
import type { Definition } from '#adapters/dump-source.ts'
import type { RestoreObject } from '#model/dump.ts'
import type { Connection } from './connection.ts'
import { FOUND, namesOf, WANTED } from './restore-objects.ts'

/** Sequences go with the tables whose columns they feed. What PUBLIC has by the server itself is for routines and types. */
const RESETS = `
  WITH ${WANTED}, ${FOUND},
  relations(oid) AS (
    SELECT objid FROM found WHERE classid = 'pg_catalog.pg_class'::pg_catalog.regclass
    UNION
    SELECT d.objid FROM found f JOIN pg_catalog.pg_depend d ON d.classid = f.classid AND d.refclassid = f.classid AND d.refobjid = f.objid
    WHERE f.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.deptype IN ('a', 'i')
  ),
  made(kind, type, name, nsp, of_public) AS (
    SELECT CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, CASE c.relkind WHEN 'S' THEN 'S' ELSE 'r' END,
           pg_catalog.format('%I.%I', n.nspname, c.relname), n.oid, NULL
    FROM relations r JOIN pg_catalog.pg_class c ON c.oid = r.oid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
    UNION ALL
    SELECT 'ROUTINE', 'f', p.oid::pg_catalog.regprocedure::text, p.pronamespace, 'EXECUTE'
    FROM found f JOIN pg_catalog.pg_proc p ON f.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND p.oid = f.objid
    UNION ALL
    SELECT 'TYPE', 'T', pg_catalog.format('%I.%I', f.nsp, f.name), t.typnamespace, 'USAGE'
    FROM found f JOIN pg_catalog.pg_type t ON f.classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND t.oid = f.objid
  ),
  given(type, nsp, role) AS (
    SELECT d.defaclobjtype::text, d.defaclnamespace,
           CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END
    FROM pg_catalog.pg_default_acl d LEFT JOIN LATERAL pg_catalog.aclexplode(d.defaclacl) a ON a.grantee <> d.defaclrole
    WHERE d.defaclrole = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = current_user)
  )
  SELECT m.kind, m.name, pg_catalog.string_agg(DISTINCT g.role, ', '), m.of_public
  FROM made m JOIN given g ON g.type = m.type AND g.nsp IN (0, m.nsp)
  GROUP BY m.kind, m.name, m.of_public ORDER BY 1, 2`

/** Statements after which what is made has the rights that the server itself gives. */
export async function readResets(
  connection: Connection,
  drop: readonly RestoreObject[],
): Promise<readonly Definition[]> {
  const rows = await connection.query(RESETS, namesOf(drop))
  const statements = rows.flatMap(([kind, name, roles, ofPublic]) => [
    ...(roles ? [`REVOKE ALL ON ${kind} ${name} FROM ${roles}`] : []),
    ...(ofPublic ? [`GRANT ${ofPublic} ON ${kind} ${name} TO PUBLIC`] : []),
  ])
  return statements.map((sql) => ({ sql, about: null, isConstraint: false }))
}

/** Behind all that is made, and before the rights that the dump tells itself. */
export function withResets(definitions: readonly Definition[], resets: readonly Definition[]): readonly Definition[] {
  const first = definitions.findIndex(({ sql }) => /^(?:GRANT|REVOKE) /.test(sql))
  const at = first < 0 ? definitions.length : first
  return [...definitions.slice(0, at), ...resets, ...definitions.slice(at)]
}
