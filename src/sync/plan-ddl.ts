import type { Adapter, Snapshot } from '#adapters/adapter.ts'
import type { DdlStatement, PendingDdl, TableDdl } from '#adapters/table-ddl.ts'
import { must } from '#lib/assert.ts'
import { AppError } from '#model/errors.ts'
import type { DdlRisk, DdlStage, PlannedDdl } from '#model/planned-ddl.ts'
import { sameTable, type TableSchema } from '#model/table.ts'
import type { Selection } from './select-tables.ts'

/** The two sides, as a run sees them. */
interface Ends {
  readonly source: Adapter
  /** The moment of the source whose definitions are read. */
  readonly moment: Snapshot
  readonly target: Adapter
}

/** How the tables that the target lacks are made; null where it lacks none. @throws AppError as reading definitions does */
export async function readMissingDdl(
  { missing, drafted }: Pick<Selection, 'missing' | 'drafted'>,
  { source, moment, target }: Ends,
): Promise<TableDdl | null> {
  if (missing.length === 0) return null
  return drafted ?? (await must(source.ddl, 'the definitions of tables')(missing, moment, target.server))
}

/** A column that a table of the target gets; pg_dump has no such entry. */
const COLUMN = 'COLUMN'

/** What runs before have left to be carried out for these tables: the next run does, also one that only applies changes. */
export async function readPendingDdl(
  { plans }: Pick<Selection, 'plans'>,
  target: Adapter,
): Promise<readonly PendingDdl[]> {
  const targets = plans.map((plan) => plan.target)
  return (await target.pendingDdl()).filter((statement) => concerns(statement, targets))
}

/** Whether it is about tables of the run alone. */
export function concerns(statement: PendingDdl, targets: readonly TableSchema[]): boolean {
  return statement.tables.every((ref) =>
    targets.some((table) => [table.ref, ...table.partitions].some((own) => sameTable(own, ref))),
  )
}

/** What a run would change of the target's tables, statement by statement, stage by stage. Pure. */
export function plannedDdl(
  ddl: TableDdl | null,
  added: Selection['added'],
  pending: readonly PendingDdl[] = [],
): PlannedDdl[] {
  const left = (of: PendingDdl['stage']): readonly DdlStatement[] => pending.filter(({ stage }) => stage === of)
  const made = (statements: readonly DdlStatement[], stage: DdlStage): PlannedDdl[] =>
    statements.map(({ sql, kind, tables }) => ({ sql: sql.trim(), kind, tables, stage, risk: riskOf(kind) }))
  return [
    ...made(ddl?.beforeData ?? [], 'before data'),
    ...added.flatMap(({ table, additions }) =>
      additions.map(({ sql }): PlannedDdl => ({
        sql: sql.replace(/;$/, ''),
        kind: COLUMN,
        tables: [table],
        stage: 'before data',
        risk: 'locks',
      })),
    ),
    ...made([...left('after data'), ...(ddl?.afterData ?? [])], 'after data'),
    ...made([...left('foreign keys'), ...(ddl?.foreignKeys ?? [])], 'foreign keys'),
  ]
}

/** Kinds that a server runs something of, by the words of pg_dump. */
const CODE: readonly string[] = [
  'AGGREGATE',
  'EXTENSION',
  'FOREIGN DATA WRAPPER',
  'FUNCTION',
  'PROCEDURAL LANGUAGE',
  'PROCEDURE',
  'RULE',
  'TRIGGER',
]

function riskOf(kind: string): DdlRisk | null {
  return CODE.includes(kind) ? 'code' : null
}

/**
 * What somebody has looked at is what runs, to the letter. An attempt before this one may have made the tables, all of them
 * at once, or have added some of the columns: that much is not to be done any more.
 * @throws AppError `change_set_outdated`
 */
export function refuseOtherDdl(seen: readonly PlannedDdl[], now: readonly PlannedDdl[]): void {
  const makes = now.filter(({ kind }) => kind === 'TABLE').flatMap(({ tables }) => tables)
  // What was pending is about tables that were there already.
  const isOfMade = ({ tables }: PlannedDdl): boolean =>
    tables.length === 0 || tables.some((ref) => makes.some((made) => sameTable(made, ref)))
  const [seenTables, nowTables] = [seen.filter(isOfMade), now].map((all) => textsOf(all, (kind) => kind !== COLUMN))
  const [seenColumns, nowColumns] = [seen, now].map((all) => textsOf(all, (kind) => kind === COLUMN))
  const isSame = nowTables?.length === 0 || JSON.stringify(seenTables) === JSON.stringify(nowTables)
  if (isSame && nowColumns?.every((sql) => seenColumns?.includes(sql))) return
  throw otherDdl()
}

/**
 * What a run before has left since nobody has looked at. Of what was seen some may be done by now.
 * @throws AppError `change_set_outdated`
 */
export function refuseUnseenDdl(seen: readonly PlannedDdl[], pending: readonly PendingDdl[]): void {
  if (pending.some(({ sql }) => !seen.some((statement) => statement.sql === sql.trim()))) throw otherDdl()
}

function otherDdl(): AppError {
  return new AppError(
    'change_set_outdated',
    'The definitions of tables that are to be made or altered are others than when the changes were computed.',
  )
}

function textsOf(statements: readonly PlannedDdl[], isWanted: (kind: string) => boolean): readonly string[] {
  return statements.filter(({ kind }) => isWanted(kind)).map(({ sql }) => sql)
}
