/**
 * Splits SQL text as psql does (rules of PostgreSQL's psqlscan.l with standard_conforming_strings on): no quote,
 * comment, dollar-quoted body or SQL-standard function body can pass for the end of a statement.
 */
import { AppError } from '#model/errors.ts'

/** `word` is an unquoted identifier, key word or number; `name` a quoted identifier; `symbol` one other character. */
export interface Token {
  readonly kind: 'word' | 'name' | 'string' | 'symbol' | 'comment'
  /** The characters of the text, with quotes. */
  readonly text: string
  /** Offsets into the text. */
  readonly start: number
  readonly end: number
}

/** What stands at the top level of a script: comments, backslash lines, and statements without their `;`. */
export type ScriptItem =
  | { readonly kind: 'comment'; readonly text: string }
  | { readonly kind: 'backslash'; readonly text: string }
  | { readonly kind: 'statement'; readonly text: string; readonly tokens: readonly Token[] }

const SPACE = /[ \t\n\r\f\v]*/y
const WORD = /[A-Za-z_\u0080-\uffff][A-Za-z0-9_$\u0080-\uffff]*/y
const NUMBER = /[0-9][0-9A-Za-z_.\u0080-\uffff]*/y
const LINE_COMMENT = /--[^\n\r]*/y
const COMMENT_MARK = /\/\*|\*\//g
const STRING = /'[^']*(?:''[^']*)*'(?!')/y
const ESCAPE_STRING = /'[^'\\]*(?:(?:\\[^]|'')[^'\\]*)*'(?!')/y
/** A string goes on in the next literal if only space with a line end and line comments stand between. */
const CONTINUATION = /(?:[ \t\f\v]|--[^\n\r]*)*[\n\r](?:[ \t\n\r\f\v]|--[^\n\r]*[\n\r])*(?=')/y
const NAME = /"[^"]*(?:""[^"]*)*"(?!")/y
const DOLLAR_TAG = /\$(?:[A-Za-z_\u0080-\uffff][A-Za-z0-9_\u0080-\uffff]*)?\$/y
const BACKSLASH_LINE = /\\[^\n\r]*/y

function match(pattern: RegExp, text: string, at: number): number | undefined {
  pattern.lastIndex = at
  return pattern.test(text) ? pattern.lastIndex : undefined
}

function matchOrFail(pattern: RegExp, text: string, at: number): number {
  return match(pattern, text, at) ?? unterminated(text, at)
}

function unterminated(text: string, at: number): never {
  const line = text.slice(0, at).split('\n').length
  throw new AppError('internal', `SQL text ends within what begins on line ${line}`)
}

/** The end of a block comment, which may hold others. */
function endOfBlockComment(text: string, at: number): number {
  let depth = 0
  COMMENT_MARK.lastIndex = at
  for (let mark = COMMENT_MARK.exec(text); mark; mark = COMMENT_MARK.exec(text)) {
    depth += mark[0] === '/*' ? 1 : -1
    if (depth === 0) return COMMENT_MARK.lastIndex
  }
  return unterminated(text, at)
}

function endOfDollarQuote(text: string, at: number, body: number): number {
  const tag = text.slice(at, body)
  const close = text.indexOf(tag, body)
  return close < 0 ? unterminated(text, at) : close + tag.length
}

function endOfString(text: string, at: number, pattern: RegExp): number {
  let end = matchOrFail(pattern, text, at)
  for (let next = match(CONTINUATION, text, end); next !== undefined; next = match(CONTINUATION, text, end)) {
    end = matchOrFail(pattern, text, next)
  }
  return end
}

/** A word, or the literal that it introduces: E'…', B'…', X'…', N'…', U&'…', U&"…". */
function endOfWord(text: string, at: number, end: number): [Token['kind'], number] {
  const word = text.slice(at, end)
  if (text[end] === "'") {
    if (/^e$/i.test(word)) return ['string', endOfString(text, end, ESCAPE_STRING)]
    if (/^[bxn]$/i.test(word)) return ['string', endOfString(text, end, STRING)]
  }
  if (/^u$/i.test(word) && text[end] === '&') {
    if (text[end + 1] === "'") return ['string', endOfString(text, end + 1, STRING)]
    if (text[end + 1] === '"') return ['name', matchOrFail(NAME, text, end + 1)]
  }
  return ['word', end]
}

function readToken(text: string, at: number): [Token['kind'], number] {
  switch (text[at]) {
    case "'":
      return ['string', endOfString(text, at, STRING)]
    case '"':
      return ['name', matchOrFail(NAME, text, at)]
    case '-': {
      const end = match(LINE_COMMENT, text, at)
      return end === undefined ? ['symbol', at + 1] : ['comment', end]
    }
    case '/':
      return text[at + 1] === '*' ? ['comment', endOfBlockComment(text, at)] : ['symbol', at + 1]
    case '$': {
      const body = match(DOLLAR_TAG, text, at)
      return body === undefined ? ['symbol', at + 1] : ['string', endOfDollarQuote(text, at, body)]
    }
    default: {
      const word = match(WORD, text, at)
      if (word !== undefined) return endOfWord(text, at, word)
      const number = match(NUMBER, text, at)
      return number === undefined ? ['symbol', at + 1] : ['word', number]
    }
  }
}

function tokenAt(text: string, at: number): Token | undefined {
  const start = match(SPACE, text, at) ?? at
  if (start >= text.length) return undefined
  const [kind, end] = readToken(text, start)
  return { kind, text: text.slice(start, end), start, end }
}

/** Is this token the unquoted key word (given in capitals)? */
export function isWord(token: Token | undefined, word: string): boolean {
  return token?.kind === 'word' && token.text.toUpperCase() === word
}

/** Knows where a statement ends: outside parentheses and outside BEGIN ATOMIC … END with the CASE … END in it. */
class Nesting {
  #parentheses = 0
  #blocks = 0
  #previous: Token | undefined

  /** Takes the next token of the statement; true if it is the `;` that ends it. */
  ends(token: Token): boolean {
    if (token.kind === 'symbol') {
      if (token.text === '(') this.#parentheses += 1
      if (token.text === ')') this.#parentheses -= 1
      if (token.text === ';' && this.#parentheses <= 0 && this.#blocks === 0) return true
    }
    if (this.#parentheses <= 0) this.#blocks += this.#blockChange(token)
    this.#previous = token
    return false
  }

  #blockChange(token: Token): number {
    if (isWord(token, 'ATOMIC') && isWord(this.#previous, 'BEGIN')) return 1
    if (this.#blocks === 0) return 0
    if (isWord(token, 'CASE')) return 1
    return isWord(token, 'END') ? -1 : 0
  }
}

/**
 * The items of a script in their order.
 *
 * @throws {AppError} `internal` if the text ends inside of a quote, a comment or a statement.
 */
export function* splitScript(text: string): Generator<ScriptItem> {
  let at = 0
  for (;;) {
    const first = match(SPACE, text, at) ?? at
    if (text[first] === '\\') {
      at = matchOrFail(BACKSLASH_LINE, text, first)
      yield { kind: 'backslash', text: text.slice(first, at) }
      continue
    }
    const token = tokenAt(text, first)
    if (!token) return
    at = token.end
    if (token.kind === 'comment') {
      yield { kind: 'comment', text: token.text }
      continue
    }
    const statement = readStatement(text, token)
    at = statement.end
    if (statement.item.tokens.length > 0) yield statement.item
  }
}

interface Statement {
  readonly item: Extract<ScriptItem, { kind: 'statement' }>
  readonly end: number
}

function readStatement(text: string, first: Token): Statement {
  const nesting = new Nesting()
  const tokens: Token[] = []
  for (let token: Token | undefined = first; token; token = tokenAt(text, token.end)) {
    if (token.kind === 'comment') continue
    if (nesting.ends(token)) {
      return { item: { kind: 'statement', text: text.slice(first.start, token.start), tokens }, end: token.end }
    }
    tokens.push(token)
  }
  return unterminated(text, first.start)
}

/** The identifier that a token stands for, as the catalog has it. */
function identifierOf(token: Token | undefined): string | undefined {
  if (token?.kind === 'word') return token.text.toLowerCase()
  return token?.kind === 'name' ? token.text.slice(1, -1).replaceAll('""', '"') : undefined
}

/** Reads `schema.name` from the token at `index` on. */
export function readQualifiedName(
  tokens: readonly Token[],
  index: number,
): { schema: string; name: string } | undefined {
  const schema = identifierOf(tokens[index])
  const name = identifierOf(tokens[index + 2])
  if (schema === undefined || name === undefined || tokens[index + 1]?.text !== '.') return undefined
  return { schema, name }
}
