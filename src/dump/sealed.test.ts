import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Transform } from 'node:stream'

import { expect, test } from 'vitest'

import { Secret } from '#lib/secret.ts'
import { opening, sealing } from './sealed.ts'

const PHRASE = new Secret('correct horse')
const CHUNK = 64 * 1024
const HEAD = 34
/** Many are made here; the ones that people get cost what they should. */
const CHEAP = { logN: 4, r: 1, p: 1 }

async function through(bytes: Buffer, transform: Transform, size = 100_000): Promise<Buffer> {
  const parts: Buffer[] = []
  function* pieces(): Generator<Buffer> {
    for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
  }
  await pipeline(Readable.from(pieces()), transform, async (out: AsyncIterable<Buffer>) => {
    for await (const part of out) parts.push(part)
  })
  return Buffer.concat(parts)
}

test('what was sealed opens with its passphrase, at every size around a chunk, and is as long as the format says', async () => {
  for (const size of [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 300_000]) {
    const plain = randomBytes(size)
    const sealed = await through(plain, await sealing(PHRASE, CHEAP), 7_001)
    const chunks = Math.max(1, Math.ceil(size / CHUNK))
    expect(sealed.length).toBe(HEAD + size + 16 * chunks)
    expect(sealed.subarray(0, 8).toString()).toBe('SYNDUMP1')
    for (const pieces of [1_000_000, 65_552, 33]) {
      if (pieces === 33 && size > CHUNK + 1) continue
      expect((await through(sealed, opening(PHRASE), pieces)).equals(plain)).toBe(true)
    }
    expect((await through(plain, await sealing(PHRASE, CHEAP))).equals(sealed)).toBe(false)
  }
})

test('another passphrase, a bit that was flipped, a cut, and chunks that change places are refused', async () => {
  const plain = randomBytes(3 * CHUNK + 5)
  const sealed = await through(plain, await sealing(PHRASE, CHEAP))
  const fails = async (bytes: Buffer, phrase = PHRASE): Promise<void> => {
    const refusal: unknown = await through(bytes, opening(phrase)).catch((error: unknown) => error)
    expect(refusal).toMatchObject({ code: expect.stringMatching(/^dump_(sealed|damaged)$/) as unknown })
  }
  await fails(sealed, new Secret('correct horsf'))
  for (const at of [0, 12, 20, 30, HEAD, HEAD + CHUNK, HEAD + CHUNK + 16, sealed.length - 1]) {
    const flipped = Buffer.from(sealed)
    flipped[at] = (flipped[at] ?? 0) ^ 1
    await fails(flipped)
  }
  const step = CHUNK + 16
  for (const length of [0, 5, HEAD, HEAD + 3, HEAD + step, HEAD + 2 * step, sealed.length - 1]) {
    await fails(sealed.subarray(0, length))
  }
  const [head, a, b, rest] = [
    sealed.subarray(0, HEAD),
    sealed.subarray(HEAD, HEAD + step),
    sealed.subarray(HEAD + step, HEAD + 2 * step),
    sealed.subarray(HEAD + 2 * step),
  ]
  await fails(Buffer.concat([head, b, a, rest]))
  await fails(Buffer.concat([head, a, a, b, rest]))
  await fails(Buffer.concat([head, a, rest]))
  await fails(Buffer.concat([sealed, Buffer.from('x')]))
})

test('by default a passphrase costs what OWASP asks for', async () => {
  const sealed = await through(Buffer.from('x'), await sealing(PHRASE))
  expect([...sealed.subarray(8, 11)]).toEqual([15, 8, 3])
  expect((await through(sealed, opening(PHRASE))).toString()).toBe('x')
})

test('a head that asks for more memory than it may is refused before it gets any', async () => {
  const sealed = await through(Buffer.from('x'), await sealing(PHRASE, CHEAP))
  for (const [logN, r, p] of [
    [30, 8, 1],
    [15, 255, 1],
    [15, 8, 255],
    [0, 8, 1],
  ] as const) {
    const greedy = Buffer.from(sealed)
    greedy.set([logN, r, p], 8)
    await expect(through(greedy, opening(PHRASE))).rejects.toMatchObject({ code: 'dump_damaged' })
  }
})
