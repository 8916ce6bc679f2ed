import type { Node, Test } from '#sync/patterns/program.ts'

/** The syntax of patterns: what regular expressions have in common, as far as it can be matched in linear time. */

const MAX_REPEAT = 1_000
const MAX_SOURCE = 1_000
const MAX_NESTING = 50

const CONTROL: Readonly<Record<string, number>> = { n: 10, r: 13, t: 9, f: 12, v: 11, '0': 0 }

const isDigit = (code: number): boolean => code >= 48 && code <= 57
const isWord = (code: number): boolean =>
  isDigit(code) || (code >= 65 && code <= 90) || (code >= 97 && code <= 122) || code === 95
const isBlank = (code: number): boolean => code === 32 || (code >= 9 && code <= 13)

const CLASSES: Readonly<Record<string, Test>> = {
  d: isDigit,
  w: isWord,
  s: isBlank,
  D: (code) => !isDigit(code),
  W: (code) => !isWord(code),
  S: (code) => !isBlank(code),
}

class Refused extends Error {}

/** @returns what is wrong, in words, where the pattern cannot be used */
export function parsePattern(source: string): { readonly node: Node } | string {
  if (source.length > MAX_SOURCE) return `It is longer than ${MAX_SOURCE} characters.`
  try {
    return { node: new Syntax(source).whole() }
  } catch (error) {
    if (error instanceof Refused) return error.message
    throw error
  }
}

class Syntax {
  readonly #characters: readonly string[]
  readonly #anyCase: boolean
  #at = 0
  #depth = 0

  constructor(source: string) {
    this.#anyCase = source.startsWith('(?i)')
    this.#characters = Array.from(this.#anyCase ? source.slice(4) : source)
  }

  whole(): Node {
    const item = this.#choice()
    if (this.#at < this.#characters.length) this.#refuse('A ) has no (.')
    return item
  }

  #choice(): Node {
    if (++this.#depth > MAX_NESTING) this.#refuse(`It is nested deeper than ${MAX_NESTING}.`)
    const ways = [this.#sequence()]
    while (this.#takes('|')) ways.push(this.#sequence())
    this.#depth -= 1
    const [only] = ways
    return ways.length === 1 && only !== undefined ? only : { is: 'any', of: ways }
  }

  #sequence(): Node {
    const of: Node[] = []
    for (let next = this.#peek(); next !== undefined && next !== '|' && next !== ')'; next = this.#peek()) {
      of.push(this.#repeated(this.#single()))
    }
    return { is: 'all', of }
  }

  #repeated(of: Node): Node {
    const bounds = this.#bounds()
    if (bounds === null) return of
    if (of.is === 'place') this.#refuse('^ and $ cannot be repeated.')
    // Whether as few or as many as possible: the answer is the same.
    this.#takes('?')
    if (this.#bounds() !== null) this.#refuse('Two repetitions follow each other.')
    return { is: 'repeat', of, ...bounds, lazy: false }
  }

  #bounds(): { min: number; max: number } | null {
    if (this.#takes('*')) return { min: 0, max: Infinity }
    if (this.#takes('+')) return { min: 1, max: Infinity }
    if (this.#takes('?')) return { min: 0, max: 1 }
    if (this.#peek() !== '{') return null
    const rest = this.#characters.slice(this.#at, this.#at + 12).join('')
    const found = /^\{(\d{1,4})(,(\d{1,4})?)?\}/.exec(rest)
    if (found === null) return this.#refuse('A { is no repetition: write \\{ for the sign.')
    this.#at += found[0].length
    const min = Number(found[1])
    const open = found[2] === undefined ? min : Infinity
    const max = found[3] === undefined ? open : Number(found[3])
    if (min > MAX_REPEAT || (max !== Infinity && max > MAX_REPEAT) || max < min) {
      this.#refuse(`Repetitions go from 0 to ${MAX_REPEAT}.`)
    }
    return { min, max }
  }

  #single(): Node {
    const character = this.#take()
    switch (character) {
      case '^':
        return { is: 'place', place: 'start' }
      case '$':
        return { is: 'place', place: 'end' }
      case '.':
        return { is: 'one', test: (code) => code !== 10 }
      case '(':
        return this.#group()
      case '[':
        return this.#set()
      case '\\':
        return { is: 'one', test: this.#cased(this.#escape()) }
      case '*':
      case '+':
      case '?':
      case '{':
        return this.#refuse(`Nothing stands before ${character}.`)
      default:
        return { is: 'one', test: this.#cased(exactly(codeOf(character))) }
    }
  }

  #group(): Node {
    if (this.#takes('?') && !this.#takes(':')) {
      this.#refuse('Only (…) and (?:…) are groups, and (?i) may stand at the start; nothing looks around.')
    }
    const item = this.#choice()
    if (!this.#takes(')')) this.#refuse('A ( is not closed.')
    return item
  }

  #set(): Node {
    const negated = this.#takes('^')
    const tests: Test[] = []
    do {
      if (this.#peek() === undefined) this.#refuse('A [ is not closed.')
      tests.push(this.#range())
    } while (!this.#takes(']'))
    const any = this.#cased((code) => tests.some((test) => test(code)))
    return { is: 'one', test: negated ? (code) => !any(code) : any }
  }

  #range(): Test {
    const first = this.#take()
    if (first === '[' && this.#peek() === ':') this.#refuse('Classes are written \\d, \\w and \\s.')
    if (first === '\\') {
      const next = this.#peek()
      if (next !== undefined && Object.hasOwn(CLASSES, next)) return this.#escape()
    }
    const low = first === '\\' ? this.#escapedCode() : codeOf(first)
    if (this.#peek() !== '-' || this.#characters[this.#at + 1] === ']') return exactly(low)
    this.#at += 1
    const last = this.#take()
    const high = last === '\\' ? this.#escapedCode() : codeOf(last)
    if (high < low) this.#refuse('A range in [] ends before it begins.')
    return (code) => code >= low && code <= high
  }

  #escape(): Test {
    const next = this.#peek() ?? ''
    const known = Object.hasOwn(CLASSES, next) ? CLASSES[next] : undefined
    if (known === undefined) return exactly(this.#escapedCode())
    this.#at += 1
    return known
  }

  #escapedCode(): number {
    const character = this.#take()
    if (Object.hasOwn(CONTROL, character)) return CONTROL[character] ?? 0
    if (character === 'x' || character === 'u') {
      const length = character === 'x' ? 2 : 4
      const digits = this.#characters.slice(this.#at, this.#at + length).join('')
      if (!/^[0-9a-fA-F]+$/.test(digits) || digits.length < length)
        this.#refuse(`\\${character} needs ${length} digits.`)
      this.#at += length
      return Number.parseInt(digits, 16)
    }
    if (/[A-Za-z0-9]/.test(character)) this.#refuse(`\\${character} is not known, or cannot be matched in linear time.`)
    return codeOf(character)
  }

  #cased(test: Test): Test {
    if (!this.#anyCase) return test
    return (code) => {
      if (test(code)) return true
      const character = String.fromCodePoint(code)
      return test(codeOf(character.toLowerCase())) || test(codeOf(character.toUpperCase()))
    }
  }

  #peek(): string | undefined {
    return this.#characters[this.#at]
  }

  #take(): string {
    const character = this.#peek() ?? this.#refuse('It ends too early.')
    this.#at += 1
    return character
  }

  #takes(character: string): boolean {
    if (this.#peek() !== character) return false
    this.#at += 1
    return true
  }

  #refuse(reason: string): never {
    throw new Refused(reason)
  }
}

function exactly(wanted: number): Test {
  return (code) => code === wanted
}

function codeOf(character: string): number {
  return character.codePointAt(0) ?? 0
}
