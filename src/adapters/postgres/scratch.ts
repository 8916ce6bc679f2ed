/** A database of its own for a restore on trial. */
import type { Adapter } from '#adapters/adapter.ts'
import type { ScratchDatabase, Validity } from '#adapters/restore-target.ts'
import { toError } from '#lib/assert.ts'
import { AppError } from '#model/errors.ts'
import { Connection } from './connection.ts'
import { describeEndpoint, type Endpoint } from './endpoint.ts'
import { sqlStateOf, toAppError } from './errors.ts'
import { isPooler } from './presets.ts'
import { literal, quote } from './sql.ts'

/** It is dropped also where everything else has been told to end. */
const DROP_MS = 60_000

/** The encoding and the collation of the database that it stands beside. */
const LIKE = `
  SELECT pg_catalog.pg_encoding_to_char(d.encoding), d.datcollate, d.datctype, pg_catalog.to_jsonb(d)->>'datlocprovider',
         coalesce(pg_catalog.to_jsonb(d)->>'datlocale', pg_catalog.to_jsonb(d)->>'daticulocale')
    FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()`

const VALIDITY = `
  WITH own AS (
    SELECT n.oid FROM pg_catalog.pg_namespace n WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  )
  SELECT (SELECT pg_catalog.count(*) FROM pg_catalog.pg_constraint k WHERE k.connamespace IN (SELECT oid FROM own)),
         pg_catalog.json_build_array(
           (SELECT coalesce(pg_catalog.json_agg(pg_catalog.pg_describe_object('pg_catalog.pg_constraint'::pg_catalog.regclass, k.oid, 0) ORDER BY k.oid), '[]')
              FROM pg_catalog.pg_constraint k WHERE NOT k.convalidated AND k.connamespace IN (SELECT oid FROM own)),
           (SELECT coalesce(pg_catalog.json_agg(pg_catalog.pg_describe_object('pg_catalog.pg_class'::pg_catalog.regclass, c.oid, 0) ORDER BY c.oid), '[]')
              FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
             WHERE NOT (i.indisvalid AND i.indisready) AND c.relnamespace IN (SELECT oid FROM own)))`

/** @throws AppError `missing_privilege`, `pooler_not_supported` */
export async function makeScratch(
  endpoint: Endpoint,
  {
    name,
    open,
    signal,
  }: {
    readonly name: string
    readonly open: (endpoint: Endpoint) => Promise<Adapter>
    readonly signal: AbortSignal
  },
): Promise<ScratchDatabase> {
  if (isPooler(endpoint)) {
    throw new AppError(
      'pooler_not_supported',
      `${describeEndpoint(endpoint)} is a pooler, which leads to one database.`,
    )
  }
  await drop(endpoint, name)
  await create(endpoint, { name, signal })
  const own = { ...endpoint, database: name }
  try {
    const adapter = await open(own)
    return {
      adapter,
      validity: () => readValidity(own, signal),
      [Symbol.asyncDispose]: async () => {
        await adapter[Symbol.asyncDispose]()
        await drop(endpoint, name)
      },
    }
  } catch (error) {
    await drop(endpoint, name)
    throw error
  }
}

async function create(
  endpoint: Endpoint,
  { name, signal }: { readonly name: string; readonly signal: AbortSignal },
): Promise<void> {
  try {
    await using connection = await Connection.open(endpoint, signal)
    const [row = []] = await connection.query(LIKE)
    const [encoding, collate, ctype, provider, locale] = row
    const libc = `LC_COLLATE ${literal(collate ?? 'C')} LC_CTYPE ${literal(ctype ?? 'C')}`
    const other = provider === 'i' ? 'icu' : provider === 'b' ? 'builtin' : null
    const like = other === null ? '' : `LOCALE_PROVIDER ${other} ${other}_locale ${literal(locale ?? '')}`
    await connection.script(
      `CREATE DATABASE ${quote(name)} TEMPLATE template0 ENCODING ${literal(encoding ?? 'UTF8')} ${libc} ${like}`,
    )
  } catch (error) {
    if (sqlStateOf(error) === '42501') {
      throw new AppError('missing_privilege', `The login of ${describeEndpoint(endpoint)} may not make a database.`, {
        hint: `Let it: ALTER ROLE ${quote(endpoint.user)} CREATEDB; or name a datasource on another server.`,
        cause: error,
      })
    }
    throw toAppError(error, 'making a database for a trial')
  }
}

async function drop(endpoint: Endpoint, name: string): Promise<void> {
  try {
    await using connection = await Connection.open(endpoint, AbortSignal.timeout(DROP_MS))
    await connection.script(`DROP DATABASE IF EXISTS ${quote(name)} WITH (FORCE)`)
  } catch (error) {
    throw toAppError(error, `dropping the database ${name} of a trial`)
  }
}

const NAMED = `
  SELECT d.datname FROM pg_catalog.pg_database d
   WHERE pg_catalog.left(d.datname::text, pg_catalog.length($1::text)) = $1 ORDER BY 1`

/** As of `RestoreTarget`. @throws AppError where the server cannot be asked */
export async function sweepScratch(
  endpoint: Endpoint,
  {
    prefix,
    isOver,
    signal,
  }: {
    readonly prefix: string
    readonly isOver: (name: string) => Promise<boolean>
    readonly signal: AbortSignal
  },
): Promise<readonly string[]> {
  // A pooler leads to one database: there are no others to make or to drop.
  if (isPooler(endpoint)) return []
  const dropped: string[] = []
  for (const name of await readNames(endpoint, { prefix, signal })) {
    if (!(await isOver(name))) continue
    // It may be of another login, or somebody makes another of it just now.
    const error = await drop(endpoint, name).then(() => null, toError)
    if (error === null) dropped.push(name)
  }
  return dropped
}

async function readNames(
  endpoint: Endpoint,
  { prefix, signal }: { readonly prefix: string; readonly signal: AbortSignal },
): Promise<readonly string[]> {
  try {
    await using connection = await Connection.open(endpoint, signal)
    const rows = await connection.query(NAMED, [prefix])
    return rows.flatMap(([name]) => name ?? [])
  } catch (error) {
    throw toAppError(error, 'looking for databases that trials have left')
  }
}

async function readValidity(endpoint: Endpoint, signal: AbortSignal): Promise<Validity> {
  await using connection = await Connection.open(endpoint, signal)
  try {
    const [row = []] = await connection.transaction('read', () => connection.query(VALIDITY))
    const [constraints, json] = row
    const lists: unknown = JSON.parse(json ?? '[]')
    return { constraints: Number(constraints), notValid: Array.isArray(lists) ? lists.flat().map(String) : [] }
  } catch (error) {
    throw toAppError(error, 'looking at what was restored')
  }
}
