import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { SealBroken, SecretBox } from './secret-box.ts'

const KEY = randomBytes(32)
const OTHER = randomBytes(32)

test('what is sealed opens again for its owner, and two boxes of one text differ', () => {
  const box = new SecretBox([KEY])
  for (const text of ['', 'geheim', '☯ \0 "quoted"', 'x'.repeat(100_000)]) {
    const sealed = box.seal(text, 'ds_1')
    expect(box.open(sealed, 'ds_1')).toBe(text)
    expect(box.seal(text, 'ds_1')).not.toBe(sealed)
  }
})

test('S43: a box opens for no other owner, under no other key, and with no bit changed', () => {
  const box = new SecretBox([KEY])
  const sealed = box.seal('geheim', 'ds_1')
  expect(() => box.open(sealed, 'ds_2')).toThrow(SealBroken)
  expect(() => new SecretBox([OTHER]).open(sealed, 'ds_1')).toThrow(SealBroken)
  const [version, key, nonce, body = ''] = sealed.split('.')
  const bytes = Buffer.from(body, 'base64url')
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const changed = Buffer.from(bytes)
    changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    expect(() => box.open([version, key, nonce, changed.toString('base64url')].join('.'), 'ds_1')).toThrow(SealBroken)
  }
})

test('S43: the same holds for bytes', () => {
  const box = new SecretBox([KEY])
  const plain = randomBytes(100)
  const sealed = box.sealBytes(plain, 'ds_1')
  expect(box.openBytes(sealed, 'ds_1')).toEqual(plain)
  expect(new SecretBox([OTHER, KEY]).openBytes(sealed, 'ds_1')).toEqual(plain)
  expect(box.openBytes(box.sealBytes(new Uint8Array(), 'a'), 'a')).toHaveLength(0)
  expect(() => box.openBytes(sealed, 'ds_2')).toThrow(SealBroken)
  expect(() => new SecretBox([OTHER]).openBytes(sealed, 'ds_1')).toThrow(SealBroken)
  for (let bit = 0; bit < sealed.length * 8; bit++) {
    const changed = Buffer.from(sealed)
    changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    expect(() => box.openBytes(changed, 'ds_1')).toThrow(SealBroken)
  }
  for (const length of [0, 1, 10, sealed.length - 1]) {
    expect(() => box.openBytes(sealed.subarray(0, length), 'ds_1')).toThrow(SealBroken)
  }
})

test('a new key seals while the old one still opens', () => {
  const sealed = new SecretBox([KEY]).seal('geheim', 'ds_1')
  const both = new SecretBox([OTHER, KEY])
  expect(both.open(sealed, 'ds_1')).toBe('geheim')
  expect(both.isCurrent(sealed)).toBe(false)
  expect(both.isCurrent(both.seal('geheim', 'ds_1'))).toBe(true)
})
