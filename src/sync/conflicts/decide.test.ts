/** Every pair of states under every strategy: the tables of docs/conflicts.md say what is to come of them. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

import { CONFLICT_STRATEGIES, type Agreed, type ConflictStrategy } from '#model/conflict.ts'
import type { Fingerprint } from '#model/fingerprint.ts'
import type { Side } from '#sync/drift.ts'
import { decide, type DecisionPolicy, type ThreeWay, type Verdict } from './decide.ts'

const STATES = [
  'unchanged',
  'inserted',
  'updated to the same value',
  'updated to another value',
  'deleted',
  'deleted and re-inserted',
  'key changed',
] as const

type State = (typeof STATES)[number]

/** The row that both sides had, and the one that both have in the state of that name. */
const BASE = '1'
const SHARED = '2'
/** The row under its new key. */
const REKEYED = '3'
/** Rows that a side has for itself. */
const OWN: Readonly<Record<Side, Record<'inserted' | 'another' | 'again', Fingerprint>>> = {
  source: { inserted: '10', another: '11', again: '12' },
  target: { inserted: '20', another: '21', again: '22' },
}

/** What a side has under the key that both sides had the row under. */
function underOldKey(state: State, side: Side): Fingerprint | null {
  switch (state) {
    case 'unchanged':
    // Beside a changed key, it was inserted under the new one.
    case 'inserted':
      return BASE
    case 'updated to the same value':
      return SHARED
    case 'updated to another value':
      return OWN[side].another
    case 'deleted and re-inserted':
      return OWN[side].again
    case 'deleted':
    case 'key changed':
      return null
  }
}

/** What a side has under a key that nobody had a row under. */
function underNewKey(state: State, side: Side): Fingerprint | null {
  if (state === 'inserted') return OWN[side].inserted
  return state === 'key changed' ? REKEYED : null
}

/** The keys that a pair of states is about, the old one first; none where no row can be in both. */
function keysOf(source: State, target: State): ThreeWay[] {
  const states = [source, target]
  const isNew = states.includes('inserted')
  if (isNew && !states.every((state) => ['inserted', 'unchanged', 'key changed'].includes(state))) return []
  const oldKey = {
    source: underOldKey(source, 'source'),
    target: underOldKey(target, 'target'),
    agreed: { source: BASE, target: BASE },
    baselineComplete: true,
  }
  const newKey = {
    source: underNewKey(source, 'source'),
    target: underNewKey(target, 'target'),
    agreed: null,
    baselineComplete: true,
  }
  if (states.includes('key changed')) return [oldKey, newKey]
  return isNew ? [newKey] : [oldKey]
}

function wordOf(verdict: Verdict): string {
  if (verdict.do === 'nothing') return verdict.why
  return verdict.do === 'contest' ? verdict.kind : verdict.do
}

const PAGE = readFileSync('docs/conflicts.md', 'utf8')

interface Line {
  readonly source: string
  readonly target: string
  readonly words: Readonly<Record<ConflictStrategy, string>>
}

/** The table under a heading of the page. */
function tableUnder(heading: string): Line[] {
  const [, section = ''] = PAGE.split(`\n### ${heading}\n`)
  const lines = (section.split('\n### ')[0] ?? '').split('\n').filter((line) => line.startsWith('|'))
  const [head = [], , ...rows] = lines.map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  )
  expect(head).toEqual(['source', 'target', ...CONFLICT_STRATEGIES.map((strategy) => `\`${strategy}\``)])
  return rows.map(([source = '', target = '', ...cells]) => ({
    source,
    target,
    words: Object.fromEntries(CONFLICT_STRATEGIES.map((strategy, i) => [strategy, cells[i]])) as Line['words'],
  }))
}

const DIRECTIONS = [
  ['one_way', 'one way'],
  ['two_way', 'two ways'],
] as const

/** The words of a line as the rules have them. */
function decided(keys: readonly ThreeWay[], direction: DecisionPolicy['direction']): Line['words'] {
  const words = CONFLICT_STRATEGIES.map((strategy) => {
    const made = keys.map((key) => wordOf(decide(key, { strategy, direction })))
    return [strategy, made.length === 0 ? 'impossible' : made.join(', ')] as const
  })
  return Object.fromEntries(words) as unknown as Line['words']
}

test.each(DIRECTIONS)('every pair of states: %s', (direction, name) => {
  const lines = tableUnder(name === 'one way' ? 'One way' : 'Two ways')
  const pairs = lines.map(({ source, target }) => [source, target])
  expect(pairs).toEqual(STATES.flatMap((source) => STATES.map((target) => [source, target])))
  for (const { source, target, words } of lines) {
    const made = decided(keysOf(source as State, target as State), direction)
    expect(made, `${source} × ${target}`).toEqual(words)
  }
})

test('a pair is impossible where one side inserted what the other one had before', () => {
  const impossible = STATES.flatMap((source) =>
    STATES.filter((target) => keysOf(source, target).length === 0).map((target) => `${source} × ${target}`),
  )
  const excluded = ['updated to the same value', 'updated to another value', 'deleted', 'deleted and re-inserted']
  expect(new Set(impossible)).toEqual(
    new Set(excluded.flatMap((state) => [`inserted × ${state}`, `${state} × inserted`])),
  )
})

const MEETINGS: Readonly<Record<string, Fingerprint | null>> = {
  none: null,
  'a row': '1',
  'the same row': '1',
  'another row': '2',
}

test.each(DIRECTIONS)('first contact: %s', (direction, name) => {
  const lines = tableUnder(`First contact, ${name}`)
  expect(lines).toHaveLength(4)
  for (const { source, target, words } of lines) {
    const sides = { source: MEETINGS[source] ?? null, target: MEETINGS[target] ?? null }
    expect(decided([{ ...sides, agreed: null, baselineComplete: false }], direction)).toEqual(words)
  }
})

test.each(DIRECTIONS)('sides that agreed to differ: %s', (direction, name) => {
  const lines = tableUnder(`Agreed to differ, ${name}`)
  expect(lines).toHaveLength(5)
  const agreed: Agreed = { source: '7', target: '8' }
  const now = (state: string, side: Side): Fingerprint | null =>
    state === 'unchanged' ? agreed[side] : underOldKey(state as State, side)
  for (const { source, target, words } of lines) {
    const three = { source: now(source, 'source'), target: now(target, 'target'), agreed, baselineComplete: true }
    expect(decided([three], direction), `${source} × ${target}`).toEqual(words)
  }
})

/** All that fingerprints can say of a key, up to their names. */
function everyThreeWay(): ThreeWay[] {
  const values = [null, '1', '2', '3', '4']
  const agreements = [null, ...values.flatMap((source) => values.map((target) => ({ source, target })))]
  return values.flatMap((source) =>
    values.flatMap((target) =>
      agreements.flatMap((agreed) =>
        [true, false].map((baselineComplete) => ({ source, target, agreed, baselineComplete })),
      ),
    ),
  )
}

test('I6: what one side changed, and what both changed alike, is no conflict', () => {
  for (const three of everyThreeWay()) {
    const agreed = three.agreed ?? { source: null, target: null }
    const oneSided = three.source === agreed.source || three.target === agreed.target
    if (!oneSided && three.source !== three.target) continue
    for (const strategy of CONFLICT_STRATEGIES) {
      for (const [direction] of DIRECTIONS) {
        const verdict = decide(three, { strategy, direction })
        expect(['contest', 'settle'], JSON.stringify({ three, strategy, verdict })).not.toContain(verdict.do)
      }
    }
  }
})

const MIRRORED: Readonly<Record<string, string>> = {
  to_target: 'to_source',
  to_source: 'to_target',
  update_delete: 'delete_update',
  delete_update: 'update_delete',
  source_wins: 'target_wins',
  target_wins: 'source_wins',
}
const mirrored = (word: string): string => MIRRORED[word] ?? word

test('I4: two ways, sides that are swapped with the policy get the mirrored outcome', () => {
  for (const three of everyThreeWay()) {
    const { source, target, agreed, baselineComplete } = three
    const swapped: ThreeWay = {
      source: target,
      target: source,
      agreed: agreed && { source: agreed.target, target: agreed.source },
      baselineComplete,
    }
    for (const strategy of CONFLICT_STRATEGIES) {
      const word = wordOf(decide(three, { strategy, direction: 'two_way' }))
      const other = mirrored(strategy) as ConflictStrategy
      const mirror = wordOf(decide(swapped, { strategy: other, direction: 'two_way' }))
      expect(mirror, JSON.stringify({ three, strategy })).toBe(mirrored(word))
    }
  }
})

test('a key that a whole baseline lacks is one that both agreed to have no row under', () => {
  const none: Agreed = { source: null, target: null }
  for (const three of everyThreeWay().filter(({ agreed }) => agreed === null)) {
    for (const strategy of CONFLICT_STRATEGIES) {
      const policy: DecisionPolicy = { strategy, direction: 'two_way' }
      const known = decide({ ...three, agreed: none, baselineComplete: false }, policy)
      expect(decide({ ...three, baselineComplete: true }, policy)).toEqual(known)
    }
  }
})

test('one way, nothing is written to the source, and nothing but what differs to the target', () => {
  for (const three of everyThreeWay()) {
    for (const strategy of CONFLICT_STRATEGIES) {
      const verdict = decide(three, { strategy, direction: 'one_way' })
      expect(verdict.do).not.toBe('to_source')
      expect(verdict.do === 'adopt').toBe(three.source === three.target)
    }
  }
})
