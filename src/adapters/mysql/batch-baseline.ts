import type { BatchRow, Claim } from '#adapters/adapter.ts'
import { must } from '#lib/assert.ts'
import type { BaselineDetail, FieldBase } from '#model/conflict.ts'
import { fingerprint, type Fingerprint } from '#model/fingerprint.ts'
import { isLarge, type Row, type SentRow, type Value } from '#model/value.ts'
import { detailText } from './baseline-details.ts'
import { deleteKeys, writeKept, type KeptRow } from './baseline-write.ts'
import type { Staged } from './staged.ts'
import { hashLargeRow } from './cells.ts'
import { fingerprintSql } from './fingerprint-sql.ts'

/**
 * What a batch has written is in step now. Both fingerprints are those of the row that was sent: made here, where the row
 * is, but for what is too large to be, of which the server has the texts.
 */
export async function updateBaseline(staged: Staged, claim: Claim, hits: ReadonlySet<number>): Promise<void> {
  const { rows, plan } = staged
  const mapping = { claim, plan, table: staged.table }
  const gone: BatchRow[] = []
  const kept: KeptRow[] = []
  const large = await lookAtLarge(staged, hits, claim.baselineDetails)
  for (const seq of hits) {
    const row = must(rows[seq], 'a row of the batch')
    const { baseline } = row
    if (baseline === undefined) {
      const after = afterwards(row, large.get(seq), claim.baselineDetails)
      if (after === null) gone.push(row)
      else kept.push(after)
    } else if (baseline === null) gone.push(row)
    else
      kept.push({
        key: row.key,
        source: baseline.source,
        target: baseline.target,
        fields: null,
        image: baseline.image ?? null,
      })
  }
  await deleteKeys(
    staged.connection,
    mapping,
    gone.map(({ key }) => key),
  )
  await writeKept(staged.connection, mapping, kept)
}

function afterwards(
  { op, key, row, agreed }: BatchRow,
  large: Large | undefined,
  details: readonly BaselineDetail[],
): KeptRow | null {
  if (op === 'delete' || row === null) return null
  const whole = large === undefined ? wholeRow(row) : null
  const written = large?.fingerprint ?? fingerprint(must(whole, 'a row that is not large'))
  const asWritten: Details = large === undefined ? detailsOf(whole && { row: whole }, details) : large.details
  if (agreed === undefined) return { key, source: written, target: written, ...asWritten }
  return {
    key,
    source: agreed.source,
    target: agreed.asWritten ? written : agreed.target,
    ...(agreed.base === 'as written' ? asWritten : detailsOf(agreed.base, details)),
  }
}

type Details = Pick<KeptRow, 'fields' | 'image'>

function detailsOf(base: FieldBase | null, details: readonly BaselineDetail[]): Details {
  const textOf = (name: BaselineDetail): string | null => (details.includes(name) ? detailText(name, base) : null)
  return { fields: textOf('fields'), image: textOf('image') }
}

/** Null where one of its values is not here. */
function wholeRow(row: SentRow): Row | null {
  const cells: Value[] = []
  for (const cell of row) {
    if (cell !== null && isLarge(cell)) return null
    cells.push(cell)
  }
  return cells
}

/** A row whose values went past us, as the server sees it. */
interface Large {
  readonly fingerprint: Fingerprint
  readonly details: Details
}

async function lookAtLarge(
  { connection, sql, rows, stage }: Staged,
  hits: ReadonlySet<number>,
  details: readonly BaselineDetail[],
): Promise<ReadonlyMap<number, Large>> {
  const places = [...hits].filter((seq) => {
    const row = rows[seq]?.row ?? null
    return row !== null && wholeRow(row) === null
  })
  if (places.length === 0) return new Map()
  const fields = details.includes('fields')
    ? `CONCAT(${sql.hashed.map((column) => fingerprintSql([column])).join(", ',', ")})`
    : 'NULL'
  const found = await connection.query(
    `SELECT CAST(s.seq AS CHAR), CAST(${sql.fingerprint} AS CHAR), ${fields}
     FROM ${stage} s STRAIGHT_JOIN ${sql.from} t ON ${sql.keyEquals('s.c')} WHERE s.seq IN (${places.join(', ')})`,
  )
  const large = new Map<number, Large>()
  for (const [seq, hash, text] of found) {
    const { key } = must(rows[Number(seq)], 'a row of the batch')
    const whole = hash ?? (await hashLargeRow(connection, sql, key)).readBigInt64BE(0).toString()
    large.set(Number(seq), { fingerprint: whole, details: { fields: text ?? null, image: null } })
  }
  return large
}
