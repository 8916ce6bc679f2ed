/**
 * What jobs have written: one row a batch, and one a key for finding it. A key has no constraint on its batch, which the
 * server would look up for every single one: batches take their keys along when they go (`history.ts`). Hashes lie spread
 * at random; keys are indexed by parts of some batches each, so that what a batch adds lies close together.
 */
export const HISTORY: readonly string[] = [
  `CREATE TABLE history_batch (
     id BIGINT PRIMARY KEY, job_id TEXT NOT NULL, config_id TEXT, source_datasource_id TEXT NOT NULL,
     target_datasource_id TEXT NOT NULL, mapping_id TEXT NOT NULL, mapping_hash TEXT NOT NULL, target_table TEXT NOT NULL,
     key_columns TEXT NOT NULL, image_columns TEXT NOT NULL, batch BIGINT NOT NULL, kind TEXT NOT NULL,
     row_count BIGINT NOT NULL, inserted BIGINT NOT NULL, updated BIGINT NOT NULL, deleted BIGINT NOT NULL,
     at TEXT NOT NULL, sealed_by TEXT NOT NULL, body BYTEA NOT NULL)`,
  `CREATE UNIQUE INDEX history_batch_once ON history_batch (job_id, mapping_id, batch)`,
  `CREATE INDEX history_batch_in_order ON history_batch (job_id, id)`,
  `CREATE INDEX history_batch_by_time ON history_batch (at)`,
  `CREATE INDEX history_batch_of_load ON history_batch (target_table, at) WHERE kind = 'load'`,
  `CREATE INDEX history_batch_by_table ON history_batch (target_table, id)`,
  `CREATE TABLE history_key (
     part BIGINT NOT NULL, hash BIGINT NOT NULL, batch_id BIGINT NOT NULL, place INTEGER NOT NULL)`,
  `CREATE INDEX history_key_by_hash ON history_key (part, hash)`,
  `CREATE INDEX history_key_by_batch ON history_key (batch_id)`,
  `CREATE INDEX audit_event_by_time ON audit_event (at)`,
]
