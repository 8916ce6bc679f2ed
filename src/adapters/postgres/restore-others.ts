/** What a dump makes and a restore keeps where it is there: found as the catalogue knows it, by name or by types. */
import type { OtherObject } from '#adapters/restore-target.ts'
import type { Connection } from './connection.ts'

/** A type as its text says it; what is no type is found by nothing. */
const typeOid = (parameter: string): string =>
  `CASE WHEN ${parameter} = 'NONE' THEN 0 ELSE coalesce(pg_catalog.to_regtype(${parameter})::pg_catalog.oid, 1) END`

const named = (catalog: string, prefix: string, more = ''): string =>
  `SELECT FROM pg_catalog.${catalog} o JOIN pg_catalog.pg_namespace n ON n.oid = o.${prefix}namespace
   WHERE n.nspname = $1 AND o.${prefix}name = $2 ${more}`

const ofMethod = (catalog: string, prefix: string): string =>
  named(catalog, prefix, `AND o.${prefix}method = (SELECT oid FROM pg_catalog.pg_am WHERE amname = $3)`)

const plain = (catalog: string, column: string): string =>
  `SELECT FROM pg_catalog.${catalog} WHERE $1 = '' AND ${column} = $2`

/** $1 is its schema, and what follows are its parts. */
const QUERIES: Readonly<Record<OtherObject['object'], string>> = {
  collation: named(
    'pg_collation',
    'coll',
    'AND o.collencoding IN (-1, (SELECT encoding FROM pg_catalog.pg_database WHERE datname = current_database()))',
  ),
  conversion: named('pg_conversion', 'con'),
  'text search configuration': named('pg_ts_config', 'cfg'),
  'text search dictionary': named('pg_ts_dict', 'dict'),
  'text search parser': named('pg_ts_parser', 'prs'),
  'text search template': named('pg_ts_template', 'tmpl'),
  operator: named(
    'pg_operator',
    'opr',
    `AND o.oprcode <> 0 AND o.oprleft = ${typeOid('$3')} AND o.oprright = ${typeOid('$4')}`,
  ),
  'operator class': ofMethod('pg_opclass', 'opc'),
  'operator family': ofMethod('pg_opfamily', 'opf'),
  cast: `SELECT FROM pg_catalog.pg_cast WHERE $1 = '' AND castsource = ${typeOid('$2')} AND casttarget = ${typeOid('$3')}`,
  publication: plain('pg_publication', 'pubname'),
  server: plain('pg_foreign_server', 'srvname'),
  'foreign data wrapper': plain('pg_foreign_data_wrapper', 'fdwname'),
  'event trigger': plain('pg_event_trigger', 'evtname'),
  'access method': plain('pg_am', 'amname'),
  language: plain('pg_language', 'lanname'),
}

/** Which of them are there. */
export async function readOthers(
  connection: Connection,
  others: readonly OtherObject[],
): Promise<readonly OtherObject[]> {
  const there: OtherObject[] = []
  for (const other of others) {
    const [row] = await connection.query(`SELECT EXISTS (${QUERIES[other.object]})`, [other.schema, ...other.parts])
    if (row?.[0] === 't') there.push(other)
  }
  return there
}
