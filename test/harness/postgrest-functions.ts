/** Calls of functions by the REST API of the tests, and the states that errors of the database have in HTTP. */
import type pg from 'pg'

import { quote } from './database.ts'
import { apiError } from './postgrest-query.ts'

interface FunctionRow {
  readonly volatile: boolean
  readonly names: readonly string[]
  readonly types: readonly string[]
}

const FUNCTIONS = `
  SELECT p.provolatile = 'v' AS volatile, coalesce(p.proargnames, '{}') AS names,
         ARRAY(SELECT format_type(t, NULL) FROM unnest(p.proargtypes::oid[]) t) AS types
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
  WHERE n.nspname = $1 AND p.proname = $2 AND p.prokind = 'f'`

/**
 * Calls a function with the members of a JSON object as its arguments by name. One that is not volatile runs in a
 * transaction that only reads. There is none where the names are not those of its arguments.
 */
export async function callFunction(
  client: pg.PoolClient,
  { schema, name, payload }: { schema: string; name: string; payload: string },
): Promise<string> {
  const names = argumentsOf(payload)
  const { rows } = await client.query<FunctionRow>(FUNCTIONS, [schema, name])
  const found = rows.find((row) => row.names.toSorted().join() === names.toSorted().join())
  if (found === undefined) {
    throw apiError(
      404,
      'PGRST202',
      `Could not find the function ${schema}.${name}(${names.join()}) in the schema cache`,
    )
  }
  if (!found.volatile) await client.query('SET TRANSACTION READ ONLY')
  const record = found.names.map((each, i) => `${quote(each)} ${found.types[i]}`).join(', ')
  const given = found.names.map((each) => `${quote(each)} := b.${quote(each)}`).join(', ')
  const answer = await client.query<{ body: string | null }>(
    `SELECT to_json(c)::text AS body FROM json_to_record($1::json) AS b(${record}), LATERAL ${quote(schema)}.${quote(name)}(${given}) c`,
    [payload],
  )
  return answer.rows[0]?.body ?? 'null'
}

function argumentsOf(payload: string): string[] {
  try {
    const parsed: unknown = JSON.parse(payload === '' ? '{}' : payload)
    if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)) return Object.keys(parsed)
  } catch {
    // Said below.
  }
  throw apiError(400, 'PGRST102', 'Empty or invalid json')
}

/** The first that a code of the database begins with says its state. */
const STATES: readonly (readonly [code: string, status: number])[] = [
  ['08', 503],
  ['09', 500],
  ['0L', 403],
  ['0P', 403],
  ['23503', 409],
  ['23505', 409],
  ['25006', 405],
  ['25', 500],
  ['28', 403],
  ['2D', 500],
  ['38', 500],
  ['39', 500],
  ['3B', 500],
  ['40', 500],
  ['53400', 500],
  ['53', 503],
  ['54', 500],
  ['55', 500],
  ['57', 500],
  ['58', 500],
  ['F0', 500],
  ['HV', 500],
  ['P0001', 400],
  ['P0', 500],
  ['XX', 500],
  ['42883', 404],
  ['42P01', 404],
  ['42P17', 500],
  // Of a role that is somebody; of nobody it would be 401.
  ['42501', 403],
]

export function statusOf(code: string): number {
  return STATES.find(([begins]) => code.startsWith(begins))?.[1] ?? 400
}
