/** What a column says as a cursor, and what it does not. */
import type { ColumnFacts, ServerInfo, TableFacts, Upkeep } from '#adapters/adapter.ts'
import { formatCount, plural } from '#lib/amounts.ts'
import type { ColumnType } from '#model/column-type.ts'
import type { Cursor } from '#model/detection.ts'
import type { Completeness } from '#model/receipt.ts'
import type { Column } from '#model/table.ts'
import type { AdviceQuestion, Found, Need, Ranked, RuledOut } from '#sync/advise-detection.ts'
import { planDetection } from '#sync/plan-detection.ts'
import { ZONES_BEHIND_HOURS } from '#sync/stages/detectors/cursor-state.ts'
import { isLarge, percent, RANKS, sampledRows, sizeOf, TELLING_ROWS, writesInWords } from './measures.ts'

/** Names that say what a time or a number is for. */
export const UPDATE_NAME = /(?:upd|modif|mod_|chang|touch|edit|aktual|geaender|mtime|last_?write)/i
export const INSERT_NAME = /(?:creat|insert|added|erstellt|angelegt|recorded|logged|received)/i
export const VERSION_NAME =
  /^(?:row_?vers(?:ion)?|rv|version|lock_version|scn|lsn|modseq|sys_change_version|change_(?:seq|no|number|id))$/i

/** The share of rows that every run would read again, by NULL or by one value, with which a cursor is no gain any more. */
const LOW_SHARE = 0.1

export function isTime({ type }: Pick<Column, 'type'>): boolean {
  return type.kind === 'timestamp' || type.kind === 'date'
}

/** What is to be said of each column of a kind that could be a cursor. */
export function adviseCursors(question: AdviceQuestion, fits: (column: Column) => boolean): Found[] {
  return question.source.columns.filter(fits).flatMap((column) => {
    const facts = question.facts.columns.find((each) => each.column === column.name)
    return facts === undefined ? [] : (judgeCursor(question, column, facts) ?? [])
  })
}

/** Null where nothing speaks for the column. */
function judgeCursor(question: AdviceQuestion, column: Column, facts: ColumnFacts): Found | null {
  const strategy = isTime(column) ? 'timestamp' : 'rowversion'
  const isNamed = (isTime(column) ? UPDATE_NAME : VERSION_NAME).test(column.name)
  const isKept = isUseful(facts.onInsert) || isUseful(facts.onUpdate)
  const counts = [facts.onInsert, facts.onUpdate].find((upkeep) => upkeep?.value === 'row counter')
  const marksInserts = isTime(column) && INSERT_NAME.test(column.name)
  if (!isNamed && !isKept && !counts && !marksInserts) return null
  const out = (why: string): RuledOut => ({ strategy, column: column.name, why })
  const { source, computed, policies, server } = question
  const planned = planDetection(
    { detection: { strategy, cursorColumn: column.name } },
    { source, computed },
    { policies, server },
  )
  if ('message' in planned) return out(planned.message)
  const { cursor } = planned.detecting
  if (question.reviewed) return out('In this commit_mode every run compares everything, and none leaves a position.')
  if (counts)
    return out(`It counts the changes of each row by itself (${counts.by}): no order of rows follows from it.`)
  const why =
    setOtherwise(facts, { table: question.facts, mayBeWritten: isNamed && (isTime(column) || !isKept) }) ??
    unfitValues(facts, { table: question.facts, column, isKept, cursor })
  if (why !== null) return out(why)
  return proposeCursor(question, { strategy, column, facts, cursor })
}

/** Why the way in which it is set forbids to go by it. */
function setOtherwise(
  { onUpdate }: ColumnFacts,
  { table, mayBeWritten }: { table: TableFacts; mayBeWritten: boolean },
): string | null {
  if (onUpdate !== null) {
    const isOther = onUpdate.when !== 'perhaps' && !isUseful(onUpdate)
    return isOther ? `By updates ${onUpdate.by} sets it to something that tells no order of them.` : null
  }
  // Its name says that whoever updates a row sets it.
  if (mayBeWritten) return null
  const { writes } = table
  const inserts = 'Inserts alone set it'
  if (writes === null) return `${inserts}, and whether rows are updated is not known.`
  if (writes.updated > 0) return `${inserts}, and ${writesInWords(table)}.`
  return writes.inserted > 0 ? null : `${inserts}, and no write was counted that would show whether rows are updated.`
}

/** Why the values of a sample forbid to go by them. */
function unfitValues(
  { onUpdate, sample: values }: ColumnFacts,
  {
    table: { sample },
    column,
    isKept,
    cursor,
  }: { table: TableFacts; column: Column; isKept: boolean; cursor: Cursor | null },
): string | null {
  if (sample === null || values === null) {
    return isTime(column) || isKept ? null : 'Nothing in the database sets it, and no sample shows what it is.'
  }
  const of = `of ${sampledRows(sample)}`
  if (values.nulls === sample.rows) return `None ${of} has a value.`
  const { future } = values
  if (future !== null && future > 0) {
    const later = `${formatCount(future)} ${of} have a time in the future`
    if (cursor?.guard === 'order')
      return `${later}: a position that has come there passes all that is written until then.`
    // What was there before the trigger may be anything.
    if (!isSure(onUpdate)) return `${later}: it is not the time at which they were written.`
  }
  const repeats = sample.rows >= TELLING_ROWS && values.distinct * 2 < sample.rows - values.nulls
  return repeats && !isTime(column) && !isKept
    ? `${formatCount(values.mostOfOne)} ${of} share one value, as where each row counts its own changes.`
    : null
}

const USEFUL: readonly Upkeep['value'][] = ['clock', 'local clock', 'sequence', 'transaction']

function isUseful(upkeep: Upkeep | null): boolean {
  return upkeep !== null && USEFUL.includes(upkeep.value)
}

/** The database sets it, whatever the writer says, and in an order that no session's settings disturb. */
export function isSure(upkeep: Upkeep | null): boolean {
  if (upkeep === null || upkeep.value === 'local clock' || !isUseful(upkeep)) return false
  return upkeep.when === 'always' || upkeep.when === 'changed'
}

function proposeCursor(
  question: AdviceQuestion,
  {
    strategy,
    column,
    facts,
    cursor,
  }: { strategy: 'timestamp' | 'rowversion'; column: Column; facts: ColumnFacts; cursor: Cursor | null },
): Ranked {
  const { facts: table, sessions } = question
  const holes = unseenWrites(question, facts, cursor)
  const label = labelOf(question, holes.length === 0)
  const isCheap = rereadShare(table, facts) <= LOW_SHARE
  const isFitting = holes.length === 0 && facts.index !== null && isLarge(table) && isCheap
  const isInserts = facts.onUpdate === null && !UPDATE_NAME.test(column.name)
  const rank = isFitting
    ? RANKS.fitting
    : holes.length === 0
      ? RANKS.trusted
      : isInserts
        ? RANKS.inserts
        : RANKS.written + holes.length / 100
  return {
    strategy,
    cursorColumn: column.name,
    label,
    cost: cursorCost(column, { facts, cursor }, table),
    reasons: cursorReasons(column, facts, table),
    cannotSee: [...holes, ...unseenByAnyCursor(question, facts)],
    needs: [
      ...(facts.index === null && facts.remedies.index !== null
        ? [need(`an index on "${column.name}": else every run reads the whole table`, facts.remedies.index)]
        : []),
      ...(holes.length > 0 && facts.remedies.trigger !== null
        ? [need(`a trigger that sets "${column.name}" by every insert and update`, facts.remedies.trigger)]
        : []),
      ...(sessions.remedy === null
        ? []
        : [need('the right to see the sessions of others, so that no open transaction is passed', sessions.remedy)]),
    ],
    rank,
  }
}

function need(text: string, sql: string): Need {
  return { text, sql, required: false }
}

/** Inserts and updates that the cursor may miss. Empty: the database sets the column by each of them. */
function unseenWrites(
  { facts: table, source }: AdviceQuestion,
  { onInsert, onUpdate, column }: ColumnFacts,
  cursor: Cursor | null,
): string[] {
  const own = [onInsert, onUpdate].filter((upkeep) => upkeep !== null)
  const holes: string[] = []
  if (onUpdate === null) {
    holes.push(`updates that do not set "${column}" themselves: nothing in the database does it for them`)
  } else if (onUpdate.when === 'perhaps') {
    holes.push(`updates for which ${onUpdate.by} does not set it: whether it always does cannot be told from its text`)
  }
  if (onUpdate?.when === 'changed' && source.columns.some(({ type }) => hasEqualTexts(type))) {
    holes.push('updates that only write a value in another way, such as 1.0 as 1.00: its trigger is not fired by them')
  }
  if (onInsert === null) {
    holes.push('rows that are inserted with an older value: nothing in the database sets it for them')
  } else if (onInsert.when === 'omitted') {
    holes.push('rows that are inserted with an older value of their own, such as restored or copied ones')
  } else if (onInsert.when === 'perhaps') {
    holes.push(`inserts for which ${onInsert.by} does not set it: whether it always does cannot be told from its text`)
  }
  if (cursor?.guard !== 'wall clock' && own.some(({ value }) => value === 'local clock')) {
    holes.push(
      'rows that are written while the clock of a time zone is set back, or by sessions of different time zones',
    )
  }
  if (own.some(({ cached }) => cached !== false)) {
    holes.push('rows whose number a session had drawn ahead: its sequence has, or may have, a CACHE above 1')
  }
  if (table.replicated === true && own.some(({ inReplication }) => !inReplication)) {
    holes.push('rows that a subscription writes: triggers do not fire then (ENABLE ALWAYS TRIGGER lets them)')
  }
  if (source.kind === 'view' || source.kind === 'query' || source.kind === 'materialized view') {
    holes.push(`rows of the ${source.kind} that change by other tables, or by its own text, without "${column}"`)
  }
  return holes
}

/** Values that are equal to the server may differ in their texts. */
function hasEqualTexts(type: ColumnType): boolean {
  switch (type.kind) {
    case 'decimal':
      return type.scale === null
    case 'float':
    case 'interval':
    case 'json':
    case 'other':
      return true
    case 'array':
      return hasEqualTexts(type.of)
    default:
      return false
  }
}

/** What is written without what fills a column. */
const BY_OWNERS = 'what is written while triggers are switched off (session_replication_role, DISABLE TRIGGER)'
const UNFIRED: Readonly<Record<ServerInfo['kind'], string>> = {
  postgres: BY_OWNERS,
  postgrest: BY_OWNERS,
  mysql: 'what the source repeats of another server (replication), with the values that it had there',
}

function unseenByAnyCursor(
  { policies, sessions, server }: AdviceQuestion,
  { onInsert, onUpdate }: ColumnFacts,
): string[] {
  const { deletePolicy, deleteCheckHours: hours, cursorWindowSeconds: seconds } = policies
  const isFired = [onInsert, onUpdate].some((upkeep) => upkeep !== null && !upkeep.inReplication)
  return [
    deletePolicy === 'ignore'
      ? 'deletes (with delete_policy: delete, a comparison of all keys finds them every delete_check_hours)'
      : hours === 0
        ? 'deletes, but by a comparison of all keys in every run'
        : `deletes, but by a comparison of all keys every ${plural(hours, 'hour')} (delete_check_hours)`,
    'what the target alone has changed',
    ...(isFired ? [UNFIRED[server.kind]] : []),
    ...(sessions.complete
      ? []
      : [
          `what a transaction writes that lasts longer than ${plural(seconds, 'second')} (cursor_window_seconds): ${sessions.why}`,
        ]),
  ]
}

function labelOf({ policies, sessions }: AdviceQuestion, isSureOfWrites: boolean): Completeness {
  if (!isSureOfWrites) return 'best effort'
  const waits = policies.deletePolicy === 'delete' && policies.deleteCheckHours > 0
  return sessions.complete && !waits ? 'exact' : 'bounded'
}

function cursorReasons(column: Column, { onInsert, onUpdate, sample }: ColumnFacts, table: TableFacts): string[] {
  const isGrowing = sample?.disorder === 0 && table.sample !== null && table.sample.rows >= TELLING_ROWS
  const isStale = isGrowing && onUpdate === null && (table.writes?.updated ?? 0) > 0
  return [
    ...(onUpdate === null
      ? []
      : [`${onUpdate.by} sets it by updates${onUpdate.when === 'perhaps' ? ', at least by some' : ''}`]),
    ...(onInsert === null
      ? []
      : [`${onInsert.by} sets it by inserts${onInsert.when === 'omitted' ? ' that give none' : ''}`]),
    ...(onInsert === null && onUpdate === null ? ['its name alone speaks for it'] : []),
    ...(onUpdate === null && table.writes !== null ? [writesInWords(table)] : []),
    ...(isStale && table.sample !== null
      ? [`against it: in ${sampledRows(table.sample)} it only grows along the key, like a time of inserts`]
      : []),
    ...(column.nullable ? [`against it: it may be NULL${nullsInWords(sample, table)}`] : []),
  ]
}

function nullsInWords(sample: ColumnFacts['sample'], table: TableFacts): string {
  if (sample === null || table.sample === null) return ''
  return `, as in ${formatCount(sample.nulls)} of ${sampledRows(table.sample)}`
}

function cursorCost(
  column: Column,
  { facts: { index, sample }, cursor }: { facts: ColumnFacts; cursor: Cursor | null },
  table: TableFacts,
): string {
  const rows = table.sample?.rows ?? 0
  const again = [
    ...(cursor?.guard === 'wall clock'
      ? [
          `rows of the last ${ZONES_BEHIND_HOURS} hours and more, because it does not say of which time zone it is, in every run`,
        ]
      : []),
    ...(sample !== null && sample.nulls > 0
      ? [`about ${percent(sample.nulls, rows)} of the rows, which have no value, in every run`]
      : []),
    ...(sample !== null && sample.mostOfOne > Math.max(1, rows * 0.01)
      ? [
          `about ${percent(sample.mostOfOne, rows)} of them, which share one value, as long as the position stands there`,
        ]
      : []),
    ...(sample !== null && (sample.future ?? 0) > 0
      ? [`about ${percent(sample.future ?? 0, rows)} of them, whose time lies in the future, in every run until then`]
      : []),
  ]
  const read =
    index === null
      ? `reads the whole table of the source${sizeOf(table)} in every run, for want of an index on "${column.name}"`
      : `reads the rows of the source from the last position on, by the index "${index}"`
  return `${[read, ...again].join('; ')}; of the target, these rows alone. The first run compares everything`
}

/** How much of the table every run would read again; all of it where no sample tells. */
function rereadShare(table: TableFacts, { sample }: ColumnFacts): number {
  const rows = table.sample?.rows ?? 0
  return sample === null || rows === 0 ? 1 : (sample.nulls + sample.mostOfOne + (sample.future ?? 0)) / rows
}
