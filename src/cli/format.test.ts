import { expect, test } from 'vitest'

import {
  formatBytes,
  formatCheck,
  formatDuration,
  formatKey,
  formatTable,
  formatValue,
  plural,
  printable,
  shellWords,
} from './format.ts'
import { progressText } from './progress.ts'

test('numbers and durations are short', () => {
  expect([0, 999, 1_000, 15_300_000, 4.2e13].map(formatBytes)).toEqual(['0 B', '999 B', '1.0 kB', '15 MB', '42 TB'])
  expect([12, 4_300, 42_000, 61_000, 119_700, 3_700_000].map(formatDuration)).toEqual([
    '12 ms',
    '4.3 s',
    '42 s',
    '1 min 1 s',
    '2 min 0 s',
    '1 h 1 min',
  ])
  expect([plural(1, 'row'), plural(15_607, 'row')]).toEqual(['1 row', '15,607 rows'])
})

test('a table aligns names to the left and numbers to the right', () => {
  expect(
    formatTable(
      ['table', 'rows', 'verified'],
      [
        ['orders', '1,200', 'all rows'],
        ['größe', '7', 'no'],
      ],
    ),
  ).toEqual(['table    rows  verified', 'orders  1,200  all rows', 'größe       7  no'])
})

test('values are told apart, and no byte of them steers the terminal', () => {
  expect(formatValue(null)).toBe('NULL')
  expect(formatValue('')).toBe("''")
  expect(formatValue('NULL')).toBe("'NULL'")
  expect(formatValue('12.50')).toBe('12.50')
  expect(formatValue(new Uint8Array([0, 255]))).toBe(String.raw`'\x00ff'`)
  expect(formatValue(' a\n')).toBe(String.raw`' a\n'`)
  const hostile = 'a\u001B[2J\u0007\u009B31m\u202Eb'
  expect(printable(hostile)).toBe(String.raw`a\u001b[2J\u0007\u009b31m\u202eb`)
  expect(formatKey(['id', 'x\u001B'], ['7', 'y'])).toBe(String.raw`id=7, x\u001b='y'`)
  expect(formatValue('x'.repeat(1000)).length).toBeLessThan(70)
})

test('progress tells what is known and nothing else', () => {
  const work = { phase: 'load', total: null, estimated: false, rows: 5_000, bytes: 2_000_000 } as const
  expect(progressText(work, 2_000)).toBe('5,000 of unknown rows · 2,500 rows/s · 1.0 MB/s')
  expect(progressText({ ...work, total: 20_000, estimated: true }, 2_000)).toBe(
    '5,000 of ~20,000 rows · 2,500 rows/s · 1.0 MB/s · ~6.0 s left',
  )
  expect(progressText({ ...work, total: 3, rows: 1, bytes: 0, phase: 'index' }, 100)).toBe('1 of 3 statements')
  // Statistics may be behind: more rows than expected have no time left.
  expect(progressText({ ...work, total: 10, estimated: true, bytes: 0 }, 1_000)).toBe(
    '5,000 of ~10 rows · 5,000 rows/s',
  )
})

test('a command line survives the shell', () => {
  expect(shellWords(['sync', "a 'b'", '$x', 'postgres://u@h:5/d?a=b&c', ''])).toBe(
    String.raw`sync 'a '\''b'\''' '$x' 'postgres://u@h:5/d?a=b&c' ''`,
  )
})

test('the steps of a connection test stand in a column, and a long one apart from what was found', () => {
  const check = { step: 'port', state: 'pass', found: 'open', next: null, ms: 3 } as const
  const paint = (text: string): string => text
  expect(formatCheck(check, paint)).toEqual(['  pass  port                open  (3 ms)'])
  const long = { ...check, step: 'change capture: write-ahead log', next: 'Set wal_level.' }
  expect(formatCheck(long, paint)).toEqual([
    '  pass  change capture: write-ahead log  open  (3 ms)',
    `        ${' '.repeat(20)}→ Set wal_level.`,
  ])
})
