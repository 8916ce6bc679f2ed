/** HTML as text: tags out, entities in and out; in time that grows with the text, whatever somebody wrote into it. */
import { z } from 'zod'

import { ofText, refuse, type Transform } from '#sync/transforms/transform.ts'
import { sameLength, text, TEXT } from '#sync/transforms/types.ts'

/** Names of the characters from U+00A0 to U+00FF, in their order. */
const LATIN =
  'nbsp iexcl cent pound curren yen brvbar sect uml copy ordf laquo not shy reg macr deg plusmn sup2 sup3 acute micro para middot cedil sup1 ordm raquo frac14 frac12 frac34 iquest Agrave Aacute Acirc Atilde Auml Aring AElig Ccedil Egrave Eacute Ecirc Euml Igrave Iacute Icirc Iuml ETH Ntilde Ograve Oacute Ocirc Otilde Ouml times Oslash Ugrave Uacute Ucirc Uuml Yacute THORN szlig agrave aacute acirc atilde auml aring aelig ccedil egrave eacute ecirc euml igrave iacute icirc iuml eth ntilde ograve oacute ocirc otilde ouml divide oslash ugrave uacute ucirc uuml yacute thorn yuml'

const OTHERS: Readonly<Record<string, string>> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
  euro: '€',
  hellip: '…',
  ndash: '–',
  mdash: '—',
  lsquo: '‘',
  rsquo: '’',
  sbquo: '‚',
  ldquo: '“',
  rdquo: '”',
  bdquo: '„',
  lsaquo: '‹',
  rsaquo: '›',
  bull: '•',
  trade: '™',
  dagger: '†',
  Dagger: '‡',
  permil: '‰',
  prime: '′',
  Prime: '″',
  ensp: '\u2002',
  emsp: '\u2003',
  thinsp: '\u2009',
  zwnj: '\u200c',
  zwj: '\u200d',
  larr: '←',
  uarr: '↑',
  rarr: '→',
  darr: '↓',
  minus: '−',
  le: '≤',
  ge: '≥',
  ne: '≠',
  asymp: '≈',
  infin: '∞',
  OElig: 'Œ',
  oelig: 'œ',
  Scaron: 'Š',
  scaron: 'š',
  Yuml: 'Ÿ',
  fnof: 'ƒ',
  circ: 'ˆ',
  tilde: '˜',
}

const ENTITIES: ReadonlyMap<string, string> = new Map([
  ...LATIN.split(' ').map((name, i): [string, string] => [name, String.fromCharCode(0xa0 + i)]),
  ...Object.entries(OTHERS),
])

/** HTML reads these numbers as windows-1252 has them. */
const WINDOWS = '€\x81‚ƒ„…†‡ˆ‰Š‹Œ\x8dŽ\x8f\x90‘’“”•–—˜™š›œ\x9džŸ'

function unescapeHtml(value: string): string {
  if (!value.includes('&')) return value
  return value.replace(/&(?:#(\d{1,8})|#[xX]([\da-fA-F]{1,6})|([a-zA-Z][a-zA-Z0-9]{1,8}));/g, (all, ...found) => {
    const [decimal, hex, name] = found as (string | undefined)[]
    if (name !== undefined) return ENTITIES.get(name) ?? all
    const code = decimal === undefined ? Number.parseInt(hex ?? '', 16) : Number(decimal)
    if (code >= 0x80 && code <= 0x9f) return WINDOWS[code - 0x80] ?? all
    // No text holds U+0000 or half a surrogate pair.
    return code === 0 || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff) ? all : String.fromCodePoint(code)
  })
}

const BLOCK = /^<\/?(?:p|div|br|li|ul|ol|tr|table|h[1-6]|section|article|blockquote|pre|hr)(?![a-z0-9])/i
/** Elements whose content is no text. */
const HIDDEN = /^<(script|style|template|noscript)(?![a-z0-9])/i

const stripHtml = ofText({
  name: 'strip_html',
  group: 'Encodings',
  summary: 'Removes HTML tags, comments, scripts and styles, and resolves entities. It is no defence against scripts.',
  args: z.strictObject({
    blocks: z.enum(['newline', 'space', 'nothing']).default('newline').meta({
      description: 'What stands where a paragraph, list item or line break was.',
    }),
  }),
  accepts: text,
  result: sameLength,
  loses: 'the markup',
  inverse: 'the markup is not kept',
  example: { input: ['<p>Fish &amp; <b>chips</b></p><p>Peas</p>'], output: 'Fish & chips\nPeas' },
  make: ({ blocks }) => {
    const between = { newline: '\n', space: ' ', nothing: '' }[blocks]
    return (value) => {
      if (!value.includes('<')) return unescapeHtml(value)
      const made = unescapeHtml(withoutTags(value, between))
      return between === '' ? made : made.replace(blocks === 'newline' ? /\n{2,}/g : / {2,}/g, between).trim()
    }
  },
})

function withoutTags(value: string, between: string): string {
  let made = ''
  let at = 0
  // Where a quote is never closed, quotes say nothing about where tags end; looked for once.
  let quotes = true
  for (;;) {
    const open = value.indexOf('<', at)
    if (open === -1) return made + value.slice(at)
    made += value.slice(at, open)
    if (value.startsWith('<!--', open)) {
      at = endOr(value, value.indexOf('-->', open + 4), 3)
      continue
    }
    if (!/[a-zA-Z/!?]/.test(value[open + 1] ?? '')) {
      made += '<'
      at = open + 1
      continue
    }
    let end = quotes ? tagEnd(value, open) : -1
    if (end === -1) {
      quotes = false
      end = value.indexOf('>', open)
      if (end === -1) return made + value.slice(open)
    }
    const head = value.slice(open, Math.min(end, open + 20))
    if (between !== '' && BLOCK.test(head)) made += between
    at = end + 1
    const hidden = HIDDEN.exec(head)?.[1]
    if (hidden !== undefined) {
      const closing = new RegExp(`</${hidden}`, 'gi')
      closing.lastIndex = at
      at = closing.test(value) ? endOr(value, value.indexOf('>', closing.lastIndex), 1) : value.length
    }
  }
}

function endOr(value: string, index: number, length: number): number {
  return index === -1 ? value.length : index + length
}

/** The index of the > that ends a tag, by its quotes; -1 where none does. */
function tagEnd(value: string, open: number): number {
  let quote = ''
  for (let at = open + 1; at < value.length; at += 1) {
    const unit = value[at] ?? ''
    if (quote !== '') {
      if (unit === quote) quote = ''
    } else if (unit === '"' || unit === "'") quote = unit
    else if (unit === '>') return at
  }
  return -1
}

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

const escapeHtml = ofText({
  name: 'html_escape',
  group: 'Encodings',
  summary: 'Writes & < > " and \' as HTML entities.',
  args: z.strictObject({}),
  accepts: text,
  result: TEXT,
  loses: null,
  inverse: () => ({ name: 'html_unescape', args: {} }),
  example: { input: ['a < b & "c"'], output: 'a &lt; b &amp; &quot;c&quot;' },
  make: () => (value) =>
    /[&<>"']/.test(value) ? value.replace(/[&<>"']/g, (found) => ESCAPES[found] ?? found) : value,
})

const unescape = ofText({
  name: 'html_unescape',
  group: 'Encodings',
  summary: 'Resolves HTML entities: numbers, the names of Latin 1 and common symbols; unknown names stay.',
  args: z.strictObject({}),
  accepts: text,
  result: sameLength,
  loses: 'which characters were written as entities',
  inverse: () => refuse('which characters were written as entities is not kept'),
  example: { input: ['Caf&eacute; &#x1F600; &copy; 2025'], output: 'Café 😀 © 2025' },
  make: () => unescapeHtml,
})

export const HTML: readonly Transform[] = [stripHtml, escapeHtml, unescape]
