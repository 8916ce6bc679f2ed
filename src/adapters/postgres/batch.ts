import { once } from 'node:events'
import { finished } from 'node:stream/promises'
import type { BatchKind, BatchRow, Claim, RowImage, Scan, WritePlan } from '#adapters/adapter.ts'
import type { Applied } from '#adapters/batch-part.ts'
import { failpoint } from '#lib/failpoint.ts'
import { assert } from '#lib/assert.ts'
import type { Operation } from '#model/change.ts'
import { tableName } from '#model/table.ts'
import type { SentRow } from '#model/value.ts'
import { detailColumns, detailText } from './baseline-details.ts'
import { BatchImages } from './batch-images.ts'
import { refuseCascades } from './cascades.ts'
import { changePlaces, dropBlocked } from './change-places.ts'
import type { Connection } from './connection.ts'
import { copyPieces } from '#model/row-text.ts'
import type { PgTable } from './introspect.ts'
import { quote, quoteTable } from './sql.ts'
import { baselineTable } from './state.ts'
import { STAGE, STAGE_COLUMNS, STAGE_REST, TableSql } from './table-sql.ts'
import { watch } from '#adapters/watchdog.ts'

/** Lines are sent together: a message for each would cost more than the line. */
const SEND_CHARACTERS = 64 * 1024

/** The stage that a session keeps: the definition of its table, and the statement that made it. */
const stages = new WeakMap<Connection, string>()

/** The transaction that held the stage of the session has ended, and the stage with it. */
export function forgetStage(connection: Connection): void {
  stages.delete(connection)
}

/** Removes the stage that the session keeps: what follows makes its own. */
export async function dropKeptStage(connection: Connection): Promise<void> {
  if (!stages.delete(connection)) return
  await connection.transaction('write', () => connection.script(`DROP TABLE IF EXISTS ${STAGE}`))
}

interface StagePart {
  readonly name: string
  /** The columns that are ours. */
  readonly own: string
  /** The first of the scan's columns that is in it. */
  readonly from: number
}

const FIRST_STAGE: StagePart = {
  name: 'syncline_stage',
  own: `0::int4 AS seq, 'i'::text AS op, NULL::int8 AS expect`,
  from: 0,
}
const SECOND_STAGE: StagePart = { name: 'syncline_stage_rest', own: '0::int4 AS seq', from: STAGE_COLUMNS }

const NO_DETAIL = { name: '', value: '' }

const MARKS: Readonly<Record<Operation, string>> = { delete: 'd', update: 'u', insert: 'i' }

/**
 * A batch against one table (DESIGN 8.5): its rows go by COPY into a temporary stage, then three statements in an open
 * transaction: DELETE and UPDATE where the target's row still has the fingerprint that the change was decided on, INSERT
 * where there is no such key. A plain upsert could not tell a row that had moved. Under READ COMMITTED a statement that
 * waited for another writer looks at the row again, so that the comparison holds at the moment of writing (invariant 9).
 * Whoever calls holds the table's lock.
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
    { rows, kind, images: wanted }: { rows: readonly BatchRow[]; kind: BatchKind; images: Scan | null },
  ): Promise<Applied> {
    await this.#stage(connection, rows)
    failpoint('batch.staged')
    const images = wanted && new BatchImages(connection, { plan: this.#plan, table: this.#table, scan: wanted })
    await images?.lookBefore(claim)
    const hits = new Set<number>()
    const has = (op: Operation): boolean => rows.some((row) => row.op === op)
    if (has('delete')) await refuseCascades(connection, this.#sql, this.#table)
    const deleted = has('delete') ? await this.#run(connection, this.#deleteSql(), hits) : 0
    const places = { plan: this.#plan, table: this.#table, sql: this.#sql }
    const blocked = kind === 'together' ? await dropBlocked(connection, places) : new Set<number>()
    const updated = has('update') ? await this.#update(connection, kind, hits) : 0
    const inserted = has('insert') ? await this.#insert(connection, rows, hits) : 0
    failpoint('batch.written')
    const missed = new Set(rows.keys().filter((index) => !hits.has(index)))
    if (this.#plan.baseline) {
      await this.#updateBaseline(connection, claim, missed)
      await this.#setAgreed(connection, claim, { rows, missed })
      await this.#setBaseline(connection, claim, { rows, missed })
    }
    const moved = new Set([...missed].filter((index) => !blocked.has(index)))
    const seen = (await images?.lookAfter(hits)) ?? new Map<number, RowImage>()
    return { moved, blocked, inserted, updated, deleted, images: seen }
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

  /**
   * Makes the stage for all batches of this table that this session writes: its own catalogue entries are most of what a
   * small batch costs. Only where the session is ours.
   */
  async keepStage(connection: Connection): Promise<void> {
    const { scan, definition } = this.#plan
    if (scan.columns.length > STAGE_COLUMNS) return dropKeptStage(connection)
    const create = this.#createStage(FIRST_STAGE, 'DELETE ROWS')
    // An altered table has other types under the same names.
    const made = JSON.stringify([definition, create])
    if (stages.get(connection) === made) return
    await dropKeptStage(connection)
    // Nothing of the stage outlives a crash of the server; nobody need wait for the disk.
    await connection.transaction('write', () => connection.script(`SET LOCAL synchronous_commit = off; ${create}`))
    stages.set(connection, made)
  }

  /**
   * The same inside of an open transaction that holds many batches: a stage for each of them would keep its locks until the
   * end. Whoever calls empties it between batches, and forgets it with the transaction. Null where each batch makes its own.
   */
  async furnish(connection: Connection, before: string | null): Promise<string | null> {
    const { scan, definition } = this.#plan
    const fits = scan.columns.length <= STAGE_COLUMNS
    const create = this.#createStage(FIRST_STAGE, 'DROP')
    const made = fits ? JSON.stringify([definition, create]) : null
    if (made !== null && made === before) return made
    stages.delete(connection)
    await connection.script(`DROP TABLE IF EXISTS ${STAGE}, ${STAGE_REST}${fits ? `; ${create}` : ''}`)
    if (made !== null) stages.set(connection, made)
    return made
  }

  async #stage(connection: Connection, rows: readonly BatchRow[]): Promise<void> {
    const { columns } = this.#plan.scan
    const cellsOf = ({ row, key }: BatchRow): SentRow => row ?? columns.map((_, i) => key[i] ?? null)
    if (!stages.has(connection)) await connection.query(this.#createStage(FIRST_STAGE, 'DROP'))
    await this.#copyTo(connection, STAGE, rows, (row, seq) => [
      String(seq),
      MARKS[row.op],
      row.expect,
      ...cellsOf(row).slice(0, STAGE_COLUMNS),
    ])
    if (columns.length <= STAGE_COLUMNS) return
    await connection.query(this.#createStage(SECOND_STAGE, 'DROP'))
    await this.#copyTo(connection, STAGE_REST, rows, (row, seq) => [String(seq), ...cellsOf(row).slice(STAGE_COLUMNS)])
  }

  #createStage({ name, own, from }: StagePart, onCommit: 'DROP' | 'DELETE ROWS'): string {
    const { columns, table } = this.#plan.scan
    const typed = columns.map((column, i) => `t.${quote(column.name)} AS c${i}`).slice(from, from + STAGE_COLUMNS)
    return `CREATE TEMP TABLE ${name} ON COMMIT ${onCommit} AS SELECT ${[own, ...typed].join(', ')}
       FROM ONLY ${quoteTable(table)} t WITH NO DATA`
  }

  async #copyTo(
    connection: Connection,
    stage: string,
    rows: readonly BatchRow[],
    lineOf: (row: BatchRow, seq: number) => SentRow,
  ): Promise<void> {
    const copy = connection.copyIn(`COPY ${stage} FROM STDIN`)
    let ended = false
    const done = finished(copy.stream).finally(() => (ended = true))
    // It may fail while a large value is waited for; whoever writes next hears of it.
    done.catch(() => {})
    const send = async (piece: string | Uint8Array): Promise<void> => {
      if (!copy.stream.write(piece)) await watch([connection], Promise.race([once(copy.stream, 'drain'), done]))
    }
    try {
      let lines = ''
      for (const [seq, row] of rows.entries()) {
        for (const piece of copyPieces(lineOf(row, seq))) {
          const isText = typeof piece === 'string'
          if (isText) lines += piece
          if (isText && lines.length < SEND_CHARACTERS) continue
          if (lines !== '') await send(lines)
          lines = ''
          if (!isText) for await (const chunk of piece.read()) await send(chunk)
        }
      }
      copy.stream.end(lines)
      await watch([connection], done)
    } catch (error) {
      // What failed may be where a large value comes from: this session has to hear that no more follows.
      if (!ended) copy.stream.destroy()
      throw error
    }
    const { table } = this.#plan.scan
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
    return `UPDATE ${this.#sql.from} t SET ${set} FROM ${this.#sql.stage} s
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
      SELECT ${columns.map((column) => `s.c${column.i}`).join(', ')} FROM ${this.#sql.stage} s WHERE s.op = 'i' ${guard} ORDER BY s.seq
      ${keyIsUnique ? `ON CONFLICT (${key.join(', ')}) DO NOTHING` : ''}
      RETURNING ${this.#sql.keyExpressions.join(', ')}`
  }

  /** Rows for which the baseline is told, in place of what is written. */
  async #setBaseline(
    connection: Connection,
    claim: Claim,
    { rows, missed }: { rows: readonly BatchRow[]; missed: ReadonlySet<number> },
  ): Promise<void> {
    const told = [...rows.entries()].filter(([seq, { baseline }]) => baseline !== undefined && !missed.has(seq))
    if (told.length === 0) return
    const baseline = baselineTable(claim.mappingId)
    const keys = Array.from({ length: this.#plan.scan.keyLength }, (_, i) => `k${i}`)
    await connection.query(
      `DELETE FROM ${baseline} b USING ${STAGE} s WHERE s.seq = ANY($1::int4[]) AND ${this.#sql.matches('b.k', 's.c')}`,
      [told.map(([seq]) => seq)],
    )
    const kept = told.filter(([, row]) => row.baseline !== null)
    const image = claim.baselineDetails.includes('image') ? { name: ', image', value: ', x.image::text[]' } : NO_DETAIL
    await connection.query(
      `INSERT INTO ${baseline} (${keys.join(', ')}, source_fingerprint, target_fingerprint${image.name})
       SELECT ${keys.map((_, i) => `s.c${i}`).join(', ')}, x.source, x.target${image.value}
       FROM unnest($1::int4[], $2::int8[], $3::int8[], $4::text[]) x(seq, source, target, image)
       JOIN ${STAGE} s ON s.seq = x.seq`,
      [
        kept.map(([seq]) => seq),
        kept.map(([, row]) => row.baseline?.source),
        kept.map(([, row]) => row.baseline?.target),
        kept.map(([, row]) => row.baseline?.image ?? null),
      ],
    )
  }

  /** Rows after which the sides agree on something else than what was written. */
  async #setAgreed(
    connection: Connection,
    claim: Claim,
    { rows, missed }: { rows: readonly BatchRow[]; missed: ReadonlySet<number> },
  ): Promise<void> {
    const told = [...rows.entries()].flatMap(([seq, { agreed }]) =>
      agreed === undefined || missed.has(seq) ? [] : [{ seq, ...agreed }],
    )
    if (told.length === 0) return
    const details = this.#plan.baselineDetails
    const sets = detailColumns(this.#plan, this.#sql).map(
      ({ name, type }) => `, ${name} = CASE WHEN x.base_written THEN b.${name} ELSE x.${name}::${type} END`,
    )
    await connection.query(
      `UPDATE ${baselineTable(claim.mappingId)} b SET source_fingerprint = x.source,
         target_fingerprint = CASE WHEN x.written THEN b.target_fingerprint ELSE x.target END${sets.join('')}
       FROM unnest($1::int4[], $2::int8[], $3::bool[], $4::int8[], $5::bool[]${details.map((_, i) => `, $${6 + i}::text[]`).join('')})
         x(${['seq', 'source', 'written', 'target', 'base_written', ...details].join(', ')})
       JOIN ${STAGE} s ON s.seq = x.seq WHERE ${this.#sql.matches('b.k', 's.c')}`,
      [
        told.map(({ seq }) => seq),
        told.map(({ source }) => source),
        told.map(({ asWritten }) => asWritten),
        told.map(({ target }) => target),
        told.map(({ base }) => base === 'as written'),
        ...details.map((name) => told.map(({ base }) => (base === 'as written' ? null : detailText(name, base)))),
      ],
    )
  }

  /** What was applied is in step now: both fingerprints are those of the row that was staged. */
  async #updateBaseline(connection: Connection, claim: Claim, moved: ReadonlySet<number>): Promise<void> {
    const { scan } = this.#plan
    const baseline = baselineTable(claim.mappingId)
    const keys = Array.from({ length: scan.keyLength }, (_, i) => `k${i}`)
    const missed = [[...moved]]
    const same = this.#sql.matches('b.k', 's.c')
    await connection.query(
      `DELETE FROM ${baseline} b USING ${STAGE} s WHERE s.op = 'd' AND s.seq <> ALL($1::int4[]) AND ${same}`,
      missed,
    )
    const details = detailColumns(this.#plan, this.#sql)
    const names = details.map(({ name }) => `, ${name}`).join('')
    await connection.query(
      `INSERT INTO ${baseline} (${keys.join(', ')}, source_fingerprint, target_fingerprint${names})
       SELECT ${keys.map((_, i) => `x.c${i}`).join(', ')}, x.f, x.f${names}
       FROM (SELECT s.*, ${this.#sql.fingerprintOf('s.c')} AS f${details.map(({ name, ofStage }) => `, ${ofStage} AS ${name}`).join('')}
             FROM ${this.#sql.stage} s WHERE s.op <> 'd' AND s.seq <> ALL($1::int4[]) OFFSET 0) x
       ON CONFLICT (${keys.join(', ')}) DO UPDATE
       SET source_fingerprint = excluded.source_fingerprint, target_fingerprint = excluded.target_fingerprint
         ${details.map(({ name }) => `, ${name} = excluded.${name}`).join('')}`,
      missed,
    )
  }
}
