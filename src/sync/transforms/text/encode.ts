/** Bytes written as text, and text as bytes. Bytes travel as `\x` and hexadecimal digits. */
import { z } from 'zod'

import type { Value } from '#model/value.ts'

import { fail, ofText, ofValue, refuse, type Transform } from '#sync/transforms/transform.ts'
import { bytes, BYTES, text, TEXT, textOrBytes } from '#sync/transforms/types.ts'

/** The bytes of a bytea in its canonical text. */
export function readBytes(value: string): Buffer {
  if (!value.startsWith('\\x') || value.length % 2 === 1) return fail('the bytes cannot be read')
  const made = Buffer.from(value.slice(2), 'hex')
  return made.length * 2 === value.length - 2 ? made : fail('the bytes cannot be read')
}

export function writeBytes(made: Uint8Array): string {
  return `\\x${Buffer.from(made.buffer, made.byteOffset, made.byteLength).toString('hex')}`
}

/** Text of a column: without U+0000, which no text holds (hazard C10), and whole surrogate pairs. */
export function checkedText(made: string): string {
  if (made.includes('\0')) return fail('the text would hold a zero byte')
  return made.isWellFormed() ? made : fail('the text would hold half a surrogate pair')
}

const urlEncode = ofText({
  name: 'url_encode',
  group: 'Encodings',
  summary: 'Writes text so that it can stand in a URL, with %xx for the bytes of UTF-8.',
  args: z.strictObject({
    style: z.enum(['component', 'form']).default('component').meta({ description: 'A form writes + for a space.' }),
  }),
  accepts: text,
  result: TEXT,
  loses: null,
  inverse: ({ style }) => ({ name: 'url_decode', args: { style } }),
  example: { input: ['a b/ü'], output: 'a%20b%2F%C3%BC' },
  make:
    ({ style }) =>
    (value) => {
      const made = encodeURIComponent(value)
      return style === 'form' ? made.replaceAll('%20', '+') : made
    },
})

const urlDecode = ofText({
  name: 'url_decode',
  group: 'Encodings',
  summary: 'Reads text that was written for a URL.',
  args: z.strictObject({
    style: z.enum(['component', 'form']).default('component').meta({ description: 'A form writes + for a space.' }),
  }),
  accepts: text,
  result: TEXT,
  loses: 'which characters were written as %xx',
  inverse: 'which characters were written as %xx is not kept',
  example: { args: { style: 'form' }, input: ['a+b%2F%C3%BC'], output: 'a b/ü' },
  make:
    ({ style }) =>
    (value) => {
      const given = style === 'form' ? value.replaceAll('+', ' ') : value
      if (!given.includes('%')) return given
      let made: string
      try {
        made = decodeURIComponent(given)
      } catch {
        return fail('a %xx is broken or is not valid UTF-8')
      }
      return checkedText(made)
    },
})

const ALPHABET = z
  .enum(['standard', 'url'])
  .default('standard')
  .meta({ description: 'With + and /, or with - and _ for URLs.' })

const base64Encode = ofText({
  name: 'base64_encode',
  group: 'Encodings',
  summary: 'Writes bytes, or text in UTF-8, as Base64.',
  args: z.strictObject({
    alphabet: ALPHABET,
    padding: z.boolean().default(true).meta({ description: 'Fills the end with =.' }),
  }),
  accepts: textOrBytes,
  result: TEXT,
  loses: null,
  inverse: ({ alphabet }, types) => ({
    name: 'base64_decode',
    args: { alphabet, to: types[0]?.kind === 'bytes' ? 'bytes' : 'text' },
  }),
  example: { input: ['Ünï'], output: 'w5xuw68=' },
  make: ({ alphabet, padding }, _context, types) => {
    const read = types[0]?.kind === 'bytes' ? readBytes : (value: string): Buffer => Buffer.from(value)
    return (value) => {
      const made = read(value).toString(alphabet === 'url' ? 'base64url' : 'base64')
      if (alphabet === 'standard') return padding ? made : made.replace(/={1,2}$/, '')
      return padding ? made.padEnd(Math.ceil(made.length / 4) * 4, '=') : made
    }
  },
})

const base64Decode = ofText({
  name: 'base64_decode',
  group: 'Encodings',
  summary: 'Reads Base64 into bytes or text; line ends and missing = do no harm, anything else is rejected.',
  args: z.strictObject({
    alphabet: ALPHABET,
    to: z.enum(['bytes', 'text']).default('bytes').meta({ description: 'Text must be valid UTF-8.' }),
  }),
  accepts: text,
  result: (_types, { to }) => (to === 'text' ? TEXT : BYTES),
  loses: 'line ends and the filling',
  inverse: 'line ends and the filling are not kept',
  example: { input: ['SGk='], output: '\\x4869' },
  make: ({ alphabet, to }) => {
    const valid = alphabet === 'url' ? /^[\w-]*={0,2}$/ : /^[A-Za-z0-9+/]*={0,2}$/
    return (value) => {
      const bare = value.replace(/[\r\n\t ]+/g, '')
      const digits = bare.replace(/={1,2}$/, '')
      if (!valid.test(bare) || digits.length % 4 === 1) return fail('the text is no Base64')
      const made = Buffer.from(digits, alphabet === 'url' ? 'base64url' : 'base64')
      // The bits beyond the last byte must be zero, or two texts would stand for the same bytes.
      const again = made.toString(alphabet === 'url' ? 'base64url' : 'base64').replace(/={1,2}$/, '')
      if (again !== digits) return fail('the last digit of the Base64 says more than its bytes')
      return to === 'text' ? decoded(made, 'utf-8') : writeBytes(made)
    }
  },
})

const hexEncode = ofText({
  name: 'hex_encode',
  group: 'Encodings',
  summary: 'Writes bytes as hexadecimal digits.',
  args: z.strictObject({
    case: z.enum(['lower', 'upper']).default('lower').meta({ description: 'Of the digits a to f.' }),
    separator: z
      .string()
      .max(2)
      .default('')
      .meta({ description: 'Between two bytes.', examples: [':'] }),
  }),
  accepts: bytes,
  result: TEXT,
  loses: null,
  inverse: ({ separator }) => ({ name: 'hex_decode', args: { separator } }),
  example: { args: { separator: ':' }, types: [BYTES], input: ['\\x00ff10'], output: '00:ff:10' },
  make:
    ({ case: letters, separator }) =>
    (value) => {
      const digits = letters === 'upper' ? value.slice(2).toUpperCase() : value.slice(2)
      return separator === '' ? digits : (digits.match(/../g) ?? []).join(separator)
    },
})

const hexDecode = ofText({
  name: 'hex_decode',
  group: 'Encodings',
  summary: 'Reads hexadecimal digits into bytes.',
  args: z.strictObject({
    separator: z
      .string()
      .max(2)
      .default('')
      .meta({ description: 'Between two bytes.', examples: [':'] }),
  }),
  accepts: text,
  result: BYTES,
  loses: 'the case of the digits',
  inverse: 'the case of the digits is not kept',
  example: { input: ['00FF10'], output: '\\x00ff10' },
  make:
    ({ separator }) =>
    (value) => {
      const digits = separator === '' || value === '' ? value : value.split(separator).map(twoDigits).join('')
      return /^(?:[\da-f]{2})*$/i.test(digits)
        ? `\\x${digits.toLowerCase()}`
        : fail('the text is no row of hexadecimal digits')
    },
})

function twoDigits(pair: string): string {
  return pair.length === 2 ? pair : fail('the text is no row of hexadecimal digits')
}

const ENCODINGS = [
  'utf-8',
  'utf-16le',
  'utf-16be',
  'iso-8859-1',
  'iso-8859-2',
  'iso-8859-15',
  'windows-1250',
  'windows-1251',
  'windows-1252',
  'koi8-r',
  'shift_jis',
  'euc-jp',
  'gbk',
  'big5',
  'euc-kr',
] as const
type Encoding = (typeof ENCODINGS)[number]
const encoding = z.enum(ENCODINGS).default('utf-8').meta({ description: 'The encoding of the bytes.' })

function decoded(given: Uint8Array, from: Encoding): string {
  // What the web calls iso-8859-1 is windows-1252; here every byte is the character of its number.
  if (from === 'iso-8859-1') return checkedText(Buffer.from(given).toString('latin1'))
  let made: string
  try {
    made = new TextDecoder(from, { fatal: true, ignoreBOM: true }).decode(given)
  } catch {
    return fail(`the bytes are not valid ${from}`)
  }
  return checkedText(made)
}

const decodeBytes = ofValue({
  name: 'decode_bytes',
  group: 'Encodings',
  summary: 'Reads bytes, or text whose bytes are not valid UTF-8, as text in an encoding.',
  args: z.strictObject({
    encoding,
    bom: z.enum(['keep', 'drop']).default('drop').meta({ description: 'What becomes of a byte order mark.' }),
  }),
  accepts: textOrBytes,
  result: TEXT,
  loses: ({ bom, encoding: from }) =>
    bom === 'drop' ? 'a byte order mark' : isDouble(from) ? 'which of several codes a character had' : null,
  inverse: ({ bom, encoding: from }, types) => {
    if (bom === 'drop') return refuse('a byte order mark is not kept')
    if (types[0]?.kind !== 'bytes') return refuse('text has one encoding in a database')
    return canEncode(from) ? { name: 'encode_text', args: { encoding: from } } : refuse(`${from} cannot be written`)
  },
  example: { args: { encoding: 'windows-1252' }, types: [BYTES], input: ['\\x80206361666e'], output: '€ cafn' },
  make: ({ encoding: from, bom }, _context, types) => {
    const isBytes = types[0]?.kind === 'bytes'
    return (value: Value) => {
      if (value === null) return null
      if (typeof value === 'string' && !isBytes) return value
      const made = decoded(typeof value === 'string' ? readBytes(value) : value, from)
      return bom === 'drop' && made.startsWith('\ufeff') ? made.slice(1) : made
    }
  },
})

function isDouble(from: Encoding): boolean {
  return !canEncode(from)
}

/** Encodings of one byte a character, and those of Unicode; for the others no writer is at hand. */
function canEncode(to: Encoding): boolean {
  return to.startsWith('utf-') || to.startsWith('iso-') || to.startsWith('windows-') || to === 'koi8-r'
}

const encodeText = ofText({
  name: 'encode_text',
  group: 'Encodings',
  summary: 'Writes text as bytes in an encoding; a character that the encoding lacks is rejected.',
  args: z.strictObject({
    encoding: encoding.refine(canEncode, {
      error: 'Bytes can be written in UTF-8, UTF-16, iso-8859, windows and koi8-r.',
    }),
  }),
  accepts: text,
  result: BYTES,
  loses: null,
  inverse: ({ encoding: from }) => ({ name: 'decode_bytes', args: { encoding: from, bom: 'keep' } }),
  example: { args: { encoding: 'windows-1252' }, input: ['€ é'], output: '\\x8020e9' },
  make: ({ encoding: to }) => {
    if (to === 'utf-8') return (value) => writeBytes(Buffer.from(value))
    if (to === 'utf-16le') return (value) => writeBytes(Buffer.from(value, 'utf16le'))
    if (to === 'utf-16be') return (value) => writeBytes(Buffer.from(value, 'utf16le').swap16())
    const codes = new Map<string, number>()
    for (let code = 0; code < 256; code += 1) {
      const character =
        to === 'iso-8859-1' ? String.fromCharCode(code) : new TextDecoder(to).decode(Uint8Array.of(code))
      if (character !== '\ufffd') codes.set(character, code)
    }
    return (value) =>
      writeBytes(
        Uint8Array.from(value, (character) => codes.get(character) ?? fail(`${to} lacks a character of the text`)),
      )
  },
})

export const ENCODE: readonly Transform[] = [
  urlEncode,
  urlDecode,
  base64Encode,
  base64Decode,
  hexEncode,
  hexDecode,
  decodeBytes,
  encodeText,
]
