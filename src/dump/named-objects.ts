/** The objects that statements of a dump name, and those among them that the dump itself has made. */
import type { ArgumentType } from '#model/dump.ts'
import { readArguments, splitAtCommas } from './routine-arguments.ts'
import { identifierOf, stringOf, type Token } from './sql-tokens.ts'

export interface ObjectName {
  /** Empty where the object is in no schema. */
  readonly schema: string
  readonly name: string
}

/** What is made and can be there already: found by schema and name, or by name alone, and replaced as a whole. */
export type PlannedClass = 'relation' | 'type' | 'routine' | 'schema'

export type ObjectClass =
  | PlannedClass
  | 'index'
  | 'collation'
  | 'conversion'
  | 'statistics'
  | 'text search configuration'
  | 'text search dictionary'
  | 'text search parser'
  | 'text search template'
  | 'operator'
  | 'operator class'
  | 'operator family'
  | 'cast'
  | 'extension'
  | 'publication'
  | 'large object'
  | 'language'
  | 'server'
  | 'foreign data wrapper'
  | 'event trigger'
  | 'access method'
  /** A part of a relation or a composite type. */
  | 'column'
  /** A part of a relation or a domain that is named together with it: a trigger, a rule, a policy, a constraint. */
  | 'part'
  /** What nothing else names. */
  | 'unnamed'

/** How an object is written. */
type Form = 'qualified' | 'plain' | 'column' | 'part' | 'routine' | 'operator' | 'using' | 'cast' | 'number' | 'none'

const FORMS: Readonly<Record<ObjectClass, Form>> = {
  relation: 'qualified',
  type: 'qualified',
  routine: 'routine',
  schema: 'plain',
  index: 'qualified',
  collation: 'qualified',
  conversion: 'qualified',
  statistics: 'qualified',
  'text search configuration': 'qualified',
  'text search dictionary': 'qualified',
  'text search parser': 'qualified',
  'text search template': 'qualified',
  operator: 'operator',
  'operator class': 'using',
  'operator family': 'using',
  cast: 'cast',
  extension: 'plain',
  publication: 'plain',
  'large object': 'number',
  language: 'plain',
  server: 'plain',
  'foreign data wrapper': 'plain',
  'event trigger': 'plain',
  'access method': 'plain',
  column: 'column',
  part: 'part',
  unnamed: 'none',
}

/** A statement, and where in it to go on. */
export interface Place {
  readonly tokens: readonly Token[]
  /** Key words and plain identifiers in capitals; null for other tokens. */
  readonly words: readonly (string | null)[]
  readonly next: number
}

/** An object that a statement names. Of a part it is the object that the part belongs to. */
export interface Address {
  /** Any of these it may be. */
  readonly classes: readonly ObjectClass[]
  readonly name: ObjectName
  /** What the catalogue finds it by besides its schema: a name, the types of an operator or a cast, the method of a class. */
  readonly parts?: readonly string[]
  /** Where the name ends. */
  readonly next: number
  /** Of a routine, where they are written so that one routine alone is meant. */
  readonly args?: readonly ArgumentType[] | null
}

/** Why a statement is not carried out, and what somebody may do about it. */
export class Refused extends Error {
  readonly fix: string | null

  constructor(why: string, fix: string | null = null) {
    super(why)
    this.fix = fix
  }
}

export function refuse(why: string, fix?: string): never {
  throw new Refused(why, fix)
}

/** The server cuts longer names, and so would mean another object than the file says. */
const MAX_NAME_BYTES = 63
/** Words that stand in the place of a name, and are none. */
const NO_NAMES: readonly string[] = ['ALL', 'ONLY', 'DEFAULT', 'USER', 'CURRENT_SCHEMA', 'NONE']

function partOf(token: Token | undefined): string {
  const name = identifierOf(token) ?? refuse('has a name that cannot be read')
  if (token?.kind === 'word' && NO_NAMES.includes(token.text)) refuse(`has ${token.text} for a name`)
  if (Buffer.byteLength(name) > MAX_NAME_BYTES) refuse(`has a name of more than ${MAX_NAME_BYTES} bytes`)
  return name
}

/** The parts of a name that dots join. */
function readParts({ tokens, next }: Place, most: number): { parts: readonly string[]; next: number } {
  const parts = [partOf(tokens[next])]
  let at = next + 1
  while (parts.length < most && tokens[at]?.text === '.' && tokens[at]?.kind === 'symbol') {
    parts.push(partOf(tokens[at + 1]))
    at += 2
  }
  return { parts, next: at }
}

/** Temporary objects would be there for the import alone, and are in no dump. */
export function assertOrdinary(schema: string): void {
  if (/^pg_(?!catalog$)/.test(schema)) refuse(`speaks of ${schema}, which is the server’s own`)
}

/** @param schema where a name without one is */
function toName(parts: readonly string[], schema: string): ObjectName {
  const [first = '', second] = parts
  if (second !== undefined) assertOrdinary(first)
  return second === undefined ? { schema, name: first } : { schema: first, name: second }
}

/** The table, view, sequence or other object of a schema that is named here. */
export function readName(place: Place, schema: string): { name: ObjectName; next: number } {
  const { parts, next } = readParts(place, 2)
  return { name: toName(parts, schema), next }
}

/**
 * The object that is named at a place.
 * @param schema where a name without one is
 * @throws Refused where the name cannot be read
 */
export function readAddress(object: ObjectClass, place: Place, schema: string): Address {
  const { tokens, words, next } = place
  switch (FORMS[object]) {
    case 'qualified':
      return { classes: [object], ...readName(place, schema) }
    case 'routine': {
      const { name, next: end } = readName(place, schema)
      if (tokens[end]?.text !== '(') return { classes: [object], name, next: end, args: null }
      const close = closing(tokens, end)
      // Where names are looked for in a schema, a type of the server's name may be one of that schema.
      const args = schema === '' ? readArguments(tokens.slice(end + 1, close)) : null
      return { classes: [object], name, next: close + 1, args }
    }
    case 'plain':
      return { classes: [object], name: { schema: '', name: partOf(tokens[next]) }, next: next + 1 }
    case 'column': {
      const { parts, next: end } = readParts(place, 3)
      if (parts.length < 2) refuse('names no column')
      return { classes: ['relation', 'type'], name: toName(parts.slice(0, -1), schema), next: end }
    }
    case 'part': {
      partOf(tokens[next])
      if (words[next + 1] !== 'ON') refuse('does not name what it belongs to')
      const ofDomain = words[next + 2] === 'DOMAIN' && tokens[next + 3]?.text !== '.'
      const owner = readName({ ...place, next: next + (ofDomain ? 3 : 2) }, schema)
      return { classes: [ofDomain ? 'type' : 'relation'], ...owner }
    }
    case 'operator':
      return readOperator(place, schema)
    case 'using': {
      const { name, next: end } = readName(place, schema)
      const using = words.indexOf('USING', end)
      if (using < 0) refuse('names no access method')
      const method = partOf(tokens[using + 1])
      return {
        classes: [object],
        name: { ...name, name: `${name.name} USING ${method}` },
        parts: [name.name, method],
        next: end,
      }
    }
    case 'cast': {
      if (tokens[next]?.text !== '(') refuse('names no types')
      const end = closing(tokens, next)
      const inside = tokens.slice(next + 1, end)
      const as = inside.findIndex(({ kind, text }) => kind === 'word' && text === 'AS')
      const parts = [inside.slice(0, as), inside.slice(as + 1)].map(textOf)
      return { classes: [object], name: { schema: '', name: textOf(inside) }, parts, next: end + 1 }
    }
    case 'number': {
      const id = stringOf(tokens[next]) ?? (tokens[next]?.kind === 'number' ? (tokens[next]?.text ?? '') : '')
      if (!/^[0-9]{1,10}$/.test(id)) refuse('names no large object')
      return { classes: [object], name: { schema: '', name: String(Number(id)) }, next: next + 1 }
    }
    case 'none':
      return { classes: [object], name: { schema: '', name: '' }, next }
  }
}

/** An operator is known by its types too: `(left, right)`, or LEFTARG and RIGHTARG where it is made. */
function readOperator({ tokens, next }: Place, schema: string): Address {
  const isQualified = tokens[next]?.kind !== 'symbol'
  const own = isQualified ? partOf(tokens[next]) : schema
  if (isQualified && tokens[next + 1]?.text !== '.') refuse('has a name that cannot be read')
  const from = isQualified ? next + 2 : next
  const open = tokens.findIndex(({ kind, text }, index) => index >= from && kind === 'symbol' && text === '(')
  if (open <= from || tokens.slice(from, open).some(({ kind }) => kind !== 'symbol')) refuse('names no operator')
  const end = closing(tokens, open)
  const inside = splitAtCommas(tokens.slice(open + 1, end))
  const made = new Map(inside.flatMap(([key, equals, ...value]) => optionOf(key, equals, value)))
  const types = made.size === 0 ? inside.map(textOf) : ['LEFTARG', 'RIGHTARG'].map((key) => made.get(key) ?? 'NONE')
  const symbols = tokens.slice(from, open).map(({ text }) => text)
  return {
    classes: ['operator'],
    name: { schema: own, name: `${symbols.join('')} (${types.join(', ')})` },
    parts: [symbols.join(''), ...types],
    next: end + 1,
  }
}

function optionOf(key: Token | undefined, equals: Token | undefined, value: readonly Token[]): [string, string][] {
  return key?.kind === 'word' && equals?.text === '=' ? [[key.text, textOf(value)]] : []
}

function textOf(tokens: readonly Token[]): string {
  return tokens.map(({ text }) => text).join(' ')
}

/** How many parentheses are open at each token. */
export function depthsOf(tokens: readonly Token[]): readonly number[] {
  let depth = 0
  return tokens.map(({ kind, text }) => {
    if (kind === 'symbol' && text === ')') depth -= 1
    const here = depth
    if (kind === 'symbol' && text === '(') depth += 1
    return here
  })
}

/** Where the parenthesis is closed that is opened at `open`; the end of the statement where it is not. */
export function closing(tokens: readonly Token[], open: number): number {
  let depth = 0
  const end = tokens.findIndex(({ kind, text }, index) => {
    if (index < open || kind !== 'symbol') return false
    if (text === '(') depth += 1
    if (text === ')') depth -= 1
    return depth === 0 && text === ')'
  })
  return end < 0 ? tokens.length : end
}

export function nameText({ schema, name }: ObjectName): string {
  return schema === '' ? name : `${schema}.${name}`
}

function keyOf(object: ObjectClass, { schema, name }: ObjectName): string {
  return JSON.stringify([object, schema, name])
}

/** What somebody may do whose file has what goes by an object, without the object. */
const WHOLE =
  'Make one dump that has all of it: without --section, and with the tables, types and schemas that its statements are about.'

/** What the file has made so far. */
export class MadeObjects {
  /** By key, what its statement calls it: `table`, `view`. */
  readonly #made = new Map<string, string>()
  /** Of routines by their names, what each is called with; null where others of the name may be meant too. */
  readonly #routines = new Map<string, Set<string> | null>()

  add(object: ObjectClass, name: ObjectName, word: string = object): void {
    this.#made.set(keyOf(object, name), word)
  }

  /** A routine is made, or meant by a statement that changes what was made. */
  #tell(name: ObjectName, args: readonly ArgumentType[] | null | undefined, isMade: boolean): void {
    const key = keyOf('routine', name)
    const known = this.#routines.get(key)
    if (known === null) return
    const each = args ? JSON.stringify(args) : null
    if (each === null || (!isMade && known?.has(each) !== true)) this.#routines.set(key, null)
    else this.#routines.set(key, (known ?? new Set()).add(each))
  }

  addRoutine(name: ObjectName, word: string, args: readonly ArgumentType[] | null | undefined): void {
    this.add('routine', name, word)
    this.#tell(name, args, true)
  }

  /** Whether statements of the file are about a routine of this name that it may not have made, if it is there. */
  isBlurred(name: ObjectName): boolean {
    return this.#routines.get(keyOf('routine', name)) === null
  }

  has(object: ObjectClass, name: ObjectName): boolean {
    return this.#made.has(keyOf(object, name))
  }

  /** What made it calls it; undefined where the file has not made it. */
  wordOf(object: ObjectClass, name: ObjectName): string | undefined {
    return this.#made.get(keyOf(object, name))
  }

  /** Every database has the schema `public`: what a dump says of it is part of the dump. @throws Refused */
  assertHas({ classes, name, args }: Pick<Address, 'classes' | 'name' | 'args'>, fix = WHOLE): void {
    if (classes.some((object) => this.has(object, name) || (object === 'schema' && name.name === 'public'))) {
      if (classes.includes('routine')) this.#tell(name, args, false)
      return
    }
    refuse(`changes ${nameText(name)}, which the file does not make`, fix)
  }
}
