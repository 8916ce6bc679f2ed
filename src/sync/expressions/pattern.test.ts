import fc from 'fast-check'
import { expect, test } from 'vitest'

import { printedSeed } from '#test/harness/seed.ts'
import { beginWork } from './failure.ts'
import { compilePattern } from './pattern.ts'

function matches(source: string, text: string): boolean {
  const pattern = compilePattern(source)
  if (typeof pattern === 'string') throw new Error(pattern)
  beginWork()
  return pattern.matches(text)
}

/** Patterns over a small alphabet, in the syntax that both sides read alike. */
const patterns = fc.letrec<{ pattern: string; atom: string }>((tie) => ({
  atom: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom('a', 'b', 'c', '.', '[ab]', '[^a]', '\\d', '\\w', '\\s', '😀', '[a-c😀]'),
    tie('pattern').map((inner) => `(${inner})`),
  ),
  pattern: fc
    .array(
      fc
        .tuple(tie('atom'), fc.constantFrom('', '', '', '*', '+', '?', '{2}', '{1,2}', '{0,}'))
        .map((parts) => parts.join('')),
      { minLength: 1, maxLength: 4 },
    )
    .chain((parts) => fc.constantFrom(parts.join(''), `^${parts.join('')}`, `${parts.join('')}$`, parts.join('|'))),
}))

/** Beyond so many repetitions within each other JavaScript tries for minutes; ours does not. */
const MOST_REPETITIONS = 4
const tried = patterns.pattern.filter((pattern) => (pattern.match(/[*+?{]/g) ?? []).length <= MOST_REPETITIONS)

test('S27: a pattern matches what a regular expression of JavaScript matches', () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'b', 'c', '1', ' ', '\n', '😀'), maxLength: 12 })
  fc.assert(
    fc.property(tried, text, (pattern, sample) => {
      // The dot of JavaScript leaves out more line ends than ours; the samples have only one.
      expect(matches(pattern, sample), pattern).toBe(new RegExp(pattern, 'u').test(sample))
    }),
    { seed: printedSeed(), numRuns: 3_000 },
  )
})

test.each([
  ['(a+)+$', `${'a'.repeat(100_000)}b`],
  ['(a|a)*b$', 'a'.repeat(100_000)],
  ['(.*)(.*)(.*)(.*)x', 'y'.repeat(100_000)],
  ['^(([a-z])+.)+[A-Z]([a-z])+$', 'a'.repeat(100_000)],
])('S27: %s takes steps by the length of the text', (pattern, text) => {
  expect(matches(pattern, text)).toBe(false)
})

test.each([
  ['(a)\\1', '\\1 is not known, or cannot be matched in linear time.'],
  ['(?=a)', 'Only (…) and (?:…) are groups, and (?i) may stand at the start; nothing looks around.'],
  ['(?<!a)b', 'Only (…) and (?:…) are groups, and (?i) may stand at the start; nothing looks around.'],
  ['a\\b', '\\b is not known, or cannot be matched in linear time.'],
  ['a{1001}', 'Repetitions go from 0 to 1000.'],
  ['((a{1000}){1000}){1000}', 'It is larger than 2000 steps.'],
  ['a)', 'A ) has no (.'],
  ['(a', 'A ( is not closed.'],
  ['[a', 'A [ is not closed.'],
  ['*a', 'Nothing stands before *.'],
  ['(((((((((('.repeat(10), 'It is nested deeper than 50.'],
  ['a'.repeat(1_001), 'It is longer than 1000 characters.'],
])('S27: %s is refused', (pattern, problem) => {
  expect(compilePattern(pattern)).toBe(problem)
})

test('case is ignored where the pattern says so', () => {
  expect(matches('(?i)^straSSe[A-C]$', 'STRASSEb')).toBe(true)
  expect(matches('(?i)^É$', 'é')).toBe(true)
})
