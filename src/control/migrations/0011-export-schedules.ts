/** Exports of datasources run by themselves too. Ticks outlive their schedule, and go with what that was of. */
export const EXPORT_SCHEDULES: readonly string[] = [
  `CREATE TABLE schedule (
     subject_id TEXT PRIMARY KEY, config_id TEXT REFERENCES sync_config (id) ON DELETE CASCADE,
     datasource_id TEXT REFERENCES datasource (id), export_options TEXT, schedule TEXT NOT NULL,
     since TEXT NOT NULL, next_at TEXT, paused_at TEXT, paused_by TEXT, consent TEXT,
     CHECK (subject_id = coalesce(config_id, datasource_id)),
     CHECK ((datasource_id IS NULL) = (export_options IS NULL)))`,
  `INSERT INTO schedule (subject_id, config_id, schedule, since, next_at, paused_at, paused_by, consent)
     SELECT config_id, config_id, schedule, since, next_at, paused_at, paused_by, consent FROM sync_schedule`,
  `DROP TABLE sync_schedule`,
  `CREATE INDEX schedule_by_next ON schedule (next_at)`,
  `ALTER TABLE schedule_tick RENAME TO config_tick`,
  `CREATE TABLE schedule_tick (
     subject_id TEXT NOT NULL, config_id TEXT REFERENCES sync_config (id) ON DELETE CASCADE,
     datasource_id TEXT REFERENCES datasource (id) ON DELETE CASCADE, tick TEXT NOT NULL, fired_at TEXT NOT NULL, missed INTEGER NOT NULL,
     outcome TEXT NOT NULL CHECK (outcome IN ('started', 'skipped', 'refused')), job_id TEXT, reason TEXT,
     PRIMARY KEY (subject_id, tick), CHECK (subject_id = coalesce(config_id, datasource_id)))`,
  `INSERT INTO schedule_tick (subject_id, config_id, tick, fired_at, missed, outcome, job_id, reason)
     SELECT config_id, config_id, tick, fired_at, missed, outcome, job_id, reason FROM config_tick`,
  `DROP TABLE config_tick`,
]
