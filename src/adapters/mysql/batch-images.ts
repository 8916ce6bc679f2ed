import type { BaselineRow, Claim, RowImage, Scan } from '#adapters/adapter.ts'
import { LARGE_ROW_BYTES, type Row } from '#model/value.ts'
import { baselineKeyEquals } from './baseline-sql.ts'
import type { Staged } from './staged.ts'
import { baselineTable } from './own-tables.ts'
import { TableSql } from './table-sql.ts'

/** A row that is there; null where it is too large. */
type Seen = Row | null

/**
 * What a batch finds and leaves, row by row, inside its transaction. What it finds is locked by then, so that nobody changes
 * a column that the batch does not write between the look and the write. Rows beyond `LARGE_ROW_BYTES` are not brought here.
 */
export class BatchImages {
  readonly #staged: Staged
  /** The row by all its columns. */
  readonly #whole: TableSql
  #before: ReadonlyMap<number, Seen> = new Map()
  #baseline: ReadonlyMap<number, BaselineRow> = new Map()

  constructor(staged: Staged, scan: Scan) {
    this.#staged = staged
    this.#whole = new TableSql(scan, staged.table)
  }

  /** @param claim of a mapping with a baseline */
  async lookBefore(claim: Claim | null): Promise<void> {
    this.#before = await this.#look("s.op <> 'i'")
    if (claim !== null) this.#baseline = await this.#lookAtBaseline(claim)
  }

  async lookAfter(hits: ReadonlySet<number>): Promise<ReadonlyMap<number, RowImage>> {
    const after = await this.#look("s.op <> 'd'")
    return new Map(
      [...hits].map((seq): [number, RowImage] => {
        const [was, is] = [this.#before.get(seq), after.get(seq)]
        return [
          seq,
          {
            before: was ?? null,
            after: is ?? null,
            baseline: this.#baseline.get(seq) ?? null,
            large: was === null || is === null,
          },
        ]
      }),
    )
  }

  /** A locking read sees what is committed now; another one might see the moment that the transaction began to read in. */
  async #look(where: string): Promise<ReadonlyMap<number, Seen>> {
    const { connection, sql, stage } = this.#staged
    const { expressions, from } = this.#whole
    const fits = `(${this.#whole.bytes}) < ${LARGE_ROW_BYTES}`
    const cells = expressions.map((expression) => `IF(${fits}, ${expression}, NULL)`)
    const found = await connection.query(
      `SELECT CAST(s.seq AS CHAR), CAST(${fits} AS CHAR), ${cells.join(', ')}
       FROM ${stage} s STRAIGHT_JOIN ${from} t ON ${sql.keyEquals('s.c')} WHERE ${where} FOR UPDATE`,
    )
    return new Map(found.map(([seq, isSmall, ...row]) => [Number(seq), isSmall === '1' ? row : null]))
  }

  async #lookAtBaseline({ mappingId, baselineDetails }: Claim): Promise<ReadonlyMap<number, BaselineRow>> {
    const { connection, plan, table, stage } = this.#staged
    const image = baselineDetails.includes('image') ? 'b.image' : 'NULL'
    const baseline = baselineTable(connection.endpoint.database, mappingId)
    const found = await connection.query(
      `SELECT CAST(s.seq AS CHAR), CAST(b.source_fingerprint AS CHAR), CAST(b.target_fingerprint AS CHAR), ${image}
       FROM ${stage} s STRAIGHT_JOIN ${baseline} b ON ${baselineKeyEquals(table, plan.scan, 's.c')}`,
    )
    return new Map(
      found.map(([seq, source, target, kept]) => [
        Number(seq),
        { source: source ?? null, target: target ?? null, ...(kept ? { image: kept } : {}) },
      ]),
    )
  }
}
