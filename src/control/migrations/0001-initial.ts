/** Statements that SQLite and PostgreSQL read alike. Once released, a migration is never changed. */
export const INITIAL: readonly string[] = [
  `CREATE TABLE datasource (
     id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, connection TEXT NOT NULL,
     password_reference TEXT, password_sealed TEXT, schemas TEXT, pool_size INTEGER NOT NULL,
     connect_timeout_ms INTEGER NOT NULL, environment TEXT, writable INTEGER NOT NULL CHECK (writable IN (0, 1)),
     origin TEXT NOT NULL, pin TEXT, last_test TEXT, created_at TEXT NOT NULL, updated_at TEXT NOT NULL,
     version INTEGER NOT NULL)`,
  `CREATE TABLE sync_config (
     id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE,
     source_datasource_id TEXT NOT NULL REFERENCES datasource (id),
     target_datasource_id TEXT NOT NULL REFERENCES datasource (id),
     document TEXT NOT NULL, version INTEGER NOT NULL, created_at TEXT NOT NULL, updated_at TEXT NOT NULL)`,
  `CREATE TABLE sync_config_version (
     config_id TEXT NOT NULL REFERENCES sync_config (id) ON DELETE CASCADE, version INTEGER NOT NULL,
     document TEXT NOT NULL, changed_at TEXT NOT NULL, changed_by TEXT NOT NULL, PRIMARY KEY (config_id, version))`,
  `CREATE TABLE job (
     id TEXT PRIMARY KEY, kind TEXT NOT NULL, status TEXT NOT NULL, config_id TEXT, config_version INTEGER,
     source_datasource_id TEXT NOT NULL, target_datasource_id TEXT NOT NULL, lane TEXT NOT NULL, request TEXT NOT NULL,
     requested_by TEXT NOT NULL, intent TEXT, epoch BIGINT NOT NULL, lease_owner TEXT, lease_expires_at TEXT,
     attempt INTEGER NOT NULL, not_before TEXT, created_at TEXT NOT NULL, started_at TEXT, finished_at TEXT,
     updated_at TEXT NOT NULL, progress TEXT, counts TEXT, error TEXT, result TEXT, last_event BIGINT NOT NULL DEFAULT 0)`,
  `CREATE UNIQUE INDEX job_one_active_in_a_lane ON job (lane)
     WHERE status IN ('queued', 'running', 'awaiting_resolution', 'awaiting_approval', 'stopping')`,
  `CREATE INDEX job_by_status ON job (status, created_at)`,
  `CREATE INDEX job_by_config ON job (config_id, created_at)`,
  `CREATE TABLE job_event (
     job_id TEXT NOT NULL REFERENCES job (id) ON DELETE CASCADE, seq BIGINT NOT NULL, at TEXT NOT NULL,
     type TEXT NOT NULL, data TEXT NOT NULL, PRIMARY KEY (job_id, seq))`,
  `CREATE TABLE api_key (
     id TEXT PRIMARY KEY, name TEXT NOT NULL, prefix TEXT NOT NULL, hash TEXT NOT NULL UNIQUE, role TEXT NOT NULL,
     datasources TEXT, created_at TEXT NOT NULL, expires_at TEXT, last_used_at TEXT, revoked_at TEXT)`,
  `CREATE TABLE session (
     hash TEXT PRIMARY KEY, id TEXT NOT NULL UNIQUE, key_id TEXT NOT NULL REFERENCES api_key (id) ON DELETE CASCADE,
     created_at TEXT NOT NULL, seen_at TEXT NOT NULL, confirmed_at TEXT NOT NULL, expires_at TEXT NOT NULL, address TEXT)`,
  `CREATE TABLE sign_in_link (
     hash TEXT PRIMARY KEY, key_id TEXT NOT NULL REFERENCES api_key (id) ON DELETE CASCADE, expires_at TEXT NOT NULL)`,
  `CREATE TABLE setup_token (hash TEXT PRIMARY KEY, expires_at TEXT NOT NULL, used_at TEXT)`,
  `CREATE TABLE idempotency (
     actor TEXT NOT NULL, key TEXT NOT NULL, request_hash TEXT NOT NULL, status INTEGER, body TEXT,
     created_at TEXT NOT NULL, PRIMARY KEY (actor, key))`,
  `CREATE TABLE audit_event (
     seq BIGINT PRIMARY KEY, at TEXT NOT NULL, actor TEXT NOT NULL, actor_name TEXT NOT NULL, address TEXT,
     action TEXT NOT NULL, subject TEXT, data TEXT NOT NULL, previous_hash TEXT NOT NULL, hash TEXT NOT NULL)`,
  `CREATE INDEX audit_event_by_subject ON audit_event (subject, seq)`,
  `CREATE TABLE breaker (
     datasource_id TEXT PRIMARY KEY, failures INTEGER NOT NULL, open_until TEXT, reason TEXT)`,
  `CREATE TABLE rejection (
     id TEXT PRIMARY KEY, scope TEXT NOT NULL, config_id TEXT, first_job_id TEXT NOT NULL, last_job_id TEXT NOT NULL,
     replay_job_id TEXT, seq BIGINT NOT NULL, source_table TEXT NOT NULL, target_table TEXT NOT NULL, op TEXT NOT NULL,
     key TEXT NOT NULL, key_in TEXT NOT NULL, key_hash TEXT NOT NULL, column_name TEXT, code TEXT NOT NULL,
     reason TEXT NOT NULL, status TEXT NOT NULL, image_sealed TEXT NOT NULL, marks_sealed TEXT NOT NULL,
     edit_sealed TEXT, first_at TEXT NOT NULL, last_at TEXT NOT NULL, version INTEGER NOT NULL)`,
  `CREATE UNIQUE INDEX rejection_once ON rejection (scope, target_table, key_hash)`,
  `CREATE UNIQUE INDEX rejection_in_order ON rejection (scope, seq)`,
  `CREATE INDEX rejection_by_last_job ON rejection (last_job_id)`,
  `CREATE TABLE rejecting_table (
     scope TEXT NOT NULL, target_table TEXT NOT NULL, columns TEXT NOT NULL, PRIMARY KEY (scope, target_table))`,
]
