/** What events of the audit log say, in words: `Ada started a job`. Actions that are not here are shown as they are. */
const WORDS: Readonly<Record<string, string>> = {
  'access.refuse': 'was refused',
  'audit.cut': 'removed old events',
  'audit.report': 'wrote a report',
  'change_set.download': 'downloaded changes',
  'change_set.withdraw': 'withdrew an approval',
  'conflict.resolve': 'decided a conflict',
  'conflict.resolve_by_rule': 'decided conflicts by a rule',
  'conflict.resolve_many': 'decided conflicts',
  'conflict.webhook_give_up': 'gave up asking a webhook',
  'conflict_rule.create': 'made a rule for conflicts',
  'conflict_rule.delete': 'removed a rule for conflicts',
  'datasource.advise': 'asked for advice on a datasource',
  'datasource.create': 'added a datasource',
  'datasource.delete': 'removed a datasource',
  'datasource.repin': 'took another database for the right one',
  'datasource.test': 'tested a connection',
  'datasource.update': 'changed a datasource',
  'demo.edit': 'had the demo databases edited',
  'demo.make': 'had demo data made',
  'demo.remove': 'removed the demo data',
  'dump.create': 'made a dump',
  'dump.delete': 'deleted a dump',
  'dump.download': 'downloaded a dump',
  'dump.drill': 'tried a dump',
  'dump.expire': 'removed an old dump',
  'export_schedule.delete': 'removed the schedule of an export',
  'export_schedule.update': 'scheduled an export',
  'history.cut': 'removed old history',
  'job.approve': 'approved changes',
  'job.cancel': 'cancelled a job',
  'job.compute_again': 'had changes computed again',
  'job.decide': 'decided about changes',
  'job.end': 'ended a job',
  'job.expire': 'let a job expire',
  'job.resume': 'resumed a job',
  'job.start': 'started a job',
  'job.stop': 'stopped a job',
  'key.create': 'made a key',
  'key.revoke': 'revoked a key',
  'login.refuse': 'was refused a sign-in',
  'rejection.dismiss': 'dismissed rows that were set aside',
  'rejection.edit': 'edited a row that was set aside',
  'schedule.consent': 'said what the runs of a schedule may write to',
  'schedule.pause': 'paused a schedule',
  'schedule.resume': 'resumed a schedule',
  'secret_key.rotate': 'sealed everything anew',
  'session.close': 'signed out',
  'session.open': 'signed in',
  'settings.ai.delete': 'removed the model for suggestions',
  'settings.ai.test': 'tested the model for suggestions',
  'settings.ai.update': 'changed the model for suggestions',
  'settings.redis.delete': 'removed the Redis settings',
  'settings.redis.test': 'tested Redis',
  'settings.redis.update': 'changed the Redis settings',
  'settings.retention.update': 'changed for how long things are kept',
  'setup.refuse': 'was refused the first key',
  'sync_config.accept_schema_drift': 'accepted what has changed in tables',
  'sync_config.advise': 'asked for advice on a sync config',
  'sync_config.create': 'added a sync config',
  'sync_config.delete': 'removed a sync config',
  'sync_config.look': 'looked what has changed in tables',
  'sync_config.preview': 'previewed a mapping',
  'sync_config.suggest': 'asked for a mapping',
  'sync_config.update': 'changed a sync config',
}

export function wordsOf(action: string): string {
  return WORDS[action] ?? action
}

/** An action as a choice in a list: its words without a doer, as a noun would begin. */
export function labelOf(action: string): string {
  const words = WORDS[action]
  return words === undefined ? action : words.charAt(0).toUpperCase() + words.slice(1)
}

/** What an event says beside who, what and when, in a line; what is longer than that stands in its details. */
export function summaryOf(data: unknown): string {
  if (typeof data !== 'object' || data === null || Array.isArray(data)) return ''
  return Object.entries(data)
    .filter(([, value]) => ['string', 'number', 'boolean'].includes(typeof value) && String(value).length <= 60)
    .map(([name, value]) => `${name.replaceAll('_', ' ')} ${String(value)}`)
    .join(', ')
}
