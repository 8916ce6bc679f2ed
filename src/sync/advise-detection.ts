/** Advises how the changes of a table can be found, by what its server tells of it. Pure: nothing is read, nothing is guessed. */
import type { ColumnFacts, ServerInfo, SessionFacts, TableFacts } from '#adapters/adapter.ts'
import { formatCount, plural } from '#lib/amounts.ts'
import type { DetectionStrategy } from '#model/detection.ts'
import type { Completeness } from '#model/receipt.ts'
import type { Policies } from '#model/sync-config.ts'
import type { Column, TableSchema } from '#model/table.ts'
import { adviseCursors, INSERT_NAME, isSure, isTime, UPDATE_NAME, VERSION_NAME } from './advise/cursor.ts'
import { allRows, isLarge, RANKS, TELLING_ROWS, writesInWords } from './advise/measures.ts'
import { planDetection } from './plan-detection.ts'

export interface AdviceQuestion {
  readonly source: TableSchema
  readonly facts: TableFacts
  readonly sessions: SessionFacts
  readonly server: ServerInfo
  readonly policies: Policies
  /** Columns of the source that identify a row, declared or by a constraint; null: none are known. */
  readonly key: readonly string[] | null
  /** Rows are computed on their way. */
  readonly computed: boolean
  /** Changes wait for somebody before they are written, so that no run leaves a position. */
  readonly reviewed: boolean
  /** Conflicts are decided by what both sides last agreed on. */
  readonly threeWay: boolean
  /** The statement that lets this login read the table; null: it may. */
  readonly grant: string | null
}

export interface DetectionAdvice {
  /** Best first. Empty where the table can be no source. */
  readonly proposals: readonly DetectionProposal[]
  /** What one might think of, and why it does not do. */
  readonly ruledOut: readonly RuledOut[]
  /** What could not be told of the table: nothing here rests on it. */
  readonly unknown: readonly string[]
}

export interface DetectionProposal {
  readonly strategy: DetectionStrategy
  /** Null where the strategy needs none. */
  readonly cursorColumn: string | null
  /** How much a run is sure to see, as its receipt would say, as far as the facts bear that; see `docs/detection.md`. */
  readonly label: Completeness
  /** What a run reads, in words. */
  readonly cost: string
  readonly reasons: readonly string[]
  readonly cannotSee: readonly string[]
  readonly needs: readonly Need[]
}

export interface Need {
  readonly text: string
  /** The statement that mends it, where there is one. */
  readonly sql: string | null
  /** Without it no run can be; else it makes runs cheaper, or lets them see more. */
  readonly required: boolean
}

export interface RuledOut {
  /** Null: every strategy. */
  readonly strategy: DetectionStrategy | null
  readonly column: string | null
  readonly why: string
}

/** Below it, nothing is worth what it does not see. */
const FEW_ROWS = 10_000
/** Columns of a table that are asked for. */
const MOST_COLUMNS = 32

/** The columns of a table that could be a cursor, those with a telling name first: what facts are to be asked for. */
export function cursorColumns({ columns }: TableSchema): string[] {
  const telling = ({ name }: Column): boolean =>
    [UPDATE_NAME, VERSION_NAME, INSERT_NAME].some((some) => some.test(name))
  const fit = columns.filter(
    (column) => isTime(column) || isVersion(column) || (column.nativeType === 'xid' && telling(column)),
  )
  return [...fit.filter(telling), ...fit.filter((column) => !telling(column))]
    .slice(0, MOST_COLUMNS)
    .map(({ name }) => name)
}

function isVersion({ type, nativeType, name }: Column): boolean {
  if (type.kind === 'bytes') return VERSION_NAME.test(name)
  return type.kind === 'integer' || type.kind === 'decimal' || nativeType === 'xid8'
}

/**
 * Ranks the strategies for one table. What is not sure to see everything comes after `hash`, and a cursor before it only
 * where the table is large, an index serves, and the database itself sets the column by every insert and update.
 */
export function adviseDetection(question: AdviceQuestion): DetectionAdvice {
  const { source, facts } = question
  if (source.kind === 'foreign table') {
    const why = 'It is a foreign table: its rows are of another server, and it can be no source.'
    return { proposals: [], ruledOut: [{ strategy: null, column: null, why }], unknown: facts.unknown }
  }
  const found = Object.values(PROPOSERS).flatMap((propose) => propose(question))
  const ranked = found.filter((one) => 'label' in one).toSorted((a, b) => a.rank - b.rank)
  return {
    proposals: ranked.map((each) => withNeeds(each, required(question))),
    ruledOut: found.filter((one) => 'why' in one),
    unknown: facts.unknown,
  }
}

function withNeeds(ranked: Ranked, more: readonly Need[]): DetectionProposal {
  const { rank: _, ...proposal } = ranked
  return { ...proposal, needs: [...more, ...proposal.needs] }
}

/** `rank`: of `RANKS`. */
export type Ranked = DetectionProposal & { readonly rank: number }
export type Found = Ranked | RuledOut

/** What could be said of each strategy; a strategy that is new has to have its say here. */
const PROPOSERS: Readonly<Record<DetectionStrategy, (question: AdviceQuestion) => readonly Found[]>> = {
  hash: (question) => [hash(question)],
  timestamp: (question) => adviseCursors(question, isTime),
  rowversion: (question) => adviseCursors(question, (column) => !isTime(column)),
  primary_key: keys,
  full: (question) => [whole(question, 'full')],
  content: (question) => [whole(question, 'content')],
}

function required({ key, grant, source, facts }: AdviceQuestion): Need[] {
  const needs: Need[] = []
  if (grant !== null) needs.push({ text: 'the right to read it', sql: grant, required: true })
  if (key !== null) return needs
  const { sample } = facts
  const alike = facts.columns.find(
    (column) =>
      sample !== null &&
      sample.rows >= TELLING_ROWS &&
      column.sample?.distinct === sample.rows &&
      !isTimeOf(source, column),
  )
  const hint = alike && sample ? `; no two of ${formatCount(sample.rows)} sampled rows share "${alike.column}"` : ''
  const text = `a key: no constraint says which columns identify a row, so name them as key of the table${hint}`
  return [...needs, { text, sql: null, required: true }]
}

function isTimeOf({ columns }: TableSchema, { column }: ColumnFacts): boolean {
  return columns.some((each) => each.name === column && isTime(each))
}

function hash(question: AdviceQuestion): Ranked {
  const { facts, computed } = question
  const reasons = ['sees every insert, update and delete, whatever wrote it, and what the target alone has changed']
  if (facts.rows !== null && facts.rows < FEW_ROWS) {
    reasons.push(`about ${plural(facts.rows, 'row')} are few: nothing is worth what it would not see`)
  }
  if (isLarge(facts) && !facts.columns.some(({ onInsert, onUpdate }) => isSure(onInsert) && isSure(onUpdate))) {
    reasons.push('the table is large, but of no column it is known that every insert and update sets it')
  }
  const cost = computed
    ? `reads ${allRows(facts)} of the source through the mapping in every run, and digests of all rows of the target`
    : `reads ${allRows(facts)} of both sides in every run, inside the servers; of what is the same, digests alone travel`
  return { ...everything(question), strategy: 'hash', cost, reasons, rank: RANKS.hash }
}

function whole(question: AdviceQuestion, strategy: 'full' | 'content'): Ranked {
  const { facts, threeWay } = question
  const byFingerprints = strategy === 'full' || threeWay
  const travels = byFingerprints ? 'a key and a fingerprint of each row' : 'each row with all its values'
  const reasons =
    strategy === 'full'
      ? ['sees what hash sees, row by row; nothing in the facts asks for it']
      : threeWay
        ? ['compares as full does, because conflicts are decided by fingerprints']
        : ['sees what hash sees, for those who would not trust a hash of 64 bits']
  const cost = `reads ${allRows(facts)} of both sides in every run, and ${travels} travels`
  return { ...everything(question), strategy, cost, reasons, rank: RANKS[strategy] }
}

/** What all strategies have in common that look at every row. */
function everything({
  server,
  source,
}: AdviceQuestion): Pick<Ranked, 'cursorColumn' | 'label' | 'cannotSee' | 'needs'> {
  const isOneMoment = server.moments === 'exact' && source.unsteady === undefined
  return {
    cursorColumn: null,
    label: isOneMoment ? 'exact' : 'bounded',
    cannotSee: isOneMoment ? [] : ['what is written while the table is read page by page, until the next run'],
    needs: [],
  }
}

function keys(question: AdviceQuestion): Found[] {
  const { facts, source, computed, policies, server } = question
  const planned = planDetection(
    { detection: { strategy: 'primary_key', cursorColumn: null } },
    { source, computed },
    { policies, server },
  )
  if ('message' in planned) return [{ strategy: 'primary_key', column: null, why: planned.message }]
  const { writes } = facts
  const still = writes !== null && writes.inserted > 0 && writes.updated === 0
  return [
    {
      ...everything(question),
      strategy: 'primary_key',
      label: 'best effort',
      cost: `reads the keys of ${allRows(facts)} of both sides in every run; of what is the same, digests alone travel`,
      reasons: ['compares keys alone, which is less than whole rows', ...(still ? [writesInWords(facts)] : [])],
      cannotSee: [
        'updates of rows that both sides have',
        ...(writes !== null && writes.updated > 0 ? [`of which ${writesInWords(facts)}`] : []),
      ],
      rank: still ? RANKS.keys : RANKS.blindKeys,
    },
  ]
}
