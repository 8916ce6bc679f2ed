import type { BatchKind, BatchRow, Claim, RowImage, Scan, WritePlan } from '#adapters/adapter.ts'
import type { Applied } from '#adapters/batch-part.ts'
import { RowsRefused } from '#adapters/rows-refused.ts'
import { failpoint } from '#lib/failpoint.ts'
import { assert, must } from '#lib/assert.ts'
import type { Operation } from '#model/change.ts'
import { tableName } from '#model/table.ts'
import type { SentRow } from '#model/value.ts'
import { keepAnswers } from './answers.ts'
import { updateBaseline } from './batch-baseline.ts'
import { BatchImages } from './batch-images.ts'
import { refuseCascades } from './cascades.ts'
import { hashLargeRow } from './cells.ts'
import { changePlaces, findBlocked } from './change-places.ts'
import type { Connection } from './connection.ts'
import { writeOneByOne } from './one-by-one.ts'
import { asRefused, isDuplicate } from './refusals.ts'
import type { MyTable } from './introspect.ts'
import { BATCH_STAGE, dropPlaces } from './stage.ts'
import { assignments, insertSql, type Staged } from './staged.ts'
import { TableSql } from './table-sql.ts'

const MARKS: Readonly<Record<Operation, string>> = { delete: 'd', update: 'u', insert: 'i' }

/** How often rows are inserted again that somebody else has inserted between the look and the write. */
const INSERT_ATTEMPTS = 3

/**
 * A batch against one table (DESIGN 8.5): its rows go into a temporary stage. A locking read then finds the rows of the
 * target that the batch is about, as they are now, and holds them until the COMMIT: where one has another fingerprint than
 * the change was decided on, or is there though it was to be inserted, the change leaves the stage (invariant 9). What is
 * left is deleted, updated and inserted by three statements. REPLACE, INSERT IGNORE and ON DUPLICATE KEY UPDATE would
 * write to rows that nobody has looked at (hazard D3).
 */
export class BatchSql {
  readonly #plan: WritePlan
  readonly #sql: TableSql
  readonly #table: MyTable

  constructor(plan: WritePlan, table: MyTable) {
    this.#plan = plan
    this.#table = table
    this.#sql = new TableSql(plan.scan, table)
  }

  async apply(
    connection: Connection,
    claim: Claim,
    { rows, kind, images: wanted }: { rows: readonly BatchRow[]; kind: BatchKind; images: Scan | null },
  ): Promise<Applied> {
    const staged = await this.#stage(connection, rows)
    failpoint('batch.staged')
    const images = wanted && new BatchImages(staged, wanted)
    const lookBefore = async (): Promise<void> => images?.lookBefore(this.#plan.baseline ? claim : null)
    const { moved, blocked } = this.#table.transactional
      ? await this.#write(staged, kind, lookBefore)
      : await writeOneByOne(staged, lookBefore)
    failpoint('batch.written')
    const hits = new Set(rows.keys().filter((seq) => !moved.has(seq) && !blocked.has(seq)))
    await keepAnswers(staged, claim, hits)
    if (this.#plan.baseline) await updateBaseline(staged, claim, hits)
    const counts = (op: Operation): number => [...hits].filter((seq) => rows[seq]?.op === op).length
    const seen = (await images?.lookAfter(hits)) ?? new Map<number, RowImage>()
    return {
      moved,
      blocked,
      inserted: counts('insert'),
      updated: counts('update'),
      deleted: counts('delete'),
      images: seen,
    }
  }

  async #write(
    staged: Staged,
    kind: BatchKind,
    lookBefore: () => Promise<void>,
  ): Promise<{ moved: Set<number>; blocked: Set<number> }> {
    const { rows } = staged
    const moved = await findMoved(staged)
    const has = (op: Operation): boolean => rows.some((row, seq) => row.op === op && !moved.has(seq))
    if (has('delete')) await refuseCascades(staged)
    await lookBefore()
    if (has('delete')) await this.#delete(staged)
    const blocked = kind === 'together' ? await findBlocked(staged, moved) : new Set<number>()
    if (has('update')) await this.#update(staged, kind)
    if (has('insert')) await this.#insert(staged, moved)
    return { moved, blocked }
  }

  async #stage(connection: Connection, rows: readonly BatchRow[]): Promise<Staged> {
    const { columns } = this.#plan.scan
    const cellsOf = ({ row, key }: BatchRow): SentRow => row ?? columns.map((_, i) => key[i] ?? null)
    const lines = rows.values().map((row, seq): SentRow => [String(seq), MARKS[row.op], ...cellsOf(row)])
    const taken = await BATCH_STAGE.fill(connection, columns.length, lines)
    assert(
      taken === rows.length,
      `the stage took ${taken} of ${rows.length} rows of ${tableName(this.#plan.scan.table)}`,
    )
    const stage = BATCH_STAGE.of(connection)
    return { connection, plan: this.#plan, table: this.#table, sql: this.#sql, rows, stage }
  }

  /** Without a unique key the locks are on more rows than those that were expected. */
  #where(op: Operation): string {
    return this.#sql.where(`s.op = '${MARKS[op]}'`)
  }

  async #delete({ connection, stage }: Staged): Promise<void> {
    await connection.execute(
      `DELETE t FROM ${stage} s STRAIGHT_JOIN ${this.#sql.from} t ON ${this.#sql.keyEquals('s.c')} ${this.#where('delete')}`,
    )
  }

  async #update(staged: Staged, kind: BatchKind): Promise<void> {
    if (kind === 'together') return await changePlaces(staged)
    const sets = assignments(this.#plan, this.#table)
    // A table that is all key has nothing to set; the row is in step by its key alone.
    if (sets.length === 0) return
    await staged.connection.execute(
      `UPDATE ${staged.stage} s STRAIGHT_JOIN ${this.#sql.from} t ON ${this.#sql.keyEquals('s.c')}
       SET ${sets.join(', ')} ${this.#where('update')}`,
    )
  }

  /** Adds to `moved` what somebody else has inserted since it was looked for. */
  async #insert(staged: Staged, moved: Set<number>): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        await staged.connection.execute(insertSql(staged))
        return
      } catch (error) {
        const found = isDuplicate(error) && attempt < INSERT_ATTEMPTS ? await findThere(staged) : []
        if (found.length === 0) throw asRefused(error, this.#table) ?? error
        for (const seq of found) moved.add(seq)
        await dropPlaces(staged.connection, staged.stage, found)
      }
    }
  }
}

/**
 * Takes out of the stage what is not as it was decided on, and locks the rows that the others are about. Under READ
 * COMMITTED a locking read sees the rows as they are committed now.
 */
async function findMoved({ connection, sql, plan, rows, stage }: Staged): Promise<Set<number>> {
  const moved = new Set<number>()
  if (rows.some(({ op }) => op !== 'insert')) {
    const found = await connection.query(
      `SELECT CAST(s.seq AS CHAR), CAST(${sql.fingerprint} AS CHAR)
       FROM ${stage} s STRAIGHT_JOIN ${sql.from} t ON ${sql.keyEquals('s.c')} ${sql.where("s.op <> 'i'")} FOR UPDATE`,
    )
    const there = new Map<number, string>()
    for (const [place, hash] of found) {
      const seq = Number(place)
      const { key } = must(rows[seq], 'a row of the batch')
      // A key that two rows have names neither of them.
      if (there.has(seq)) throw severalRows(plan)
      there.set(seq, hash ?? (await hashLargeRow(connection, sql, key)).readBigInt64BE(0).toString())
    }
    for (const [seq, { op, expect }] of rows.entries()) {
      if (op !== 'insert' && there.get(seq) !== expect) moved.add(seq)
    }
  }
  if (rows.some(({ op }) => op === 'insert')) {
    for (const seq of await findThere({ connection, sql, plan, rows, stage })) moved.add(seq)
  }
  await dropPlaces(connection, stage, moved)
  return moved
}

function severalRows({ scan }: WritePlan): RowsRefused {
  const reason = `${tableName(scan.table)} has several rows of one key`
  return new RowsRefused('21000', reason, { orderMatters: false, column: null, cause: undefined })
}

/** Places of the inserts whose keys are taken; a filter hides no key. */
async function findThere({ connection, sql, stage }: Omit<Staged, 'table'>): Promise<number[]> {
  const found = await connection.query(
    `SELECT CAST(s.seq AS CHAR) FROM ${stage} s STRAIGHT_JOIN ${sql.from} t ON ${sql.keyEquals('s.c')}
     WHERE s.op = 'i' FOR UPDATE`,
  )
  return found.map(([seq]) => Number(seq))
}
