import { randomBytes } from 'node:crypto'
import type { Transaction } from 'kysely'
import { wallMs } from '#lib/clock.ts'
import type { Actor } from '#model/access.ts'
import type { ConflictKind, RuleResolution } from '#model/conflict.ts'
import { AppError } from '#model/errors.ts'
import { makeId } from '#model/id.ts'
import { tableName, type TableRef } from '#model/table.ts'
import { audited, type AuditEntry } from './audit.ts'
import { toRef } from './rejections.ts'
import type { ConflictRuleRow, Tables } from './schema.ts'
import type { Store } from './store.ts'

/** What somebody has decided once for all conflicts of a sort: of a table, a kind and, mostly, the same fields. */
export interface ConflictRule {
  readonly id: string
  readonly target: TableRef
  readonly kind: ConflictKind
  /** The very columns that both sides changed; null: whichever they are. */
  readonly fields: readonly string[] | null
  readonly resolution: RuleResolution
  readonly createdBy: { readonly id: string; readonly name: string; readonly at: string }
}

/** Conflicts that one rule is about, as their rows in the store have it. */
export interface ConflictSort {
  readonly target_table: string
  readonly kind: string
  /** JSON of names; null: whichever they are. */
  readonly fields: string | null
}

/** Where a rule is about whichever fields: no list of them is written like this. */
const ANY_FIELDS = '*'

/** Rules that one decision can make. */
const MOST_AT_ONCE = 100

/**
 * Makes rules in the transaction of a decision; one about the same sort gives way.
 * @throws AppError `invalid_request` where these are too many sorts to be meant
 */
export async function keepRules(
  tx: Transaction<Tables>,
  audit: (entry: AuditEntry) => Promise<void>,
  {
    configId,
    sorts,
    resolution,
    actor,
    at,
  }: {
    readonly configId: string
    readonly sorts: readonly ConflictSort[]
    readonly resolution: RuleResolution
    readonly actor: Actor
    readonly at: string
  },
): Promise<void> {
  const once = new Map(sorts.map((sort) => [JSON.stringify(keyOf(sort)), keyOf(sort)]))
  if (once.size > MOST_AT_ONCE) {
    throw new AppError(
      'invalid_request',
      `These are ${once.size} sorts of conflicts; one decision makes at most ${MOST_AT_ONCE} rules.`,
      {
        hint: 'Remember what is decided table by table, or whichever the fields are.',
      },
    )
  }
  for (const sort of once.values()) {
    const rule: ConflictRuleRow = {
      id: makeId('conflict rule', wallMs(), randomBytes(10)),
      config_id: configId,
      ...sort,
      resolution,
      created_by: actor.id,
      created_name: actor.name,
      created_at: at,
    }
    await tx
      .deleteFrom('conflict_rule')
      .where('config_id', '=', configId)
      .where('target_table', '=', sort.target_table)
      .where('kind', '=', sort.kind)
      .where('fields', '=', sort.fields)
      .execute()
    await tx.insertInto('conflict_rule').values(rule).execute()
    await audit({
      action: 'conflict_rule.create',
      subject: configId,
      data: { rule: rule.id, ...describe(toRule(rule)) },
    })
  }
}

/** The rules of a sync config, in the order in which they were made. */
export async function listRules(store: Store, configId: string): Promise<readonly ConflictRule[]> {
  const rows = await store.db
    .selectFrom('conflict_rule')
    .selectAll()
    .where('config_id', '=', configId)
    .orderBy('id')
    .execute()
  return rows.map(toRule)
}

/** What it has decided stays decided. @throws AppError `not_found` */
export async function removeRule(
  store: Store,
  { configId, id, actor }: { configId: string; id: string; actor: Actor },
): Promise<void> {
  await audited(store, actor, async (tx, audit) => {
    const row = await tx
      .deleteFrom('conflict_rule')
      .where('config_id', '=', configId)
      .where('id', '=', id)
      .returningAll()
      .executeTakeFirst()
    if (row === undefined) throw new AppError('not_found', `The sync config has no rule ${id}.`)
    await audit({ action: 'conflict_rule.delete', subject: configId, data: { rule: id, ...describe(toRule(row)) } })
  })
}

/** Finds the rule for a conflict of one table: one about its very fields comes first. */
export type FindRule = (conflict: { readonly kind: string; readonly fields: readonly string[] }) => ConflictRule | null

/** Null where there is no rule for the table. */
export async function rulesForTable(db: Store['db'], configId: string, targetTable: string): Promise<FindRule | null> {
  const rows = await db
    .selectFrom('conflict_rule')
    .selectAll()
    .where('config_id', '=', configId)
    .where('target_table', '=', targetTable)
    .execute()
  if (rows.length === 0) return null
  const bySort = new Map(rows.map((row) => [`${row.kind} ${row.fields}`, toRule(row)]))
  return ({ kind, fields }) => bySort.get(`${kind} ${inOrder(fields)}`) ?? bySort.get(`${kind} ${ANY_FIELDS}`) ?? null
}

function keyOf({ target_table, kind, fields }: ConflictSort) {
  return { target_table, kind, fields: fields === null ? ANY_FIELDS : inOrder(JSON.parse(fields) as string[]) }
}

/** The same columns are the same sort, in whichever order they were found. */
function inOrder(fields: readonly string[]): string {
  return JSON.stringify(fields.toSorted())
}

function toRule(row: ConflictRuleRow): ConflictRule {
  return {
    id: row.id,
    target: toRef(row.target_table),
    kind: row.kind as ConflictKind,
    fields: row.fields === ANY_FIELDS ? null : (JSON.parse(row.fields) as string[]),
    resolution: row.resolution as RuleResolution,
    createdBy: { id: row.created_by, name: row.created_name, at: row.created_at },
  }
}

function describe({ target, kind, fields, resolution }: ConflictRule): Readonly<Record<string, unknown>> {
  return { table: tableName(target), kind, fields, resolution }
}
