import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { randomBytes } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Secret } from '#lib/secret.ts'
import { KEY_FILE, openSecretBox } from './secret-key.ts'

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'syncline-key-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

function load(secretKey: string | null, previous: string | null = null): ReturnType<typeof openSecretBox> {
  const secret = (text: string | null): Secret | null => (text === null ? null : new Secret(text))
  const dataDirectory = join(folder, 'data')
  return openSecretBox({ secretKey: secret(secretKey), previousSecretKey: secret(previous), dataDirectory })
}

test.each([
  'your-secret-key-change-in-production',
  'changemechangemechangemechangemechangeme',
  'this-is-just-an-example-key-for-the-docs-1234567890',
  'short',
  'a'.repeat(64),
  'abababababababababababababababababababab',
  '0f1e2d3c4b5a69788796a5b4c3d2e1f0',
  '',
  '   ',
])('S43: %s is no key', (key) => {
  expect(() => load(key)).toThrow(expect.objectContaining({ code: 'weak_secret_key' }))
  expect(() => load(key)).not.toThrow(key.length > 3 && key !== '   ' ? key : 'impossible')
})

test.each([
  randomBytes(32).toString('base64'),
  randomBytes(32).toString('hex'),
  'Vier Elefanten gehen langsam über 7 Brücken.',
])('S43: %s is one', (key) => {
  const sealed = load(key).seal('x', 'ds')
  expect(load(` ${key}\n`).open(sealed, 'ds')).toBe('x')
  const other = randomBytes(32).toString('base64')
  expect(load(other, key).open(sealed, 'ds')).toBe('x')
  expect(load(other, key).isCurrent(sealed)).toBe(false)
})

test('S43: without a key a file is made that only its owner may read, once', () => {
  const sealed = load(null).seal('x', 'ds')
  const path = join(folder, 'data', KEY_FILE)
  expect(statSync(path).mode & 0o777).toBe(0o600)
  expect(Buffer.from(readFileSync(path, 'utf8'), 'base64')).toHaveLength(32)
  expect(readdirSync(join(folder, 'data'))).toEqual([KEY_FILE])
  expect(load(null).open(sealed, 'ds')).toBe('x')
})

test('S43: a key file that others may read, or that is damaged, is refused', () => {
  load(null)
  const path = join(folder, 'data', KEY_FILE)
  chmodSync(path, 0o644)
  expect(() => load(null)).toThrow(/others may read it/)
  chmodSync(path, 0o600)
  writeFileSync(path, '')
  expect(() => load(null)).toThrow(/has 0 bytes/)
})
