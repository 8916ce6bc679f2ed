/** What came of it when a dump was last restored on trial. */
export const DRILLS: readonly string[] = [`ALTER TABLE dump ADD COLUMN drill TEXT`]
