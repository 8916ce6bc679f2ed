/** What somebody has decided once for all conflicts of a sort. */
export const CONFLICT_RULES: readonly string[] = [
  `CREATE TABLE conflict_rule (
     id TEXT PRIMARY KEY, config_id TEXT NOT NULL REFERENCES sync_config (id) ON DELETE CASCADE,
     target_table TEXT NOT NULL, kind TEXT NOT NULL, fields TEXT NOT NULL, resolution TEXT NOT NULL,
     created_by TEXT NOT NULL, created_name TEXT NOT NULL, created_at TEXT NOT NULL)`,
  `CREATE UNIQUE INDEX conflict_rule_once ON conflict_rule (config_id, target_table, kind, fields)`,
]
