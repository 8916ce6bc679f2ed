/**
 * Exchanging what a dump replaces at the end of its restore. The schema is given another name, and an empty one takes its place:
 * both happen in the transaction of the restore, so that everybody else goes on to see, and to read, what was there before. Only
 * when the new is whole are the old tables locked and dropped. (SPEC 7: one transaction, shadow schema then swap.)
 */
import { dependentsError } from '#adapters/restore-target.ts'
import { delay } from '#lib/clock.ts'
import type { RestoreObject } from '#model/dump.ts'
import { AppError } from '#model/errors.ts'
import type { Connection } from './connection.ts'
import { sqlStateOf } from './errors.ts'
import { dropAll, lockError, lockStatements, readDependents } from './restore-clear.ts'
import { FOUND, GOING, namesOf, WANTED } from './restore-objects.ts'
import { giveRights, readRights, readSchemaRights, type Aside } from './restore-rights.ts'
import { literal, quote } from './sql.ts'

/**
 * What is in the schemas besides, or goes by the schemas themselves: it would have to be moved from one to the other, which
 * locks others out of it for as long as the restore takes, or is more than their owner may do.
 */
const OBSTACLES = `
  WITH RECURSIVE ${WANTED}, ${FOUND}, ${GOING},
  schemas AS (SELECT n.* FROM pg_catalog.pg_namespace n WHERE n.nspname IN (SELECT nsp FROM found)),
  extensions AS (
    SELECT e.* FROM pg_catalog.pg_extension e WHERE e.extnamespace IN (SELECT oid FROM schemas)
  )
  SELECT pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid)
  FROM pg_catalog.pg_depend d JOIN schemas s ON d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND d.refobjid = s.oid
  WHERE d.classid <> 'pg_catalog.pg_extension'::pg_catalog.regclass
    AND NOT EXISTS (SELECT FROM parts p WHERE p.classid = d.classid AND p.objid = d.objid)
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend p WHERE p.classid = d.classid AND p.objid = d.objid AND p.deptype = 'e')
  UNION
  SELECT 'extension ' || e.extname || ', which cannot be moved' FROM extensions e
  WHERE NOT e.extrelocatable OR EXISTS (
    SELECT FROM pg_catalog.pg_depend d WHERE d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.refobjid = e.oid
      AND d.deptype = 'e' AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass)
  UNION
  SELECT 'schema ' || s.nspname || ', which is not of the login' FROM schemas s
  WHERE NOT pg_catalog.pg_has_role(s.nspowner, 'USAGE')
  UNION
  SELECT 'database ' || current_database() || ', in which the login may make no schema'
  WHERE NOT pg_catalog.has_database_privilege(current_database(), 'CREATE')
  UNION
  SELECT pg_catalog.pg_describe_object(f.classid, f.objid, 0) || ', which is not of the login'
  FROM found f WHERE NOT $5::bool AND f.owner <> (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = current_user)
  ORDER BY 1 LIMIT 200`

/** Why what is replaced cannot be exchanged: what is in the way, as the server describes it. */
export async function readObstacles(
  connection: Connection,
  drop: readonly RestoreObject[],
  { owners }: { readonly owners: boolean },
): Promise<string[]> {
  const rows = await connection.query(OBSTACLES, [...namesOf(drop), owners])
  return rows.flatMap(([described]) => (described ? [described] : []))
}

const ABOUT_SCHEMA = `
  SELECT pg_catalog.quote_ident(r.rolname), pg_catalog.obj_description(n.oid, 'pg_namespace')
  FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_roles r ON r.oid = n.nspowner WHERE n.nspname = $1`

const MOVED_EXTENSIONS = `
  SELECT pg_catalog.quote_ident(e.extname) FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
  WHERE n.nspname = $1 ORDER BY 1`

/** Gives the schemas of these objects other names, and makes empty ones in their place, with the same owner, rights and comment. */
export async function putAside(connection: Connection, drop: readonly RestoreObject[], mark: string): Promise<Aside[]> {
  const schemas = [...new Set(drop.map(({ schema }) => schema))]
  const aside = schemas.map((schema, index) => ({ schema, as: `syncline_replaced_${mark}_${index}` }))
  for (const { schema, as } of aside) {
    const [about] = await connection.query(ABOUT_SCHEMA, [schema])
    const [owner, comment] = about ?? []
    if (!owner) throw new AppError('schema_changed', `The schema ${schema} is not there any more.`)
    const extensions = await connection.query(MOVED_EXTENSIONS, [schema])
    await connection.script(
      [
        `ALTER SCHEMA ${quote(schema)} RENAME TO ${quote(as)}`,
        `CREATE SCHEMA ${quote(schema)} AUTHORIZATION ${owner}`,
        ...(comment ? [`COMMENT ON SCHEMA ${quote(schema)} IS ${literal(comment)}`] : []),
        ...extensions.map(([name]) => `ALTER EXTENSION ${name} SET SCHEMA ${quote(schema)}`),
      ].join('; '),
    )
    await giveRights(connection, await readSchemaRights(connection, { schema, as }))
  }
  return aside
}

/** Readers that come while the old is about to be locked wait no longer than this at once. */
const LOCK_MS = 2_000
const LOCK_ATTEMPTS = 30
const LOCK_PAUSE_MS = 500
/** Somebody else holds on to it, or waits for what is held here. */
const HELD = ['55P03', '40P01']

export interface Exchange {
  readonly aside: readonly Aside[]
  readonly drop: readonly RestoreObject[]
  /** Whether others get the rights on the new that they had on the old. */
  readonly grants: boolean
  readonly signal: AbortSignal
}

/** Drops what was put aside. @throws AppError `restore_dependents` where something else has come to depend on it */
export async function exchangeAside(connection: Connection, { aside, drop, grants, signal }: Exchange): Promise<void> {
  const names = new Map(aside.map(({ schema, as }) => [schema, as]))
  const old = drop.map(({ schema, args, ...object }) => ({
    ...object,
    schema: names.get(schema) ?? schema,
    args: args?.map((type) => (names.has(type.schema ?? '') ? { ...type, schema: '' } : type)),
  }))
  await lockAside(connection, old, signal)
  const dependents = await readDependents(connection, { drop: old, empty: [], joins: [] })
  if (dependents.length > 0) throw dependentsError(dependents)
  const rights = await Promise.all(aside.map((each) => readSchemaRights(connection, each)))
  if (grants) rights.push(await readRights(connection, old, aside))
  await dropAll(connection, old)
  // Without CASCADE: where something else had come to be in it, that would be an error, and no loss.
  for (const { as } of aside) await connection.script(`DROP SCHEMA ${quote(as)}`)
  for (const each of rights) await giveRights(connection, each)
}

/** A lock that does not come soon is given up and asked for again: those who wait behind it go on in between. */
async function lockAside(connection: Connection, old: readonly RestoreObject[], signal: AbortSignal): Promise<void> {
  const locks = await lockStatements(connection, old, 'ACCESS EXCLUSIVE')
  for (let attempt = 1; ; attempt++) {
    await connection.script(`SAVEPOINT exchange; SET LOCAL lock_timeout = ${LOCK_MS}`)
    let lock = ''
    try {
      for (lock of locks) await connection.script(lock)
      await connection.script('RELEASE SAVEPOINT exchange')
      return
    } catch (error) {
      if (!HELD.includes(sqlStateOf(error) ?? '') || attempt === LOCK_ATTEMPTS) {
        throw lockError(error, lock)
      }
      await connection.script('ROLLBACK TO SAVEPOINT exchange')
    }
    await delay(LOCK_PAUSE_MS, signal)
  }
}
