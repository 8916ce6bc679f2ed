/** What a routine is called with, by which routines of one name are told from one another. */
import type { ArgumentType } from '#model/dump.ts'
import { identifierOf, type Token } from './sql-tokens.ts'

/** Key words, which an argument of that name would have in quotes. */
const MODES: readonly string[] = ['IN', 'OUT', 'INOUT', 'VARIADIC']

/** Types of several words, of which the first alone is no key word that would have to be quoted as a name. */
const TWO_WORDS =
  /^(?:DOUBLE PRECISION|(?:NATIONAL )?CHAR(?:ACTER)? VARYING|BIT VARYING|TIME(?:STAMP)? WITH(?:OUT)?|INTERVAL [A-Z]+)$/

/**
 * The types of an argument list as pg_dump writes it; null where it is written in another way, which the server alone can read.
 * @param tokens what stands between the parentheses
 */
export function readArguments(tokens: readonly Token[]): readonly ArgumentType[] | null {
  if (tokens.length === 0 || (tokens.length === 1 && tokens[0]?.text === '*')) return []
  if (tokens.some((token, index) => isWord(token, 'ORDER') && isWord(tokens[index + 1], 'BY'))) return null
  const types = splitAtCommas(tokens).flatMap((argument) => {
    const mode = argument[0]?.kind === 'word' && MODES.includes(argument[0].text) ? argument[0].text : 'IN'
    return mode === 'OUT' ? [] : [typeOf(withoutName(argument))]
  })
  return types.every((type) => type !== null) ? types : null
}

function withoutName(argument: readonly Token[]): readonly Token[] {
  const end = argument.findIndex((token) => isWord(token, 'DEFAULT') || (token.kind === 'symbol' && token.text === '='))
  const rest = end < 0 ? argument : argument.slice(0, end)
  const own = rest[0]?.kind === 'word' && MODES.includes(rest[0].text) ? rest.slice(1) : rest
  const [first, second] = own
  const isNamed = second !== undefined && second.kind !== 'symbol'
  const isType = first?.kind === 'word' && second?.kind === 'word' && TWO_WORDS.test(`${first.text} ${second.text}`)
  return isNamed && !isType ? own.slice(1) : own
}

function typeOf(tokens: readonly Token[]): ArgumentType | null {
  const bracket = tokens.findIndex(({ kind, text }) => kind === 'symbol' && text === '[')
  const own = bracket < 0 ? tokens : tokens.slice(0, bracket)
  if (tokens.slice(own.length).some(({ text }) => text !== '[' && text !== ']')) return null
  const array = bracket >= 0
  const [first, dot, second] = own
  if (first === undefined) return null
  if (dot?.kind === 'symbol') {
    const [schema, name] = [identifierOf(first), identifierOf(second)]
    const isPlain = dot.text === '.' && own.length === 3
    return isPlain && schema !== undefined && name !== undefined ? { schema, name, array } : null
  }
  const words = own.map((token) => identifierOf(token) ?? null)
  // In quotes it is what the catalogue has, and no word of the grammar.
  const schema = first.kind === 'name' && own.length === 1 ? 'pg_catalog' : null
  if (words.includes(null) || (schema === null && own.some(({ kind }) => kind !== 'word'))) return null
  return { schema, name: words.join(' '), array }
}

function isWord(token: Token | undefined, word: string): boolean {
  return token?.kind === 'word' && token.text === word
}

export function splitAtCommas(tokens: readonly Token[]): readonly (readonly Token[])[] {
  const parts: Token[][] = [[]]
  let depth = 0
  for (const token of tokens) {
    const symbol = token.kind === 'symbol' ? token.text : ''
    if (symbol === '(') depth += 1
    if (symbol === ')') depth -= 1
    if (symbol === ',' && depth === 0) parts.push([])
    else parts.at(-1)?.push(token)
  }
  return parts
}
