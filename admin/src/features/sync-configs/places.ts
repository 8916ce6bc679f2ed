/** Where a field of the document is edited: what the service says of a place is shown there. */

export type TabName =
  | 'overview'
  | 'tables'
  | 'mapping'
  | 'conflicts'
  | 'deletes'
  | 'writing'
  | 'detection'
  | 'schedule'
  | 'versions'
  | 'yaml'

const TABS: Readonly<Record<string, TabName>> = {
  name: 'overview',
  source_datasource_id: 'overview',
  target_datasource_id: 'overview',
  direction: 'overview',
  tables: 'tables',
  exclude_tables: 'tables',
  schema_policy: 'tables',
  field_mappings: 'mapping',
  columns: 'mapping',
  exclude: 'mapping',
  rename: 'mapping',
  conflict_strategy: 'conflicts',
  conflict_fields: 'conflicts',
  newer_by: 'conflicts',
  tie_break: 'conflicts',
  webhook_url: 'conflicts',
  webhook_timeout_hours: 'conflicts',
  baseline: 'conflicts',
  delete_policy: 'deletes',
  delete_scope: 'deletes',
  max_delete_percent: 'deletes',
  max_overwrite_percent: 'deletes',
  filter_exit: 'tables',
  detection_strategy: 'detection',
  cursor_column: 'detection',
  cursor_window_seconds: 'detection',
  delete_check_hours: 'detection',
  sync_interval: 'schedule',
  schedule: 'schedule',
}

const WRITING =
  /^(commit_mode|staging|approval_hours|audit_level|on_reject|max_rejections|zero_dates|batch_size|max_parallel_\w+|verify_after)$/

/** The tab on which a place of a refusal stands: `body#/tables/0/field_mappings/2`. */
export function tabOfPlace(place: string): TabName {
  const [first = '', , inTable] = place.replace(/^body#\//, '').split('/')
  if (WRITING.test(first)) return 'writing'
  if (first === 'tables' && inTable !== undefined) return TABS[inTable] ?? 'tables'
  // A field that no form has is edited as text.
  return TABS[first] ?? 'yaml'
}
