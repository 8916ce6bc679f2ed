/** The bytes of SQL, and what they are to a lexer. */

export const BYTE = {
  TAB: 9,
  LF: 10,
  CR: 13,
  SPACE: 32,
  QUOTE2: 34,
  DOLLAR: 36,
  AMPERSAND: 38,
  QUOTE: 39,
  OPEN: 40,
  CLOSE: 41,
  STAR: 42,
  PLUS: 43,
  DASH: 45,
  DOT: 46,
  SLASH: 47,
  SEMICOLON: 59,
  BACKSLASH: 92,
} as const

export const KIND = { OTHER: 0, SPACES: 1, LETTER: 2, DIGIT: 3 } as const

const VERTICAL: readonly number[] = [11, 12]

/** The kind of each byte. Those beyond ASCII are letters to the server. */
export const CLASS = Uint8Array.from({ length: 256 }, (_, byte) => {
  if (byte === BYTE.TAB || byte === BYTE.LF || byte === BYTE.CR || byte === BYTE.SPACE || VERTICAL.includes(byte)) {
    return KIND.SPACES
  }
  const letter = (byte >= 65 && byte <= 90) || (byte >= 97 && byte <= 122) || byte === 95 || byte >= 128
  if (letter) return KIND.LETTER
  return byte >= 48 && byte <= 57 ? KIND.DIGIT : KIND.OTHER
})

const NUMBER = /^(?:0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+|[0-9][0-9_]*(?:\.[0-9_]*)?(?:[eE][0-9]+)?)$/
const SPLIT_EXPONENT = /^[0-9][0-9_]*(?:\.[0-9_]*)?[eE]$/

/**
 * Whether every server takes this for one number, before the byte `next`: older ones take a number with letters at its end for
 * two tokens, so that it could hide where a string begins.
 */
export function isNumber(text: string, next: number): boolean {
  if (next === BYTE.QUOTE) return false
  return NUMBER.test(text) || ((next === BYTE.DASH || next === BYTE.PLUS) && SPLIT_EXPONENT.test(text))
}
