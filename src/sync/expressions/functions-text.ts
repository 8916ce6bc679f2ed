import { createHash } from 'node:crypto'
import { allowElements, allowText, charge, fail } from './failure.ts'
import type { LanguageFunction } from './functions.ts'
import { compilePattern, type Pattern } from './pattern.ts'
import { isArray, type Json } from '#sync/values/json.ts'
import type { Cel } from './types.ts'

/** Functions of text and bytes. Positions and lengths count code points. */
export const TEXT_FUNCTIONS: readonly LanguageFunction[] = [
  {
    name: 'lower',
    about: 'The text in small letters, by Unicode, in no language of its own.',
    overloads: [{ signature: 'lower(text): text', call: (x: string) => made(x.toLowerCase()) }],
    examples: [{ expression: 'lower("ÀB")', gives: 'àb' }],
  },
  {
    name: 'upper',
    about: 'The text in capital letters, by Unicode.',
    overloads: [{ signature: 'upper(text): text', call: (x: string) => made(x.toUpperCase()) }],
    examples: [{ expression: '"straße".upper()', gives: 'STRASSE' }],
  },
  {
    name: 'trim',
    about: 'The text without blanks at both ends, or without the given characters.',
    overloads: [
      { signature: 'trim(text): text', call: (x: string) => made(x.trim()) },
      { signature: 'trim(text, text): text', call: trimmed },
    ],
    examples: [
      { expression: 'trim("  a b ")', gives: 'a b' },
      { expression: 'trim("--a-b-", "-")', gives: 'a-b' },
    ],
  },
  {
    name: 'size',
    about: 'How many code points a text has, bytes there are, or elements a list or a JSON array has.',
    overloads: [
      { signature: 'size(text): int', call: (x: string) => BigInt(codePoints(x)) },
      { signature: 'size(bytes): int', call: (x: Uint8Array) => BigInt(x.length) },
      { signature: 'size(json): int', call: (x: Json) => BigInt(isArray(x) ? x.length : fail('JSON is no array.')) },
      { signature: 'size(list): int', call: (x: readonly Cel[]) => BigInt(x.length) },
    ],
    examples: [
      { expression: 'size("a😀")', gives: '2' },
      { expression: '[1, 2, 3].size()', gives: '3' },
    ],
  },
  {
    name: 'contains',
    about: 'Whether a text holds another one.',
    overloads: [{ signature: 'contains(text, text): bool', call: (x: string, y: string) => read(x).includes(y) }],
    examples: [{ expression: '"hello".contains("ell")', gives: 't' }],
  },
  {
    name: 'startsWith',
    about: 'Whether a text begins with another one.',
    overloads: [{ signature: 'startsWith(text, text): bool', call: (x: string, y: string) => x.startsWith(y) }],
    examples: [{ expression: '"hello".startsWith("he")', gives: 't' }],
  },
  {
    name: 'endsWith',
    about: 'Whether a text ends with another one.',
    overloads: [{ signature: 'endsWith(text, text): bool', call: (x: string, y: string) => x.endsWith(y) }],
    examples: [{ expression: '"hello".endsWith("he")', gives: 'f' }],
  },
  {
    name: 'indexOf',
    about: 'Where the first occurrence of a text begins, counted from 0; -1 where there is none.',
    overloads: [{ signature: 'indexOf(text, text): int', call: indexOf }],
    examples: [{ expression: '"hello".indexOf("l")', gives: '2' }],
  },
  {
    name: 'substring',
    about: 'The text from a position on, or up to another one. Positions beyond the end are the end.',
    overloads: [
      { signature: 'substring(text, int): text', call: (x: string, from: bigint) => substring(x, from, null) },
      { signature: 'substring(text, int, int): text', call: substring },
    ],
    examples: [
      { expression: '"hello".substring(1, 3)', gives: 'el' },
      { expression: '"hello".substring(3)', gives: 'lo' },
    ],
  },
  {
    name: 'replace',
    about: 'The text with every occurrence of a second text replaced by a third one.',
    overloads: [{ signature: 'replace(text, text, text): text', call: replace }],
    examples: [{ expression: '"a-b-c".replace("-", "")', gives: 'abc' }],
  },
  {
    name: 'split',
    about: 'The parts of a text between the occurrences of another one.',
    overloads: [{ signature: 'split(text, text): list of text', call: split }],
    examples: [{ expression: '"a,b c,".split(",")', gives: '{a,"b c",""}' }],
  },
  {
    name: 'join',
    about: 'The texts of a list with another text between them. Elements that are null are left out.',
    overloads: [
      { signature: 'join(list of text): text', call: (x: readonly Cel[]) => join(x, '') },
      { signature: 'join(list of text, text): text', call: join },
    ],
    examples: [{ expression: '["a", null, "b"].join(", ")', gives: 'a, b' }],
  },
  {
    name: 'padLeft',
    about: 'The text filled up on the left to so many code points.',
    overloads: [{ signature: 'padLeft(text, int, text): text', call: padLeft }],
    examples: [{ expression: 'text(42).padLeft(5, "0")', gives: '00042' }],
  },
  {
    name: 'matches',
    about:
      'Whether a pattern matches anywhere in the text, in linear time. Patterns are regular expressions without back references and without looking around; (?i) at the start ignores case.',
    overloads: [
      {
        signature: 'matches(text, text): bool',
        call: (x: string, y: string) => patternOf(y).matches(x),
        prepared: (y) => patternOf(typeof y === 'string' ? y : '').matches,
      },
    ],
    examples: [
      { expression: '"AB-123".matches("^[A-Z]{2}-\\\\d+$")', gives: 't' },
      { expression: '"hello".matches("(?i)^HE")', gives: 't' },
    ],
  },
  {
    name: 'hex',
    about: 'Bytes as hexadecimal digits.',
    overloads: [{ signature: 'hex(bytes): text', call: (x: Uint8Array) => coded(x, 'hex') }],
    examples: [{ expression: 'hex(b"az")', gives: '617a' }],
  },
  {
    name: 'fromHex',
    about: 'The bytes that hexadecimal digits stand for.',
    overloads: [
      {
        signature: 'fromHex(text): bytes',
        call: (x: string) =>
          /^(?:[0-9a-fA-F]{2})*$/.test(read(x)) ? Buffer.from(x, 'hex') : fail('A text is not hexadecimal.'),
      },
    ],
    examples: [{ expression: 'fromHex("617A")', gives: String.raw`\x617a` }],
  },
  {
    name: 'base64',
    about: 'Bytes in base64.',
    overloads: [{ signature: 'base64(bytes): text', call: (x: Uint8Array) => coded(x, 'base64') }],
    examples: [{ expression: 'base64(b"hello")', gives: 'aGVsbG8=' }],
  },
  {
    name: 'fromBase64',
    about: 'The bytes that a text in base64 stands for.',
    overloads: [{ signature: 'fromBase64(text): bytes', call: fromBase64 }],
    examples: [{ expression: 'utf8(fromBase64("aGVsbG8="))', gives: 'hello' }],
  },
  {
    name: 'bytes',
    about: 'A text as UTF-8.',
    overloads: [{ signature: 'bytes(text): bytes', call: (x: string) => Buffer.from(read(x), 'utf8') }],
    examples: [{ expression: 'bytes("é")', gives: String.raw`\xc3a9` }],
  },
  {
    name: 'utf8',
    about: 'The text that bytes are in UTF-8; it fails where they are none.',
    overloads: [{ signature: 'utf8(bytes): text', call: utf8 }],
    examples: [{ expression: String.raw`utf8(b"\xc3\xa9")`, gives: 'é' }],
  },
  {
    name: 'sha256',
    about: 'The SHA-256 of bytes, or of a text in UTF-8, as hexadecimal digits.',
    overloads: [
      { signature: 'sha256(text): text', call: (x: string) => createHash('sha256').update(read(x)).digest('hex') },
      {
        signature: 'sha256(bytes): text',
        call: (x: Uint8Array) => {
          charge(x.length)
          return createHash('sha256').update(x).digest('hex')
        },
      },
    ],
    examples: [
      {
        expression: 'sha256("a")',
        gives: 'ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb',
      },
    ],
  },
]

function read(text: string): string {
  charge(text.length)
  return text
}

function made(text: string): string {
  allowText(text.length)
  return text
}

function codePoints(text: string): number {
  charge(text.length)
  let count = text.length
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code >= 0xdc00 && code <= 0xdfff) count -= 1
  }
  return count
}

/** The place in UTF-16 of a position in code points, at most the end. */
function placeOf(text: string, position: bigint): number {
  if (position < 0n) fail('A position is negative.')
  charge(text.length)
  let at = 0
  for (let left = position; left > 0n && at < text.length; left--) at += (text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1
  return at
}

function substring(text: string, from: bigint, to: bigint | null): string {
  if (to !== null && to < from) fail('A part of a text would end before it begins.')
  return text.slice(placeOf(text, from), to === null ? text.length : placeOf(text, to))
}

function indexOf(text: string, part: string): bigint {
  const at = read(text).indexOf(part)
  return at < 0 ? -1n : BigInt(codePoints(text.slice(0, at)))
}

function trimmed(text: string, characters: string): string {
  const unwanted = new Set(characters)
  const points = Array.from(made(text))
  let [start, end] = [0, points.length]
  while (start < end && unwanted.has(points[start] ?? '')) start += 1
  while (end > start && unwanted.has(points[end - 1] ?? '')) end -= 1
  return points.slice(start, end).join('')
}

function replace(text: string, part: string, by: string): string {
  if (part === '') fail('An empty text cannot be replaced.')
  const count = split(text, part).length - 1
  allowText(text.length + count * (by.length - part.length))
  return text.replaceAll(part, () => by)
}

function split(text: string, by: string): string[] {
  const parts = by === '' ? Array.from(read(text)) : read(text).split(by)
  allowElements(parts.length)
  return parts
}

function join(parts: readonly Cel[], between: string): string {
  const texts = parts.filter((part) => typeof part === 'string')
  allowText(texts.reduce((sum, text) => sum + text.length + between.length, 0))
  return texts.join(between)
}

function padLeft(text: string, length: bigint, fill: string): string {
  const missing = Number(length) - codePoints(text)
  if (missing <= 0) return text
  const signs = Array.from(fill)
  if (signs.length === 0) fail('An empty text fills nothing.')
  allowText(text.length + missing * 2)
  return Array.from({ length: missing }, (_, i) => signs[i % signs.length]).join('') + text
}

function coded(bytes: Uint8Array, encoding: 'hex' | 'base64'): string {
  allowText(bytes.length * 2)
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString(encoding)
}

function fromBase64(text: string): Uint8Array {
  const bytes = Buffer.from(read(text), 'base64')
  // Node.js skips what is no base64: what it read must give the same text again.
  return bytes.toString('base64') === text ? bytes : fail('A text is not base64.')
}

function utf8(bytes: Uint8Array): string {
  allowText(bytes.length)
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return fail('Bytes are not valid UTF-8.')
  }
}

/** Patterns are read once; an expression that makes them from its row reads each anew after so many others. */
const MAX_PATTERNS = 100
const patterns = new Map<string, Pattern>()

function patternOf(source: string): Pattern {
  const known = patterns.get(source)
  if (known !== undefined) return known
  const pattern = compilePattern(source)
  if (typeof pattern === 'string') return fail(`The pattern cannot be used. ${pattern}`)
  if (patterns.size >= MAX_PATTERNS) patterns.clear()
  patterns.set(source, pattern)
  return pattern
}
