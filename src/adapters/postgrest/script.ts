import { CATALOGUE } from '#adapters/postgres/introspect.ts'
import { TEXT_SETTINGS } from '#adapters/postgres/session.ts'
import { literal, quote } from '#adapters/postgres/sql.ts'
import { stateScript } from '#adapters/postgres/state.ts'
import { AppError } from '#model/errors.ts'
import { WRITE_PART, WRITTEN, type ScriptFunction } from './script-rows.ts'
import { ADVANCE, CLAIM, CLOSE, ENTER, STATE, WRITE } from './script-state.ts'

/**
 * The functions that a project needs so that it can be written over its REST API. A call of a function is one transaction:
 * what a batch needs together (rows, counters, batch record and the test of the epoch) is together in one call (invariants
 * 1, 2, 8 and 9), where several requests to tables could be torn apart. They run with the rights of the key's role alone,
 * take no SQL, and nobody but `service_role` may call them. Names resolve through no search path, and the text of every
 * value is pinned (`SET`), as it is in a session of ours.
 */

/** Grows when a function changes what it takes or gives: functions of another version are refused. */
export const FUNCTIONS_VERSION = 1

/** The role of the key. */
const CALLER = 'service_role'

/** How long a call waits for somebody else's lock; the batch is tried again then. */
const LOCK_TIMEOUT = '5s'

const ABOUT: ScriptFunction = {
  name: 'syncline_about',
  reads: true,
  declare: '',
  body: `RETURN json_build_object('functions', ${FUNCTIONS_VERSION}, 'state', (SELECT max(version) FROM syncline.meta),
    'server', current_setting('server_version_num'), 'role', current_user);`,
}

/** Rows of whatever columns as arrays of texts. */
const ASK = 'SELECT coalesce(json_agg(ARRAY(SELECT e.value FROM json_each_text(row_to_json(q)) e)), $$[]$$) FROM ('

function askSql(name: keyof typeof CATALOGUE, using: string): string {
  return `EXECUTE ${literal(ASK)} || $sql$${CATALOGUE[name]}$sql$ || ') q' INTO answer USING ${using};
  answers := answers || jsonb_build_object('${name}', answer);`
}

/** The answers to all questions of the catalogue, of named tables or (without names) of all. */
const READ_CATALOGUE: ScriptFunction = {
  name: 'syncline_catalogue',
  reads: true,
  declare: 'schemas text[]; names text[]; oids oid[]; answer json; answers jsonb := $${}$$',
  body: `IF json_typeof(request->'names') = 'array' THEN
    schemas := ARRAY(SELECT json_array_elements_text(request->'schemas'));
    names := ARRAY(SELECT json_array_elements_text(request->'names'));
  END IF;
  ${askSql('relations', 'schemas, names')}
  oids := ARRAY(SELECT (r->>0)::oid FROM json_array_elements(answer) r);
  schemas := ARRAY(SELECT r->>1 FROM json_array_elements(answer) r);
  names := ARRAY(SELECT r->>2 FROM json_array_elements(answer) r);
  ${askSql('digests', 'schemas, names')}
  ${(['types', 'columns', 'keys', 'foreignKeys', 'triggers', 'heaps'] as const).map((name) => askSql(name, 'oids')).join('\n  ')}
  RETURN answers || jsonb_build_object('server', current_setting('server_version_num'));`,
}

const FUNCTIONS: readonly ScriptFunction[] = [
  ABOUT,
  READ_CATALOGUE,
  STATE,
  CLAIM,
  ENTER,
  WRITE,
  CLOSE,
  WRITTEN,
  ADVANCE,
]

/**
 * The SQL that prepares a project, to be run by its owner; it may be run again.
 * @param schema an exposed one, for the functions
 * @throws AppError `usage` where it is no name of a schema
 */
export function projectScript(schema: string): string {
  if (schema === '' || schema.includes('\0')) {
    throw new AppError('usage', 'The functions need the name of an exposed schema.')
  }
  const statements = [
    ...stateScript(),
    `GRANT USAGE ON SCHEMA syncline TO ${CALLER}`,
    `GRANT SELECT ON syncline.meta TO ${CALLER}`,
    `GRANT SELECT, INSERT, UPDATE ON syncline.state TO ${CALLER}`,
    `GRANT SELECT, INSERT, DELETE ON syncline.batch TO ${CALLER}`,
    ...functionSql('syncline', WRITE_PART),
    ...FUNCTIONS.flatMap((each) => functionSql(schema, each)),
    `NOTIFY pgrst, 'reload schema'`,
  ]
  return `-- Lets Syncline write to this project over its REST API. Run it as the owner of the database (Supabase: SQL Editor).
BEGIN;
${statements.map((statement) => `${statement};`).join('\n')}
COMMIT;
`
}

function functionSql(schema: string, { name, reads, declare, body }: ScriptFunction): string[] {
  const of = `${quote(schema)}.${name}(json)`
  const settings = [...TEXT_SETTINGS, ['lock_timeout', LOCK_TIMEOUT]].map(
    ([key, value]) => `SET ${key} = ${literal(value ?? '')}`,
  )
  return [
    `CREATE OR REPLACE FUNCTION ${quote(schema)}.${name}(request json) RETURNS json
LANGUAGE plpgsql ${reads ? 'STABLE' : 'VOLATILE'} SECURITY INVOKER
${settings.join('\n')}
AS $function$
#variable_conflict use_column
${declare === '' ? '' : `DECLARE ${declare};\n`}BEGIN
  ${body}
END
$function$`,
    `REVOKE ALL ON FUNCTION ${of} FROM PUBLIC`,
    // Where a project gives rights on all new functions to its other roles.
    `DO $revoke$ DECLARE other text; BEGIN
  FOR other IN SELECT rolname FROM pg_catalog.pg_roles WHERE rolname IN ('anon', 'authenticated') LOOP
    EXECUTE pg_catalog.format('REVOKE ALL ON FUNCTION %s FROM %I', ${literal(of)}, other);
  END LOOP; END $revoke$`,
    `GRANT EXECUTE ON FUNCTION ${of} TO ${CALLER}`,
  ]
}
