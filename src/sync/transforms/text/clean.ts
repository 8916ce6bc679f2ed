/** Texts tidied: spaces, case, characters that do not belong. */
import { z } from 'zod'

import { fail, ofText, type Transform } from '#sync/transforms/transform.ts'
import { sameLength, text, TEXT } from '#sync/transforms/types.ts'

const NONE = z.strictObject({})

/** What Unicode calls White_Space, and the byte order mark. */
const SPACES = '\\p{White_Space}\\uFEFF'

const trim = ofText({
  name: 'trim',
  group: 'Text',
  summary: 'Removes spaces, or the characters given, from the ends.',
  args: z.strictObject({
    side: z.enum(['both', 'start', 'end']).default('both').meta({ description: 'The ends that are trimmed.' }),
    characters: z.string().min(1).max(100).optional().meta({ description: 'Other characters than spaces.' }),
  }),
  accepts: text,
  result: sameLength,
  loses: 'what is removed from the ends',
  inverse: 'what was removed is not kept',
  example: { input: ['  Ada Lovelace\n'], output: 'Ada Lovelace' },
  make: ({ side, characters }) => {
    if (characters === undefined) {
      if (side === 'start') return (value) => value.trimStart()
      return side === 'end' ? (value) => value.trimEnd() : (value) => value.trim()
    }
    const set = new Set(characters)
    return (value) => {
      const all = Array.from(value)
      let from = 0
      let to = all.length
      if (side !== 'end') while (from < to && set.has(all[from] ?? '')) from += 1
      if (side !== 'start') while (to > from && set.has(all[to - 1] ?? '')) to -= 1
      return from === 0 && to === all.length ? value : all.slice(from, to).join('')
    }
  },
})

const collapse = ofText({
  name: 'collapse_spaces',
  group: 'Text',
  summary: 'Makes one space of every run of spaces, tabs and line ends, and trims the ends.',
  args: NONE,
  accepts: text,
  result: sameLength,
  loses: 'the kind and number of the spaces',
  inverse: 'the spaces that were there are not kept',
  example: { input: ['one \t two\n\nthree '], output: 'one two three' },
  make: () => {
    const runs = new RegExp(`[${SPACES}]+`, 'gu')
    const untidy = new RegExp(`[${SPACES}]{2}|[^ \\P{White_Space}]|\\uFEFF`, 'u')
    return (value) => (untidy.test(value) ? value.replace(runs, ' ') : value).trim()
  },
})

const upper = ofText({
  name: 'upper',
  group: 'Text',
  summary: 'Turns every letter into its capital, by Unicode and no locale.',
  args: NONE,
  accepts: text,
  result: sameLength,
  loses: 'which letters were small',
  inverse: 'the former case is not kept',
  example: { input: ['straße 5'], output: 'STRASSE 5' },
  make: () => (value) => value.toUpperCase(),
})

const lower = ofText({
  name: 'lower',
  group: 'Text',
  summary: 'Turns every letter into its small one, by Unicode and no locale.',
  args: NONE,
  accepts: text,
  result: sameLength,
  loses: 'which letters were capitals',
  inverse: 'the former case is not kept',
  example: { input: ['ΟΔΟΣ Main ST'], output: 'οδος main st' },
  make: () => (value) => value.toLowerCase(),
})

const title = ofText({
  name: 'title',
  group: 'Text',
  summary: 'Begins every word, or the first one only, with a capital and goes on small.',
  args: z.strictObject({
    words: z.enum(['all', 'first']).default('all').meta({ description: 'The words that get a capital.' }),
    keep_rest: z.boolean().default(false).meta({ description: 'Leaves the other letters as they are.' }),
  }),
  accepts: text,
  result: sameLength,
  loses: 'the former case of the letters',
  inverse: 'the former case is not kept',
  example: { input: ["o'neill and ÉMILE ŽIŽEK"], output: "O'neill And Émile Žižek" },
  make: ({ words, keep_rest }) => {
    const word = new RegExp("\\p{L}[\\p{L}\\p{M}\\p{N}'’]*", words === 'all' ? 'gu' : 'u')
    return (value) =>
      (keep_rest || words === 'all' ? value : value.toLowerCase()).replace(word, (found) => {
        const first = String.fromCodePoint(found.codePointAt(0) ?? 0)
        const rest = found.slice(first.length)
        return titleLetter(first) + (keep_rest ? rest : rest.toLowerCase())
      })
  },
})

/** The capital that begins a word: of a digraph such as ǆ only its first half. */
function titleLetter(letter: string): string {
  const code = letter.codePointAt(0) ?? 0
  if (code >= 0x1c4 && code <= 0x1cc) return String.fromCodePoint(code <= 0x1c6 ? 0x1c5 : code <= 0x1c9 ? 0x1c8 : 0x1cb)
  if (code >= 0x1f1 && code <= 0x1f3) return '\u01f2'
  const capital = letter.toUpperCase()
  const [head = '', ...tail] = capital
  return tail.length === 0 ? capital : head + tail.join('').toLowerCase()
}

const identifier = ofText({
  name: 'identifier_case',
  group: 'Text',
  summary: 'Writes the words of a name as snake_case, kebab-case, camelCase, PascalCase or CONSTANT_CASE.',
  args: z.strictObject({
    style: z.enum(['snake', 'kebab', 'camel', 'pascal', 'constant']).meta({ description: 'How the words are joined.' }),
  }),
  accepts: text,
  result: TEXT,
  loses: 'the former case and what stood between the words',
  inverse: 'the former case and separators are not kept',
  example: { args: { style: 'snake' }, input: ['HTTPServer - maxRetries'], output: 'http_server_max_retries' },
  make: ({ style }) => {
    const word = /\p{Lu}+(?!\p{Ll})[\p{M}]*|\p{Lu}?[\p{Ll}\p{Lo}\p{M}]+|\p{N}+|\p{L}/gu
    const capital = (part: string): string => part.replace(/^./su, titleLetter)
    const separator = style === 'snake' || style === 'constant' ? '_' : style === 'kebab' ? '-' : ''
    return (value) => {
      const words = value.match(word) ?? []
      return words
        .map((part, i) => {
          if (style === 'constant') return part.toUpperCase()
          const small = part.toLowerCase()
          return style === 'pascal' || (style === 'camel' && i > 0) ? capital(small) : small
        })
        .join(separator)
    }
  },
})

const normalize = ofText({
  name: 'normalize',
  group: 'Text',
  summary: 'Brings text into a Unicode normal form, so that equal looking texts are equal.',
  args: z.strictObject({
    form: z.enum(['NFC', 'NFD', 'NFKC', 'NFKD']).default('NFC').meta({ description: 'The normal form.' }),
  }),
  accepts: text,
  result: sameLength,
  loses: ({ form }) => (form.includes('K') ? 'compatibility characters such as ﬁ and ²' : 'the former spelling'),
  inverse: 'the former spelling is not kept',
  example: { input: ['Cafe\u0301'], output: 'Café' },
  make: ({ form }) => {
    const plain = form === 'NFC' || form === 'NFKC' ? /^[\0-\x7f]*$/ : null
    return (value) => (plain?.test(value) === true ? value : value.normalize(form))
  },
})

/** Letters with a stroke or tail, and ligatures, that Unicode does not take apart. */
const LETTERS: Readonly<Record<string, string>> = {
  ß: 'ss',
  ẞ: 'SS',
  æ: 'ae',
  Æ: 'AE',
  œ: 'oe',
  Œ: 'OE',
  ø: 'o',
  Ø: 'O',
  đ: 'd',
  Đ: 'D',
  ð: 'd',
  Ð: 'D',
  ħ: 'h',
  Ħ: 'H',
  ı: 'i',
  ł: 'l',
  Ł: 'L',
  ŋ: 'n',
  Ŋ: 'N',
  ŧ: 't',
  Ŧ: 'T',
  þ: 'th',
  Þ: 'Th',
  ĸ: 'k',
}

/** Text without diacritics; other scripts keep their letters. */
export function withoutAccents(value: string): string {
  if (/^[\0-\x7f]*$/.test(value)) return value
  return value
    .normalize('NFD')
    .replace(/(\p{Script=Latin}|\p{Script=Greek}|\p{Script=Cyrillic})\p{Mn}+/gu, '$1')
    .replace(/[ßẞæÆœŒøØđĐðÐħĦıłŁŋŊŧŦþÞĸ]/gu, (letter) => LETTERS[letter] ?? letter)
    .normalize('NFC')
}

const stripAccents = ofText({
  name: 'strip_accents',
  group: 'Text',
  summary: 'Removes accents from Latin, Greek and Cyrillic letters; æ, ø, ß and their kind become plain letters.',
  args: NONE,
  accepts: text,
  result: sameLength,
  loses: 'the accents',
  inverse: 'the accents are not kept',
  example: { input: ['Łódź, Ærøskøbing, Ελλάδα'], output: 'Lodz, AEroskobing, Ελλαδα' },
  make: () => withoutAccents,
})

const slug = ofText({
  name: 'slug',
  group: 'Text',
  summary: 'Makes a name for URLs: letters and digits without accents, small, with a separator between words.',
  args: z.strictObject({
    separator: z.enum(['-', '_']).default('-').meta({ description: 'What stands between words.' }),
    max_length: z.int().min(1).max(10_000).optional().meta({ description: 'Cut after the last whole word that fits.' }),
    unicode: z.boolean().default(false).meta({ description: 'Keeps letters of other scripts; else they are dropped.' }),
  }),
  accepts: text,
  result: (_types, { max_length }) => ({ kind: 'text', maxLength: max_length ?? null }),
  loses: 'case, accents and everything but letters and digits',
  inverse: 'what was dropped is not kept',
  example: { input: ['Ten Things — Crème Brûlée & Co.'], output: 'ten-things-creme-brulee-co' },
  make: ({ separator, max_length, unicode }) => {
    const other = unicode ? /[^\p{L}\p{N}\p{M}]+/gu : /[^a-z0-9]+/g
    return (value) => {
      const words = withoutAccents(value).toLowerCase().replace(/['’]/g, '').split(other).filter(Boolean)
      if (max_length === undefined) return words.join(separator)
      let made = ''
      for (const word of words) {
        const longer = made === '' ? word : made + separator + word
        if (Array.from(longer).length > max_length) break
        made = longer
      }
      return made === ''
        ? Array.from(words[0] ?? '')
            .slice(0, max_length)
            .join('')
        : made
    }
  },
})

const lineEnds = ofText({
  name: 'line_ends',
  group: 'Text',
  summary: 'Ends every line alike: CR LF, CR, LF, and Unicode line separators become one kind.',
  args: z.strictObject({
    to: z.enum(['lf', 'crlf']).default('lf').meta({ description: 'LF as on Unix, or CR LF as on Windows.' }),
  }),
  accepts: text,
  result: sameLength,
  loses: 'which line ends there were',
  inverse: 'the former line ends are not kept',
  example: { input: ['one\r\ntwo\rthree'], output: 'one\ntwo\nthree' },
  make: ({ to }) => {
    const end = to === 'lf' ? '\n' : '\r\n'
    return (value) => value.replace(/\r\n|[\r\n\u2028\u2029\x85]/g, end)
  },
})

const CLASSES = {
  digits: '0-9',
  letters: '\\p{L}\\p{M}',
  letters_and_digits: '\\p{L}\\p{M}\\p{N}',
  ascii: '\\x20-\\x7e',
} as const

const keep = ofText({
  name: 'keep_characters',
  group: 'Text',
  summary: 'Keeps digits, letters or printable ASCII only, and drops the rest.',
  args: z.strictObject({
    of: z.enum(['digits', 'letters', 'letters_and_digits', 'ascii']).meta({ description: 'What is kept.' }),
    also: z.string().max(100).default('').meta({ description: 'Single characters that are kept as well.' }),
  }),
  accepts: text,
  result: sameLength,
  loses: 'every other character',
  inverse: 'what was dropped is not kept',
  example: { args: { of: 'digits' }, input: ['Order 00-1234/b'], output: '001234' },
  make: ({ of, also }) => {
    const others = new RegExp(`[^${CLASSES[of]}${escapeInClass(also)}]+`, 'gu')
    return (value) => value.replace(others, '')
  },
})

/** Characters as they stand between [ and ] of a `u` pattern. */
function escapeInClass(characters: string): string {
  return characters.replace(/[\\\]^[-]/g, '\\$&')
}

const controls = ofText({
  name: 'remove_invisible',
  group: 'Text',
  summary: 'Removes control characters, zero-width characters and byte order marks; tabs and line ends stay.',
  args: z.strictObject({
    joiners: z.boolean().default(false).meta({ description: 'Also the joiners that emoji and some scripts need.' }),
  }),
  accepts: text,
  result: sameLength,
  loses: 'the invisible characters',
  inverse: 'what was removed is not kept',
  example: { input: ['\uFEFFpay\u200Bpal\u0007'], output: 'paypal' },
  make: ({ joiners }) => {
    const others = joiners ? '\\u200c\\u200d' : ''
    const invisible = new RegExp(
      `[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x84\\x86-\\x9f\\u00ad\\u200b\\u2060\\ufeff\\u202a-\\u202e\\u2066-\\u2069${others}]+`,
      'g',
    )
    return (value) => value.replace(invisible, '')
  },
})

const requireText = ofText({
  name: 'require_text',
  group: 'Text',
  summary: 'Rejects text that is empty or has only spaces, and passes all other text on.',
  args: NONE,
  accepts: text,
  result: sameLength,
  loses: null,
  inverse: () => ({ name: 'require_text', args: {} }),
  example: { input: ['x'], output: 'x' },
  make: () => (value) => (value.trim() === '' ? fail('the text is empty') : value),
})

export const CLEAN: readonly Transform[] = [
  trim,
  collapse,
  upper,
  lower,
  title,
  identifier,
  normalize,
  stripAccents,
  slug,
  lineEnds,
  keep,
  controls,
  requireText,
]
