/**
 * Bisection as data-diff does it (hashdiff: factor 32, threshold 16384), and the changes applied:
 * `bisect-child.ts SOURCE TARGET TABLE [COLUMNS]`. A segment of the key space is checksummed on both sides at once (MD5 of each row's
 * columns as text, summed, as data-diff writes it); segments that differ are cut into 32; below
 * 16,384 rows the rows of both sides are fetched and compared here. Key bounds come from min and max. Segments are worked on over
 * one connection per side, the default of data-diff. Between two engines COLUMNS says, as JSON, how each column is made the
 * same text on both.
 */
import { columnsOf, openBisectSide, type BisectColumn, type Cells, type Segment } from './bisect-sides.ts'

const FACTOR = 32n
const THRESHOLD = 16_384

const [sourceUrl = '', targetUrl = '', table = '', given] = process.argv.slice(2)
const columns = given === undefined ? await columnsOf(sourceUrl, table) : (JSON.parse(given) as BisectColumn[])
const [sourceSide, targetSide] = await Promise.all([
  openBisectSide(sourceUrl, table, columns),
  openBisectSide(targetUrl, table, columns),
])

const changes: { upserts: Cells[]; deletes: string[] } = { upserts: [], deletes: [] }

async function diff(segment: Segment, rows: number): Promise<void> {
  if (rows < THRESHOLD) return compare(segment)
  const width = (segment.to - segment.from + FACTOR - 1n) / FACTOR
  const parts: Segment[] = []
  for (let from = segment.from; from < segment.to; from += width) {
    parts.push({ from, to: from + width < segment.to ? from + width : segment.to })
  }
  await Promise.all(
    parts.map(async (part) => {
      const [source, target] = await Promise.all([sourceSide.checksum(part), targetSide.checksum(part)])
      if (source[0] === target[0] && source[1] === target[1]) return
      await diff(part, Math.max(Number(source[0]), Number(target[0])))
    }),
  )
}

async function compare(segment: Segment): Promise<void> {
  const [source, target] = await Promise.all([sourceSide.rows(segment), targetSide.rows(segment)])
  const before = new Map(target.map((row) => [row[0], row]))
  for (const row of source) {
    const old = before.get(row[0] ?? null)
    before.delete(row[0] ?? null)
    if (old === undefined || row.some((cell, i) => !isSame(i, cell, old[i] ?? null))) changes.upserts.push(row)
  }
  for (const id of before.keys()) changes.deletes.push(String(id))
}

/** Which digits a double is written with is each engine's own. */
function isSame(place: number, a: string | null, b: string | null): boolean {
  const isFloat = columns[place]?.kind === 'float' && a !== null && b !== null
  return isFloat ? Number(a) === Number(b) : a === b
}

const [source, target] = await Promise.all([sourceSide.bounds(), targetSide.bounds()])
const mins = [source, target].map((bounds) => BigInt(bounds[0] ?? 0))
const maxes = [source, target].map((bounds) => BigInt(bounds[1] ?? 0))
const [a = 0n, b = 0n] = mins
const [c = 0n, d = 0n] = maxes
await diff({ from: a < b ? a : b, to: (c > d ? c : d) + 1n }, Math.max(Number(source[2]), Number(target[2])))

await targetSide.apply(changes.upserts, changes.deletes)
console.log(JSON.stringify({ changes: changes.upserts.length + changes.deletes.length }))
await Promise.all([sourceSide.end(), targetSide.end()])
