/** Webhooks that are asked about conflicts: what is to be sent, and the secrets that it is signed with. */
export const WEBHOOKS: readonly string[] = [
  `ALTER TABLE conflict ADD COLUMN asked_version INTEGER NOT NULL DEFAULT 0`,
  `CREATE INDEX conflict_to_ask ON conflict (seq)
     WHERE strategy = 'webhook' AND status = 'open' AND asked_version <> version`,
  `CREATE TABLE webhook_secret (
     id TEXT PRIMARY KEY, config_id TEXT NOT NULL REFERENCES sync_config (id) ON DELETE CASCADE,
     secret_sealed TEXT NOT NULL, created_at TEXT NOT NULL, created_by TEXT NOT NULL, expires_at TEXT)`,
  `CREATE INDEX webhook_secret_by_config ON webhook_secret (config_id)`,
  `CREATE TABLE webhook_delivery (
     id TEXT PRIMARY KEY, conflict_id TEXT NOT NULL UNIQUE REFERENCES conflict (id) ON DELETE CASCADE,
     config_id TEXT NOT NULL, version INTEGER NOT NULL,
     status TEXT NOT NULL CHECK (status IN ('waiting', 'accepted', 'answered', 'given_up', 'ended')),
     attempts INTEGER NOT NULL, next_at TEXT NOT NULL, last_at TEXT, last_error TEXT, deadline_at TEXT NOT NULL,
     created_at TEXT NOT NULL, ended_at TEXT)`,
  `CREATE INDEX webhook_delivery_by_next ON webhook_delivery (status, next_at)`,
  `CREATE INDEX webhook_delivery_by_deadline ON webhook_delivery (status, deadline_at)`,
  `CREATE INDEX webhook_delivery_by_config ON webhook_delivery (config_id, status)`,
]
