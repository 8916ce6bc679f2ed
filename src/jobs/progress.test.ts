import { describe, expect, test } from 'vitest'

import type { Clock } from '#lib/clock.ts'
import type { TableRef } from '#model/table.ts'

import { ProgressBook } from './progress.ts'

const A: TableRef = { schema: 'public', name: 'a' }
const B: TableRef = { schema: 'public', name: 'b' }

class FakeClock implements Clock {
  ms = 0

  now(): string {
    return '2026-01-01T00:00:00.000Z'
  }

  elapsed(): number {
    return this.ms
  }
}

function open(work: ConstructorParameters<typeof ProgressBook>[0] = 'sync'): { clock: FakeClock; book: ProgressBook } {
  const clock = new FakeClock()
  return { clock, book: new ProgressBook(work, clock) }
}

/** Rows at a steady speed, told ten times a second and looked at as often. */
function run(
  { clock, book }: { clock: FakeClock; book: ProgressBook },
  {
    table,
    phase,
    seconds,
    perSecond,
  }: { table: TableRef; phase: 'load' | 'compare'; seconds: number; perSecond: number },
): void {
  for (let i = 0; i < seconds * 10; i++) {
    clock.ms += 100
    book.record({ type: 'progress', table, phase, rows: perSecond / 10, bytes: perSecond })
    book.snapshot()
  }
}

test('nothing is known before anything was planned', () => {
  expect(open().book.snapshot()).toEqual({
    phase: 'planning',
    tables: [],
    rows: 0,
    bytes: 0,
    percent: null,
    estimated: false,
    rowsPerSecond: 0,
    bytesPerSecond: 0,
    secondsLeft: null,
  })
})

test('rows, bytes and rates are those of the last ten seconds', () => {
  const opened = open()
  opened.book.record({ type: 'planned', tables: [A], notes: [] })
  opened.book.record({ type: 'phase', table: A, phase: 'load', total: 100_000, estimated: true })
  run(opened, { table: A, phase: 'load', seconds: 20, perSecond: 1_000 })
  run(opened, { table: A, phase: 'load', seconds: 10, perSecond: 100 })
  const seen = opened.book.snapshot()
  expect(seen).toMatchObject({ phase: 'load', rows: 21_000, bytes: 210_000, rowsPerSecond: 100, bytesPerSecond: 1_000 })
  expect(seen.tables).toEqual([
    { table: A, phase: 'load', state: 'running', rows: 21_000, bytes: 210_000, total: 100_000, estimated: true },
  ])
  expect(seen.estimated).toBe(true)
})

test('the time left is a range from the fastest and the slowest of the recent slices', () => {
  const opened = open()
  opened.book.record({ type: 'planned', tables: [A], notes: [] })
  opened.book.record({ type: 'phase', table: A, phase: 'load', total: 100_000, estimated: false })
  run(opened, { table: A, phase: 'load', seconds: 1, perSecond: 1_000 })
  expect(opened.book.snapshot().secondsLeft, 'too early to tell').toBeNull()
  run(opened, { table: A, phase: 'load', seconds: 12, perSecond: 1_000 })
  run(opened, { table: A, phase: 'load', seconds: 12, perSecond: 2_000 })
  const { percent, secondsLeft } = opened.book.snapshot()
  // 37,000 of 100,000 rows of a phase that is 60 % of the work.
  expect(percent).toBeCloseTo(22.2, 1)
  const whole = 100_000 / 0.6
  const left = whole * (1 - 0.222)
  expect(secondsLeft?.low).toBeCloseTo(left / 2_000, -1)
  expect(secondsLeft?.high).toBeCloseTo(left / 1_000, -1)
  expect(secondsLeft?.low).toBeLessThan(secondsLeft?.high ?? 0)
})

test('a table whose statistics were wrong does not pass the end of its phase, and percent never goes back', () => {
  const { book } = open()
  book.record({ type: 'planned', tables: [A, B], notes: [] })
  const seen: number[] = []
  const look = (): number => seen.push(book.snapshot().percent ?? 0)
  for (const table of [A, B]) {
    book.record({ type: 'phase', table, phase: 'compare', total: 10, estimated: true })
    for (let i = 0; i < 30; i++) {
      book.record({ type: 'progress', table, phase: 'compare', rows: 1, bytes: 0 })
      look()
    }
    book.record({ type: 'phase done', table, phase: 'compare' })
    look()
  }
  for (const table of [A, B]) {
    for (const phase of ['write', 'verify'] as const) {
      book.record({ type: 'phase', table, phase, total: 5, estimated: false })
      book.record({ type: 'progress', table, phase, rows: 5, bytes: 5 })
      look()
      book.record({ type: 'phase done', table, phase })
      look()
    }
  }
  expect(seen).toEqual(seen.toSorted((a, b) => a - b))
  expect(seen.slice(0, 30)).toSatisfy((early: number[]) => early.every((percent) => percent < 21))
  expect(seen.at(-1)).toBe(100)
})

describe('a run that is tried again', () => {
  test('begins at the beginning', () => {
    const { book } = open()
    book.record({ type: 'planned', tables: [A], notes: [] })
    book.record({ type: 'phase', table: A, phase: 'verify', total: 5, estimated: false })
    expect(book.snapshot().percent).toBeGreaterThan(50)
    book.record({ type: 'retry', attempt: 1, afterMs: 1, reason: '' })
    book.record({ type: 'planned', tables: [A], notes: [] })
    expect(book.snapshot()).toMatchObject({ percent: null, tables: [{ state: 'waiting' }] })
  })
})

test('a comparison is all that a preview does, and a proof all that a verification does', () => {
  for (const [work, phase] of [
    ['preview', 'compare'],
    ['verify', 'verify'],
  ] as const) {
    const { book } = open(work)
    book.record({ type: 'planned', tables: [A], notes: [] })
    book.record({ type: 'phase', table: A, phase, total: 100, estimated: true })
    book.record({ type: 'progress', table: A, phase, rows: 50, bytes: 0 })
    expect(book.snapshot().percent).toBe(50)
    book.record({ type: 'phase done', table: A, phase })
    expect(book.snapshot()).toMatchObject({ percent: 100, tables: [{ state: 'done' }] })
  }
})

test('the end is the end, whatever was skipped on the way', () => {
  const { book } = open()
  book.record({ type: 'planned', tables: [A], notes: [] })
  book.record({ type: 'phase', table: A, phase: 'compare', total: 5, estimated: true })
  book.end()
  expect(book.snapshot()).toMatchObject({ phase: 'done', percent: 100, estimated: false, secondsLeft: null })
})

test('a restore is not done with its rows: indexes and constraints are a part of it, and the commit comes last', () => {
  const { book } = open('import')
  book.record({ type: 'planned', tables: [A], notes: [], totals: [100] })
  book.record({ type: 'stage', stage: 'data' })
  book.record({ type: 'phase', table: A, phase: 'data', total: 100, estimated: false })
  book.record({ type: 'progress', table: A, phase: 'data', rows: 100, bytes: 1 })
  book.record({ type: 'phase done', table: A, phase: 'data' })
  const percents: (number | null)[] = [book.snapshot().percent]
  book.record({ type: 'stage', stage: 'indexes', steps: 2 })
  for (let step = 0; step < 2; step++) {
    book.record({ type: 'step' })
    percents.push(book.snapshot().percent)
  }
  expect(percents).toEqual([70, 85, 99])
  book.end()
  expect(book.snapshot()).toMatchObject({ percent: 100, phase: 'done' })
})
