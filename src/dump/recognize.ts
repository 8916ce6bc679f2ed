/**
 * Says of each statement of a dump what it does, or why it is refused. Nothing is run that no entry of `STATEMENT_KINDS` names;
 * what a statement changes or says something of must be an object that the dump itself has made (security item S42, hazard D13).
 */
import type { Join } from '#model/dump.ts'
import { Definitions } from './definitions.ts'
import { countRows, isLiteral, skipColumns } from './literal-rows.ts'
import {
  assertOrdinary,
  depthsOf,
  MadeObjects,
  nameText,
  readAddress,
  readName,
  refuse,
  Refused,
  type ObjectName,
  type Place,
} from './named-objects.ts'
import {
  RUN,
  type FileSoFar,
  type Needs,
  type Recognized,
  type RecognizeOptions,
  type Skipped,
  type Statement,
} from './recognized.ts'
import { findOn, readRights } from './rights.ts'
import { identifierOf, MOST_TOKENS, readHead, readTokens, stringOf, tokensIn, type Token } from './sql-tokens.ts'
import { CALLS, matchKind, SETTINGS, type StatementKind } from './statement-kinds.ts'

/** A statement that only what comes later can be right about. */
export interface Unbound {
  readonly line: number
  readonly label: string
  readonly why: string
}

export class Recognizer {
  readonly #file: FileSoFar
  readonly #definitions: Definitions
  /** Views that something was put in the place of, and that are to be made. */
  readonly #expected = new Map<string, { readonly view: ObjectName; readonly line: number; readonly label: string }>()
  /** By name, the statement that switched its triggers off, and whether another one has switched them on again. */
  readonly #silenced = new Map<string, { readonly line: number; readonly label: string; readonly on: boolean }>()
  #line = 0
  #standardStrings = true

  constructor(options: RecognizeOptions) {
    const needs: Needs = { roles: new Set(), extensions: new Set(), languages: new Set(), tablespaces: new Set() }
    const told = { silence: this.#silence.bind(this), expect: this.#expect.bind(this) }
    this.#file = { options, made: new MadeObjects(), needs, joins: [], schema: '', ...told }
    this.#definitions = new Definitions(this.#file)
  }

  get needs(): Needs {
    return this.#file.needs
  }

  /** Whether all routines of this name are meant, because it cannot be told which the file changes. */
  isBlurred(name: ObjectName): boolean {
    return this.#file.made.isBlurred(name)
  }

  get joins(): readonly Join[] {
    return this.#file.joins
  }

  recognize(text: string, { copies, line }: { readonly copies: boolean; readonly line: number }): Recognized {
    this.#line = line
    const tokens = readHead(text, this.#standardStrings)
    const words = tokens.map(({ kind, text: word }) => (kind === 'word' ? word : null))
    if (tokens.length > MOST_TOKENS) {
      const label = labelOf({ tokens, words, next: 0 }, null)
      return this.#asRefusal(label, () =>
        refuse(`has more than ${MOST_TOKENS.toLocaleString('en')} words, which nothing of a dump has`),
      )
    }
    if (copies) return this.#asRefusal('COPY', () => this.#copy({ tokens, words, next: 1, label: 'COPY', text }))
    const matched = matchKind(words, this.#file.options.trusted)
    const label = labelOf({ tokens, words, next: matched?.next ?? 0 }, matched?.kind ?? null)
    return this.#asRefusal(label, () =>
      matched === null
        ? refuse('is no statement of a dump', words[1] === 'DATABASE' ? WITHOUT_CREATE : undefined)
        : this.#matched(matched.kind, { tokens, words, next: matched.next, label, text }),
    )
  }

  /** What is wrong now that the file has come to its end. */
  end(): readonly Unbound[] {
    const open = [...this.#silenced].flatMap(([table, { line, label, on }]) => {
      return on ? [] : [{ line, label, why: `leaves the triggers of ${table} switched off` }]
    })
    const lost = [...this.#expected.values()].filter(({ view }) => !this.#file.made.has('relation', view))
    return [
      ...open,
      ...lost.map(({ line, label }) => ({ line, label, why: 'replaces a view that the file does not make' })),
    ]
  }

  #expect(view: ObjectName, label: string): void {
    this.#expected.set(nameText(view), { view, line: this.#line, label })
  }

  #silence(table: ObjectName, off: boolean, label: string): void {
    const name = nameText(table)
    const first = this.#silenced.get(name) ?? { line: this.#line, label, on: true }
    this.#silenced.set(name, { ...first, on: !off })
  }

  #asRefusal(label: string, body: () => Recognized): Recognized {
    try {
      return body()
    } catch (error) {
      if (error instanceof Refused) return { does: 'refused', label, why: error.message, fix: error.fix }
      throw error
    }
  }

  #matched(kind: StatementKind, at: Statement): Recognized {
    const { tokens, label } = at
    if (hasBorder(tokens)) refuse('holds more than one statement')
    switch (kind.effect) {
      case 'create':
        return this.#definitions.create(kind, at)
      case 'belongs':
        return this.#definitions.belongs(kind, at)
      case 'alter':
        return this.#definitions.alter(kind, at)
      case 'grant':
        return this.#grant(at)
      case 'skip':
        return { does: 'skip', label, because: skipOf(at) }
      case 'set':
        return this.#set(at)
      case 'call':
        return this.#call(at)
      case 'insert':
        return this.#insert(at)
    }
  }

  #grant(at: Statement): Recognized {
    const { label } = at
    const { trusted, grants } = this.#file.options
    const on = findOn(at, trusted)
    if (!grants) return { does: 'skip', label, because: 'grant' }
    const { roles, about } = readRights(at, on, { made: this.#file.made, schema: this.#file.schema, trusted })
    for (const role of roles) this.#file.needs.roles.add(role)
    return { ...RUN, label, about }
  }

  #set({ tokens, words, label, text }: Statement): Recognized {
    if (words[1] === 'SESSION' && words[2] === 'AUTHORIZATION') return this.#sessionUser({ tokens, words, label })
    const name = identifierOf(tokens[1])
    const isReset = words[0] === 'RESET' && name !== undefined && tokens.length === 2
    if (isReset && Object.hasOwn(SETTINGS, name) && !MEANING.includes(name)) {
      return { does: 'set', label, name, value: '', sql: `SET LOCAL ${name} TO DEFAULT` }
    }
    const pattern = name === undefined || !Object.hasOwn(SETTINGS, name) ? undefined : SETTINGS[name]
    const assigns = tokens[2]?.text === '=' || words[2] === 'TO'
    const values = tokens.slice(3)
    const value = values.map((token) => token.text).join(' ')
    if (words[0] !== 'SET' || name === undefined || pattern === undefined || !assigns || !pattern.test(value)) {
      refuse('sets what a dump does not need')
    }
    const own = value.replaceAll("'", '')
    const sql = `SET LOCAL ${text.slice(tokens[1]?.start ?? 0)}`
    if (name === 'client_encoding' && !/^utf-?8$/i.test(own)) return { does: 'set', label, name, value: own, sql }
    if (name === 'standard_conforming_strings') this.#standardStrings = own.toLowerCase() === 'on'
    if (name === 'search_path') this.#lookIn(values)
    if (name === 'default_tablespace') {
      const tablespace = stringOf(values[0]) ?? identifierOf(values[0]) ?? ''
      if (tablespace !== '') this.#file.needs.tablespaces.add(tablespace)
    }
    return { does: 'set', label, name, value: own, sql }
  }

  /** Whoever had given some of the rights is nobody to go on as: the login gives them. */
  #sessionUser({ tokens, words, label }: Pick<Statement, 'tokens' | 'words' | 'label'>): Recognized {
    const { owners, grants } = this.#file.options
    const isBack = words[0] === 'RESET' || words[3] === 'DEFAULT'
    const isWhole = tokens.length === (words[0] === 'RESET' ? 3 : 4)
    if (!isWhole || (!isBack && (identifierOf(tokens[3]) ?? stringOf(tokens[3])) === undefined)) {
      refuse('sets what a dump does not need')
    }
    return { does: 'skip', label, because: isBack || !(owners || grants) ? 'transaction' : 'session user' }
  }

  /**
   * From now on names without a schema are in the one that is given; of several, which one has a name is the server's to know.
   */
  #lookIn(path: readonly Token[]): void {
    const names = path.flatMap((token, index) => {
      if (index % 2 === 1) return token.text === ',' ? [] : refuse('has a path that cannot be read')
      if (token.kind === 'word' && token.text === 'DEFAULT') refuse('has a path that cannot be read')
      return [stringOf(token, this.#standardStrings) ?? identifierOf(token) ?? refuse('has a path that cannot be read')]
    })
    const schemas = names.filter((name) => name !== '' && name !== 'pg_catalog')
    for (const schema of schemas) assertOrdinary(schema)
    if (schemas.length > 1 || schemas.includes('$user')) refuse('looks for names in several schemas')
    this.#file.schema = schemas[0] ?? ''
  }

  #call(at: Statement): Recognized {
    const { tokens, words, label } = at
    const [, schema, dot, name, open] = tokens
    if (words[1] === null && tokens[1]?.text === '*' && words[2] === 'FROM') {
      const statistics = /^pg_restore_(relation|attribute|extended)_stats$/.test(identifierOf(tokens[5]) ?? '')
      if (identifierOf(tokens[3]) === 'pg_catalog' && statistics) return { does: 'skip', label, because: 'statistics' }
    }
    if (unlinks(at)) return { does: 'skip', label, because: 'drop' }
    const called = identifierOf(name) ?? ''
    if (identifierOf(schema) !== 'pg_catalog' || dot?.text !== '.' || open?.text !== '(' || !CALLS.includes(called)) {
      refuse('runs a query')
    }
    const close = tokens.length - 1
    const values = tokens
      .slice(5, close)
      .filter((token, index, all) => token.text !== '-' || all[index + 1]?.kind !== 'number')
    const plain = values.every((token, index) => (index % 2 === 0 ? isLiteral(token) : token.text === ','))
    if (tokens[close]?.text !== ')' || !plain) refuse(`calls ${called} with what is not a value`)
    if (called === 'set_config') return this.#searchPath(label, values)
    const run = { ...RUN, label: `SELECT pg_catalog.${called}` }
    if (called === 'setval') return { ...run, moves: this.#sequenceOf(values[0]) }
    if (called === 'lowrite' || called === 'lo_close') return run
    const { name: largeObject } = readAddress('large object', { ...at, next: 5 }, '')
    if (called === 'lo_open') {
      this.#file.made.assertHas({ classes: ['large object'], name: largeObject })
      return run
    }
    this.#file.made.add('large object', largeObject)
    return { ...run, largeObject: largeObject.name }
  }

  /** The sequence that a text names, if others have made it. */
  #sequenceOf(token: Token | undefined): ObjectName | null {
    const text = stringOf(token, this.#standardStrings) ?? refuse('names its sequence by what cannot be read')
    const tokens = readTokens(text, true)
    const words = tokens.map(({ kind, text: word }) => (kind === 'word' ? word : null))
    const { name, next } = readName({ tokens, words, next: 0 }, this.#file.schema)
    if (next !== tokens.length) refuse('names its sequence by what cannot be read')
    return this.#file.made.has('relation', name) ? null : name
  }

  #searchPath(label: string, [setting, , path]: readonly Token[]): Recognized {
    if (stringOf(setting) !== 'search_path') refuse('sets what a dump does not need')
    const value = stringOf(path, this.#standardStrings) ?? refuse('sets what a dump does not need')
    this.#lookIn(readTokens(value, true))
    const sql = `SELECT pg_catalog.set_config('search_path', ${path?.text ?? ''}, true)`
    return { does: 'set', label, name: 'search_path', value, sql }
  }

  #copy(at: Statement): Recognized {
    const { tokens, words } = at
    const { name: table, next } = readName(at, this.#file.schema)
    const end = skipColumns(tokens, next)
    if (words[end] !== 'FROM' || words[end + 1] !== 'STDIN' || tokens.length !== end + 2) {
      refuse('is not the plain text format')
    }
    this.#fill(table)
    return { does: 'load', label: `COPY ${nameText(table)}`, table }
  }

  #insert(at: Statement): Recognized {
    const { tokens, words, text } = at
    const { name: table, next } = readName(at, this.#file.schema)
    this.#fill(table)
    const label = `INSERT INTO ${nameText(table)}`
    let place = skipColumns(tokens, next)
    if (words[place] === 'OVERRIDING') place += 3
    const isDefault = words[place] === 'DEFAULT'
    if (isDefault) place += 1
    const last = tokens[place]
    if (words[place] !== 'VALUES' || last === undefined) refuse('inserts what is not written in the file')
    const rest = tokensIn(text, this.#standardStrings, last.start + last.text.length)
    if (isDefault) {
      if (rest.next().done !== true) refuse('inserts what is not a value')
      return { does: 'insert', label, table, rows: 1, skips: false }
    }
    const { rows, behind } = countRows(rest)
    const skips = behind.map(({ kind, text: word }) => (kind === 'word' ? word : '')).join(' ')
    if (behind.length > 0 && skips !== 'ON CONFLICT DO NOTHING') refuse('inserts what is not a value')
    return { does: 'insert', label, table, rows, skips: behind.length > 0 }
  }

  /** A view would bring rows into what it looks at. */
  #fill(table: ObjectName): void {
    const word = this.#file.made.wordOf('relation', table)
    if (word !== undefined && !word.endsWith('table')) refuse(`brings rows into a ${word}`)
  }
}

/** By these names and texts are read: what they would be without a SET, the server alone knows. */
const MEANING: readonly string[] = ['standard_conforming_strings', 'search_path', 'client_encoding']
const WITHOUT_CREATE = 'Make the dump without --create.'

/** As `pg_dump --clean` removes large objects. */
function unlinks({ tokens }: Place): boolean {
  const names = tokens.map((token) => identifierOf(token) ?? token.text)
  const call = ['pg_catalog', '.', 'lo_unlink', '(']
  const plain = call.every((word, index) => names[1 + index] === word) && tokens.length === 7
  const clean =
    /^select case when exists \( select 1 from pg_catalog \. pg_largeobject_metadata where oid = '\d+' \) then pg_catalog \. lo_unlink \( '\d+' \) end$/
  return (plain && isLiteral(tokens[5]) && names[6] === ')') || clean.test(names.join(' '))
}

/** What a statement is called: its key words, and the name of its object. */
function labelOf({ tokens, words, next }: Place, kind: StatementKind | null): string {
  const named = kind !== null && kind.effect !== 'set' && kind.effect !== 'call'
  const end = words.indexOf(null)
  const keys = words.slice(0, named ? next : Math.min(2, end < 0 ? words.length : end)).join(' ')
  if (!named) return keys
  const first = identifierOf(tokens[next]) ?? ''
  const second = tokens[next + 1]?.text === '.' ? identifierOf(tokens[next + 2]) : undefined
  return `${keys} ${second === undefined ? first : `${first}.${second}`}`.trim().slice(0, MAX_LABEL)
}

const MAX_LABEL = 160

/** Whether a `;` stands in it that is not in a body of SQL: such a statement would be several. */
function hasBorder(tokens: readonly Token[]): boolean {
  const border = tokens.findIndex(({ kind, text }) => kind === 'symbol' && text === ';')
  if (border < 0) return false
  const atomic = tokens.findIndex(
    ({ kind, text }, index) => kind === 'word' && text === 'ATOMIC' && tokens[index - 1]?.text === 'BEGIN',
  )
  const isRule = tokens.slice(0, 4).some(({ kind, text }) => kind === 'word' && text === 'RULE')
  const inParentheses = (depthsOf(tokens)[border] ?? 0) > 0
  return !(atomic >= 0 && atomic < border) && !(isRule && inParentheses)
}

function skipOf({ words, tokens, next }: Place): Skipped {
  if (words[0] === 'DROP') return 'drop'
  if (words[0] === 'SECURITY') return 'security label'
  if (tokens.length !== next && words[next] !== 'TRANSACTION') refuse('does more than to begin or to end')
  return 'transaction'
}
