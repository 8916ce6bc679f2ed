import type { Adapter, Scan } from '#adapters/adapter.ts'
import { must } from '#lib/assert.ts'
import type { ChangeOutcome, ChangeSetSummary, ChangeSetTable, ImagedChange } from '#model/change-set.ts'
import type { Key } from '#model/change.ts'
import { AppError } from '#model/errors.ts'
import { fingerprint, type Fingerprint } from '#model/fingerprint.ts'
import { DEFAULT_POLICIES, plainMapping, type SyncConfig } from '#model/sync-config.ts'
import { sameTable, tableName, type TableRef } from '#model/table.ts'
import { sizeOfRow, type Row } from '#model/value.ts'
import type { ChangeSet } from './change-set.ts'
import type { WrittenImage, WrittenJob, WrittenTable } from './history.ts'
import { withPatience } from './patience.ts'
import type { TablePlan } from './plan.ts'
import type { RunTools } from './run-sync.ts'
import { selectTables, type Selection } from './select-tables.ts'
import { rowsByKey } from './stages/set-aside.ts'
import { keptAgreementOf, keptAgreementRow } from './stages/three-way-lists.ts'
import type { Images, Staging } from './staging.ts'

/** What of a job is to be undone. */
export interface RevertChoice {
  /** Null: every table that the job wrote to. */
  readonly tables: readonly TableRef[] | null
  /** Only the rows of these keys, of the one table that is named; null: all. */
  readonly keys: readonly Key[] | null
}

const BATCH = { rows: 500, bytes: Infinity }

/**
 * The undoing of a job as a change set: for each row that it wrote, the row as it was before, decided on the row as the job
 * left it. A row that somebody has edited since is no part of it: it stands in the change set as moved, and stays as it is
 * unless a person decides otherwise. What is undone already is left out.
 * @throws AppError `not_revertible`
 */
export async function planRevert(
  target: Adapter,
  tools: RunTools,
  { job, set, choice }: { job: WrittenJob; set: ChangeSet; choice: RevertChoice },
): Promise<ChangeSetSummary> {
  return withPatience(tools, async () => {
    using staging = tools.openStaging()
    const tables = chooseTables(job.tables, choice)
    const { plans } = await selectForRevert({ source: target, target }, tables)
    await using now = await target.snapshot(1, tools.signal)
    await now.hold(plans.map((plan) => plan.target.ref))
    await set.begin()
    const told: ChangeSetTable[] = []
    /** By table, then by the JSON of the key. */
    const moved: Map<string, Omit<ChangeOutcome, 'seq'>>[] = []
    const notes: string[] = []
    for (const [place, plan] of plans.entries()) {
      const written = must(tables[place], 'the table of a plan')
      const undo = new TableUndo(plan, { written, staging })
      await undo.fold(job, choice.keys)
      const edited = new Map<string, Omit<ChangeOutcome, 'seq'>>()
      moved.push(edited)
      for (const changes of undo.changes()) {
        tools.signal.throwIfAborted()
        const keys = changes.map(({ key }) => key)
        const found = new Map(
          (await now.fingerprints(plan.write.scan, keys)).map((row) => [JSON.stringify(row.key), row.fingerprint]),
        )
        const rows = await rowsByKey(now, plan.write.scan, keys)
        const open = changes.filter(({ key, source }) => (found.get(JSON.stringify(key)) ?? null) !== source)
        await set.append(place, open)
        for (const change of open) {
          undo.count(change)
          const id = JSON.stringify(change.key)
          const expect = found.get(id) ?? null
          if (expect === change.expect) continue
          const reason = 'The row was edited after the job wrote it.'
          edited.set(id, { mark: 'moved', reason, now: { expect, row: rows.get(id) ?? null } })
        }
      }
      told.push(undo.told())
      notes.push(...undo.notes)
    }
    const summary = await set.seal({ tables: told, notes, stop: null, position: now.position.label })
    for (const [place, edited] of moved.entries()) await settleEdited(set, place, edited)
    return summary
  })
}

async function settleEdited(
  set: ChangeSet,
  place: number,
  edited: ReadonlyMap<string, Omit<ChangeOutcome, 'seq'>>,
): Promise<void> {
  if (edited.size === 0) return
  const outcomes: ChangeOutcome[] = []
  for await (const changes of set.read(place)) {
    for (const { key, seq } of changes) {
      const outcome = edited.get(JSON.stringify(key))
      if (outcome !== undefined) outcomes.push({ ...outcome, seq })
    }
  }
  await set.settle(outcomes)
}

function chooseTables(written: readonly WrittenTable[], { tables, keys }: RevertChoice): readonly WrittenTable[] {
  const unknown = tables?.find((ref) => !written.some(({ target }) => sameTable(target, ref)))
  if (unknown !== undefined) {
    throw new AppError('table_not_found', `The job wrote nothing to ${tableName(unknown)} that can be undone.`)
  }
  const chosen =
    tables === null ? written : written.filter(({ target }) => tables.some((ref) => sameTable(ref, target)))
  if (chosen.length === 0) {
    throw new AppError('not_revertible', 'The job wrote nothing, or nothing of what it wrote was kept.')
  }
  const twice = chosen.find(({ target }, i) => chosen.findIndex((other) => sameTable(other.target, target)) < i)
  if (twice !== undefined) {
    throw new AppError('not_revertible', `Several tables of the source went into ${tableName(twice.target)}.`, {
      hint: 'Rows that came from several tables cannot be told apart; correct them in the sources, and sync again.',
    })
  }
  const lacking = chosen.find(({ complete }) => !complete)
  if (lacking !== undefined) {
    throw new AppError('not_revertible', `What the job wrote to ${tableName(lacking.target)} was not kept row by row.`)
  }
  if (keys !== null && chosen.length !== 1) {
    throw new AppError('usage', 'Keys are of one table: name it.')
  }
  return chosen
}

/** The tables as sources and targets of themselves: rows are compared and written by all their columns. */
export async function selectForRevert(
  ends: { readonly source: Adapter; readonly target: Adapter },
  tables: readonly Pick<WrittenTable, 'target' | 'key' | 'mappingId'>[],
): Promise<Selection> {
  const config: SyncConfig = {
    ...DEFAULT_POLICIES,
    deletePolicy: 'delete',
    // What was there comes back, whatever it was.
    zeroDates: 'keep',
    tables: tables.map(({ target, key }) => ({ ...plainMapping(target, target), key })),
  }
  const selection = await selectTables(ends, config)
  const plans = tables.map(({ target, mappingId }): TablePlan => {
    const plan = must(
      selection.plans.find((each) => sameTable(each.target.ref, target)),
      'the plan of a table',
    )
    // Images are hashed here: by what every program can compute.
    const byMd5 = (scan: Scan): Scan => ({ ...scan, algorithm: 'md5' })
    return {
      ...plan,
      mappingId,
      sourceScan: byMd5(plan.sourceScan),
      write: { ...plan.write, scan: byMd5(plan.write.scan) },
    }
  })
  return { ...selection, plans }
}

/** A row that is not there has no fingerprint. */
const ABSENT = ''

/** What one table was before a job, folded over all that the job did to each row. */
class TableUndo {
  readonly notes: string[] = []
  readonly #plan: TablePlan
  readonly #written: WrittenTable
  readonly #staging: Staging
  readonly #before: Images
  readonly #after: Images
  readonly #baseline: Images
  readonly #places: readonly number[]
  /** The JSON of their keys. */
  readonly #large = new Set<string>()
  readonly #counts = { insert: 0, update: 0, delete: 0 }
  readonly #changed: number[]

  constructor(plan: TablePlan, { written, staging }: { written: WrittenTable; staging: Staging }) {
    this.#plan = plan
    this.#written = written
    this.#staging = staging
    this.#before = staging.images(`${plan.mappingId} before`)
    this.#after = staging.images(`${plan.mappingId} after`)
    this.#baseline = staging.images(`${plan.mappingId} baseline`)
    this.#places = plan.write.scan.columns.map(({ name }) => written.columns.indexOf(name))
    this.#changed = plan.write.scan.columns.map(() => 0)
    const added = plan.write.scan.columns.find((_, i) => this.#places[i] === -1)
    if (added !== undefined) {
      throw new AppError(
        'not_revertible',
        `${tableName(plan.target.ref)} has a column "${added.name}" that it did not have when the job wrote to it.`,
        { hint: 'The rows as they were say nothing of it. Put them right by a sync, or drop the column first.' },
      )
    }
  }

  /** The newest comes first: what it left is what the row is to be now, and what the oldest found is what it was. */
  async fold(job: WrittenJob, keys: readonly Key[] | null): Promise<void> {
    const { mappingId } = this.#plan
    const wanted = keys && new Set(keys.map((key) => JSON.stringify(key)))
    let large = 0
    for await (const changes of job.changes(this.#written)) {
      for (const { key: told, image } of changes) {
        if (wanted !== null && !wanted.has(JSON.stringify(told))) continue
        const { before, after, baseline, large: isLarge } = must(image, 'the image of a row')
        const key = this.#ownKey(told, after ?? before)
        const id = JSON.stringify(key)
        // Of a row that was written several times, all or nothing is undone.
        if (isLarge || this.#large.has(id)) {
          if (!this.#large.has(id)) large += 1
          this.#large.add(id)
          continue
        }
        if (this.#after.find([key]).length === 0) {
          this.#after.put([this.#kept(key, after)])
          this.#staging.append(mappingId, [{ op: 'update', key, expect: null, bytes: 0 }])
        }
        this.#before.put([this.#kept(key, before)])
        this.#baseline.put([{ key, fingerprint: ABSENT, row: baseline && keptAgreementRow(baseline), bytes: 0 }])
      }
    }
    if (large === 0) return
    this.notes.push(
      `${tableName(this.#plan.target.ref)}: ${large} rows were too large to be kept, and cannot be undone: they stay as they are.`,
    )
  }

  /** The key as the table has it: a job is told of rows by keys that read alike on both of its sides, `1.5` for `1.50`. */
  #ownKey(told: Key, image: WrittenImage['before']): Key {
    return told.map((text, i) => {
      const cell = image?.[this.#places[i] ?? -1]
      return typeof cell === 'string' ? cell : text
    })
  }

  #kept(
    key: Key,
    image: WrittenImage['before'],
  ): { key: Key; fingerprint: Fingerprint; row: Row | null; bytes: number } {
    const row = image && this.#places.map((place) => image[place] ?? null)
    return { key, fingerprint: row === null ? ABSENT : fingerprint(row), row, bytes: row === null ? 0 : sizeOfRow(row) }
  }

  /** What is to be done to each row that is not as it was before the job, by what the job left. */
  *changes(): Generator<readonly ImagedChange[]> {
    for (const batch of this.#staging.read(this.#plan.mappingId, ['update'], BATCH)) {
      yield batch.flatMap(({ key }): ImagedChange[] => {
        const [was] = this.#before.find([key])
        const [is] = this.#after.find([key])
        const [baseline] = this.#baseline.find([key])
        if (this.#large.has(JSON.stringify(key))) return []
        if (was === undefined || is === undefined || was.fingerprint === is.fingerprint) return []
        const op = was.row === null ? 'delete' : is.row === null ? 'insert' : 'update'
        return [
          {
            op,
            key,
            expect: is.row === null ? null : is.fingerprint,
            source: was.row === null ? null : was.fingerprint,
            bytes: was.bytes,
            before: is.row,
            after: was.row,
            large: false,
            baseline: baseline?.row ? keptAgreementOf(baseline.row) : null,
          },
        ]
      })
    }
  }

  count({ op, before, after }: ImagedChange): void {
    this.#counts[op] += 1
    if (before === null || after === null) return
    for (const [i, cell] of before.entries()) if (cell !== after[i]) this.#changed[i] = (this.#changed[i] ?? 0) + 1
  }

  told(): ChangeSetTable {
    const { write, target, mappingId, mappingHash } = this.#plan
    const { columns, keyLength } = write.scan
    return {
      source: target.ref,
      target: target.ref,
      mappingId,
      mappingHash,
      baselineHash: this.#written.mappingHash,
      key: columns.slice(0, keyLength).map(({ name }) => name),
      columns: columns.map(({ name }) => ({
        name,
        type: must(
          target.columns.find((column) => column.name === name),
          'a column of the table',
        ).type,
        ...(write.written.includes(name) ? {} : { computed: true as const }),
      })),
      created: false,
      inserts: this.#counts.insert,
      updates: this.#counts.update,
      deletes: this.#counts.delete,
      changedColumns: columns.flatMap(({ name }, i) => {
        const rows = this.#changed[i] ?? 0
        return rows === 0 ? [] : [{ column: name, rows }]
      }),
      unchanged: 0,
      kept: 0,
      rejected: 0,
    }
  }
}
