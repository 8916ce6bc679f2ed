/** What the tables of a sync config were when its mapping was last looked over, and when somebody last looked. */
export const SCHEMA_DRIFT: readonly string[] = [
  `CREATE TABLE config_schema (
     config_id TEXT PRIMARY KEY REFERENCES sync_config (id) ON DELETE CASCADE, mapping TEXT NOT NULL,
     known TEXT NOT NULL, known_at TEXT NOT NULL, seen TEXT NOT NULL, seen_at TEXT NOT NULL, digest TEXT NOT NULL,
     changes TEXT NOT NULL)`,
]
