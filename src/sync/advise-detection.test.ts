import { describe, expect, test } from 'vitest'

import type { ColumnFacts, ServerInfo, TableFacts, Upkeep } from '#adapters/adapter.ts'
import type { ColumnType } from '#model/column-type.ts'
import { DEFAULT_POLICIES } from '#model/sync-config.ts'
import type { Column, TableSchema } from '#model/table.ts'
import {
  adviseDetection,
  cursorColumns,
  type AdviceQuestion,
  type DetectionAdvice,
  type DetectionProposal,
} from './advise-detection.ts'

const TYPES: Readonly<Record<string, ColumnType>> = {
  bigint: { kind: 'integer', bits: 64 },
  integer: { kind: 'integer', bits: 32 },
  text: { kind: 'text', maxLength: null },
  numeric: { kind: 'decimal', precision: null, scale: null },
  bytea: { kind: 'bytes' },
  date: { kind: 'date' },
  timestamp: { kind: 'timestamp', zoned: false, digits: 6 },
  timestamptz: { kind: 'timestamp', zoned: true, digits: 6 },
}

/** `name type`, with `?` where it may be NULL. */
function column(text: string, id: number): Column {
  const [name = '', native = ''] = text.replace('?', '').split(' ')
  const type = TYPES[native] ?? { kind: 'other', native }
  const filled = {
    hasDefault: false,
    generated: null,
    expression: null,
    collation: null,
    identity: null,
    sequence: null,
  }
  return { ...filled, name, id, type, nativeType: native, nullable: text.endsWith('?') }
}

function table(columns: readonly string[], changes: Partial<TableSchema> = {}): TableSchema {
  return {
    ref: { schema: 'public', name: 't' },
    id: '1',
    definition: '',
    storage: '',
    kind: 'table',
    columns: columns.map(column),
    primaryKey: { name: 't_pkey', columns: ['id'], notNull: true, immediate: true },
    uniqueKeys: [],
    foreignKeys: [],
    referenced: false,
    triggers: [],
    rowSecurity: false,
    rights: { use: true, select: true, insert: false, update: false, delete: false },
    partitions: [],
    rowEstimate: null,
    bytes: 0,
    ...changes,
  }
}

const SERVER: ServerInfo = {
  kind: 'postgres',
  homeSchema: 'public',
  product: 'PostgreSQL 16.1',
  major: 16,
  address: 'localhost',
  identity: '1',
  local: true,
  pooled: false,
  readOnly: null,
  hashProbe: '',
  clockSkewMs: 0,
  moments: 'exact',
  writes: 'transactions',
}

const NOTHING: TableFacts = {
  rows: null,
  bytes: null,
  writes: null,
  replicated: false,
  columns: [],
  sample: null,
  unknown: [],
}

const HUGE = { rows: 40_000_000, bytes: 9_000_000_000 } as const
const BUSY = { inserted: 5_000, updated: 700, deleted: 20, since: null } as const
const INSERTS = { inserted: 5_000, updated: 0, deleted: 0, since: '2026-01-01 00:00:00+00' } as const

const TRIGGER: Upkeep = { value: 'clock', when: 'always', by: 'trigger "touch"', inReplication: false, cached: false }
const DEFAULT: Upkeep = { value: 'clock', when: 'omitted', by: 'default now()', inReplication: true, cached: false }
const SERIAL: Upkeep = { ...DEFAULT, value: 'sequence', by: `default nextval('s')` }
const GOOD = { nulls: 0, future: 0, distinct: 2_000, mostOfOne: 1, disorder: 700 } as const
const SAMPLE = { rows: 2_000, whole: false } as const

function kept(name: string, changes: Partial<ColumnFacts> = {}): ColumnFacts {
  const remedies = { index: `CREATE INDEX ON t (${name});`, trigger: `CREATE TRIGGER ON t (${name});` }
  return { column: name, onInsert: TRIGGER, onUpdate: TRIGGER, index: 'an_index', sample: GOOD, remedies, ...changes }
}

const UNKEPT = { onInsert: null, onUpdate: null } as const

function advise(
  source: TableSchema,
  facts: Partial<TableFacts>,
  changes: Partial<AdviceQuestion> = {},
): DetectionAdvice {
  return adviseDetection({
    source,
    facts: { ...NOTHING, sample: SAMPLE, ...facts },
    sessions: { complete: true, why: null, remedy: null },
    server: SERVER,
    policies: DEFAULT_POLICIES,
    key: ['id'],
    computed: false,
    reviewed: false,
    threeWay: false,
    grant: null,
    ...changes,
  })
}

/** `timestamp by at: exact`. */
function names({ proposals }: DetectionAdvice): string[] {
  return proposals.map(({ strategy, cursorColumn, label }) =>
    cursorColumn === null ? `${strategy}: ${label}` : `${strategy} by ${cursorColumn}: ${label}`,
  )
}

function of(advice: DetectionAdvice, strategy: DetectionProposal['strategy']): DetectionProposal {
  const found = advice.proposals.find((proposal) => proposal.strategy === strategy)
  if (found === undefined) throw new Error(`${strategy} is not proposed: ${names(advice).join(', ')}`)
  return found
}

const unseen = (proposal: DetectionProposal): string => proposal.cannotSee.join('\n')
const outOf = (advice: DetectionAdvice): string[] =>
  advice.ruledOut.map((each) => `${each.strategy} by ${each.column}: ${each.why}`)

const TIMED = table(['id bigint', 'updated_at timestamptz'])

describe('hash comes first', () => {
  test('where nothing is known, and nothing is claimed then', () => {
    const advice = advise(TIMED, { sample: null, unknown: ['No rows were sampled: it took longer than 3 s.'] })
    expect(names(advice)).toEqual(['hash: exact', 'primary_key: best effort', 'full: exact', 'content: exact'])
    expect(of(advice, 'hash')).toMatchObject({ cannotSee: [], needs: [] })
    expect(of(advice, 'hash').cost).toMatch(/^reads all rows of both sides in every run/)
    expect(advice.unknown).toEqual(['No rows were sampled: it took longer than 3 s.'])
  })

  test('where the table is small, whatever keeps its times', () => {
    const advice = advise(TIMED, { rows: 900, bytes: 80_000, columns: [kept('updated_at')] })
    expect(names(advice).slice(0, 2)).toEqual(['hash: exact', 'timestamp by updated_at: exact'])
    expect(of(advice, 'hash').reasons.join()).toContain('about 900 rows are few')
    expect(of(advice, 'hash').cost).toContain('all rows (about 900, 80 kB)')
  })

  test('where a large table has no index on its time: then the line that makes it is told', () => {
    const advice = advise(TIMED, { ...HUGE, columns: [kept('updated_at', { index: null })] })
    expect(names(advice)[0]).toBe('hash: exact')
    const { needs, cost } = of(advice, 'timestamp')
    expect(needs).toEqual([expect.objectContaining({ sql: 'CREATE INDEX ON t (updated_at);', required: false })])
    expect(cost).toContain('reads the whole table of the source (about 40,000,000, 9.0 GB) in every run')
  })

  test('where every run would read much of the table again, or no sample shows that it would not', () => {
    const blind = advise(TIMED, { ...HUGE, sample: null, columns: [kept('updated_at', { sample: null })] })
    expect(names(blind).slice(0, 2)).toEqual(['hash: exact', 'timestamp by updated_at: exact'])
    for (const sample of [
      { ...GOOD, nulls: 500 },
      { ...GOOD, mostOfOne: 900 },
    ]) {
      const advice = advise(TIMED, { ...HUGE, columns: [kept('updated_at', { sample })] })
      expect(names(advice)[0]).toBe('hash: exact')
      expect(of(advice, 'timestamp').cost).toMatch(/about (?:25|45) % of/)
    }
  })
})

describe('a time', () => {
  test('that the database sets by every insert and update comes first for a large table', () => {
    const advice = advise(TIMED, { ...HUGE, columns: [kept('updated_at')] })
    expect(names(advice).slice(0, 2)).toEqual(['timestamp by updated_at: exact', 'hash: exact'])
    const { cost, needs, reasons } = of(advice, 'timestamp')
    expect(cost).toContain('by the index "an_index"')
    expect(needs).toEqual([])
    expect(reasons[0]).toBe('trigger "touch" sets it by updates')
    expect(unseen(of(advice, 'timestamp'))).toMatch(
      /^deletes .*\nwhat the target alone has changed\n.*triggers are switched off/,
    )
  })

  test('with a default for inserts is best effort, and the trigger that would mend it is told', () => {
    const advice = advise(TIMED, { ...HUGE, columns: [kept('updated_at', { onInsert: DEFAULT })] })
    expect(names(advice)[0]).toBe('hash: exact')
    const time = of(advice, 'timestamp')
    expect(time.label).toBe('best effort')
    expect(unseen(time)).toContain('rows that are inserted with an older value of their own')
    expect(time.needs.map(({ sql }) => sql)).toEqual(['CREATE TRIGGER ON t (updated_at);'])
  })

  test('that nothing in the database sets rests on whoever writes', () => {
    const advice = advise(TIMED, { ...HUGE, writes: BUSY, columns: [kept('updated_at', UNKEPT)] })
    const time = of(advice, 'timestamp')
    expect(names(advice).indexOf('timestamp by updated_at: best effort')).toBeGreaterThan(0)
    expect(unseen(time)).toMatch(/^updates that do not set "updated_at" themselves/)
    expect(time.reasons).toContain('its name alone speaks for it')
    expect(of(advice, 'hash').reasons.join()).toContain('of no column it is known')
  })

  test('that only grows along the key though rows are updated looks like a time of inserts', () => {
    const columns = [kept('updated_at', { ...UNKEPT, sample: { ...GOOD, disorder: 0 } })]
    expect(of(advise(TIMED, { writes: BUSY, columns }), 'timestamp').reasons.join()).toContain('like a time of inserts')
    expect(of(advise(TIMED, { writes: INSERTS, columns }), 'timestamp').reasons.join()).not.toContain('like a time')
  })

  test('that may be NULL costs what the sample shows', () => {
    const source = table(['id bigint', 'updated_at timestamptz?'])
    const columns = [kept('updated_at', { sample: { ...GOOD, nulls: 100 } })]
    const { cost, reasons } = of(advise(source, { ...HUGE, columns }), 'timestamp')
    expect(cost).toContain('about 5 % of the rows, which have no value, in every run')
    expect(reasons.join()).toContain('it may be NULL, as in 100 of 2,000 sampled rows')
    const none = [kept('updated_at', { sample: { ...GOOD, nulls: 2_000 } })]
    expect(outOf(advise(source, { columns: none }))[0]).toContain('None of 2,000 sampled rows has a value.')
  })

  test('in the future is no time of writing, and without a zone it would hide what is written until then', () => {
    const future = { ...GOOD, future: 3 }
    const unkept = advise(TIMED, { columns: [kept('updated_at', { ...UNKEPT, sample: future })] })
    expect(outOf(unkept)[0]).toContain('3 of 2,000 sampled rows have a time in the future: it is not the time')
    // The clock bounds the position of a time with a zone.
    expect(of(advise(TIMED, { columns: [kept('updated_at', { sample: future })] }), 'timestamp').cost).toContain(
      'future',
    )
    const local = table(['id bigint', 'updated_at timestamp'])
    const advice = advise(local, { columns: [kept('updated_at', { sample: future })] })
    expect(outOf(advice)[0]).toContain('passes all that is written until then')
  })

  test('that a session’s time zone has a part in is best effort', () => {
    const upkeep = { ...TRIGGER, value: 'local clock' } as const
    const advice = advise(table(['id bigint', 'changed timestamp']), {
      ...HUGE,
      columns: [kept('changed', { onInsert: upkeep, onUpdate: upkeep })],
    })
    expect(names(advice)).toContain('timestamp by changed: best effort')
    expect(unseen(of(advice, 'timestamp'))).toContain('the clock of a time zone is set back')
  })

  test('whose trigger cannot be read, or does not fire for a subscription, is best effort', () => {
    const perhaps = { ...TRIGGER, value: 'other', when: 'perhaps' } as const
    const unclear = advise(TIMED, { ...HUGE, columns: [kept('updated_at', { onUpdate: perhaps })] })
    expect(unseen(of(unclear, 'timestamp'))).toContain('updates for which trigger "touch" does not set it')
    const copied = advise(TIMED, { ...HUGE, replicated: true, columns: [kept('updated_at')] })
    expect(of(copied, 'timestamp')).toMatchObject({ label: 'best effort' })
    expect(unseen(of(copied, 'timestamp'))).toContain('rows that a subscription writes')
  })

  test('of inserts is proposed only where the server counts inserts, and no updates', () => {
    const source = table(['id bigint', 'created_at timestamptz'])
    const columns = [kept('created_at', { onInsert: DEFAULT, onUpdate: null })]
    const still = advise(source, { ...HUGE, writes: INSERTS, columns })
    expect(names(still).slice(0, 3)).toEqual([
      'hash: exact',
      'timestamp by created_at: best effort',
      'primary_key: best effort',
    ])
    expect(of(still, 'timestamp').reasons.join()).toContain(
      'since 2026-01-01 00:00:00+00 the server has counted 5,000 inserts, 0 updates and 0 deletes',
    )
    expect(outOf(advise(source, { writes: BUSY, columns }))[0]).toContain('700 updates')
    expect(outOf(advise(source, { columns }))[0]).toContain('whether rows are updated is not known')
    expect(outOf(advise(source, { writes: { ...INSERTS, inserted: 0 }, columns }))[0]).toContain('no write was counted')
  })

  test('that says something else is no matter', () => {
    const advice = advise(table(['id bigint', 'birthday date']), { columns: [kept('birthday', UNKEPT)] })
    expect([...names(advice), ...outOf(advice)].join()).not.toContain('birthday')
  })

  test('whose trigger fires where the row differs misses what is equal and written otherwise', () => {
    const columns = [kept('updated_at', { onUpdate: { ...TRIGGER, when: 'changed' } })]
    const label = (more: string) =>
      of(advise(table(['id bigint', 'updated_at timestamptz', more]), { ...HUGE, columns }), 'timestamp').label
    expect(label('a text')).toBe('exact')
    expect(label('price numeric')).toBe('best effort')
  })
})

describe('a number', () => {
  const next = { ...TRIGGER, value: 'sequence' } as const

  test('of a sequence that a trigger draws by every insert and update is a row version', () => {
    const source = table(['id bigint', 'v bigint'])
    const advice = advise(source, { ...HUGE, columns: [kept('v', { onInsert: next, onUpdate: next })] })
    expect(names(advice)[0]).toBe('rowversion by v: exact')
    const ahead = { ...next, cached: true }
    const cached = advise(source, { ...HUGE, columns: [kept('v', { onInsert: ahead, onUpdate: ahead })] })
    expect(of(cached, 'rowversion').label).toBe('best effort')
    expect(unseen(of(cached, 'rowversion'))).toContain('CACHE above 1')
  })

  test('of the transaction is one too, in 64 bits alone', () => {
    const upkeep = { ...TRIGGER, value: 'transaction' } as const
    const columns = [kept('row_version', { onInsert: upkeep, onUpdate: upkeep })]
    expect(names(advise(table(['id bigint', 'row_version xid8']), { ...HUGE, columns }))[0]).toBe(
      'rowversion by row_version: exact',
    )
    expect(outOf(advise(table(['id bigint', 'row_version xid']), { ...HUGE, columns }))[0]).toContain('begin again')
  })

  test('of an insert-only table with a serial key sees inserts', () => {
    const columns = [kept('id', { onInsert: SERIAL, onUpdate: null })]
    const advice = advise(table(['id bigint', 'a text']), { ...HUGE, writes: INSERTS, columns })
    expect(names(advice)[1]).toBe('rowversion by id: best effort')
    expect(outOf(advise(table(['id bigint']), { writes: BUSY, columns }))[0]).toContain('Inserts alone set it')
  })

  test('that each row counts by itself is none', () => {
    const counter = { ...TRIGGER, value: 'row counter' } as const
    const source = table(['id bigint', 'version integer'])
    expect(outOf(advise(source, { columns: [kept('version', { onInsert: null, onUpdate: counter })] }))[0]).toContain(
      'counts the changes of each row by itself (trigger "touch")',
    )
    // Without a trigger its values show it.
    const sample = { ...GOOD, distinct: 9, mostOfOne: 1_400, future: null }
    expect(outOf(advise(source, { columns: [kept('version', { ...UNKEPT, sample })] }))[0]).toContain(
      '1,400 of 2,000 sampled rows share one value',
    )
    expect(
      outOf(advise(source, { columns: [kept('version', { ...UNKEPT, sample: null })], sample: null }))[0],
    ).toContain('no sample shows what it is')
  })
})

describe('what the sync and the login bring along', () => {
  const columns = [kept('updated_at')]

  test('sessions of others that are not seen make a cursor bounded, with the right that mends it', () => {
    const remedy = 'GRANT pg_read_all_stats TO "r";'
    const sessions = { complete: false, why: 'this login does not see the sessions of other roles', remedy }
    const time = of(advise(TIMED, { ...HUGE, columns }, { sessions }), 'timestamp')
    expect(time.label).toBe('bounded')
    expect(unseen(time)).toContain('longer than 300 seconds')
    expect(time.needs).toEqual([expect.objectContaining({ sql: remedy, required: false })])
  })

  test('deletes that are to be carried are bounded by the pass over all keys', () => {
    const deleting = (deleteCheckHours: number) => ({
      policies: { ...DEFAULT_POLICIES, deletePolicy: 'delete' as const, deleteCheckHours },
    })
    const daily = of(advise(TIMED, { ...HUGE, columns }, deleting(24)), 'timestamp')
    expect(daily.label).toBe('bounded')
    expect(unseen(daily)).toContain('a comparison of all keys every 24 hours')
    expect(of(advise(TIMED, { ...HUGE, columns }, deleting(0)), 'timestamp').label).toBe('exact')
  })

  test('two ways, rows that are computed, and changes that wait leave what looks at everything', () => {
    const twoWay = { policies: { ...DEFAULT_POLICIES, direction: 'two_way' as const } }
    for (const changes of [twoWay, { computed: true }]) {
      expect(names(advise(TIMED, { ...HUGE, columns }, changes))).toEqual([
        'hash: exact',
        'full: exact',
        'content: exact',
      ])
    }
    const reviewed = advise(TIMED, { ...HUGE, columns }, { reviewed: true })
    expect(outOf(reviewed)[0]).toContain('commit_mode')
    expect(of(advise(TIMED, {}, { threeWay: true }), 'content').reasons[0]).toContain('compares as full does')
  })

  test('a table without a key needs one, and the sample says which column is a candidate', () => {
    const source = table(['id bigint', 'n integer'], { primaryKey: null })
    const facts = { columns: [kept('n', { ...UNKEPT, sample: { ...GOOD, future: null } })] }
    const [need] = of(advise(source, facts, { key: null }), 'hash').needs
    expect(need).toMatchObject({ required: true, sql: null })
    expect(need?.text).toMatch(/^a key: .* no two of 2,000 sampled rows share "n"$/)
  })

  test('a table that may not be read needs the right, whatever the strategy', () => {
    const grant = 'GRANT SELECT ON "public"."t" TO "r";'
    const advice = advise(TIMED, { sample: null }, { grant })
    for (const { needs } of advice.proposals)
      expect(needs[0]).toEqual({ text: 'the right to read it', sql: grant, required: true })
  })

  test('a view is compared: what its time says of other tables is not known', () => {
    const view = table(['id bigint', 'updated_at timestamptz'], { kind: 'view', primaryKey: null })
    const remedies = { index: null, trigger: null }
    const advice = advise(
      view,
      { columns: [kept('updated_at', { ...UNKEPT, index: null, remedies })] },
      { key: ['id'] },
    )
    expect(names(advice)[0]).toBe('hash: exact')
    expect(unseen(of(advice, 'timestamp'))).toContain('rows of the view that change by other tables')
    expect(of(advice, 'timestamp')).toMatchObject({ label: 'best effort', needs: [] })
  })

  test('a foreign table can be no source, and over a REST API nothing is exact', () => {
    expect(advise(table(['id bigint'], { kind: 'foreign table' }), {})).toMatchObject({
      proposals: [],
      ruledOut: [{ strategy: null }],
    })
    const server = { ...SERVER, moments: 'bounded' as const }
    expect(names(advise(TIMED, { columns }, { server }))).toEqual([
      'hash: bounded',
      'primary_key: best effort',
      'full: bounded',
      'content: bounded',
    ])
  })
})

test('asked for are columns that could be a cursor, those with a telling name first', () => {
  const source = table([
    'id bigint',
    'a text',
    'blob bytea',
    'rv bytea',
    'born date',
    'tx xid',
    'rowversion xid',
    'updated_at timestamptz',
  ])
  expect(cursorColumns(source)).toEqual(['rv', 'rowversion', 'updated_at', 'id', 'born'])
  expect(cursorColumns(table(Array.from({ length: 100 }, (_, i) => `c${i} bigint`)))).toHaveLength(32)
})
