import { expect, test } from 'vitest'

import { suggestFields } from '#sync/suggest-mapping.ts'
import { suggestTables } from '#sync/suggest-tables.ts'

import { HELD_OUT } from './held-out.ts'
import { empty, measure, readLabelled, readTable } from './labelled.ts'
import { TUNED } from './tuned.ts'

const tuned = readLabelled(TUNED)
const heldOut = readLabelled(HELD_OUT)

test('names and types alone find the pairs of columns that belong together', () => {
  expect(tuned.length + heldOut.length).toBeGreaterThanOrEqual(40)
  const [seen, unseen] = [measure(tuned), measure(heldOut)]
  const line = (what: string, { precision, recall }: typeof seen): string =>
    `${what}: precision ${precision.toFixed(3)}, recall ${recall.toFixed(3)}`
  console.log(line(`tuned on (${tuned.length} pairs of tables)`, seen))
  console.log(line(`held out (${heldOut.length} pairs of tables)`, unseen))
  expect(seen.precision, seen.misses.join('\n')).toBeGreaterThan(0.97)
  expect(seen.recall, seen.misses.join('\n')).toBeGreaterThan(0.96)
  expect(unseen.precision).toBeGreaterThan(0.96)
  expect(unseen.recall).toBeGreaterThan(0.85)
})

test('the same tables always give the same suggestions, whatever the order of the source', () => {
  for (const { source, target } of [...tuned, ...heldOut]) {
    const once = suggestFields(empty(source), empty(target))
    expect(suggestFields(empty(source), empty(target))).toEqual(once)
    const targets = once.fields.map((field) => field.target)
    expect(new Set(targets).size).toBe(targets.length)
    const columns = once.fields.flatMap(({ from }) => (from.kind === 'columns' ? from.columns : []))
    expect(once.unmapped.source).toEqual(
      source.columns.map(({ name }) => name).filter((name) => !columns.includes(name)),
    )
  }
})

test('every chain that is suggested can be planned by the library of transforms', async () => {
  const { compileChain } = await import('#sync/transforms/chain.ts')
  let chains = 0
  for (const { source, target } of [...tuned, ...heldOut]) {
    const { fields, candidates } = suggestFields(empty(source), empty(target))
    for (const { from, transforms } of [...fields, ...candidates]) {
      if (transforms.length === 0 || from.kind !== 'columns') continue
      const types = source.columns.filter(({ name }) => from.columns.includes(name)).map(({ type }) => type)
      expect(compileChain(transforms, types)).not.toHaveProperty('problems')
      chains += 1
    }
  }
  expect(chains).toBeGreaterThan(10)
})

test('tables are paired by their names and columns; what has no partner stays alone', () => {
  const sources = ['wp_posts', 'wp_users', 'KNA1', 'kunden', 'shipments', 'app_settings'].map((name) => {
    const found = tuned.find(({ source }) => source.ref.name === name)
    return found?.source ?? readTable(name)
  })
  const targets = ['articles', 'accounts', 'Customer', 'customer_order'].map((name) => {
    const found = tuned.find(({ target }) => target.ref.name === name)
    return found?.target ?? readTable(`${name} id:i! order_number placed_at:ts total:n`)
  })
  const found = suggestTables(sources, targets).map(({ source, target }) => `${source.name}>${target.name}`)
  console.log(
    suggestTables(sources, targets)
      .map((each) => `${each.source.name}>${each.target.name} ${each.score}`)
      .join('\n'),
  )
  expect(found).toContain('wp_posts>articles')
  expect(found).toContain('wp_users>accounts')
  expect(found).toContain('kunden>Customer')
  expect(found.join()).not.toContain('app_settings')
})

test('names that are taken from JavaScript, or say nothing, are names like any other', () => {
  const source = readTable('t __proto__ constructor toString _ 1 a')
  const target = readTable('t toString constructor __proto__ b _')
  const { fields } = suggestFields(empty(source), empty(target))
  const pairs = fields.flatMap(({ from, target: to }) => (from.kind === 'columns' ? [`${from.columns[0]}>${to}`] : []))
  expect(pairs).toEqual(expect.arrayContaining(['__proto__>__proto__', 'constructor>constructor', 'toString>toString']))
  expect(Object.keys(Object.prototype)).toEqual([])
})
