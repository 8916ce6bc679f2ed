import { MAX_INSTRUCTIONS, programOf, type Instruction } from '#sync/patterns/program.ts'
import { charge } from './failure.ts'
import { parsePattern } from './pattern-syntax.ts'

/**
 * Regular expressions in linear time: the pattern becomes an automaton whose states are found as texts need them. What
 * only backtracking can do (back references, looking around) is refused when the pattern is read.
 */
export interface Pattern {
  /** Whether the pattern matches anywhere in the text. */
  readonly matches: (text: string) => boolean
}

/** States that are remembered; beyond them they are forgotten and found anew. */
const MAX_STATES = 500

interface State {
  /** Instructions that wait for a character. */
  readonly waiting: readonly number[]
  readonly matched: boolean
  readonly matchedAtEnd: boolean
  readonly next: Map<number, State>
}

/** @returns a problem in words where the pattern cannot be used */
export function compilePattern(source: string): Pattern | string {
  const parsed = parsePattern(source)
  if (typeof parsed === 'string') return parsed
  const program = programOf(parsed.node)
  if (program === null) return `It is larger than ${MAX_INSTRUCTIONS} steps.`
  const automaton = new Automaton(program)
  return { matches: (text) => automaton.matches(text) }
}

/** Runs programs whose places are the start and the end of the text alone, and which save nothing. */
class Automaton {
  readonly #program: readonly Instruction[]
  #states = new Map<string, State>()
  #first: State

  constructor(program: readonly Instruction[]) {
    this.#program = program
    this.#first = this.#state([0], true)
  }

  matches(text: string): boolean {
    charge(text.length)
    let state = this.#first
    for (let i = 0; i < text.length; i++) {
      if (state.matched) return true
      const code = text.codePointAt(i) ?? 0
      if (code > 0xffff) i += 1
      state = state.next.get(code) ?? this.#step(state, code)
    }
    return state.matched || state.matchedAtEnd
  }

  #step(state: State, code: number): State {
    charge(state.waiting.length)
    const reached = state.waiting.flatMap((at) => {
      const instruction = this.#program[at]
      return instruction?.do === 'test' && instruction.test(code) ? [at + 1] : []
    })
    // A match may begin at every character.
    const next = this.#state([...reached, 0], false)
    if (state.next.size < MAX_STATES) state.next.set(code, next)
    return next
  }

  #state(from: readonly number[], atStart: boolean): State {
    const open = this.#closure(from, { atStart, atEnd: false })
    const waiting = [...open].filter((at) => this.#program[at]?.do === 'test').toSorted((a, b) => a - b)
    const matched = this.#hasMatch(open)
    const matchedAtEnd = matched || this.#hasMatch(this.#closure(from, { atStart, atEnd: true }))
    const id = `${waiting.join(',')};${matched};${matchedAtEnd}`
    const known = this.#states.get(id)
    if (known !== undefined) return known
    if (this.#states.size >= MAX_STATES) this.#forget()
    const state = { waiting, matched, matchedAtEnd, next: new Map<number, State>() }
    this.#states.set(id, state)
    return state
  }

  /** States that are still in use keep no way to the others, so that memory stays bounded. */
  #forget(): void {
    for (const state of this.#states.values()) state.next.clear()
    this.#states = new Map()
  }

  #hasMatch(open: ReadonlySet<number>): boolean {
    return [...open].some((at) => this.#program[at]?.do === 'match')
  }

  /** Every instruction that is reached without a character. */
  #closure(from: readonly number[], place: { atStart: boolean; atEnd: boolean }): Set<number> {
    const open = new Set<number>()
    const todo = [...from]
    for (let at = todo.pop(); at !== undefined; at = todo.pop()) {
      if (open.has(at)) continue
      open.add(at)
      const instruction = this.#program[at]
      if (instruction?.do === 'split') todo.push(...instruction.to)
      if (instruction?.do === 'jump') todo.push(instruction.to)
      if (instruction?.do === 'check') {
        if (instruction.place === 'start' ? place.atStart : place.atEnd) todo.push(at + 1)
      }
    }
    charge(open.size)
    return open
  }
}
