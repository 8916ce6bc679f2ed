/** The values of policies as people say them, with what each means. The order is the one in which they are offered. */

export interface Choice {
  readonly value: string
  readonly word: string
  readonly about: string
}

export const DIRECTIONS: readonly Choice[] = [
  { value: 'one_way', word: 'One way', about: 'Changes of the source reach the target.' },
  {
    value: 'two_way',
    word: 'Two ways',
    about: 'Changes of either side reach the other. Needs commit mode “as they go”.',
  },
]

export const DETECTION: readonly Choice[] = [
  {
    value: 'hash',
    word: 'Hash',
    about: 'Digests of row ranges on both sides; reads more only where they differ. Sees everything.',
  },
  { value: 'full', word: 'Full', about: 'Every row on both sides, each time. Sees everything.' },
  { value: 'content', word: 'Content', about: 'Every row, value by value, for types that have no equal digest.' },
  {
    value: 'timestamp',
    word: 'Timestamp',
    about: 'Rows whose time column is later than last time. Deletes by a pass of their own.',
  },
  {
    value: 'rowversion',
    word: 'Row version',
    about: 'Rows whose version column is higher than last time. Deletes by a pass of their own.',
  },
  { value: 'primary_key', word: 'Primary key', about: 'Keys only: inserts and deletes. Does not see updates.' },
]

export const CONFLICTS: readonly Choice[] = [
  { value: 'source_wins', word: 'Source wins', about: 'The source has the last word, on every row.' },
  { value: 'target_wins', word: 'Target wins', about: 'What the target changed stays there.' },
  {
    value: 'newer_wins',
    word: 'Newer wins',
    about: 'The row whose time or version column is later. Needs that column.',
  },
  {
    value: 'merge',
    word: 'Merge',
    about: 'Field by field: what one side alone changed is taken; only fields that both changed conflict.',
  },
  { value: 'manual', word: 'Manual', about: 'Somebody decides each conflict; the other rows go on.' },
  {
    value: 'webhook',
    word: 'Webhook',
    about: 'An endpoint of yours is asked, signed and with retries. Needs its URL.',
  },
]

export const FIELD_CONFLICTS: readonly Choice[] = [
  { value: 'manual', word: 'Manual', about: 'Somebody decides.' },
  { value: 'source_wins', word: 'Source wins', about: 'The value of the source, where both changed it.' },
  { value: 'target_wins', word: 'Target wins', about: 'The value of the target, where both changed it.' },
  { value: 'newer_wins', word: 'Newer wins', about: 'The value of the side whose row is newer.' },
  {
    value: 'non_null',
    word: 'The one that is there',
    about: 'The side that has a value; where both have one, somebody decides.',
  },
  { value: 'max', word: 'Greatest', about: 'The greater value, by the order of the type.' },
  { value: 'min', word: 'Least', about: 'The lesser value, by the order of the type.' },
  { value: 'sum', word: 'Sum of both changes', about: 'What both added to the last common number.' },
  { value: 'union', word: 'Union', about: 'A list with what either side added, without what either removed.' },
  {
    value: 'source_owns',
    word: 'Source owns it',
    about: 'Always the value of the source, also where only the target changed it.',
  },
  {
    value: 'target_owns',
    word: 'Target owns it',
    about: 'Always the value of the target, also where only the source changed it.',
  },
]

export const DELETES: readonly Choice[] = [
  { value: 'ignore', word: 'Leave them', about: 'Rows that the source no longer has stay in the target.' },
  {
    value: 'delete',
    word: 'Delete them',
    about: 'Rows that the source no longer has are deleted in the target, within the brake.',
  },
]

export const DELETE_SCOPES: readonly Choice[] = [
  {
    value: 'owned',
    word: 'Rows that this sync wrote',
    about: 'Rows that came into the target in another way are never deleted.',
  },
  {
    value: 'mirror',
    word: 'All rows',
    about: 'The target becomes a mirror: any row that the source lacks may be deleted.',
  },
]

export const COMMIT_MODES: readonly Choice[] = [
  { value: 'streaming', word: 'As they go', about: 'Batch by batch; conflicts are set aside, the other rows go on.' },
  {
    value: 'staged',
    word: 'All at once',
    about: 'Nothing reaches the target until every conflict is decided; then one transaction.',
  },
  { value: 'approval', word: 'After approval', about: 'All at once, and somebody approves the very changes first.' },
]

export const STAGING: readonly Choice[] = [
  { value: 'embedded', word: 'In the service', about: 'Changes that wait are kept in files of the service.' },
  { value: 'redis', word: 'In Redis', about: 'Changes that wait are kept in the Redis of the settings.' },
]

export const AUDIT_LEVELS: readonly Choice[] = [
  { value: 'none', word: 'Nothing', about: 'No record of what a run wrote.' },
  { value: 'summary', word: 'Counts', about: 'What a run came to.' },
  { value: 'standard', word: 'Keys and operations', about: 'Each change by its key and operation.' },
  {
    value: 'detailed',
    word: 'Rows before and after',
    about: 'Each row as it was and as it became: what undoing a run needs.',
  },
]

export const SCHEMA_POLICIES: readonly Choice[] = [
  {
    value: 'add_columns',
    word: 'Add columns',
    about: 'Columns that the target lacks are added as the source has them.',
  },
  { value: 'create', word: 'Add columns, make tables', about: 'Tables that the target lacks are made as well.' },
  { value: 'strict', word: 'Change nothing', about: 'The run stops with the difference.' },
]

export const ON_REJECT: readonly Choice[] = [
  {
    value: 'quarantine',
    word: 'Set the row aside',
    about: 'The others go on; rows that were set aside can be mended and tried again.',
  },
  { value: 'stop', word: 'Stop the run', about: 'The first row that the target refuses ends the run.' },
]

export const VERIFY: readonly Choice[] = [
  {
    value: 'auto',
    word: 'As the run suggests',
    about: 'All rows after a first load and once a day, else what was touched.',
  },
  { value: 'full', word: 'Every row', about: 'Proofs of both sides over whole tables, after each run.' },
  { value: 'changed', word: 'What was touched', about: 'The ranges of rows in which something was written.' },
  { value: 'off', word: 'Not at all', about: 'The counts are still checked.' },
]

export const BASELINES: readonly Choice[] = [
  {
    value: 'auto',
    word: 'Where it is needed',
    about: 'Kept where conflicts, two ways or deletes of own rows need it.',
  },
  { value: 'fingerprints', word: 'Fingerprints', about: 'A digest of each row as both sides last agreed on it.' },
  { value: 'none', word: 'Nothing', about: 'The target keeps no memory of the rows.' },
]

export function wordOf(choices: readonly Choice[], value: string | undefined): string {
  return (choices.find((choice) => choice.value === value) ?? choices[0])?.word ?? ''
}
