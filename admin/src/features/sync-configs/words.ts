/** The values of policies as people say them, with what each means. The order is the one in which they are offered. */

export interface Choice {
  readonly value: string
  readonly word: string
  readonly about: string
}

/** Value, word, and what it means. */
function choices(...all: readonly (readonly [value: string, word: string, about: string])[]): readonly Choice[] {
  return all.map(([value, word, about]) => ({ value, word, about }))
}

export const DIRECTIONS = choices(
  ['one_way', 'One way', 'Changes of the source reach the target.'],
  ['two_way', 'Two ways', 'Changes of either side reach the other. Needs commit mode “as they go”.'],
)

export const DETECTION = choices(
  ['hash', 'Hash', 'Digests of row ranges on both sides; reads more only where they differ. Sees everything.'],
  ['full', 'Full', 'Every row on both sides, each time. Sees everything.'],
  ['content', 'Content', 'Every row, value by value, for types that have no equal digest.'],
  ['timestamp', 'Timestamp', 'Rows whose time column is later than last time. Deletes by a pass of their own.'],
  ['rowversion', 'Row version', 'Rows whose version column is higher than last time. Deletes by a pass of their own.'],
  ['primary_key', 'Primary key', 'Keys only: inserts and deletes. Does not see updates.'],
)

export const CONFLICTS = choices(
  ['source_wins', 'Source wins', 'The source has the last word, on every row.'],
  ['target_wins', 'Target wins', 'What the target changed stays there.'],
  ['newer_wins', 'Newer wins', 'The row whose time or version column is later. Needs that column.'],
  ['merge', 'Merge', 'Field by field: what one side alone changed is taken; only fields that both changed conflict.'],
  ['manual', 'Manual', 'Somebody decides each conflict; the other rows go on.'],
  ['webhook', 'Webhook', 'An endpoint of yours is asked, signed and with retries. Needs its URL.'],
)

export const FIELD_CONFLICTS = choices(
  ['manual', 'Manual', 'Somebody decides.'],
  ['source_wins', 'Source wins', 'The value of the source, where both changed it.'],
  ['target_wins', 'Target wins', 'The value of the target, where both changed it.'],
  ['newer_wins', 'Newer wins', 'The value of the side whose row is newer.'],
  ['non_null', 'The one that is there', 'The side that has a value; where both have one, somebody decides.'],
  ['max', 'Greatest', 'The greater value, by the order of the type.'],
  ['min', 'Least', 'The lesser value, by the order of the type.'],
  ['sum', 'Sum of both changes', 'What both added to the last common number.'],
  ['union', 'Union', 'A list with what either side added, without what either removed.'],
  ['source_owns', 'Source owns it', 'Always the value of the source, also where only the target changed it.'],
  ['target_owns', 'Target owns it', 'Always the value of the target, also where only the source changed it.'],
)

export const DELETES = choices(
  ['ignore', 'Leave them', 'Rows that the source no longer has stay in the target.'],
  ['delete', 'Delete them', 'Rows that the source no longer has are deleted in the target, within the brake.'],
)

export const DELETE_SCOPES = choices(
  ['owned', 'Rows that this sync wrote', 'Rows that came into the target in another way are never deleted.'],
  ['mirror', 'All rows', 'The target becomes a mirror: any row that the source lacks may be deleted.'],
)

export const COMMIT_MODES = choices(
  ['streaming', 'As they go', 'Batch by batch; conflicts are set aside, the other rows go on.'],
  ['staged', 'All at once', 'Nothing reaches the target until every conflict is decided; then one transaction.'],
  ['approval', 'After approval', 'All at once, and somebody approves the very changes first.'],
)

export const STAGING = choices(
  ['embedded', 'In the service', 'Changes that wait are kept in files of the service.'],
  ['redis', 'In Redis', 'Changes that wait are kept in the Redis of the settings.'],
)

export const AUDIT_LEVELS = choices(
  ['none', 'Nothing', 'No record of what a run wrote.'],
  ['summary', 'Counts', 'What a run came to.'],
  ['standard', 'Keys and operations', 'Each change by its key and operation.'],
  ['detailed', 'Rows before and after', 'Each row as it was and as it became: what undoing a run needs.'],
)

export const SCHEMA_POLICIES = choices(
  ['add_columns', 'Add columns', 'Columns that the target lacks are added as the source has them.'],
  ['create', 'Add columns, make tables', 'Tables that the target lacks are made as well.'],
  ['strict', 'Change nothing', 'The run stops with the difference.'],
)

export const ON_REJECT = choices(
  ['quarantine', 'Set the row aside', 'The others go on; rows that were set aside can be mended and tried again.'],
  ['stop', 'Stop the run', 'The first row that the target refuses ends the run.'],
)

export const VERIFY = choices(
  ['auto', 'As the run suggests', 'All rows after a first load and once a day, else what was touched.'],
  ['full', 'Every row', 'Proofs of both sides over whole tables, after each run.'],
  ['changed', 'What was touched', 'The ranges of rows in which something was written.'],
  ['off', 'Not at all', 'The counts are still checked.'],
)

export const BASELINES = choices(
  ['auto', 'Where it is needed', 'Kept where conflicts, two ways or deletes of own rows need it.'],
  ['fingerprints', 'Fingerprints', 'A digest of each row as both sides last agreed on it.'],
  ['none', 'Nothing', 'The target keeps no memory of the rows.'],
)

export function wordOf(choices: readonly Choice[], value: string | undefined): string {
  return (choices.find((choice) => choice.value === value) ?? choices[0])?.word ?? ''
}
