import fc from 'fast-check'
import { expect, test } from 'vitest'

import { printedSeed } from '#test/harness/seed.ts'

import { copyLine, copyPieces, LineReader } from './row-text.ts'
import type { LargeValue } from './value.ts'

const PIECE = 64 * 1024

test('a line in pieces is the line, and no character is torn', () => {
  const cell = fc.oneof(
    fc.constantFrom(null, '', '\\', 'a\tb\nc\rd'),
    fc
      .record({ before: fc.integer({ min: PIECE - 4, max: PIECE + 4 }), text: fc.string({ unit: 'grapheme' }) })
      .map(({ before, text }) => `${'x'.repeat(before)}\\😀${text}\n😀`),
  )
  const property = fc.property(fc.array(cell, { minLength: 1, maxLength: 4 }), (row) => {
    const pieces = [...copyPieces(row)]
    const texts = pieces.filter((piece) => typeof piece === 'string')
    expect(texts.length).toBe(pieces.length)
    expect(texts.join('') === copyLine(row)).toBe(true)
    expect(texts.every((piece) => piece.isWellFormed())).toBe(true)
  })
  fc.assert(property, { seed: printedSeed(), numRuns: 200 })
})

test('a large value stays out of the pieces, in its place between the tabs', () => {
  const large: LargeValue = { bytes: 1, read: () => expect.unreachable('nobody asked for it') }
  expect([...copyPieces(['1', large, null])]).toEqual(['1', '\t', large, '\t', '\\N', '\n'])
})

test('lines are read back wherever the stream is cut, and a line that has begun is told', () => {
  const line = fc.string({ unit: 'grapheme' }).map((text) => copyLine([text, null]))
  const property = fc.property(fc.array(line), fc.nat(40), (lines, cut) => {
    const bytes = Buffer.from(lines.join(''))
    const reader = new LineReader()
    const read: string[] = []
    for (let at = 0; at < bytes.length; at += cut + 1) {
      read.push(...reader.push(bytes.subarray(at, at + cut + 1)))
      const ended = bytes[Math.min(at + cut, bytes.length - 1)] === 0x0a
      expect(reader.torn).toBe(!ended)
    }
    expect(read.map((each) => `${Buffer.from(each, 'latin1').toString()}\n`)).toEqual(lines)
  })
  fc.assert(property, { seed: printedSeed(), numRuns: 200 })
})
