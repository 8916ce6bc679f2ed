import { createHash } from 'node:crypto'

import type { Adapter, Bucketing, KeyFingerprint, RowSource, Scan, Snapshot } from '#adapters/adapter.ts'
import { must } from '#lib/assert.ts'
import type { Key } from '#model/change.ts'
import type {
  MatchCounts,
  MatchEntry,
  MatchList,
  MatchPage,
  MatchPlace,
  MatchPreview,
  TableMatch,
} from '#model/match.ts'
import type { SyncConfig } from '#model/sync-config.ts'
import { sameTable, tableName } from '#model/table.ts'
import { LARGE_ROW_BYTES, type Row } from '#model/value.ts'
import { isSameCell } from './conflicts/compare.ts'
import type { TablePlan } from './plan.ts'
import { strayReferences, surveyTables, type SurveyedTable } from './select-tables.ts'
import { chooseBuckets } from './stages/buckets.ts'
import { digestSide } from './stages/detect.ts'
import { sourceOf } from './stages/mapped-source.ts'
import { rowsByKey } from './stages/set-aside.ts'
import type { Staging } from './staging.ts'

interface Request {
  readonly source: Adapter
  readonly target: Adapter
  readonly config: SyncConfig
  readonly list: { readonly of: MatchList; readonly limit: number; readonly after: MatchPlace | null } | null
}

interface Tools {
  readonly staging: Staging
  readonly maskKey: Uint8Array | null
  readonly signal: AbortSignal
}

/**
 * Which rows of both sides a first sync would take for the same, by the key of each mapping: counted, and listed where that
 * is doubtful. Over read-only sessions; nothing is written, nothing is kept.
 */
export async function previewMatch({ source, target, config, list }: Request, tools: Tools): Promise<MatchPreview> {
  const asked = await surveyTables({ source, target }, config)
  // A key that two ways refuse for what it lacks is matched all the same: that is what people want to see.
  const plain =
    config.direction === 'one_way' ? asked : await surveyTables({ source, target }, { ...config, direction: 'one_way' })
  await using from = await source.snapshot(2, tools.signal)
  await using into = await target.snapshot(2, tools.signal)
  const tables: TableMatch[] = []
  let page: MatchPage | null = null
  for (const { mapping, plan, tables: found, problems } of plain.tables) {
    const same = asked.tables.find(
      (each) => sameTable(each.mapping.source, mapping.source) && sameTable(each.mapping.target, mapping.target),
    )
    const problemsOf = same?.problems ?? problems
    const facts = { source: mapping.source, target: mapping.target, problems: problemsOf.map(({ message }) => message) }
    if (plan === null || found === null || found.missing) {
      tables.push({ ...facts, counts: null })
      continue
    }
    const matching = new Matching(plan, { from, into, ...tools })
    const { counts, items, next } = await matching.match(page === null ? list : null)
    if (list !== null) page ??= { columns: plan.write.scan.columns.map(({ name }) => name), items, next }
    tables.push({ ...facts, counts, problems: [...facts.problems, ...refusals(counts)] })
  }
  const plans = plain.tables.flatMap(({ plan }: SurveyedTable) => plan ?? [])
  return { tables, notes: [...asked.notes, ...plans.flatMap(overwrittenKey), ...strayReferences(plans)], list: page }
}

/** What a run says of such a key before it writes anything (hazard D6). */
function refusals({ by, duplicates, without }: MatchCounts): string[] {
  const columns = by.map(({ source, target }) => (source === target ? source : `${source} → ${target}`)).join(', ')
  const nulls = without.source + without.target
  return [
    ...(duplicates.values === 0
      ? []
      : [
          `${duplicates.values} values of (${columns}) stand in several rows of a side (${duplicates.source} rows of the source, ${duplicates.target} of the target): which of them is meant is not guessed.`,
        ]),
    ...(nulls === 0
      ? []
      : [
          `${without.source} rows of the source and ${without.target} of the target have no value in (${columns}): they are like no other row.`,
        ]),
  ]
}

/** Where each side gives its rows keys of its own, carrying them would renumber the rows of the target. */
function overwrittenKey({ target, write: { scan, written } }: TablePlan): string[] {
  const matched = scan.columns.slice(0, scan.keyLength).map(({ name }) => name)
  const own = (target.primaryKey?.columns ?? []).filter((name) => written.includes(name) && !matched.includes(name))
  if (own.length === 0) return []
  const columns = own.join(', ')
  return [
    `${tableName(target.ref)}: rows are matched by (${matched.join(', ')}), and their primary key (${columns}) is carried too: rows that have another one on each side differ by it. Leave it out (exclude: [${columns}]) where each side numbers its own rows.`,
  ]
}

/** The rows of one side that have a key, folded. */
interface Folded {
  readonly key: Key
  rows: number
  readonly first: KeyFingerprint
}

class Matching {
  readonly #plan: TablePlan
  readonly #into: Snapshot
  readonly #source: RowSource
  readonly #resources = new AsyncDisposableStack()
  readonly #signal: AbortSignal
  readonly #counts = {
    rows: { source: 0, target: 0 },
    equal: 0,
    differing: 0,
    sourceOnly: 0,
    targetOnly: 0,
    duplicates: { values: 0, source: 0, target: 0 },
    without: { source: 0, target: 0 },
    rejected: 0,
  }

  constructor(
    plan: TablePlan,
    { from, into, staging, maskKey, signal }: Tools & { readonly from: Snapshot; readonly into: Snapshot },
  ) {
    this.#plan = plan
    this.#into = into
    this.#signal = signal
    this.#source = sourceOf(plan, { source: from, staging, maskKey, resources: this.#resources })
  }

  async match(
    list: Request['list'],
  ): Promise<{ counts: MatchCounts; items: readonly MatchEntry[]; next: MatchPlace | null }> {
    await using _ = this.#resources
    const { sourceScan, write } = this.#plan
    const bucketing = { by: 'key hash', count: list?.after?.buckets ?? (await this.#buckets()) } as const
    const open = await this.#open(bucketing)
    const which = open.length === bucketing.count ? 'all' : open
    const sides = {
      source: new Folding(this.#source.keys(sourceScan, bucketing, which)),
      target: new Folding(this.#into.keys(write.scan, bucketing, which)),
    }
    const page = new Page(list)
    try {
      for (const [i, bucket] of open.entries()) {
        this.#signal.throwIfAborted()
        const last = i === open.length - 1 ? Infinity : bucket
        const [here, there] = await Promise.all([sides.source.read(last), sides.target.read(last)])
        page.take({ buckets: bucketing.count, bucket }, this.#judge(here, there))
      }
    } finally {
      await Promise.all([sides.source.close(), sides.target.close()])
    }
    for (const side of ['source', 'target'] as const) {
      this.#counts.rows[side] += sides[side].rows
      this.#counts.without[side] = sides[side].without
    }
    this.#counts.rejected = sides.source.rejected
    const { shown, next } = page
    return { counts: { by: this.#by(), ...this.#counts }, items: await this.#entries(shown), next }
  }

  async #buckets(): Promise<number> {
    const sides = { source: this.#source, target: this.#into }
    return (await chooseBuckets({ ...this.#plan, integerKey: false }, sides)).count
  }

  /**
   * The buckets to be looked at row by row. Where keys are unique on both sides, equal digests are pairs of equal rows; else
   * two rows of one key might hide behind them.
   */
  async #open(bucketing: Bucketing): Promise<readonly number[]> {
    const { sourceScan, write, mapped, sourceKeyIsUnique } = this.#plan
    const every = Array.from({ length: bucketing.count }, (_, bucket) => bucket)
    // Rows that are computed on their way are known by their keys once all of them were computed.
    if (mapped !== null) for await (const _slice of this.#source.digests(sourceScan, bucketing)) continue
    if (mapped !== null || !sourceKeyIsUnique || !write.keyIsUnique) return every
    const context = { signal: this.#signal, onRows: () => undefined }
    const [here, there] = await Promise.all([
      digestSide(this.#source, sourceScan, bucketing, context),
      digestSide(this.#into, write.scan, bucketing, context),
    ])
    return every.filter((bucket) => {
      const rows = here.rows(bucket)
      if (!here.agrees(there, bucket)) return true
      this.#counts.equal += rows
      this.#counts.rows.source += rows
      this.#counts.rows.target += rows
      return false
    })
  }

  #by(): MatchCounts['by'] {
    const { sourceScan, write, fields } = this.#plan
    return write.scan.columns.slice(0, write.scan.keyLength).map(({ name }, i) => {
      const from = fields.find(({ target }) => target === name)?.columns ?? []
      return { source: from.length === 0 ? (sourceScan.columns[i]?.name ?? name) : from.join(', '), target: name }
    })
  }

  #judge(here: ReadonlyMap<string, Folded>, there: ReadonlyMap<string, Folded>): Listed[] {
    const counts = this.#counts
    return [...new Set([...here.keys(), ...there.keys()])].flatMap((id): Listed[] => {
      const [source, target] = [here.get(id), there.get(id)]
      const { key } = must(source ?? target, 'a row of the key')
      const rows = { source: source?.rows ?? 0, target: target?.rows ?? 0 }
      const one = { key, rows, small: isSmall(source) && isSmall(target) }
      if (rows.source > 1 || rows.target > 1) {
        counts.duplicates.values += 1
        counts.duplicates.source += rows.source
        counts.duplicates.target += rows.target
        return [{ of: 'duplicates', ...one, small: false }]
      }
      if (target === undefined) {
        counts.sourceOnly += 1
        return [{ of: 'source_only', ...one }]
      }
      if (source === undefined) {
        counts.targetOnly += 1
        return [{ of: 'target_only', ...one }]
      }
      const isEqual = source.first.fingerprint === target.first.fingerprint
      counts[isEqual ? 'equal' : 'differing'] += 1
      return isEqual ? [] : [{ of: 'differing', ...one }]
    })
  }

  async #entries(listed: readonly Listed[]): Promise<MatchEntry[]> {
    const { sourceScan, write } = this.#plan
    const rowsOf = async (side: 'source' | 'target', rows: RowSource, scan: Scan) =>
      rowsByKey(
        rows,
        scan,
        listed.filter(({ small, rows: count }) => small && count[side] === 1).map(({ key }) => key),
      )
    const [here, there] = [
      await rowsOf('source', this.#source, sourceScan),
      await rowsOf('target', this.#into, write.scan),
    ]
    return listed.map(({ key, rows }) => {
      const id = JSON.stringify(key)
      const [source, target] = [here.get(id) ?? null, there.get(id) ?? null]
      return { key, rows, source, target, differs: differing(write.scan, source, target) }
    })
  }
}

interface Listed {
  readonly of: MatchList
  readonly key: Key
  readonly rows: MatchEntry['rows']
  /** Its rows can be shown. */
  readonly small: boolean
}

function isSmall(folded: Folded | undefined): boolean {
  return folded === undefined || folded.first.bytes < LARGE_ROW_BYTES
}

function differing({ columns }: Scan, source: Row | null, target: Row | null): string[] {
  if (source === null || target === null) return []
  return columns.flatMap(({ name }, i) => (isSameCell(source[i] ?? null, target[i] ?? null) ? [] : [name]))
}

/** The entries of one page, out of all that are found. */
class Page {
  readonly #list: Request['list']
  readonly #taken: (Listed & { readonly place: MatchPlace })[] = []

  constructor(list: Request['list']) {
    this.#list = list
  }

  take(at: Omit<MatchPlace, 'key'>, found: readonly Listed[]): void {
    const list = this.#list
    // One more than the page has says that there is another page.
    if (list === null || this.#taken.length > list.limit || at.bucket < (list.after?.bucket ?? 0)) return
    const from = at.bucket === list.after?.bucket ? list.after.key : ''
    const placed = found.flatMap((one) =>
      one.of === list.of ? [{ ...one, place: { ...at, key: hashOf(one.key) } }] : [],
    )
    const after = placed.filter(({ place }) => place.key > from)
    this.#taken.push(...after.sort((a, b) => (a.place.key < b.place.key ? -1 : 1)).slice(0, list.limit + 1))
  }

  get shown(): readonly Listed[] {
    return this.#taken.slice(0, this.#list?.limit ?? 0)
  }

  get next(): MatchPlace | null {
    const limit = this.#list?.limit ?? 0
    return this.#taken.length > limit ? (this.#taken[limit - 1]?.place ?? null) : null
  }
}

function hashOf(key: Key): string {
  return createHash('sha256').update(JSON.stringify(key)).digest('hex')
}

/** One side, bucket by bucket: what is in memory is a key of each, however many rows share it. */
class Folding {
  readonly #rows: AsyncIterator<KeyFingerprint>
  #ahead: KeyFingerprint | null = null
  rows = 0
  without = 0
  rejected = 0

  constructor(rows: AsyncIterable<KeyFingerprint>) {
    this.#rows = rows[Symbol.asyncIterator]()
  }

  /** The keys up to and with a bucket. Rows without a key lie in none. */
  async read(bucket: number): Promise<ReadonlyMap<string, Folded>> {
    const found = new Map<string, Folded>()
    for (;;) {
      const row = this.#ahead ?? (await this.#next())
      this.#ahead = row
      if (row === null || row.bucket > bucket) return found
      this.#ahead = null
      this.rows += 1
      if (row.fault !== undefined) this.rejected += 1
      else if (row.key.includes(null)) this.without += 1
      else fold(found, row)
    }
  }

  async #next(): Promise<KeyFingerprint | null> {
    const { value, done } = await this.#rows.next()
    return done === true ? null : value
  }

  async close(): Promise<void> {
    await this.#rows.return?.()
  }
}

function fold(found: Map<string, Folded>, row: KeyFingerprint): void {
  const id = JSON.stringify(row.key)
  const known = found.get(id)
  if (known === undefined) found.set(id, { key: row.key, rows: 1, first: row })
  else known.rows += 1
}
