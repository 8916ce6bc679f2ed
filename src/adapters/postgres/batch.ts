import { once } from 'node:events'
import { finished } from 'node:stream/promises'
import type { BatchKind, BatchRow, Claim, WritePlan } from '#adapters/adapter.ts'
import { failpoint } from '#lib/failpoint.ts'
import { assert } from '#lib/assert.ts'
import type { Operation } from '#model/change.ts'
import { tableName } from '#model/table.ts'
import { changePlaces, dropBlocked } from './change-places.ts'
import type { Connection } from './connection.ts'
import { copyLine } from './copy-text.ts'
import type { PgTable } from './introspect.ts'
import { fingerprintSql, inForm, quote, quoteTable } from './sql.ts'
import { baselineTable } from './state.ts'
import { STAGE, TableSql } from './table-sql.ts'
import { watch } from '#adapters/watchdog.ts'

/** Lines are sent together: a message for each would cost more than the line. */
const SEND_CHARACTERS = 64 * 1024

const MARKS: Readonly<Record<Operation, string>> = { delete: 'd', update: 'u', insert: 'i' }

/** Which rows of a batch were applied; the others had moved, or are blocked by rows outside of a `together` batch. */
export interface Applied {
  readonly moved: ReadonlySet<number>
  readonly blocked: ReadonlySet<number>
  readonly inserted: number
  readonly updated: number
  readonly deleted: number
}

/**
 * A batch against one table (DESIGN 8.5): its rows go by COPY into a temporary stage, then three statements in an open
 * transaction: DELETE and UPDATE where the target's row still has the fingerprint that the change was decided on, INSERT
 * where there is no such key. A plain upsert could not tell a row that had moved. Under READ COMMITTED a statement that
 * waited for another writer looks at the row again, so that the comparison holds at the moment of writing (invariant 9).
 */
export class BatchSql {
  readonly #plan: WritePlan
  readonly #sql: TableSql
  readonly #table: PgTable

  constructor(plan: WritePlan, table: PgTable) {
    this.#plan = plan
    this.#table = table
    this.#sql = new TableSql(plan.scan, table)
  }

  async apply(
    connection: Connection,
    claim: Claim,
    { rows, kind }: { rows: readonly BatchRow[]; kind: BatchKind },
  ): Promise<Applied> {
    await this.#stage(connection, rows)
    failpoint('batch.staged')
    if (!this.#plan.keyIsUnique) {
      await connection.query(`LOCK TABLE ${quoteTable(this.#plan.scan.table)} IN SHARE ROW EXCLUSIVE MODE`)
    }
    const hits = new Set<number>()
    const has = (op: Operation): boolean => rows.some((row) => row.op === op)
    const deleted = has('delete') ? await this.#run(connection, this.#deleteSql(), hits) : 0
    const places = { plan: this.#plan, table: this.#table, sql: this.#sql }
    const blocked = kind === 'together' ? await dropBlocked(connection, places) : new Set<number>()
    const updated = has('update') ? await this.#update(connection, kind, hits) : 0
    const inserted = has('insert') ? await this.#insert(connection, rows, hits) : 0
    failpoint('batch.written')
    const missed = new Set(rows.keys().filter((index) => !hits.has(index)))
    if (this.#plan.baseline) await this.#updateBaseline(connection, claim, missed)
    const moved = new Set([...missed].filter((index) => !blocked.has(index)))
    return { moved, blocked, inserted, updated, deleted }
  }

  async #update(connection: Connection, kind: BatchKind, hits: Set<number>): Promise<number> {
    if (kind !== 'together' && !this.#setsIdentity()) return this.#run(connection, this.#updateSql(), hits)
    const seqs = await changePlaces(connection, { plan: this.#plan, table: this.#table, sql: this.#sql })
    for (const seq of seqs) hits.add(seq)
    return seqs.length
  }

  /** UPDATE cannot give a value to an identity column that is always generated; INSERT can. */
  #setsIdentity(): boolean {
    const { scan, written } = this.#plan
    const carried = scan.columns.slice(scan.keyLength).map(({ name }) => name)
    return this.#table.schema.columns.some(
      ({ name, identity }) => identity === 'always' && carried.includes(name) && written.includes(name),
    )
  }

  async #stage(connection: Connection, rows: readonly BatchRow[]): Promise<void> {
    const { columns, table } = this.#plan.scan
    const typed = columns.map((column, i) => `t.${quote(column.name)} AS c${i}`)
    await connection.query(
      `CREATE TEMP TABLE syncline_stage ON COMMIT DROP AS
       SELECT 0::int4 AS seq, 'i'::text AS op, NULL::int8 AS expect, ${typed.join(', ')}
       FROM ONLY ${quoteTable(table)} t WITH NO DATA`,
    )
    const copy = connection.copyIn(`COPY ${STAGE} FROM STDIN`)
    const sent = (async () => {
      const done = finished(copy.stream)
      let lines = ''
      for (const [seq, row] of rows.entries()) {
        const cells = row.row ?? columns.map((_, i) => row.key[i] ?? null)
        lines += copyLine([String(seq), MARKS[row.op], row.expect, ...cells])
        if (lines.length < SEND_CHARACTERS) continue
        if (!copy.stream.write(lines)) await Promise.race([once(copy.stream, 'drain'), done])
        lines = ''
      }
      copy.stream.end(lines)
      await done
    })()
    await watch([connection], sent)
    assert(copy.rows() === rows.length, `COPY took ${copy.rows()} of ${rows.length} rows of ${tableName(table)}`)
  }

  async #run(connection: Connection, sql: string, hits: Set<number>): Promise<number> {
    const found = await connection.query(sql)
    for (const [seq] of found) hits.add(Number(seq))
    return found.length
  }

  async #insert(connection: Connection, rows: readonly BatchRow[], hits: Set<number>): Promise<number> {
    const written = await connection.query(this.#insertSql())
    const keys = new Set(written.map((row) => JSON.stringify(row)))
    for (const [seq, row] of rows.entries()) {
      if (row.op === 'insert' && keys.has(JSON.stringify(row.key))) hits.add(seq)
    }
    return written.length
  }

  #deleteSql(): string {
    return `DELETE FROM ${this.#sql.from} t USING ${STAGE} s
      WHERE s.op = 'd' AND ${this.#sql.keyEquals('s.c')} AND ${this.#sql.fingerprint} = s.expect RETURNING s.seq`
  }

  #updateSql(): string {
    const { scan, written } = this.#plan
    const sets = this.#sql.assignments(written)
    // A table that is all key has nothing to set; the row is in step by its key alone.
    const set = sets.length > 0 ? sets.join(', ') : `${quote(scan.columns[0]?.name ?? '')} = s.c0`
    return `UPDATE ${this.#sql.from} t SET ${set} FROM ${STAGE} s
      WHERE s.op = 'u' AND ${this.#sql.keyEquals('s.c')} AND ${this.#sql.fingerprint} = s.expect RETURNING s.seq`
  }

  #insertSql(): string {
    const { scan, written, keyIsUnique } = this.#plan
    const columns = scan.columns.flatMap((column, i) =>
      written.includes(column.name) ? [{ name: column.name, i }] : [],
    )
    const key = scan.columns.slice(0, scan.keyLength).map((column) => quote(column.name))
    const guard = keyIsUnique
      ? ''
      : `AND NOT EXISTS (SELECT FROM ${this.#sql.from} t WHERE ${this.#sql.keyEquals('s.c')})`
    return `INSERT INTO ${quoteTable(scan.table)} AS t (${columns.map((column) => quote(column.name)).join(', ')})
      OVERRIDING SYSTEM VALUE
      SELECT ${columns.map((column) => `s.c${column.i}`).join(', ')} FROM ${STAGE} s WHERE s.op = 'i' ${guard} ORDER BY s.seq
      ${keyIsUnique ? `ON CONFLICT (${key.join(', ')}) DO NOTHING` : ''}
      RETURNING ${this.#sql.keyExpressions.join(', ')}`
  }

  /** What was applied is in step now: both fingerprints are those of the row that was staged. */
  async #updateBaseline(connection: Connection, claim: Claim, moved: ReadonlySet<number>): Promise<void> {
    const { scan } = this.#plan
    const baseline = baselineTable(claim.mappingId)
    const keys = Array.from({ length: scan.keyLength }, (_, i) => `k${i}`)
    const missed = [[...moved]]
    const staged = fingerprintSql(
      scan.columns.map((column, i) => inForm(`s.c${i}`, column.form)),
      scan.algorithm,
    )
    const same = this.#sql.matches('b.k', 's.c')
    await connection.query(
      `DELETE FROM ${baseline} b USING ${STAGE} s WHERE s.op = 'd' AND s.seq <> ALL($1::int4[]) AND ${same}`,
      missed,
    )
    await connection.query(
      `INSERT INTO ${baseline} (${keys.join(', ')}, source_fingerprint, target_fingerprint)
       SELECT ${keys.map((_, i) => `x.c${i}`).join(', ')}, x.f, x.f
       FROM (SELECT s.*, ${staged} AS f FROM ${STAGE} s WHERE s.op <> 'd' AND s.seq <> ALL($1::int4[]) OFFSET 0) x
       ON CONFLICT (${keys.join(', ')}) DO UPDATE
       SET source_fingerprint = excluded.source_fingerprint, target_fingerprint = excluded.target_fingerprint`,
      missed,
    )
  }
}
