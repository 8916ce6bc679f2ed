import { expect, test } from 'vitest'
import { runApart, Slots } from '#lib/slots.ts'

/** Lets everything that can go on do so. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('work that holds a common name is never under way at once, and all else is', async () => {
  const items = [['a', 'b'], ['c'], ['b', 'c'], ['a'], ['d']]
  const held = new Set<string>()
  const ended: string[] = []
  let most = 0
  await runApart(items, { holds: (names) => names, stop: new AbortController() }, async (names) => {
    for (const name of names) {
      expect(held.has(name)).toBe(false)
      held.add(name)
    }
    most = Math.max(most, held.size)
    await turn()
    for (const name of names) held.delete(name)
    ended.push(names.join())
  })
  expect(ended.toSorted()).toEqual(['a', 'a,b', 'b,c', 'c', 'd'])
  expect(most).toBe(4)
})

test('a failure lets what waited for it run, ends after all, and stops the others', async () => {
  const stop = new AbortController()
  const ran: number[] = []
  const running = runApart([1, 2], { holds: () => ['table'], stop }, async (item) => {
    await turn()
    ran.push(item)
    if (item === 1) throw new Error('the first')
    expect(stop.signal.aborted).toBe(true)
  })
  await expect(running).rejects.toThrow('the first')
  expect(ran).toEqual([1, 2])
})

test('whoever waits for a place gets it by weight, then in line', async () => {
  const slots = new Slots(1)
  const order: string[] = []
  const use = (name: string, weight?: number): Promise<void> =>
    slots.use(async () => {
      await turn()
      order.push(name)
    }, weight)
  await Promise.all([use('first'), use('light', 1), use('heavy', 5), use('none'), use('heavy too', 5)])
  expect(order).toEqual(['first', 'heavy', 'heavy too', 'light', 'none'])
})
