import fc from 'fast-check'
import { expect, test } from 'vitest'

import { copyLine } from '#model/row-text.ts'
import { printedSeed } from '#test/harness/seed.ts'

import { readCells, RowLines, type RowPacket } from './row-packets.ts'

/** A row as the protocol sends it, somewhere in a buffer. */
function packetOf(cells: readonly (string | null)[], before = 0): RowPacket {
  const parts = cells.flatMap((cell) => {
    if (cell === null) return [Buffer.of(251)]
    const bytes = Buffer.from(cell)
    return [lengthOf(bytes.length), bytes]
  })
  const row = Buffer.concat(parts)
  return {
    buffer: Buffer.concat([Buffer.alloc(before, 9), row, Buffer.of(9, 10)]),
    offset: before,
    end: before + row.length,
  }
}

function lengthOf(length: number): Buffer {
  if (length < 251) return Buffer.of(length)
  const long = Buffer.alloc(9)
  long.writeUIntLE(length, 1, 6)
  const [first, size] = length < 65_536 ? [252, 3] : length < 16_777_216 ? [253, 4] : [254, 9]
  long[0] = first
  return long.subarray(0, size)
}

const cell = fc.oneof(
  fc.constantFrom(null, '', '\\N', '\\', 'a\tb\nc\rd\0e', '\b\f\v'),
  fc.string({ unit: 'binary' }).map((text) => text.toWellFormed()),
  fc.constantFrom(250, 251, 65_535, 65_536, 200_000).map((size) => '\\'.repeat(size)),
)
const cells = fc.array(cell, { minLength: 1, maxLength: 6 })

test('lines are those that are made of the texts of the cells, whatever these hold and however long they are', () => {
  const property = fc.property(fc.array(cells, { maxLength: 30 }), fc.nat(5), (rows, before) => {
    const lines = new RowLines(null)
    const chunks = rows.map((row) => lines.next(packetOf(row, before)))
    const bytes = Buffer.concat([...chunks, lines.rest()].filter((chunk) => chunk !== null))
    expect(bytes.equals(Buffer.from(rows.map((row) => copyLine(row)).join('')))).toBe(true)
    expect(lines.rows).toBe(rows.length)
  })
  fc.assert(property, { seed: printedSeed(), numRuns: 100 })
})

test('cells are read as they were sent', () => {
  const property = fc.property(cells, fc.nat(5), (row, before) => {
    expect(readCells(packetOf(row, before))).toEqual(row)
  })
  fc.assert(property, { seed: printedSeed(), numRuns: 100 })
})

test('a cell of more than three bytes of length is read', () => {
  const large = 'x'.repeat(16_777_216)
  expect(readCells(packetOf(['a', large, null]))).toEqual(['a', large, null])
})

test('what was given away is not written into again', () => {
  const lines = new RowLines(null)
  const given: { chunk: Buffer; copy: Buffer }[] = []
  for (let i = 0; i < 5_000; i++) {
    const chunk = lines.next(packetOf([String(i), 'y'.repeat(100)]))
    if (chunk !== null) given.push({ chunk, copy: Buffer.from(chunk) })
  }
  expect(given.length).toBeGreaterThan(3)
  expect(given.every(({ chunk, copy }) => chunk.equals(copy))).toBe(true)
})

test('rows that are marked stay out, and their keys are kept', () => {
  const lines = new RowLines({ keyLength: 2 })
  for (const row of [
    ['0', 'a', 'b', 'c'],
    ['1', 'd', null, null],
    [null, 'e', 'f', null],
    ['1', 'g', 'h', 'i'],
  ]) {
    lines.next(packetOf(row))
  }
  expect(lines.rest()?.toString()).toBe('a\tb\tc\ne\tf\t\\N\n')
  expect(lines.large).toEqual([
    ['d', null],
    ['g', 'h'],
  ])
  expect(lines.rows).toBe(2)
})
