import { Readable } from 'node:stream'
import {
  TEXT_ROWS,
  type BucketDigest,
  type Bucketing,
  type Holder,
  type KeyFingerprint,
  type Piece,
  type Proof,
  type RowStream,
  type Scan,
  type Snapshot,
  type Watched,
} from '#adapters/adapter.ts'
import { assert, must } from '#lib/assert.ts'
import type { Key } from '#model/change.ts'
import { AppError } from '#model/errors.ts'
import { fingerprint, hashRow } from '#model/fingerprint.ts'
import type { Position } from '#model/position.ts'
import { tableName, type TableRef } from '#model/table.ts'
import { copyLine } from '#model/row-text.ts'
import type { Row } from '#model/value.ts'
import { meets } from './condition.ts'
import type { RestTable } from './description.ts'
import { bucketOf, inForm } from './forms.ts'
import type { RestClient } from './http.ts'
import { countNullKeys, countRows, readKeys, type OwnRow } from './pages.ts'
import type { ProjectState } from './state.ts'
import { TableCopies, type KeyWay, type TableCopy } from './table-copy.ts'

/** More keys than that are found in a copy of the table. */
const FEW_KEYS = 500

/** Rows whose digests are told at once. */
const SLICE_ROWS = 20_000

/**
 * What a run reads of a REST API. There are no snapshots over REST: each table is read once, from its first page to its
 * last, when something is first asked of it, and every question is answered from that reading. So a run does not see its
 * source move under its hands, and its reading is complete by the server's count; but tables are not of one moment.
 */
export class RestSnapshot implements Snapshot {
  readonly position: Position
  readonly id = null
  readonly #client: RestClient
  readonly #tableOf: (ref: TableRef) => RestTable
  readonly #state: ProjectState
  readonly #looksUp: boolean
  readonly #copies: TableCopies

  constructor(
    client: RestClient,
    {
      tableOf,
      state,
      at,
      looksUp,
    }: {
      readonly tableOf: (ref: TableRef) => RestTable
      readonly state: ProjectState
      readonly at: string
      /** Rows of a few keys are asked for as they are now: of a target, which the run itself changes. */
      readonly looksUp: boolean
    },
  ) {
    this.#client = client
    this.#tableOf = tableOf
    this.#state = state
    this.#looksUp = looksUp
    this.#copies = new TableCopies(client)
    this.position = { order: at, label: `read page by page from ${at} on, without a snapshot` }
  }

  /** Nothing can be locked over the API; whoever asks compares the definitions. */
  hold(): Promise<void> {
    return Promise.resolve()
  }

  estimate(scan: Scan): Promise<number> {
    return this.count(scan)
  }

  async count(scan: Scan): Promise<number> {
    if (scan.filter === null) return (await this.#copy(scan)).rows
    let rows = 0
    for await (const _ of this.#rows(scan)) rows += 1
    return rows
  }

  async isEmpty(table: TableRef): Promise<boolean> {
    return (await countRows(this.#client, this.#tableOf(table))) === 0
  }

  async keyBounds(scan: Scan): ReturnType<Snapshot['keyBounds']> {
    let bounds: { min: bigint; max: bigint } | null = null
    for await (const [first] of this.#rows({ ...scan, columns: scan.columns.slice(0, 1) })) {
      const key = BigInt(must(first, 'a key').toString())
      bounds = {
        min: bounds && bounds.min < key ? bounds.min : key,
        max: bounds && bounds.max > key ? bounds.max : key,
      }
    }
    return bounds
  }

  async keyFaults(scan: Scan): ReturnType<Snapshot['keyFaults']> {
    const table = this.#tableOf(scan.table)
    // Pages are read in the order of this key, where the table has none of its own: then none of it may be NULL.
    if (table.schema.primaryKey === null) {
      const nulls = await countNullKeys(this.#client, table, keyOf(scan))
      if (nulls > 0) return { nulls, duplicates: 0, sample: null }
    }
    try {
      let nulls = 0
      const keys = { ...scan, columns: scan.columns.slice(0, scan.keyLength) }
      for await (const key of this.#rows(keys)) nulls += Number(key.includes(null))
      return { nulls, ...(await (await this.#copy(scan)).repeated(keyWay(table, scan))) }
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'key_not_unique') throw error
      return { nulls: 0, duplicates: 1, sample: null }
    }
  }

  #copy(scan: Scan): Promise<TableCopy> {
    return this.#copies.of(this.#tableOf(scan.table), keyOf(scan))
  }

  async *#rows(scan: Scan): AsyncGenerator<Row> {
    const table = this.#tableOf(scan.table)
    const [toRow, isIn] = [rowMaker(table, scan), filterOf(table, scan)]
    for await (const own of (await this.#copy(scan)).all()) if (isIn(own)) yield toRow(own)
  }

  async #under(scan: Scan, keys: readonly Key[]): Promise<Row[]> {
    const table = this.#tableOf(scan.table)
    const way = keyWay(table, scan)
    if (this.#looksUp && way.isOwn && keys.length <= FEW_KEYS && !this.#copies.has(table)) {
      const rows = await readKeys(this.#client, table, { columns: way.columns, keys: distinct(keys) })
      return rows.filter(filterOf(table, scan)).map(rowMaker(table, scan))
    }
    const found = await (await this.#copy(scan)).under(way, keys)
    return found.filter(filterOf(table, scan)).map(rowMaker(table, scan))
  }

  async *digests(scan: Scan, bucketing: Bucketing): AsyncGenerator<readonly BucketDigest[]> {
    let slice = new Map<number, { count: number; xor: bigint; sum: bigint }>()
    let rows = 0
    const told = (): BucketDigest[] => [...slice].map(([bucket, digest]) => ({ bucket, digest }))
    for await (const row of this.#rows(scan)) {
      const bucket = bucketOf(row, scan, bucketing)
      const hash = BigInt(fingerprint(row))
      const digest = slice.get(bucket) ?? { count: 0, xor: 0n, sum: 0n }
      digest.count += 1
      digest.xor ^= hash
      digest.sum = BigInt.asIntN(64, digest.sum + hash)
      slice.set(bucket, digest)
      if ((rows += 1) % SLICE_ROWS > 0) continue
      yield told()
      slice = new Map()
    }
    if (slice.size > 0) yield told()
  }

  partDigests(): null {
    return null
  }

  async *keys(...[scan, bucketing, buckets]: Parameters<Snapshot['keys']>): AsyncGenerator<KeyFingerprint> {
    const wanted = buckets === 'all' ? null : new Set(buckets)
    const found = async function* (rows: AsyncIterable<Row>): AsyncGenerator<{ bucket: number; text: string }> {
      for await (const row of rows) {
        const bucket = bucketOf(row, scan, bucketing)
        if (wanted?.has(bucket) === false) continue
        yield { bucket, text: JSON.stringify({ ...toKeyFingerprint(row, scan), bucket }) }
      }
    }
    const copy = await this.#copy(scan)
    for await (const { text } of copy.sorted(found(this.#rows(scan)))) yield JSON.parse(text) as KeyFingerprint
  }

  async sample(scan: Scan, limit: number): Promise<readonly Row[]> {
    const rows: Row[] = []
    if (limit <= 0) return rows
    for await (const row of this.#rows(scan)) {
      rows.push(row)
      if (rows.length >= limit) break
    }
    return rows
  }

  rows(scan: Scan, keys: readonly Key[]): Promise<readonly Row[]> {
    return this.#under(scan, keys)
  }

  /** A page of the API holds its rows whole. */
  largeRows(scan: Scan, keys: readonly Key[]): Promise<readonly Row[]> {
    return this.#under(scan, keys)
  }

  async fingerprints(scan: Scan, keys: readonly Key[]): Promise<readonly KeyFingerprint[]> {
    return (await this.#under(scan, keys)).map((row) => toKeyFingerprint(row, scan))
  }

  copyFormats(): string[] {
    return [TEXT_ROWS]
  }

  async pieces(scan: Scan): Promise<readonly Piece[]> {
    const { bytes } = await this.#copy(scan)
    return [{ table: scan.table, label: 'all rows', bytes, handle: null }]
  }

  copyOut(...[scan, , format]: Parameters<Snapshot['copyOut']>): Promise<RowStream> {
    assert(format === TEXT_ROWS, `the API cannot send ${format}`)
    return Promise.resolve(copyStream(this.#rows(scan)))
  }

  async proof(scan: Scan, keys?: readonly Key[]): Promise<Proof> {
    return foldProof(keys === undefined ? this.#rows(scan) : await this.#under(scan, keys))
  }

  knownMappings(mappingIds: readonly string[]): Promise<ReadonlySet<string>> {
    return this.#state.known(mappingIds)
  }

  async writtenBy(
    ...[claim, { scan }, { keys }]: Parameters<Snapshot['writtenBy']>
  ): ReturnType<Snapshot['writtenBy']> {
    return { keys: await this.#state.writtenBy(claim, scan, keys), doubt: null }
  }

  /** No baseline is kept over REST. */
  owned(): Promise<ReadonlySet<string>> {
    return Promise.resolve(new Set())
  }

  /** As PostgreSQL does: by their bytes. */
  comparedAs(...[, rows]: Parameters<Snapshot['comparedAs']>): ReturnType<Snapshot['comparedAs']> {
    return Promise.resolve(rows.map((row) => (row.includes(null) ? null : JSON.stringify(row))))
  }

  /** Who is in the way of whom is told by no index here. */
  holders(): Promise<readonly Holder[]> {
    return Promise.resolve([])
  }

  /** A plan goes by no cursor where there is no snapshot. */
  changedKeys(): never {
    throw new AppError('impossible_mapping', 'A REST API is not asked for changes by a cursor.')
  }

  cursorReached(): never {
    return this.changedKeys()
  }

  detectionState(mapping: Parameters<Snapshot['detectionState']>[0]): Promise<string | null> {
    return this.#state.detection(mapping)
  }

  baseline(): Promise<null> {
    return Promise.resolve(null)
  }

  /** The API does not tell them. */
  sequences(): Promise<readonly []> {
    return Promise.resolve([])
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#copies[Symbol.dispose]()
    return Promise.resolve()
  }
}

function distinct(keys: readonly Key[]): readonly Key[] {
  return [...new Map(keys.map((key) => [JSON.stringify(key), key])).values()]
}

function keyOf({ columns, keyLength }: Scan): readonly string[] {
  return columns.slice(0, keyLength).map(({ name }) => name)
}

function keyWay(table: RestTable, scan: Scan): KeyWay {
  const columns = scan.columns.slice(0, scan.keyLength)
  return {
    columns: columns.map(({ name }) => name),
    isOwn: columns.every(({ form }) => form === 'own'),
    toKey: rowMaker(table, { ...scan, columns }),
    filter: scan.filter,
    isIn: filterOf(table, scan),
  }
}

/** Which rows of the table are there for a scan. */
function filterOf({ schema }: RestTable, { filter }: Scan): (own: OwnRow) => boolean {
  if (filter === null) return () => true
  const places = new Map(schema.columns.map(({ name, type }, place) => [name, { type, place }]))
  return (own) =>
    meets(filter, (name) => {
      const { type, place } = must(places.get(name), `the column ${name}`)
      return { type, own: own[place] ?? null }
    })
}

/** Makes rows of a scan out of rows of the table. @throws AppError where a value does not fit (invariant 4) */
function rowMaker({ schema }: RestTable, scan: Scan): (own: OwnRow) => Row {
  const columns = scan.columns.map(({ name, form }) => {
    const place = schema.columns.findIndex((column) => column.name === name)
    return { name, form, place, type: must(schema.columns[place], `the column ${name}`).type }
  })
  return (own) =>
    columns.map(({ name, form, place, type }) => {
      const value = own[place] ?? null
      if (value === null) return null
      const formed = inForm(value, type, form)
      if (formed !== null) return formed
      throw new AppError(
        'impossible_mapping',
        `${tableName(schema.ref)}.${name} holds a value that does not fit ${form} without being rounded.`,
      )
    })
}

function toKeyFingerprint(row: Row, scan: Scan): KeyFingerprint {
  const bytes = row.reduce((sum, value) => sum + (value?.length ?? 0), 0)
  return { bucket: 0, key: row.slice(0, scan.keyLength), fingerprint: fingerprint(row), bytes }
}

/** 128 bits of MD5 over each whole row, folded by xor and by sums; see `Proof`. */
async function foldProof(rows: AsyncIterable<Row> | Iterable<Row>): Promise<Proof> {
  const words: [bigint, bigint, bigint, bigint] = [0n, 0n, 0n, 0n]
  let count = 0
  for await (const row of rows) {
    const md5 = hashRow(row)
    const [high, low] = [md5.readBigUInt64BE(0), md5.readBigUInt64BE(8)]
    words[0] ^= high
    words[1] ^= low
    words[2] = BigInt.asUintN(64, words[2] + high)
    words[3] = BigInt.asUintN(64, words[3] + low)
    count += 1
  }
  return { rows: count, digest: words.map((word) => word.toString(16).padStart(16, '0')).join('') }
}

const CHUNK_BYTES = 64 * 1024

/** Rows as lines of COPY. They come from this machine's disk: only whoever takes them can fall silent. */
function copyStream(rows: AsyncIterable<Row>): RowStream {
  let sent = 0
  let bytes = 0
  const lines = async function* (): AsyncGenerator<Buffer> {
    let text = ''
    const take = (): Buffer => {
      const chunk = Buffer.from(text)
      bytes += chunk.length
      text = ''
      return chunk
    }
    for await (const row of rows) {
      text += copyLine(row)
      sent += 1
      if (text.length >= CHUNK_BYTES) yield take()
    }
    if (text !== '') yield take()
  }
  const stream = Readable.from(lines(), { objectMode: false })
  // Whoever pipes it is told of an error; it must not end the process where nobody pipes it any more.
  stream.on('error', () => undefined)
  const connection: Watched = {
    get bytes() {
      return bytes
    },
    probe: () => Promise.resolve('waiting'),
    onLost: (callback) => {
      const lost = (error: Error): void =>
        callback(error instanceof AppError ? error : new AppError('connection_lost', error.message, { cause: error }))
      stream.once('error', lost)
      return () => void stream.off('error', lost)
    },
    destroy: (error) => void stream.destroy(error),
  }
  return {
    stream,
    connection,
    rows: () => sent,
    [Symbol.asyncDispose]: () => {
      stream.destroy()
      return Promise.resolve()
    },
  }
}
