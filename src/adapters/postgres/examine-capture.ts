import { tableName } from '#model/table.ts'
import type { ServerInfo } from '#adapters/adapter.ts'
import type { Connection } from './connection.ts'
import { offersSchema } from './endpoint.ts'
import { pass, warn, type Finding } from '#adapters/finding.ts'
import { ask, type Step } from './finding.ts'
import { recognise } from './presets.ts'
import { quote } from './sql.ts'

/** Tables that are named where there are many. */
const NAMED = 5

/** What reading everything, making tables and following changes as they happen need, beyond a plain sync. */
export const CAPTURE_STEPS: readonly Step[] = [
  { step: 'row-level security', look: lookAtRowSecurity },
  { step: 'create tables', look: lookAtCreate },
  { step: 'change capture: write-ahead log', look: lookAtWalLevel },
  { step: 'change capture: right', look: lookAtReplicationRight },
  { step: 'change capture: slots', look: lookAtSlots },
]

async function lookAtRowSecurity(connection: Connection): Promise<Finding> {
  const rows = await ask(
    connection,
    `SELECT n.nspname, c.relname, current_user
     FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relrowsecurity AND c.relkind IN ('r', 'p') AND NOT c.relispartition
       AND pg_catalog.row_security_active(c.oid)
     ORDER BY 1, 2`,
  )
  const hidden = rows.filter(([schema]) => offersSchema(connection.endpoint, schema ?? ''))
  if (hidden.length === 0) return pass('hides no rows from this login')
  const named = hidden.slice(0, NAMED).map(([schema, name]) => tableName({ schema: schema ?? '', name: name ?? '' }))
  const more = hidden.length > NAMED ? ` and ${hidden.length - NAMED} more` : ''
  return warn(
    `would hide rows from this login: ${named.join(', ')}${more}`,
    `Use the owner of the tables, or: ALTER ROLE ${quote(hidden[0]?.[2] ?? '')} BYPASSRLS;`,
  )
}

async function lookAtCreate(connection: Connection): Promise<Finding> {
  const rows = await ask(
    connection,
    `SELECT n.nspname, pg_catalog.has_schema_privilege(n.oid, 'CREATE'), current_user
     FROM pg_catalog.pg_namespace n
     WHERE n.nspname NOT LIKE 'pg\\_%' AND n.nspname NOT IN ('information_schema', 'syncline') ORDER BY 1`,
  )
  const offered = rows.filter(([schema]) => offersSchema(connection.endpoint, schema ?? ''))
  const shut = offered.filter(([, may]) => may !== 't')
  if (shut.length === 0) return pass('in every schema')
  const grants = shut
    .slice(0, NAMED)
    .map(([schema, , user]) => `GRANT CREATE ON SCHEMA ${quote(schema ?? '')} TO ${quote(user ?? '')};`)
  return warn(
    `not in ${shut.map(([schema]) => schema).join(', ')}`,
    `Only for a target with --create: ${grants.join(' ')}`,
  )
}

async function lookAtWalLevel(connection: Connection): Promise<Finding> {
  const [row] = await ask(connection, `SELECT current_setting('wal_level')`)
  if (row?.[0] === 'logical') return pass('logical')
  const provider = recognise(connection.endpoint)?.provider
  const next =
    provider === 'Neon'
      ? 'Switch logical replication on in the settings of the project.'
      : provider === 'Amazon RDS'
        ? 'Set rds.logical_replication = 1 in the parameter group, and restart.'
        : 'ALTER SYSTEM SET wal_level = logical; and restart the server.'
  return warn(`${row?.[0]}: changes can be found by comparing, not as they happen`, `Only for change capture: ${next}`)
}

async function lookAtReplicationRight(connection: Connection): Promise<Finding> {
  const [row] = await ask(
    connection,
    `SELECT r.rolreplication OR r.rolsuper OR EXISTS (
       SELECT FROM pg_catalog.pg_roles g WHERE g.rolname = 'rds_replication' AND pg_catalog.pg_has_role(r.oid, g.oid, 'MEMBER')),
       current_user
     FROM pg_catalog.pg_roles r WHERE r.rolname = current_user`,
  )
  if (row?.[0] === 't') return pass('this login may replicate')
  const user = quote(row?.[1] ?? '')
  const grant =
    recognise(connection.endpoint)?.provider === 'Amazon RDS'
      ? `GRANT rds_replication TO ${user};`
      : `ALTER ROLE ${user} REPLICATION;`
  return warn('this login may not replicate', `Only for change capture: ${grant}`)
}

async function lookAtSlots(connection: Connection, { pooled }: ServerInfo): Promise<Finding> {
  if (pooled) {
    return warn(
      'none through a pooler',
      'Only for change capture: take the direct connection (Neon: the host without -pooler; Supabase: port 5432 of db.PROJECT.supabase.co).',
    )
  }
  const [row] = await ask(
    connection,
    `SELECT current_setting('max_replication_slots')::int4, (SELECT count(*) FROM pg_catalog.pg_replication_slots)`,
  )
  const [most, used] = [Number(row?.[0]), Number(row?.[1])]
  const found = `${used} of ${most} in use`
  if (used < most) return pass(found)
  return warn(found, 'Only for change capture: raise max_replication_slots, or drop a slot that nobody uses.')
}
