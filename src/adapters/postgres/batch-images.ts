import type { BaselineRow, Claim, RowImage, Scan, WritePlan } from '#adapters/adapter.ts'
import type { Row } from '#model/value.ts'
import { LARGE_ROW_BYTES } from '#model/value.ts'
import type { Connection } from './connection.ts'
import type { PgTable } from './introspect.ts'
import { baselineTable } from './state.ts'
import { STAGE, TableSql } from './table-sql.ts'

/** A row that is there; null where it is too large. */
type Seen = Row | null

/**
 * What a batch finds and leaves, row by row, inside its transaction. What it finds is locked, so that nobody changes a
 * column that the batch does not write between the look and the write. Rows beyond `LARGE_ROW_BYTES` are not brought here.
 */
export class BatchImages {
  readonly #connection: Connection
  readonly #plan: WritePlan
  /** The row by all its columns. */
  readonly #whole: TableSql
  /** The row as the mapping sees it: by this, it is found as it was expected. */
  readonly #mapped: TableSql
  #before: ReadonlyMap<number, Seen> = new Map()
  #baseline: ReadonlyMap<number, BaselineRow> = new Map()

  constructor(connection: Connection, { plan, table, scan }: { plan: WritePlan; table: PgTable; scan: Scan }) {
    this.#connection = connection
    this.#plan = plan
    this.#whole = new TableSql(scan, table)
    this.#mapped = new TableSql(plan.scan, table)
  }

  async lookBefore(claim: Claim): Promise<void> {
    this.#before = await this.#look(`s.op <> 'i' AND ${this.#mapped.fingerprint} = s.expect`, 'FOR UPDATE OF t', [])
    if (this.#plan.baseline) this.#baseline = await this.#lookAtBaseline(claim)
  }

  async lookAfter(hits: ReadonlySet<number>): Promise<ReadonlyMap<number, RowImage>> {
    const after = await this.#look(`s.op <> 'd' AND s.seq = ANY($1::int4[])`, '', [[...hits]])
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

  async #look(where: string, lock: string, parameters: readonly unknown[]): Promise<ReadonlyMap<number, Seen>> {
    const { expressions, from } = this.#whole
    const bytes = expressions.map((expression) => `pg_catalog.octet_length(pg_catalog.concat(${expression}))::int8`)
    const values = expressions.map((expression, i) => `${expression} AS v${i}`)
    const cells = expressions.map((_, i) => `CASE WHEN x.fits THEN x.v${i} END`)
    const found = await this.#connection.query(
      `SELECT x.seq, x.fits, ${cells.join(', ')} FROM (
         SELECT s.seq, ${bytes.join(' + ')} < ${LARGE_ROW_BYTES} AS fits, ${values.join(', ')}
         FROM ${STAGE} s JOIN ${from} t ON ${this.#whole.keyEquals('s.c')}
         WHERE ${where} ${lock} OFFSET 0) x`,
      parameters,
    )
    return new Map(found.map(([seq, fits, ...row]) => [Number(seq), fits === 't' ? row : null]))
  }

  async #lookAtBaseline(claim: Claim): Promise<ReadonlyMap<number, BaselineRow>> {
    const image = claim.baselineDetails.includes('image') ? 'b.image::text' : 'NULL::text'
    const found = await this.#connection.query(
      `SELECT s.seq, b.source_fingerprint, b.target_fingerprint, ${image}
       FROM ${STAGE} s JOIN ${baselineTable(claim.mappingId)} b ON ${this.#mapped.matches('b.k', 's.c')}`,
    )
    return new Map(
      found.map(([seq, source, target, kept]) => [
        Number(seq),
        { source: source ?? null, target: target ?? null, ...(kept ? { image: kept } : {}) },
      ]),
    )
  }
}
