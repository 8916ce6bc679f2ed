/**
 * What regular expressions are matched by in linear time: a pattern, read by the syntax of whoever takes it, as a
 * program of small steps (Thompson's construction). Two machines run programs: `expressions/pattern.ts` says whether
 * there is a match, many times faster than `transforms/text/regex.ts` says where it is.
 */

/** Whether a code point is meant. */
export type Test = (code: number) => boolean

export type Place = 'start' | 'end' | 'word edge' | 'no word edge'

export type Node =
  | { readonly is: 'one'; readonly test: Test }
  | { readonly is: 'all'; readonly of: readonly Node[] }
  | { readonly is: 'any'; readonly of: readonly Node[] }
  | { readonly is: 'repeat'; readonly of: Node; readonly min: number; readonly max: number; readonly lazy: boolean }
  | { readonly is: 'group'; readonly of: Node; readonly slot: number }
  | { readonly is: 'place'; readonly place: Place }

/** All but jumps and splits go on with the instruction behind them; a split names its ways as they are preferred. */
export type Instruction =
  | { readonly do: 'test'; readonly test: Test }
  | { readonly do: 'split'; readonly to: number[] }
  | { readonly do: 'jump'; to: number }
  | { readonly do: 'save'; readonly slot: number }
  | { readonly do: 'check'; readonly place: Place }
  | { readonly do: 'match' }

/** The time for each character of a text grows with the program. */
export const MAX_INSTRUCTIONS = 2_000

/** The program of a pattern, which begins at 0; null where it would be too large. */
export function programOf(node: Node): readonly Instruction[] | null {
  const program: Instruction[] = []
  const fits = emit(program, node)
  program.push({ do: 'match' })
  return fits && program.length <= MAX_INSTRUCTIONS ? program : null
}

/** Appends the instructions of a node. Returns false, at once, where they are too many. */
function emit(program: Instruction[], node: Node): boolean {
  if (program.length > MAX_INSTRUCTIONS) return false
  switch (node.is) {
    case 'one':
      program.push({ do: 'test', test: node.test })
      return true
    case 'place':
      program.push({ do: 'check', place: node.place })
      return true
    case 'all':
      return node.of.every((part) => emit(program, part))
    case 'group': {
      program.push({ do: 'save', slot: node.slot * 2 })
      const fits = emit(program, node.of)
      program.push({ do: 'save', slot: node.slot * 2 + 1 })
      return fits
    }
    case 'any':
      return emitChoice(program, node.of)
    case 'repeat':
      return emitRepeat(program, node)
  }
}

function emitChoice(program: Instruction[], [first, ...others]: readonly Node[]): boolean {
  if (first === undefined || others.length === 0) return first === undefined || emit(program, first)
  const ways: number[] = []
  const ends: { do: 'jump'; to: number }[] = []
  program.push({ do: 'split', to: ways })
  for (const way of [first, ...others]) {
    ways.push(program.length)
    if (!emit(program, way)) return false
    const end = { do: 'jump' as const, to: 0 }
    program.push(end)
    ends.push(end)
  }
  for (const end of ends) end.to = program.length
  return true
}

function emitRepeat(program: Instruction[], { of, min, max, lazy }: Extract<Node, { is: 'repeat' }>): boolean {
  for (let i = 0; i < min; i++) if (!emit(program, of)) return false
  const splits: { readonly to: number[]; readonly inside: number }[] = []
  const begin = (): number => {
    const at = program.length
    const to: number[] = []
    program.push({ do: 'split', to })
    splits.push({ to, inside: at + 1 })
    return at
  }
  if (max === Infinity) {
    const at = begin()
    if (!emit(program, of)) return false
    program.push({ do: 'jump', to: at })
  } else {
    for (let i = min; i < max; i++) {
      begin()
      if (!emit(program, of)) return false
    }
  }
  for (const { to, inside } of splits) to.push(...(lazy ? [program.length, inside] : [inside, program.length]))
  return true
}
