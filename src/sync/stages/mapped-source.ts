import { createHash } from 'node:crypto'
import { pipeline } from 'node:stream/promises'
import {
  TEXT_ROWS,
  type BucketDigest,
  type Bucketing,
  type CopyFormat,
  type KeyFingerprint,
  type Piece,
  type Proof,
  type RowSource,
  type RowStream,
  type Scan,
  type SequenceState,
  type Snapshot,
} from '#adapters/adapter.ts'
import { watch } from '#adapters/watchdog.ts'
import { assert, must } from '#lib/assert.ts'
import { cellFormatName, cellType, computedCellType, readCellFormat } from '#model/cell-rows.ts'
import type { Key, Rejection, RowFault } from '#model/change.ts'
import { AppError } from '#model/errors.ts'
import { fingerprint, hashRow } from '#model/fingerprint.ts'
import { LineReader } from '#model/row-text.ts'
import { tableName, type TableRef } from '#model/table.ts'
import { sizeOfRow, type Row, type Value } from '#model/value.ts'
import type { MappedRows, TablePlan } from '#sync/plan.ts'
import type { RuleFailure } from '#sync/rules/rules.ts'
import type { Spool, SpooledRow, Staging } from '#sync/staging.ts'
import { mappedProof } from '#sync/verify/mapped-proof.ts'
import { makeMapper } from './make-mapper.ts'
import { ReadRow, TextRow, type Fault, type Mapper, type RawRow } from './map.ts'
import { CellLayout, TextLayout, type RowLayout } from './row-layout.ts'
import { cellsToldApart, partsOf, RowMapper, type MapListener, type Part } from './row-mapper.ts'

/** About how many bytes of the source are read, mapped and hashed in one slice. */
const SLICE_BYTES = 8 * 1024 * 1024

/** The mapper of a planned table, ready for rows of this moment; null where nothing is computed. */
export async function mapperOf(
  { mapped }: TablePlan,
  given: { snapshot: Snapshot; maskKey: Uint8Array | null },
): Promise<Mapper | null> {
  return mapped && makeMapper(mapped, { ...given, repeated: () => false })
}

/** The rows of a planned table: as the snapshot has them, or as the mapping makes them. */
export function sourceOf(
  { mapped, mappingId }: TablePlan,
  { source, staging, maskKey, resources }: SourceTools & { readonly resources: AsyncDisposableStack },
): RowSource & { warnings?(): ReadonlyMap<string, number> } {
  if (mapped === null) return source
  return resources.use(new MappedSource(mapped, { snapshot: source, spool: staging.spool(mappingId), maskKey }))
}

/** What rows that are computed on their way need. */
export interface SourceTools {
  readonly source: Snapshot
  readonly staging: Staging
  readonly maskKey: Uint8Array | null
}

/**
 * Which of some keys of the target have a row in the source that does not meet the filter. Asked of keys that are not
 * among the rows that do. Null where the table has no filter.
 */
export function beyondFilter(
  { mapped, mappingId, sourceScan, exit }: TablePlan,
  { source, staging }: { source: Snapshot; staging: Staging },
): ((keys: readonly Key[]) => Promise<ReadonlySet<string>>) | null {
  if (exit === null) return null
  if (mapped !== null && !mapped.keyIsDirect) return async (keys) => staging.spool(mappingId).filteredKeys(keys)
  const { columns, ...scan } = mapped?.raw ?? sourceScan
  const keyScan: Scan = { ...scan, columns: columns.slice(0, scan.keyLength), filter: null }
  return async (keys) => {
    const found = await source.rows(keyScan, keys)
    return new Set(found.map((key) => JSON.stringify(key)))
  }
}

/**
 * The source's rows as the mapping makes them: to detection, writing and proof they look like the rows of a table that has
 * the target's shape. Rows are streamed, mapped and hashed here; a pass over the table leaves key and fingerprint of each
 * row in the spool, so that the second look at the buckets that differ reads nothing again.
 */
class MappedSource implements RowSource, AsyncDisposable {
  readonly #snapshot: Snapshot
  readonly #mapped: MappedRows
  readonly #spool: Spool
  readonly #maskKey: Uint8Array | null
  readonly #warnings = new Warnings()
  #making: Promise<Mapper> | null = null

  constructor(mapped: MappedRows, of: { snapshot: Snapshot; spool: Spool; maskKey: Uint8Array | null }) {
    this.#snapshot = of.snapshot
    this.#mapped = mapped
    this.#spool = of.spool
    this.#maskKey = of.maskKey
  }

  /** Made once, when the first row is to be mapped: what it looks up is read from the same moment as the rows. */
  #mapper(): Promise<Mapper> {
    this.#making ??= this.#make()
    return this.#making
  }

  async #make(): Promise<Mapper> {
    const given = { snapshot: this.#snapshot, maskKey: this.#maskKey }
    const unique = this.#mapped.rules.flatMap((rule) => ('unique' in rule ? [rule.field] : []))
    if (unique.length === 0) return makeMapper(this.#mapped, { ...given, repeated: () => false })
    await using first = await makeMapper(this.#mapped, { ...given, repeated: () => false })
    const repeated = await this.#findRepeated(first, unique)
    return await makeMapper(this.#mapped, {
      ...given,
      repeated: (field, value) => repeated.has(markOf(field, value)),
    })
  }

  /** A look at all rows before the first one is judged: values that several of them have in one of these fields. */
  async #findRepeated(mapper: Mapper, fields: readonly string[]): Promise<ReadonlySet<string>> {
    const places = fields.map((name) => mapper.fields.findIndex((field) => field.name === name))
    this.#spool.clear()
    for (const piece of await this.#snapshot.pieces(this.#mapped.raw, SLICE_BYTES)) {
      await this.#eachRow(mapper, piece, (raws) => {
        const rows = mapAll(mapper, raws)
        this.#spool.mark(
          rows.flatMap((row) =>
            places.flatMap((place, i) => {
              const value = row[place]
              return typeof value === 'string' ? [markOf(fields[i] ?? '', value)] : []
            }),
          ),
        )
      })
    }
    return this.#spool.repeatedMarks(MOST_REPEATED)
  }

  count(): Promise<number> {
    return this.#snapshot.count(this.#mapped.raw)
  }

  estimate(): Promise<number> {
    return this.#snapshot.estimate(this.#mapped.raw)
  }

  keyBounds(): ReturnType<RowSource['keyBounds']> {
    return this.#snapshot.keyBounds(this.#mapped.raw)
  }

  async keyFaults(scan: Scan): ReturnType<RowSource['keyFaults']> {
    if (this.#mapped.keyIsDirect) return this.#snapshot.keyFaults(this.#mapped.raw)
    for await (const _ of this.digests(scan, { by: 'key hash', count: 1 })) continue
    return this.#spool.keyFaults()
  }

  async *digests(scan: Scan, bucketing: Bucketing): AsyncGenerator<readonly BucketDigest[]> {
    const mapper = await this.#mapper()
    this.#spool.clear()
    this.#warnings.clear()
    for (const piece of await this.#snapshot.pieces(this.#mapped.raw, SLICE_BYTES)) {
      const digests = new Map<number, BucketDigest>()
      await this.#eachRow(mapper, piece, (raws) => {
        const rows = raws.flatMap((raw) => this.#spooled(mapper, raw, { scan, bucketing }) ?? [])
        for (const row of rows) if (!row.filtered) addTo(digests, row)
        this.#spool.put(rows)
      })
      yield [...digests.values()]
    }
  }

  partDigests(): null {
    return null
  }

  *#read(buckets: readonly number[] | 'all'): Generator<KeyFingerprint> {
    for (const { bucket, key, fingerprint: hash, bytes, fault } of this.#spool.read(buckets)) {
      yield { bucket, key, fingerprint: hash, bytes, ...(fault === null ? {} : { fault }) }
    }
  }

  async *keys(...[, , buckets]: Parameters<RowSource['keys']>): AsyncGenerator<KeyFingerprint> {
    yield* this.#read(buckets)
  }

  async sample(_: Scan, limit: number): Promise<readonly Row[]> {
    const rows = await this.#snapshot.sample(this.#mapped.raw, limit)
    return mapAll(
      await this.#mapper(),
      rows.map((row) => new ReadRow(row)),
    )
  }

  async rows(_: Scan, keys: readonly Key[]): Promise<readonly Row[]> {
    return this.#mapRead(await this.#readByKey(keys))
  }

  /** A mapping looks at values, and has them whole. */
  largeRows(scan: Scan, keys: readonly Key[]): Promise<readonly Row[]> {
    return this.rows(scan, keys)
  }

  async #mapRead(raws: readonly RawRow[]): Promise<Row[]> {
    const mapper = await this.#mapper()
    await mapper.prepare(raws)
    return mapAll(mapper, raws)
  }

  async fingerprints(scan: Scan, keys: readonly Key[]): Promise<readonly KeyFingerprint[]> {
    const rows = await this.rows(scan, keys)
    return rows.map((row) => ({
      bucket: 0,
      key: row.slice(0, scan.keyLength),
      fingerprint: fingerprint(row),
      bytes: sizeOfRow(row),
    }))
  }

  /** Cells with their lengths where nothing has to be known of a cell that is not known here: they need no escapes. */
  copyFormats(scan: Scan): CopyFormat[] {
    return this.#ways(scan).map(({ format }) => format)
  }

  #ways(scan: Scan): Way[] {
    const places = this.#placesOf(scan)
    const cells = this.#snapshot.copyFormats(this.#mapped.raw).flatMap((raw): Way[] => {
      const way = wayOfCells(this.#mapped, raw, places)
      return way === null ? [] : [way]
    })
    return [...cells, wayOfLines(this.#mapped, places)]
  }

  #placesOf(scan: Scan): number[] {
    return scan.columns.map(({ name }) => this.#mapped.fields.findIndex((field) => field.name === name))
  }

  pieces(_: Scan, bytes: number): Promise<readonly Piece[]> {
    return this.#snapshot.pieces(this.#mapped.raw, bytes)
  }

  /** The rows of a piece with the scan's columns. What cannot be carried stays out, and is told at the end. */
  async copyOut(scan: Scan, piece: Piece, format: CopyFormat): Promise<RowStream> {
    const way = must(
      this.#ways(scan).find((each) => each.format === format),
      'a format that was offered',
    )
    const mapper = await this.#mapper()
    const rows = await this.#snapshot.copyOut(this.#mapped.raw, piece, way.raw)
    const rejected: Rejection[] = []
    const warnings = new Warnings()
    const listener: MapListener = {
      reject: (raw, { fault, stops }) => {
        const key = this.#sourceKey(raw)
        if (stops) throw ruleBroken(this.#mapped.raw.table, fault, key)
        rejected.push({ op: 'insert', key, ...fault, keyIn: this.#faultKeyIn })
      },
      warn: (failures) => warnings.add(failures),
    }
    const mapping = new RowMapper(mapper, way.layout(), { parts: way.parts, listener })
    rows.stream.on('error', (error) => mapping.destroy(error))
    // It may fail before anybody takes it; whoever does then learns of it.
    mapping.on('error', () => {})
    rows.stream.pipe(mapping)
    return {
      stream: mapping,
      connection: rows.connection,
      rows: () => {
        assert(rows.rows() === mapping.taken, 'every row that was sent was mapped')
        return mapping.given
      },
      rejected: () => rejected,
      warnings: () => warnings.lines(),
      [Symbol.asyncDispose]: async () => {
        mapping.destroy()
        await rows[Symbol.asyncDispose]()
      },
    }
  }

  async proof(_: Scan, keys?: readonly Key[]): Promise<Proof> {
    const mapper = await this.#mapper()
    if (keys !== undefined) return mappedProof(async (take) => take(await this.#mapRead(await this.#readByKey(keys))))
    const pieces = await this.#snapshot.pieces(this.#mapped.raw, SLICE_BYTES)
    return mappedProof(async (take) => {
      for (const piece of pieces) await this.#eachRow(mapper, piece, (raws) => take(mapAll(mapper, raws)))
    })
  }

  /** Rows of the last pass that break a rule and are carried all the same. */
  warnings(): ReadonlyMap<string, number> {
    return this.#warnings.lines()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const made = await this.#making?.catch(() => null)
    await made?.[Symbol.asyncDispose]()
  }

  /** Sequences go by the target's columns. */
  async sequences(table: TableRef): Promise<readonly SequenceState[]> {
    const states = await this.#snapshot.sequences(table)
    const { raw, fields } = this.#mapped
    return states.flatMap((state) =>
      fields
        .filter(({ bind, inputs }) => bind === null && raw.columns[inputs[0] ?? -1]?.name === state.column)
        .map(({ name }) => ({ ...state, column: name })),
    )
  }

  /** Rows of the source by their keys in the target. */
  async #readByKey(keys: readonly Key[]): Promise<ReadRow[]> {
    const own = this.#mapped.keyIsDirect ? keys : this.#spool.sourceKeys(keys)
    const rows = await this.#snapshot.rows(this.#mapped.raw, own)
    return rows.map((row) => new ReadRow(row))
  }

  get #faultKeyIn(): RowFault['keyIn'] {
    return this.#mapped.keyIsDirect ? 'target' : 'source'
  }

  #sourceKey(raw: RawRow): Key {
    return Array.from({ length: this.#mapped.raw.keyLength }, (_, place) => raw.value(place))
  }

  /** Null where nothing needs to be known of the row. */
  #spooled(mapper: Mapper, raw: RawRow, { scan, bucketing }: { scan: Scan; bucketing: Bucketing }): SpooledRow | null {
    const sourceKey = this.#sourceKey(raw)
    const mapped = mapper.map(raw)
    if (mapped.kind === 'filtered') {
      const key = this.#mapped.keyIsDirect ? null : mapper.key(raw, scan.keyLength)
      return key && { ...UNSEEN, bucket: 0, key, sourceKey, filtered: true, fault: null }
    }
    if (mapped.kind === 'fault') {
      if (mapped.stops) throw ruleBroken(this.#mapped.raw.table, mapped.fault, sourceKey)
      // Found under its key where that is known; else it stands in the first bucket, and nobody has it.
      const key = this.#mapped.keyIsDirect ? sourceKey : null
      const bucket = key === null ? 0 : bucketOf(key, bucketing)
      const fault: RowFault = { ...mapped.fault, keyIn: this.#faultKeyIn }
      return { ...UNSEEN, bucket, key: key ?? sourceKey, sourceKey, filtered: false, fault }
    }
    this.#warnings.add(mapped.warnings)
    const row = mapper.row(raw, mapped.computed)
    const key = row.slice(0, scan.keyLength)
    const bucket = bucketOf(key, bucketing)
    return {
      bucket,
      key,
      sourceKey,
      fingerprint: fingerprint(row),
      bytes: sizeOfRow(row),
      filtered: false,
      fault: null,
    }
  }

  /** Streams a piece, some rows at a time. @throws AppError where the connection falls silent */
  async #eachRow(mapper: Mapper, piece: Piece, take: (rows: readonly TextRow[]) => void): Promise<void> {
    await using rows = await this.#snapshot.copyOut(this.#mapped.raw, piece, TEXT_ROWS)
    const reader = new LineReader()
    let read = 0
    const consume = async (chunks: AsyncIterable<Buffer>): Promise<void> => {
      for await (const chunk of chunks) {
        const lines = reader.push(chunk)
        read += lines.length
        if (lines.length === 0) continue
        const raws = lines.map((line) => new TextRow(line))
        await mapper.prepare(raws)
        take(raws)
      }
    }
    await watch([rows.connection], pipeline(rows.stream, consume))
    refuseTorn({ reader, read, sent: rows.rows(), table: piece.table })
  }
}

/** A format of the mapped rows, and the one of the rows that they are made of. */
interface Way {
  readonly format: CopyFormat
  readonly raw: CopyFormat
  readonly layout: () => RowLayout
  readonly parts: readonly Part[]
}

function wayOfLines(mapped: MappedRows, places: readonly number[]): Way {
  const count = mapped.raw.columns.length
  const parts = partsOf(carriedOf(mapped), places)
  const told = cellsToldApart(count, parts, lookedAt(mapped))
  return { format: TEXT_ROWS, raw: TEXT_ROWS, layout: () => new TextLayout(count, told), parts }
}

function carriedOf({ fields }: MappedRows): Parameters<typeof partsOf>[0] {
  return fields.map(({ inputs, bind }) => ({ inputs, carried: bind === null }))
}

/** Null where somebody looks at a cell that is not read here, or computes one that is not written here. */
function wayOfCells(mapped: MappedRows, raw: CopyFormat, places: readonly number[]): Way | null {
  const sent = readCellFormat(raw)
  if (sent === null) return null
  const types = places.map((place) => {
    const { inputs, bind } = must(mapped.fields[place], 'a field')
    if (bind === null) return sent.types[inputs[0] ?? -1] ?? null
    return computedCellType(must(mapped.types[place], 'the type of a field').type)
  })
  const known = types.filter((type) => type !== null)
  const read = sent.types.map(cellType)
  if (known.length < types.length || lookedAt(mapped).some((place) => read[place] === null)) return null
  const written = known.map(cellType)
  return {
    format: cellFormatName({ ...sent, types: known }),
    raw,
    layout: () => new CellLayout(read, written),
    parts: partsOf(carriedOf(mapped), places),
  }
}

/** The places of the cells that the mapping looks at. */
function lookedAt({ raw, fields, filter, rules }: MappedRows): number[] {
  // A rule that is an expression may look at every field.
  const all = rules.some((rule) => 'expression' in rule)
  const seen = fields.filter(({ name, bind }) => bind !== null || all || rules.some(({ field }) => field === name))
  const key = Array.from({ length: raw.keyLength }, (_, place) => place)
  return [...key, ...(filter?.inputs ?? []), ...seen.flatMap(({ inputs }) => inputs)]
}

const UNSEEN = { fingerprint: '0', bytes: 0 } as const

function mapAll(mapper: Mapper, raws: readonly RawRow[]): Row[] {
  return raws.flatMap((raw) => {
    const mapped = mapper.map(raw)
    return mapped.kind === 'row' ? [mapper.row(raw, mapped.computed)] : []
  })
}

/** A stream that ended early is no table (hazard A15). */
function refuseTorn(of: { reader: LineReader; read: number; sent: number; table: TableRef }): void {
  if (!of.reader.torn && of.read === of.sent) return
  throw new AppError(
    'connection_lost',
    `${of.sent} rows of ${tableName(of.table)} were sent, and ${of.read} have arrived.`,
  )
}

/** Rows that break a rule and are carried all the same, counted by field and rule. */
class Warnings {
  readonly #counts = new Map<string, number>()

  add(failures: readonly RuleFailure[]): void {
    for (const { column, rule } of failures) {
      const id = `${column} breaks the rule ${rule}`
      this.#counts.set(id, (this.#counts.get(id) ?? 0) + 1)
    }
  }

  clear(): void {
    this.#counts.clear()
  }

  lines(): ReadonlyMap<string, number> {
    return this.#counts
  }
}

export function ruleBroken(table: TableRef, { reason }: Fault, key: Key): AppError {
  return new AppError('rule_broken', `${tableName(table)}: the row (${key.join(', ')}) breaks a rule. ${reason}`)
}

/** Of more values than these a run is told that several rows have them: it has stopped by then, at its bound of rejections. */
const MOST_REPEATED = 100_000

/** 128 bits of a value in a field, so that memory does not depend on its length. */
function markOf(field: string, value: string): string {
  return createHash('sha256').update(`${field.length}:${field}`).update(value).digest().toString('base64url', 0, 16)
}

function addTo(digests: Map<number, BucketDigest>, { bucket, fingerprint: hash }: SpooledRow): void {
  const value = BigInt(hash)
  const before = digests.get(bucket)?.digest ?? { count: 0, xor: 0n, sum: 0n }
  const digest = {
    count: before.count + 1,
    xor: before.xor ^ value,
    sum: BigInt.asIntN(64, before.sum + value),
  }
  digests.set(bucket, { bucket, digest })
}

/** As the adapters say it in SQL, for fingerprints by MD5. */
function bucketOf(key: Key, bucketing: Bucketing): number {
  if (bucketing.by === 'key hash') {
    const hash = hashRow(key).readUInt32BE(0)
    // The count is a power of two.
    return (hash & (bucketing.count - 1)) >>> 0
  }
  const { start, width, count } = bucketing
  const place = (BigInt(text(key[0])) - start) / width
  return place < 0n ? 0 : place >= BigInt(count) ? count - 1 : Number(place)
}

function text(value: Value | undefined): string {
  assert(typeof value === 'string', 'an integer key is text')
  return value
}
