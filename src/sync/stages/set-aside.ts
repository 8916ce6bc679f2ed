import type { Adapter, RowSource, Scan, Snapshot } from '#adapters/adapter.ts'
import type { Key, Rejection } from '#model/change.ts'
import { fingerprint } from '#model/fingerprint.ts'
import type { NamedCells, RejectedRow, RejectingTable } from '#model/rejection.ts'
import type { Row, Value } from '#model/value.ts'
import type { TablePlan } from '#sync/plan.ts'
import type { Quarantine } from '#sync/quarantine.ts'
import type { Staging } from '#sync/staging.ts'
import { ReadRow, type Mapper } from './map.ts'
import { mapperOf } from './mapped-source.ts'

/** Rows whose images are in memory at once. */
const BATCH_ROWS = 25

/** Cells of a row beyond this are not kept with it. */
const IMAGE_BYTES = 256 * 1024

/** Where a row of a table is read whole. */
interface Sides {
  readonly source: Snapshot
  readonly target: Adapter
  readonly staging: Staging
  readonly maskKey: Uint8Array | null
  readonly signal: AbortSignal
}

/**
 * Tells the quarantine of the rows that one table leaves out: each once, with what both sides have under its key. Whoever
 * calls has committed what they were left out of.
 */
export class SetAside {
  readonly #quarantine: Quarantine
  readonly #sides: Sides
  readonly #told = new Set<string>()
  #telling: Promise<void> = Promise.resolve()
  #mapper: Promise<Mapper | null> | null = null

  constructor(quarantine: Quarantine, sides: Sides) {
    this.#quarantine = quarantine
    this.#sides = sides
  }

  /** One call after the other, so that no key is told twice. */
  tell(plan: TablePlan, rejections: readonly Rejection[], sourceKey: SourceKeyOf = () => undefined): Promise<void> {
    const telling = this.#telling.then(() => this.#tell(plan, rejections, sourceKey))
    this.#telling = telling.catch(() => undefined)
    return telling
  }

  async #tell(plan: TablePlan, rejections: readonly Rejection[], sourceKey: SourceKeyOf): Promise<void> {
    const fresh = rejections.filter((rejection) => {
      const id = JSON.stringify([rejection.keyIn, rejection.key])
      const isNew = !this.#told.has(id)
      this.#told.add(id)
      return isNew
    })
    const table = rejectingTable(plan)
    for (let start = 0; start < fresh.length; start += BATCH_ROWS) {
      const some = fresh.slice(start, start + BATCH_ROWS)
      await this.#quarantine.keep(table, await this.#withImages(plan, some, sourceKey))
    }
  }

  async #withImages(plan: TablePlan, rejections: readonly Rejection[], sourceKey: SourceKeyOf): Promise<RejectedRow[]> {
    const { source, target, maskKey, signal } = this.#sides
    this.#mapper ??= mapperOf(plan, { snapshot: source, maskKey })
    const mapper = await this.#mapper
    const scan = rawScan(plan)
    const keys = rejections.map((rejection) => {
      const known = sourceKey(rejection)
      return known === undefined ? sourceKeyOf(plan, this.#sides.staging, rejection) : known
    })
    const known = keys.filter((key) => key !== null)
    const sources = await rowsByKey(source, scan, known)
    await using now = await target.snapshot(1, signal)
    const targets = await rowsByKey(
      now,
      plan.write.scan,
      rejections.filter(({ keyIn }) => keyIn === 'target').map(({ key }) => key),
    )
    return rejections.map((rejection, i): RejectedRow => {
      const key = keys[i] ?? null
      const row = (key && sources.get(JSON.stringify(key))) ?? null
      const there = rejection.keyIn === 'target' ? targets.get(JSON.stringify(rejection.key)) : undefined
      const image = row === null ? NO_IMAGE : imageOf(plan, row, mapper)
      return {
        ...rejection,
        sourceKey: row === null ? null : key,
        sourceFingerprint: row && sourceFingerprint(plan, row),
        targetFingerprint: there === undefined ? null : fingerprint(there),
        ...image,
      }
    })
  }
}

/** The key in the source where somebody knows it already: null where the row has none there, undefined to find out. */
export type SourceKeyOf = (rejection: Rejection) => Key | null | undefined

const NO_IMAGE = { source: null, mapped: null, note: null } as const

/** What is read of the source's table for its rows. */
export function rawScan({ mapped, sourceScan }: TablePlan): Scan {
  return mapped?.raw ?? sourceScan
}

/** What a row of the source is known by again, while the mapping is the same. */
export function sourceFingerprint({ mappingId }: TablePlan, raw: Row): string {
  return fingerprint([mappingId, ...raw])
}

/** The rows of keys, some of which may be known of the other side alone, by key as JSON. */
export async function rowsByKey(rows: RowSource, scan: Scan, keys: readonly Key[]): Promise<ReadonlyMap<string, Row>> {
  if (keys.length === 0) return new Map()
  const found = await rows.rows(scan, keys, 'the other side')
  return new Map(found.map((row) => [JSON.stringify(row.slice(0, scan.keyLength)), row]))
}

/** The key in the source of a row that is known by the one or the other; null where no row there is known by it. */
function sourceKeyOf({ mapped, mappingId }: TablePlan, staging: Staging, { key, keyIn }: Rejection): Key | null {
  if (keyIn === 'source' || mapped === null || mapped.keyIsDirect) return key
  return staging.spool(mappingId).sourceKeys([key])[0] ?? null
}

function rejectingTable({ source, target, write }: TablePlan): RejectingTable {
  const columns = write.scan.columns.flatMap(({ name }) => {
    const column = target.columns.find((each) => each.name === name)
    return column === undefined ? [] : [{ name, type: column.type, nullable: column.nullable }]
  })
  return { source: source.ref, target: target.ref, columns }
}

function imageOf(plan: TablePlan, row: Row, mapper: Mapper | null): Pick<RejectedRow, 'source' | 'mapped' | 'note'> {
  const bytes = row.reduce((sum, value) => sum + (value?.length ?? 0), 0)
  if (bytes > IMAGE_BYTES) {
    return { source: null, mapped: null, note: `The row has about ${bytes} bytes: its cells are not kept.` }
  }
  const source = named(rawScan(plan), row)
  const raw = new ReadRow(row)
  const mapped = mapper?.map(raw)
  const made = mapper === null ? row : mapped?.kind === 'row' ? mapper.row(raw, mapped.computed) : null
  return { source, mapped: made && named(plan.write.scan, made), note: null }
}

function named({ columns }: Scan, row: Row): NamedCells {
  return columns.map(({ name }, i) => [name, textOf(row[i] ?? null)])
}

function textOf(value: Value): string | null {
  return value instanceof Uint8Array ? Buffer.from(value).toString('utf8') : value
}
