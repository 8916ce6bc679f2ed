/** The parts of INSERT, COPY and calls that hold values: constants alone, so that nothing runs for any of them. */
import { refuse } from './named-objects.ts'
import { identifierOf, type Token } from './sql-tokens.ts'

const CONSTANTS: readonly string[] = ['NULL', 'TRUE', 'FALSE', 'DEFAULT']
const NUMBER = /^[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?$/

export function isLiteral(token: Token | undefined): boolean {
  if (token === undefined) return false
  if (token.kind === 'string') return true
  return token.kind === 'number' ? NUMBER.test(token.text) : token.kind === 'word' && CONSTANTS.includes(token.text)
}

/** Where a list of columns ends that begins at a place, if one does. An element of an array could be one that a function gives. */
export function skipColumns(tokens: readonly Token[], from: number): number {
  if (tokens[from]?.text !== '(') return from
  let at = from
  do {
    if (identifierOf(tokens[at + 1]) === undefined) refuse('names no columns')
    at += 2
  } while (tokens[at]?.text === ',')
  if (tokens[at]?.text !== ')') refuse('names no columns')
  return at + 1
}

/** Tokens behind the rows that are still told: more than whatever may stand there. */
const MOST_BEHIND = 8

/**
 * The rows of VALUES, each of constants alone, and what stands behind them.
 * @param tokens from behind VALUES on
 */
export function countRows(tokens: Iterator<Token, undefined>): { rows: number; behind: readonly Token[] } {
  let token = tokens.next().value
  let rows = 0
  const takes = (symbol: string): boolean => {
    const here = token?.kind === 'symbol' && token.text === symbol
    if (here) token = tokens.next().value
    return here
  }
  do {
    if (!takes('(')) refuse('inserts what is not a value')
    do {
      if (!takes('-')) takes('+')
      takes('.')
      if (!isLiteral(token)) refuse('inserts what is not a value')
      token = tokens.next().value
    } while (takes(','))
    if (!takes(')')) refuse('inserts what is not a value')
    rows += 1
  } while (takes(','))
  const behind: Token[] = []
  for (; token !== undefined && behind.length < MOST_BEHIND; token = tokens.next().value) behind.push(token)
  return { rows, behind }
}
