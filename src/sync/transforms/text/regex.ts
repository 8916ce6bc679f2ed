/**
 * Regular expressions that take time in proportion to the text, whatever the pattern is: all ways of matching are
 * followed side by side (Thompson's construction, with captures as Pike has them), and none is tried twice at a place.
 * The syntax is that of JavaScript with the flag u, without what cannot be matched so: back references and look-around.
 */

import { programOf, type Instruction, type Node, type Place, type Test } from '#sync/patterns/program.ts'

const MAX_REPEAT = 500
const MAX_DEPTH = 50

export interface RegexFlags {
  readonly ignoreCase: boolean
  /** ^ and $ also match at line ends. */
  readonly multiline: boolean
}

/** Begin and end of the match, then of each group, in UTF-16 units; -1 where a group took no part. */
export type Match = Int32Array

export interface Regex {
  readonly groups: number
  /** Characters read since it was compiled: what bounds the work of several matches in one text. */
  readonly read: number
  /** The leftmost match at or after a place. */
  exec(text: string, from: number): Match | null
}

/** A pattern that cannot be read or is not supported. */
export class BadPattern extends Error {
  override readonly name = 'BadPattern'
}

export function compileRegex(pattern: string, flags: RegexFlags): Regex {
  const parser = new Parser(pattern, flags)
  const tree = parser.parse()
  const program = programOf({ is: 'group', of: tree, slot: 0 })
  if (program === null) throw new BadPattern('the pattern is too large')
  return new Machine(program, parser.groups, flags.multiline)
}

class Parser {
  groups = 0
  readonly #pattern: readonly string[]
  readonly #flags: RegexFlags
  #at = 0
  #depth = 0

  constructor(pattern: string, flags: RegexFlags) {
    this.#pattern = Array.from(pattern)
    this.#flags = flags
  }

  parse(): Node {
    const tree = this.#choice()
    if (this.#at < this.#pattern.length) throw new BadPattern('a ) has no (')
    return tree
  }

  #peek(offset = 0): string {
    return this.#pattern[this.#at + offset] ?? ''
  }

  #take(): string {
    return this.#pattern[this.#at++] ?? ''
  }

  #choice(): Node {
    this.#depth += 1
    if (this.#depth > MAX_DEPTH) throw new BadPattern(`groups are nested more than ${MAX_DEPTH} deep`)
    const of = [this.#sequence()]
    while (this.#peek() === '|') {
      this.#take()
      of.push(this.#sequence())
    }
    this.#depth -= 1
    return { is: 'any', of }
  }

  #sequence(): Node {
    const of: Node[] = []
    while (this.#at < this.#pattern.length && this.#peek() !== '|' && this.#peek() !== ')') {
      of.push(this.#repeated(this.#atom()))
    }
    return { is: 'all', of }
  }

  #repeated(of: Node): Node {
    const range = this.#quantifier()
    if (range === null) return of
    if (of.is === 'place') throw new BadPattern('a place such as ^ cannot be repeated')
    const [min, max] = range
    if (max < min) throw new BadPattern('the bounds of { } are out of order')
    if (min > MAX_REPEAT || (max !== Infinity && max > MAX_REPEAT)) {
      throw new BadPattern(`{ } goes up to ${MAX_REPEAT}`)
    }
    const lazy = this.#peek() === '?'
    if (lazy) this.#take()
    if ('*+?{'.includes(this.#peek() || ' ')) throw new BadPattern('there is nothing to repeat')
    return { is: 'repeat', of, min, max, lazy }
  }

  #quantifier(): readonly [number, number] | null {
    switch (this.#peek()) {
      case '*':
        this.#take()
        return [0, Infinity]
      case '+':
        this.#take()
        return [1, Infinity]
      case '?':
        this.#take()
        return [0, 1]
      case '{': {
        const rest = this.#pattern.slice(this.#at, this.#at + 12).join('')
        const [all, min, comma, max] = /^\{(\d{1,4})(,?)(\d{0,4})\}/.exec(rest) ?? []
        if (all === undefined) throw new BadPattern('write \\{ for a brace')
        this.#at += all.length
        return [Number(min), comma === '' ? Number(min) : max === '' ? Infinity : Number(max)]
      }
      default:
        return null
    }
  }

  #atom(): Node {
    const taken = this.#take()
    switch (taken) {
      case '(':
        return this.#group()
      case '[':
        return { is: 'one', test: this.#class() }
      case '.':
        return { is: 'one', test: (code) => code !== 10 && code !== 13 && code !== 0x2028 && code !== 0x2029 }
      case '^':
        return { is: 'place', place: 'start' }
      case '$':
        return { is: 'place', place: 'end' }
      case '\\':
        return this.#escape()
      case '*':
      case '+':
      case '?':
        throw new BadPattern('there is nothing to repeat')
      case '{':
      case '}':
      case ']':
        throw new BadPattern(`write \\${taken} for a ${taken}`)
      default:
        return { is: 'one', test: this.#native(/[\\/^$.|?*+()[\]{}-]/.test(taken) ? `\\${taken}` : taken) }
    }
  }

  #group(): Node {
    let slot: number | null = null
    if (this.#peek() !== '?') slot = this.groups += 1
    else {
      this.#take()
      if (this.#take() !== ':')
        throw new BadPattern('of groups with (? only (?: ) is supported: no look-around, no names')
    }
    const of = this.#choice()
    if (this.#take() !== ')') throw new BadPattern('a ( has no )')
    return slot === null ? of : { is: 'group', of, slot }
  }

  #escape(): Node {
    const letter = this.#take()
    if (letter === 'b') return { is: 'place', place: 'word edge' }
    if (letter === 'B') return { is: 'place', place: 'no word edge' }
    if (/[1-9k]/.test(letter)) throw new BadPattern('back references are not supported')
    return { is: 'one', test: this.#native(`\\${letter}${this.#escapeTail(letter)}`) }
  }

  /** What follows the letter of an escape and belongs to it. */
  #escapeTail(letter: string): string {
    const rest = this.#pattern.slice(this.#at, this.#at + 60).join('')
    const tail =
      letter === 'p' || letter === 'P' || (letter === 'u' && rest.startsWith('{'))
        ? /^\{[\w=]+\}/.exec(rest)
        : letter === 'u'
          ? /^[\da-fA-F]{4}/.exec(rest)
          : letter === 'x'
            ? /^[\da-fA-F]{2}/.exec(rest)
            : null
    this.#at += tail?.[0].length ?? 0
    return tail?.[0] ?? ''
  }

  #class(): Test {
    let source = '['
    for (;;) {
      if (this.#at >= this.#pattern.length) throw new BadPattern('a [ has no ]')
      const taken = this.#take()
      source += taken
      if (taken === '\\') source += this.#take()
      if (taken === ']') return this.#native(source)
    }
  }

  /** One character by the engine's own class: it reads no more than that one, and so cannot go back. */
  #native(source: string): Test {
    let expression: RegExp
    try {
      expression = new RegExp(`^(?:${source})$`, this.#flags.ignoreCase ? 'iu' : 'u')
    } catch {
      throw new BadPattern(`"${source}" cannot be read`)
    }
    const ascii = Uint8Array.from({ length: 128 }, (_, code) => Number(expression.test(String.fromCharCode(code))))
    return (code) => (code < 128 ? ascii[code] === 1 : expression.test(String.fromCodePoint(code)))
  }
}

/** A set of threads in the order of their preference; a place of the program is in it once. */
interface Threads {
  count: number
  readonly places: Int32Array
  readonly captures: Match[]
}

class Machine implements Regex {
  readonly groups: number
  read = 0
  readonly #program: readonly Instruction[]
  readonly #multiline: boolean
  readonly #seen: Int32Array
  readonly #starts: Uint8Array | null
  #mark = 0

  constructor(program: readonly Instruction[], groups: number, multiline: boolean) {
    this.#program = program
    this.groups = groups
    this.#multiline = multiline
    this.#seen = new Int32Array(program.length)
    this.#starts = startsOf(program)
  }

  exec(text: string, from: number): Match | null {
    let now = this.#threads()
    let next = this.#threads()
    let best: Match | null = null
    for (let at = from; ;) {
      if (best === null) {
        if (now.count === 0 && this.#starts !== null) {
          at = skipped(text, at, this.#starts)
          if (at === text.length) return null
        }
        if (now.count === 0) this.#newMark()
        this.#follow(now, { text, at, place: 0, captures: new Int32Array(this.groups * 2 + 2).fill(-1) })
      }
      if (now.count === 0) return best
      const code = text.codePointAt(at)
      this.read += 1
      const after = at + (code !== undefined && code > 0xffff ? 2 : 1)
      this.#newMark()
      next.count = 0
      for (let i = 0; i < now.count; i += 1) {
        const place = now.places[i] ?? 0
        const instruction = this.#program[place]
        const captures = now.captures[i]
        if (captures === undefined) continue
        if (instruction?.do === 'match') {
          best = captures
          // Threads behind this one are ways that count less.
          break
        }
        if (code !== undefined && instruction?.do === 'test' && instruction.test(code)) {
          this.#follow(next, { text, at: after, place: place + 1, captures })
        }
      }
      if (code === undefined) return best
      ;[now, next] = [next, now]
      at = after
    }
  }

  #threads(): Threads {
    return { count: 0, places: new Int32Array(this.#program.length), captures: [] }
  }

  #newMark(): void {
    this.#mark += 1
    if (this.#mark === 0x7fffffff) {
      this.#seen.fill(0)
      this.#mark = 1
    }
  }

  /** Adds a thread, gone forward to where it reads a character; on a stack of its own, as programs are long. */
  #follow(threads: Threads, from: { text: string; at: number; place: number; captures: Match }): void {
    const { text, at } = from
    const stack: [place: number, captures: Match][] = [[from.place, from.captures]]
    for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
      const [place, captures] = top
      if (this.#seen[place] === this.#mark) continue
      this.#seen[place] = this.#mark
      const instruction = this.#program[place]
      switch (instruction?.do) {
        case 'jump':
          stack.push([instruction.to, captures])
          break
        case 'split':
          for (const way of instruction.to.toReversed()) stack.push([way, captures])
          break
        case 'save': {
          const saved = captures.slice()
          saved[instruction.slot] = at
          stack.push([place + 1, saved])
          break
        }
        case 'check':
          if (this.#holds(instruction.place, text, at)) stack.push([place + 1, captures])
          break
        default:
          threads.places[threads.count] = place
          threads.captures[threads.count] = captures
          threads.count += 1
      }
    }
  }

  #holds(place: Place, text: string, at: number): boolean {
    switch (place) {
      case 'start':
        return at === 0 || (this.#multiline && isLineEnd(text.charCodeAt(at - 1)))
      case 'end':
        return at === text.length || (this.#multiline && isLineEnd(text.charCodeAt(at)))
      default:
        return (isWord(text.charCodeAt(at - 1)) !== isWord(text.charCodeAt(at))) === (place === 'word edge')
    }
  }
}

/** The ASCII characters that a match can begin with; null where it may be empty. */
function startsOf(program: readonly Instruction[]): Uint8Array | null {
  const seen = new Set<number>()
  const tests: Test[] = []
  const stack = [0]
  for (let place = stack.pop(); place !== undefined; place = stack.pop()) {
    if (seen.has(place)) continue
    seen.add(place)
    const instruction = program[place]
    if (instruction?.do === 'match') return null
    if (instruction?.do === 'test') tests.push(instruction.test)
    else if (instruction?.do === 'jump') stack.push(instruction.to)
    else if (instruction?.do === 'split') stack.push(...instruction.to)
    else stack.push(place + 1)
  }
  return Uint8Array.from({ length: 128 }, (_, code) => Number(tests.some((test) => test(code))))
}

/** The next place at which a match can begin, or the end. */
function skipped(text: string, from: number, starts: Uint8Array): number {
  let at = from
  while (at < text.length && starts[text.charCodeAt(at)] === 0) at += 1
  return at
}

function isLineEnd(unit: number): boolean {
  return unit === 10 || unit === 13 || unit === 0x2028 || unit === 0x2029
}

/** By ASCII, as \w is. */
function isWord(unit: number): boolean {
  return (unit >= 48 && unit <= 57) || (unit >= 65 && unit <= 90) || unit === 95 || (unit >= 97 && unit <= 122)
}
