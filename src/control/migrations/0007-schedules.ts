/** When sync configs run by themselves: what their schedules have come to, and every tick once. */
export const SCHEDULES: readonly string[] = [
  `CREATE TABLE sync_schedule (
     config_id TEXT PRIMARY KEY REFERENCES sync_config (id) ON DELETE CASCADE, schedule TEXT NOT NULL,
     since TEXT NOT NULL, next_at TEXT, paused_at TEXT, paused_by TEXT, consent TEXT)`,
  `CREATE INDEX sync_schedule_by_next ON sync_schedule (next_at)`,
  `CREATE TABLE schedule_tick (
     config_id TEXT NOT NULL REFERENCES sync_config (id) ON DELETE CASCADE, tick TEXT NOT NULL, fired_at TEXT NOT NULL,
     missed INTEGER NOT NULL, outcome TEXT NOT NULL CHECK (outcome IN ('started', 'skipped', 'refused')),
     job_id TEXT, reason TEXT, PRIMARY KEY (config_id, tick))`,
]
