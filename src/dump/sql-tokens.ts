/** The tokens of one statement, by the rules of the lexer that cut it out. */
import { CLASS, KIND } from './sql-bytes.ts'

/** `word` is a key word or a plain identifier; `name` a quoted one; `symbol` one other character. */
export interface Token {
  readonly kind: 'word' | 'name' | 'string' | 'number' | 'symbol'
  /** As it is written; a plain word in capitals. */
  readonly text: string
  /** Offset into the statement. */
  readonly start: number
}

const SPACE = /(?:[ \t\n\r\f\v]+|--[^\n\r]*)+/y
const COMMENT_MARK = /\/\*|\*\//g
/** What a string begins with: of a plain one, and of one in which a backslash escapes. */
const PLAIN_OPENS = /(?:[bBxXnN]|[uU]&)?'/y
const ESCAPE_OPENS = /[eEnN]?'/y
const QUOTE_OR_BACKSLASH = /['\\]/g
const NAME = /(?:[uU]&)?"[^"]*(?:""[^"]*)*"/y
const WORD = /[A-Za-z_\u0080-\u{10ffff}][A-Za-z0-9_$\u0080-\u{10ffff}]*/uy
const NUMBER = /[0-9](?:[0-9A-Za-z_.]|(?<=[0-9.][eE])[+-](?=[0-9]))*/y
const DOLLAR_TAG = /\$(?:[A-Za-z_\u0080-\u{10ffff}][A-Za-z0-9_\u0080-\u{10ffff}]*)?\$/uy
/** Between an escape string and one that goes on with it. */
const CONTINUATION = /(?:[ \t\f\v]|--[^\n\r]*)*[\n\r](?:[ \t\n\r\f\v]|--[^\n\r]*[\n\r])*(?=')/y

function end(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at
  return pattern.test(text) ? pattern.lastIndex : -1
}

/** @param standard whether a backslash is just that in a plain string */
export function readTokens(text: string, standard: boolean): readonly Token[] {
  return [...tokensIn(text, standard)]
}

/** One after another, from a place on: the rows of an INSERT may have millions of them. */
export function* tokensIn(text: string, standard: boolean, from = 0): Generator<Token, undefined> {
  let at = from
  while (at < text.length) {
    const space = end(SPACE, text, at)
    if (space >= 0) at = space
    else if (text.startsWith('/*', at)) at = endOfComment(text, at)
    else {
      const token = tokenAt(text, at, standard)
      yield token
      at += token.text.length
    }
  }
}

/** Tokens of a statement that are held at once: those of a table of 1,600 columns are some 10,000. */
export const MOST_TOKENS = 250_000

/**
 * The tokens of a statement, and no more than one beyond `MOST_TOKENS`; of an INSERT those up to VALUES, behind which `tokensIn`
 * reads on.
 */
export function readHead(text: string, standard: boolean): readonly Token[] {
  const tokens: Token[] = []
  let depth = 0
  for (const token of tokensIn(text, standard)) {
    tokens.push(token)
    if (tokens.length > MOST_TOKENS) break
    const { kind, text: word } = token
    if (kind === 'symbol') depth += word === '(' ? 1 : word === ')' ? -1 : 0
    const isWord = kind === 'word' && depth === 0
    if (isWord && word === 'VALUES' && tokens[0]?.kind === 'word' && tokens[0].text === 'INSERT') break
  }
  return tokens
}

function endOfComment(text: string, at: number): number {
  let depth = 0
  COMMENT_MARK.lastIndex = at
  for (let mark = COMMENT_MARK.exec(text); mark; mark = COMMENT_MARK.exec(text)) {
    depth += mark[0] === '/*' ? 1 : -1
    if (depth === 0) return COMMENT_MARK.lastIndex
  }
  return text.length
}

function tokenAt(text: string, start: number, standard: boolean): Token {
  const first = text[start] ?? ''
  const kind = CLASS[Math.min(text.charCodeAt(start), BEYOND_ASCII)]
  // Most tokens of rows are commas, numbers and parentheses.
  if (kind === KIND.OTHER && !OPENING.includes(first)) return { kind: 'symbol', text: first, start }
  if (kind === KIND.DIGIT) return { kind: 'number', text: text.slice(start, end(NUMBER, text, start)), start }
  const string = endOfString(text, start, standard)
  if (string >= 0) return { kind: 'string', text: text.slice(start, string), start }
  const name = end(NAME, text, start)
  if (name >= 0) return { kind: 'name', text: text.slice(start, name), start }
  const word = end(WORD, text, start)
  if (word >= 0) return { kind: 'word', text: capitals(text.slice(start, word)), start }
  return { kind: 'symbol', text: first, start }
}

/** What a string or a name may begin with, letters aside. */
const OPENING = `'"$`
const BEYOND_ASCII = 128

/** ASCII alone: what becomes of other letters is the server's business, and may change a text's length. */
function capitals(word: string): string {
  return word.replaceAll(/[a-z]+/g, (part) => part.toUpperCase())
}

function endOfString(text: string, at: number, standard: boolean): number {
  if (text[at] === '$') {
    const body = end(DOLLAR_TAG, text, at)
    if (body < 0) return -1
    const tag = text.slice(at, body)
    const close = text.indexOf(tag, body)
    return close < 0 ? text.length : close + tag.length
  }
  const escapes = /^[eE]'/.test(text.slice(at, at + 2)) || (!standard && /^[nN]?'/.test(text.slice(at, at + 2)))
  const body = end(escapes ? ESCAPE_OPENS : PLAIN_OPENS, text, at)
  if (body < 0) return -1
  let last = escapes ? endOfEscapes(text, body) : endOfQuotes(text, body)
  if (!escapes || last < 0) return last
  for (let next = end(CONTINUATION, text, last); next >= 0; next = end(CONTINUATION, text, last)) {
    const more = endOfEscapes(text, next + 1)
    if (more < 0) return last
    last = more
  }
  return last
}

/** Behind the quote that is not doubled; -1 where there is none. No pattern says it: one value may have millions of quotes. */
function endOfQuotes(text: string, from: number): number {
  for (let quote = text.indexOf("'", from); quote >= 0; quote = text.indexOf("'", quote + 2)) {
    if (text[quote + 1] !== "'") return quote + 1
  }
  return -1
}

/** The same where a backslash goes together with the character behind it. */
function endOfEscapes(text: string, from: number): number {
  QUOTE_OR_BACKSLASH.lastIndex = from
  for (let mark = QUOTE_OR_BACKSLASH.exec(text); mark !== null; mark = QUOTE_OR_BACKSLASH.exec(text)) {
    if (mark[0] === "'" && text[mark.index + 1] !== "'") return mark.index + 1
    QUOTE_OR_BACKSLASH.lastIndex = mark.index + 2
  }
  return -1
}

/** The identifier that a token stands for, as the catalogue has it; undefined where it is none, or has escapes. */
export function identifierOf(token: Token | undefined): string | undefined {
  if (token?.kind === 'word') return token.text.replaceAll(/[A-Z]+/g, (part) => part.toLowerCase())
  if (token?.kind !== 'name' || !token.text.startsWith('"')) return undefined
  return token.text.slice(1, -1).replaceAll('""', '"')
}

/**
 * The value of a plain string; undefined where the token is none, or one with escapes.
 * @param standard whether a backslash is known to be just that in it
 */
export function stringOf(token: Token | undefined, standard = false): string | undefined {
  if (token?.kind !== 'string' || (!standard && token.text.includes('\\'))) return undefined
  if (token.text.startsWith("'")) return token.text.slice(1, -1).replaceAll("''", "'")
  return undefined
}
