/** Rows that both sides changed, and what people decide about them. */
export const CONFLICTS: readonly string[] = [
  `CREATE TABLE conflict_table (
     id TEXT PRIMARY KEY, scope TEXT NOT NULL, source_table TEXT NOT NULL, target_table TEXT NOT NULL,
     mapping_id TEXT NOT NULL, mapping_hash TEXT NOT NULL, key_columns TEXT NOT NULL, columns TEXT NOT NULL)`,
  `CREATE TABLE conflict (
     id TEXT PRIMARY KEY, scope TEXT NOT NULL, config_id TEXT, first_job_id TEXT NOT NULL, last_job_id TEXT NOT NULL,
     seq BIGINT NOT NULL, table_id TEXT NOT NULL REFERENCES conflict_table (id), source_table TEXT NOT NULL,
     target_table TEXT NOT NULL, kind TEXT NOT NULL, fields TEXT NOT NULL, strategy TEXT NOT NULL, reason TEXT,
     key TEXT NOT NULL, key_hash TEXT NOT NULL, large INTEGER NOT NULL CHECK (large IN (0, 1)),
     status TEXT NOT NULL CHECK (status IN ('open', 'resolved', 'applied', 'closed')),
     resolution TEXT, resolved_by TEXT, resolved_name TEXT, resolved_at TEXT, reopened INTEGER NOT NULL,
     image_sealed TEXT NOT NULL, marks_sealed TEXT NOT NULL, row_sealed TEXT, first_at TEXT NOT NULL,
     last_at TEXT NOT NULL, version INTEGER NOT NULL)`,
  `CREATE UNIQUE INDEX conflict_once ON conflict (scope, target_table, key_hash)`,
  `CREATE UNIQUE INDEX conflict_in_order ON conflict (seq)`,
  `CREATE INDEX conflict_by_status ON conflict (scope, status, seq)`,
  `CREATE INDEX conflict_by_last_job ON conflict (last_job_id)`,
  `CREATE INDEX conflict_by_table ON conflict (table_id)`,
]
