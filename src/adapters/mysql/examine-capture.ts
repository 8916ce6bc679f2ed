import { pass, warn, type Finding } from '#adapters/finding.ts'
import type { Connection } from './connection.ts'
import { accountOf, may, readRights } from './rights.ts'
import { quote } from './sql.ts'

/** What making tables and following changes as they happen need, beyond a plain sync. */
export const CAPTURE_STEPS: readonly {
  readonly step: string
  readonly look: (connection: Connection) => Promise<Finding>
}[] = [
  { step: 'create tables', look: lookAtCreate },
  { step: 'change capture: binary log', look: lookAtLog },
  { step: 'change capture: right', look: lookAtReplicationRight },
]

/** Foreign keys ask for a right on their parents, indexes for one of their own. */
const MAKING = ['CREATE', 'ALTER', 'INDEX', 'REFERENCES'] as const

async function lookAtCreate(connection: Connection): Promise<Finding> {
  const missing: string[] = []
  for (const privilege of MAKING) if (!(await may(connection, privilege))) missing.push(privilege)
  const { database } = connection.endpoint
  if (missing.length === 0) return pass(`in ${database}`)
  return warn(
    `not in ${database}: ${missing.join(', ')} is missing`,
    `Only for a target with --create: GRANT ${missing.join(', ')} ON ${quote(database)}.* TO ${await accountOf(connection)};`,
  )
}

async function lookAtLog(connection: Connection): Promise<Finding> {
  const rows = await connection.query(
    `SHOW GLOBAL VARIABLES WHERE Variable_name IN ('log_bin', 'binlog_format', 'binlog_row_image')`,
  )
  const settings = new Map(rows.map(([name, value]) => [name, value ?? '']))
  const wrong = [
    ['log_bin', 'ON'],
    ['binlog_format', 'ROW'],
    ['binlog_row_image', 'FULL'],
  ].filter(([name, wanted]) => settings.has(name ?? '') && settings.get(name ?? '') !== wanted)
  if (wrong.length === 0) return pass('on, whole rows')
  return warn(
    wrong.map(([name]) => `${name} is ${settings.get(name ?? '')}`).join(', '),
    `Set in the server's configuration: ${wrong.map(([name, wanted]) => `${name} = ${wanted}`).join(', ')}.`,
  )
}

async function lookAtReplicationRight(connection: Connection): Promise<Finding> {
  const rights = await readRights(connection)
  if (rights.has('REPLICATION SLAVE')) return pass('REPLICATION SLAVE')
  return warn(
    'this login may not read the binary log',
    `Only to follow changes as they happen: GRANT REPLICATION SLAVE ON *.* TO ${await accountOf(connection)};`,
  )
}
