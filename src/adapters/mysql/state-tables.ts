import { AppError } from '#model/errors.ts'
import type { Connection } from './connection.ts'
import { isServerError } from './errors.ts'
import { ownTable, type OwnTable } from './own-tables.ts'
import { quote } from './sql.ts'

/** The version of our own tables in a target. */
export const STATE_VERSION = 1

/** Identifiers of ours: compared byte by byte, whatever the server's default is. */
const ID = 'VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin'
const TEXT = 'LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin'
const OPTIONS = 'ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin'
const COUNT = 'BIGINT NOT NULL DEFAULT 0'
const NOW = 'DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)'

/** Of names in the catalogue: 64 characters of any kind. */
const NAME = 'VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL'

/** In the order in which they are made: `meta` last, so that it says that the others are there. */
const TABLES: readonly (readonly [table: OwnTable, columns: string])[] = [
  [
    'state',
    `mapping_id ${ID} NOT NULL PRIMARY KEY, job_id ${ID} NOT NULL, epoch BIGINT NOT NULL, writer ${ID} NOT NULL,
     phase VARCHAR(16) NOT NULL, source ${TEXT} NOT NULL, target_schema ${NAME}, target_table ${NAME},
     mapping_hash ${ID} NOT NULL, inserted ${COUNT}, updated ${COUNT}, deleted ${COUNT}, batches ${COUNT},
     position ${TEXT}, baseline_complete TINYINT NOT NULL DEFAULT 0, verified_at DATETIME(6) NULL, source_columns ${TEXT},
     detection ${TEXT}, carried ${TEXT}, baseline_details VARCHAR(64) NOT NULL DEFAULT '', updated_at ${NOW}`,
  ],
  [
    'batch',
    `mapping_id ${ID} NOT NULL, job_id ${ID} NOT NULL, batch BIGINT NOT NULL, epoch BIGINT NOT NULL,
     kind VARCHAR(16) NOT NULL, label VARCHAR(512) NOT NULL, inserted ${COUNT}, updated ${COUNT}, deleted ${COUNT},
     committed_at ${NOW}, PRIMARY KEY (mapping_id, job_id, batch)`,
  ],
  [
    'session',
    `token ${ID} NOT NULL PRIMARY KEY, writer ${ID} NOT NULL, job_id ${ID} NULL, lease BIGINT NULL,
     connection_id BIGINT UNSIGNED NOT NULL, connected_at ${NOW}, KEY (writer), KEY (job_id)`,
  ],
  [
    'answer',
    `mapping_id ${ID} NOT NULL, job_id ${ID} NOT NULL, row_key CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
     fingerprint BIGINT NOT NULL, PRIMARY KEY (mapping_id, job_id, row_key)`,
  ],
  [
    'pending_ddl',
    `id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, stage VARCHAR(16) NOT NULL, kind VARCHAR(64) NOT NULL,
     tables ${TEXT} NOT NULL, statement ${TEXT} NOT NULL`,
  ],
  ['meta', 'one TINYINT NOT NULL PRIMARY KEY, version INT NOT NULL'],
]

const DENIED: ReadonlySet<number> = new Set([1044, 1142])

/** Whether there is a table of ours. */
export async function hasOwnTable(connection: Connection, name: OwnTable): Promise<boolean> {
  return hasTable(connection, `syncline_${name}`)
}

/** Whether there is a table of that name beside the state. */
export async function hasTable(connection: Connection, name: string): Promise<boolean> {
  const found = await connection.query(
    'SELECT 1 FROM information_schema.tables t WHERE t.table_schema = ? AND t.table_name = ?',
    [connection.endpoint.database, name],
  )
  return found.length > 0
}

/**
 * Makes our own tables where they are missing. Not inside of a transaction: DDL commits by itself, and each statement may be
 * done again. @throws AppError `state_too_new`, or `missing_privilege` with the GRANT
 */
export async function ensureState(connection: Connection): Promise<void> {
  const { database } = connection.endpoint
  const meta = ownTable(database, 'meta')
  if (!(await hasOwnTable(connection, 'meta'))) {
    for (const [table, columns] of TABLES) {
      await create(connection, `CREATE TABLE IF NOT EXISTS ${ownTable(database, table)} (${columns}) ${OPTIONS}`)
    }
  }
  const [row] = await connection.query(`SELECT version FROM ${meta}`)
  if (row === undefined) {
    // Another first run may say the same: it is a table of ours, and one row of one key.
    await connection.execute(
      `INSERT INTO ${meta} (one, version) VALUES (1, ${STATE_VERSION}) ON DUPLICATE KEY UPDATE version = version`,
    )
    return
  }
  const has = Number(row[0])
  if (has > STATE_VERSION) {
    throw new AppError(
      'state_too_new',
      `The tables syncline_… in the target have version ${has}; this program knows ${STATE_VERSION}.`,
    )
  }
}

async function create(connection: Connection, sql: string): Promise<void> {
  try {
    await connection.execute(sql)
  } catch (error) {
    if (!isServerError(error) || !DENIED.has(error.errno)) throw error
    const { database, user } = connection.endpoint
    throw new AppError(
      'missing_privilege',
      `The account ${user} may not create tables in ${database}, where the state of the sync is kept.`,
      {
        hint: `GRANT CREATE, SELECT, INSERT, UPDATE, DELETE ON ${quote(database)}.* TO this account (see SHOW GRANTS for its host).`,
        cause: error,
      },
    )
  }
}
