import { describe, expect, test } from 'vitest'

import type { CursorReached } from '#adapters/adapter.ts'
import type { Cursor } from '#model/detection.ts'
import { advance, cursorName, openSince, readState, writeState, type CursorState } from './cursor-state.ts'

const S = 1_000_000n
const ORDER: Cursor = { column: 'v', type: 'bigint', guard: 'order', nullable: false, bytes: false }
const CLOCK: Cursor = { ...ORDER, column: 'at', type: 'timestamp with time zone', guard: 'clock' }

const SEEN = { complete: true, why: null, remedy: null } as const
const UNSEEN = { complete: false, why: 'this login sees itself alone', remedy: null } as const

function reached(value: string | null, at: bigint): CursorReached {
  return { value, at, cached: false }
}

function state(cursor: Cursor, of: Partial<CursorState>): CursorState {
  return { cursor: cursorName(cursor), position: null, reached: [], keysAt: null, ...of }
}

describe('since when every open transaction has begun', () => {
  const now = 1_000n * S

  test('the oldest one, and a margin in which its start may not be seen yet', () => {
    expect(openSince({ now, oldest: 900n * S, ...SEEN }, 300)).toBe(895n * S)
    expect(openSince({ now, oldest: now, ...SEEN }, 300)).toBe(995n * S)
  })

  test('a window where not all of them are seen, or one that is seen and older', () => {
    expect(openSince({ now, oldest: now, ...UNSEEN }, 300)).toBe(700n * S)
    expect(openSince({ now, oldest: 500n * S, ...UNSEEN }, 300)).toBe(495n * S)
  })

  test('nobody knows when a prepared one began', () => {
    expect(openSince({ now, oldest: null, ...SEEN }, 300)).toBeNull()
  })
})

describe('A2: a time', () => {
  test('moves to what the snapshot has come to, cut at the oldest open transaction', () => {
    const next = advance(null, CLOCK, { open: 5n * S, reached: reached('2020-01-01 00:00:05+00', 9n * S) })
    expect(next).toEqual({ position: '2020-01-01 00:00:05+00', reached: [] })
  })

  test('stays where a transaction is prepared, and where there are no rows', () => {
    const before = state(CLOCK, { position: '2020-01-01 00:00:01+00' })
    for (const now of [
      { open: null, reached: reached('2020-02-02 00:00:00+00', 9n * S) },
      { open: 5n * S, reached: reached(null, 9n * S) },
    ]) {
      expect(advance(before, CLOCK, now).position).toBe(before.position)
    }
  })
})

test('A3: the time of a statement that waited for its table before its transaction began is not passed', () => {
  const cursor: Cursor = { ...CLOCK, guard: 'waiting clock' }
  const at = (second: bigint): string => `2020-01-01 00:00:${String(second).padStart(2, '0')}+00`
  // Each run: what is open by the server's word, and what the snapshot came to, cut there.
  const runs = [
    { oldest: 20n, now: 20n },
    // A statement of second 22 waits since then.
    { oldest: 21n, now: 30n },
    // It has got its table, and its transaction began, by the server's word, at second 35; it is open still.
    { oldest: 35n, now: 42n },
    { oldest: 35n, now: 55n },
  ]
  let before: CursorState | null = null
  for (const { oldest, now } of runs) {
    const open = openSince({ now: now * S, oldest: oldest * S, ...SEEN }, 300) ?? 0n
    before = state(cursor, advance(before, cursor, { open, reached: reached(at(open / S), now * S) }))
    expect((before.position ?? '') <= at(22n), `a run at second ${now} has come to ${before.position}`).toBe(true)
  }
  expect(before?.position).toBe(at(16n))
  const unknown = advance(before, cursor, { open: null, reached: reached(at(58n), 58n * S) })
  expect(unknown).toEqual({ position: at(16n), reached: before?.reached })
  const over = advance(before, cursor, { open: 58n * S, reached: reached(at(58n), 59n * S) })
  expect(over.position).toBe(at(30n))
})

describe('A3: what only grows', () => {
  const before = state(ORDER, {
    position: '10',
    reached: [
      { value: '20', at: 100n * S },
      { value: '30', at: 200n * S },
      { value: '40', at: 300n * S },
    ],
  })

  test('moves to the last value that was seen before all open transactions began', () => {
    const next = advance(before, ORDER, { open: 250n * S, reached: reached('50', 400n * S) })
    expect(next.position).toBe('30')
    expect(next.reached.map(({ value }) => value)).toEqual(['30', '40', '50'])
  })

  test('stays where an open transaction is older than all that was seen, or was prepared', () => {
    for (const open of [50n * S, null]) {
      const next = advance(before, ORDER, { open, reached: reached('50', 400n * S) })
      expect(next.position).toBe('10')
      expect(next.reached.map(({ value }) => value)).toEqual(['20', '30', '40', '50'])
    }
  })

  test('a transaction that stays open for very many runs costs steps, and no memory', () => {
    let last = before
    for (let run = 0; run < 500; run++) {
      const seen = reached(String(100 + run), BigInt(1_000 + run) * S)
      last = { ...last, ...advance(last, ORDER, { open: 50n * S, reached: seen }) }
    }
    expect(last.position).toBe('10')
    expect(last.reached.length).toBeLessThanOrEqual(64)
    const { position } = advance(last, ORDER, { open: 5_000n * S, reached: reached('700', 6_000n * S) })
    expect(Number(position)).toBeGreaterThan(500)
  })
})

test('a state is read as it was written, for the column and type that it is of', () => {
  const kept = state(ORDER, { position: '7', reached: [{ value: '8', at: 9n }], keysAt: 10n })
  expect(readState(writeState(kept), ORDER)).toEqual(kept)
  expect(readState(writeState(kept), { ...ORDER, type: 'numeric' })).toBeNull()
  expect(readState(null, ORDER)).toBeNull()
})
