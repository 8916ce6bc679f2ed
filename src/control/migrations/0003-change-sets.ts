/** Change sets, what stands beside their changes, and their chunks where the store is on PostgreSQL. */
export const CHANGE_SETS: readonly string[] = [
  `CREATE TABLE change_set (
     job_id TEXT PRIMARY KEY REFERENCES job (id) ON DELETE CASCADE, generation TEXT NOT NULL, marks_generation TEXT,
     state TEXT NOT NULL CHECK (state IN ('building', 'ready', 'applied', 'lost', 'expired')), staging TEXT NOT NULL,
     held_bytes BIGINT NOT NULL, bytes BIGINT NOT NULL, changes BIGINT NOT NULL, digest TEXT, chunk_index TEXT,
     summary TEXT, dropped BIGINT NOT NULL, created_at TEXT NOT NULL, sealed_at TEXT, approved_by TEXT,
     approved_name TEXT, approved_digest TEXT, approved_at TEXT, expires_at TEXT, taken_by TEXT)`,
  `CREATE TABLE change_mark (
     job_id TEXT NOT NULL REFERENCES change_set (job_id) ON DELETE CASCADE, generation TEXT NOT NULL,
     seq BIGINT NOT NULL, target_table TEXT NOT NULL, op TEXT NOT NULL, key_hash TEXT, change_digest TEXT,
     mark TEXT NOT NULL, moved INTEGER NOT NULL CHECK (moved IN (0, 1)), reason TEXT, now_sealed TEXT, actor TEXT,
     at TEXT NOT NULL, PRIMARY KEY (job_id, generation, seq))`,
  `CREATE INDEX change_mark_by_mark ON change_mark (job_id, generation, mark, seq)`,
  `CREATE INDEX change_mark_by_key ON change_mark (job_id, generation, key_hash)`,
  `CREATE TABLE staged_chunk (
     job_id TEXT NOT NULL REFERENCES job (id) ON DELETE CASCADE, generation TEXT NOT NULL, n INTEGER NOT NULL,
     body BYTEA NOT NULL, PRIMARY KEY (job_id, generation, n))`,
]
