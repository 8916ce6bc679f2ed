/** Files in the directory of dumps, from before the first byte is written on. */
export const DUMPS: readonly string[] = [
  `CREATE TABLE dump (
     id TEXT PRIMARY KEY, file TEXT NOT NULL UNIQUE, origin TEXT NOT NULL CHECK (origin IN ('export', 'backup', 'upload')),
     state TEXT NOT NULL CHECK (state IN ('writing', 'ready')), database_name TEXT, datasource_id TEXT, job_id TEXT,
     epoch BIGINT, compression TEXT NOT NULL, sealed INTEGER NOT NULL CHECK (sealed IN (0, 1)), bytes BIGINT NOT NULL,
     sha256 TEXT, facts TEXT, created_by TEXT NOT NULL, created_at TEXT NOT NULL)`,
  `CREATE INDEX dump_by_job ON dump (job_id)`,
]
