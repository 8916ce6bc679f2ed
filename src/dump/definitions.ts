/** What statements make, and change in what the file has made. */
import {
  depthsOf,
  nameText,
  readAddress,
  readName,
  refuse,
  type Address,
  type ObjectName,
  type Place,
  type PlannedClass,
} from './named-objects.ts'
import {
  keptExtension,
  keptOther,
  keptSchemas,
  otherOf,
  RUN,
  type FileSoFar,
  type Recognized,
  type Statement,
} from './recognized.ts'
import { rolesFrom } from './rights.ts'
import { identifierOf, stringOf, type Token } from './sql-tokens.ts'
import { OWN_LANGUAGES, REACHING_EXTENSIONS, UNTRUSTED_LANGUAGES, type StatementKind } from './statement-kinds.ts'

export class Definitions {
  readonly #file: FileSoFar

  constructor(file: FileSoFar) {
    this.#file = file
  }

  create(kind: StatementKind, at: Statement): Recognized {
    const { words, label } = at
    refuseIfNotExists(at)
    const address = readAddress(kind.object, at, this.#file.schema)
    const { name, next, args } = address
    if (kind.object === 'relation' && words[1] === 'OR' && !this.#file.made.has('relation', name)) {
      this.#file.expect(name, label)
      return { does: 'skip', label, because: 'drop' }
    }
    switch (kind.object) {
      case 'relation':
        this.#relation(name, { ...at, next })
        break
      case 'type':
        this.#type({ ...at, next })
        break
      case 'routine':
        if (!words.slice(0, at.next).includes('AGGREGATE')) this.#routine({ ...at, next })
        break
      case 'extension':
        this.#extension(name.name, { ...at, next })
        break
      case 'cast':
        this.#cast(at)
        break
      case 'publication':
        if (words[next] === 'FOR' && !this.#file.options.trusted) refuse('is about tables by more than their names')
        break
      case 'schema':
        if (next !== at.tokens.length) refuse('makes more than a schema')
        this.#file.made.add('schema', name)
        if (name.name === 'public') return { does: 'skip', label, because: 'public schema' }
        break
      default:
    }
    const word = wordOf(words.slice(0, at.next))
    if (kind.object === 'routine') this.#file.made.addRoutine(name, word, args)
    else this.#file.made.add(kind.object, name, word)
    const asOwner = kind.object === 'routine' && isSecurityDefiner({ ...at, next })
    const object = PLANNED.find((one) => one === kind.object)
    const makes = object === undefined ? null : { ...name, object, word, asOwner, args: args ?? undefined }
    const other = otherOf(address)
    return {
      ...RUN,
      label,
      makes,
      other,
      about: kind.object === 'schema' ? keptSchemas([name.name]) : keptOther(other),
    }
  }

  /** A table that has part in another one would bring rows into it. */
  #relation(name: ObjectName, at: Place): void {
    const { tokens, words, next } = at
    const depths = depthsOf(tokens)
    checkRows(words, depths, next)
    if (words[next] === 'PARTITION' && words[next + 1] === 'OF') this.#assertParent(name, { ...at, next: next + 2 })
    const inherits = words.findIndex((word, index) => index >= next && word === 'INHERITS' && depths[index] === 0)
    if (inherits >= 0 && tokens[inherits + 1]?.text === '(') {
      let parent = inherits + 1
      do parent = this.#assertParent(name, { ...at, next: parent + 1 })
      while (tokens[parent]?.text === ',')
    }
    this.#ownedBy(at)
  }

  #ownedBy(at: Place): void {
    const owned = at.words.findIndex((word, index) => word === 'OWNED' && at.words[index + 1] === 'BY')
    if (owned < at.next || at.words[owned + 2] === 'NONE') return
    this.#file.made.assertHas(readAddress('column', { ...at, next: owned + 2 }, this.#file.schema))
  }

  #type({ tokens, words, next }: Place): void {
    // A base type is made of functions in C.
    const isBase = words[1] === 'TYPE' && words[next] !== 'AS' && tokens[next]?.text === '('
    if (isBase && !this.#file.options.trusted) refuse('makes a base type, whose functions are code of the server')
  }

  #extension(name: string, { words, next }: Place): void {
    if (!this.#file.options.trusted && REACHING_EXTENSIONS.some((pattern) => pattern.test(name))) {
      refuse(`${name} reaches beyond the database`)
    }
    if (words.includes('CASCADE', next)) refuse('makes other extensions too')
    this.#file.needs.extensions.add(name)
  }

  #cast({ tokens, words, next }: Place): void {
    const as = words.indexOf('AS', next)
    const isOwn = [next + 1, as + 1].some((at) => {
      if (identifierOf(tokens[at]) === undefined) return false
      const { name } = readName({ tokens, words, next: at }, this.#file.schema)
      return this.#file.made.has('type', name) || this.#file.made.has('relation', name)
    })
    if (!isOwn && !this.#file.options.trusted) refuse('converts between types that the file does not make')
  }

  #routine({ tokens, words, next }: Place): void {
    const depths = depthsOf(tokens)
    const languages = words.flatMap((word, index) =>
      index >= next && word === 'LANGUAGE' && depths[index] === 0 ? [languageOf(tokens[index + 1])] : [],
    )
    if (languages.length > 1) refuse('names several languages')
    const [language = 'sql'] = languages
    if (!this.#file.options.trusted && UNTRUSTED_LANGUAGES.some((pattern) => pattern.test(language))) {
      refuse(`is written in ${language}, which may do on the machine whatever the server may`)
    }
    if (!OWN_LANGUAGES.includes(language) && !this.#file.options.trusted) this.#file.needs.languages.add(language)
  }

  belongs({ behind }: StatementKind, at: Statement): Recognized {
    const { tokens, words, label, next } = at
    refuseIfNotExists(at)
    if (words[next] === 'CONCURRENTLY') refuse('cannot be undone with the rest')
    const depths = depthsOf(tokens)
    const behindWord = words.findIndex((word, index) => index >= next && word === behind && depths[index] === 0)
    if (behindWord < 0) refuse('names no table')
    const only = words[behindWord + 1] === 'ONLY' ? 1 : 0
    const table = readAddress('relation', { ...at, next: behindWord + 1 + only }, this.#file.schema)
    this.#file.made.assertHas(table)
    const isNamed = behindWord > next
    if (isNamed && words.slice(0, next).includes('INDEX')) {
      this.#file.made.add('index', { ...table.name, name: readName(at, '').name.name })
    }
    if (words[1] === 'POLICY') this.#needPolicyRoles({ ...at, next: table.next })
    if (isNamed && words[1] === 'STATISTICS') this.#file.made.add('statistics', readName(at, this.#file.schema).name)
    return { ...RUN, label }
  }

  alter(kind: StatementKind, at: Statement): Recognized {
    const { tokens, words, label } = at
    if (words[0] === 'COMMENT') return this.#comment(kind, at)
    const address = readAddress(kind.object, at, this.#file.schema)
    const { next } = address
    const isMade = address.classes.some((object) => this.#file.made.has(object, address.name))
    // As pg_dump --clean begins: what is replaced is dropped by the import.
    const drops = words[next] === 'DROP' || (words[next] === 'ALTER' && words.slice(next).includes('DROP'))
    if (drops && !isMade) return { does: 'skip', label, because: 'drop' }
    const isTriggers = (words[next] === 'DISABLE' || words[next] === 'ENABLE') && words[next + 1] === 'TRIGGER'
    if (kind.object === 'relation' && isTriggers && !isMade) return this.#triggers(address, at)
    if (isMade || !this.#takesIn(address, at)) this.#file.made.assertHas(address)
    const owner = words.findIndex((word, index) => index >= next && word === 'OWNER' && words[index + 1] === 'TO')
    if (owner >= 0) {
      const isAlone = (owner === next || words[next] === 'USING') && tokens.length === owner + 3
      if (!isAlone) refuse('does more than to name an owner')
      if (!this.#file.options.owners) return { does: 'skip', label, because: 'owner' }
      this.#needRole(tokens[owner + 2])
    }
    if (words[next] === 'RENAME' || (words[next] === 'SET' && words[next + 1] === 'SCHEMA')) refuse('moves an object')
    if (kind.object === 'relation') this.#changeRelation(address.name, { ...at, next })
    if (kind.object === 'index') this.#attach('index', { ...at, next })
    if (kind.object === 'publication') this.#publish({ ...at, next })
    const about = kind.object === 'schema' ? keptSchemas([address.name.name]) : keptOther(otherOf(address))
    return { ...RUN, label, about }
  }

  #comment(kind: StatementKind, at: Statement): Recognized {
    const { label } = at
    const address = readAddress(kind.object, at, this.#file.schema)
    this.#file.made.assertHas(address)
    const [object] = address.classes
    if (object === 'schema') return { ...RUN, label, about: keptSchemas([address.name.name]) }
    const about = object === 'extension' ? keptExtension(address.name.name) : keptOther(otherOf(address))
    return { ...RUN, label, about }
  }

  /** What an ALTER of a relation takes in besides must be the file's own too, and what it makes is. */
  #changeRelation(name: ObjectName, at: Place): void {
    const { words } = at
    for (const next of clausesOf(at)) {
      this.#attach('relation', { ...at, next })
      if (words[next] === 'INHERIT') this.#assertParent(name, { ...at, next: next + 1 })
      if (words[next] === 'ADD' && words[next + 1] === 'CONSTRAINT' && INDEXED.includes(words[next + 3] ?? '')) {
        this.#file.made.add('index', { ...name, name: readName({ ...at, next: next + 2 }, '').name.name })
      }
    }
    this.#ownedBy(at)
    const sequence = words.findIndex((word, index) => word === 'SEQUENCE' && words[index + 1] === 'NAME')
    if (sequence < 0) return
    this.#file.made.add('relation', readName({ ...at, next: sequence + 2 }, this.#file.schema).name, 'sequence')
  }

  #attach(object: 'relation' | 'index', at: Place): void {
    const { words, next } = at
    if (words[next] !== 'ATTACH' || words[next + 1] !== 'PARTITION') return
    this.#file.made.assertHas(readAddress(object, { ...at, next: next + 2 }, this.#file.schema))
  }

  #publish(at: Place): void {
    const { tokens, words, next } = at
    if (words[next] === 'OWNER') return
    const list = words.slice(next, next + 4).join(' ')
    if (list.startsWith('ADD TABLES IN SCHEMA')) {
      this.#file.made.assertHas(readAddress('schema', { ...at, next: next + 4 }, this.#file.schema))
      if (tokens.length !== next + 5) refuse('names more than one schema')
      return
    }
    if (!list.startsWith('ADD TABLE ')) refuse('is about tables by more than their names')
    const only = words[next + 2] === 'ONLY' ? 1 : 0
    const end = this.#assertRelation({ ...at, next: next + 2 + only })
    const depths = depthsOf(tokens)
    const more = tokens.some(({ text }, index) => index >= end && text === ',' && depths[index] === 0)
    if (more) refuse('names more than one table')
  }

  /** A dump of rows alone may keep triggers quiet while it fills a table. */
  #triggers({ name, next }: Address, { tokens, words, label }: Statement): Recognized {
    if (words[next + 2] !== 'ALL' || tokens.length !== next + 3)
      refuse(`changes ${nameText(name)}, which the file does not make`)
    this.#file.silence(name, words[next] === 'DISABLE', label)
    return { ...RUN, label, silences: name }
  }

  /** For whom a policy is: without a word of it, for all. */
  #needPolicyRoles(at: Statement): void {
    const { words, next } = at
    const depths = depthsOf(at.tokens)
    const to = words.findIndex(
      (word, index) => index >= next && depths[index] === 0 && (word === 'TO' || word === 'USING'),
    )
    if (words[to] !== 'TO') return
    for (const role of rolesFrom(at, to + 1)) this.#file.needs.roles.add(role)
  }

  #needRole(token: Token | undefined): void {
    const role = identifierOf(token) ?? refuse('names no role')
    if (token?.kind !== 'word' || !NO_OWNERS.includes(token.text)) this.#file.needs.roles.add(role)
  }

  /** A table of the file becomes a part of one that others have made: rows of the file are rows of that one then. */
  #takesIn({ classes, name, next }: Address, at: Statement): boolean {
    const attaches = at.words[next] === 'ATTACH' && at.words[next + 1] === 'PARTITION'
    if (!attaches || !this.#file.options.trusted) return false
    const { name: table } = readName({ ...at, next: next + 2 }, this.#file.schema)
    if (classes.includes('relation')) this.#file.joins.push({ table, parent: name })
    return true
  }

  /** Where the name ends of a table that a table of the file has part in. */
  #assertParent(table: ObjectName, at: Place): number {
    const parent = readName(at, this.#file.schema)
    if (!this.#file.options.trusted || this.#file.made.has('relation', parent.name)) return this.#assertRelation(at)
    this.#file.joins.push({ table, parent: parent.name })
    return parent.next
  }

  /** Where the name ends of a relation that the file has made. */
  #assertRelation(at: Place): number {
    const address = readAddress('relation', at, this.#file.schema)
    this.#file.made.assertHas(address)
    return address.next
  }
}

const PLANNED: readonly PlannedClass[] = ['relation', 'type', 'routine', 'schema']
const NO_OWNERS: readonly string[] = ['CURRENT_USER', 'CURRENT_ROLE', 'SESSION_USER']
/** Constraints that have an index of their name. */
const INDEXED: readonly string[] = ['PRIMARY', 'UNIQUE', 'EXCLUDE']

/** Where the clauses of an ALTER begin, which commas part. */
function clausesOf({ tokens, next }: Place): readonly number[] {
  const depths = depthsOf(tokens)
  const commas = tokens.flatMap(({ kind, text }, index) =>
    index >= next && kind === 'symbol' && text === ',' && depths[index] === 0 ? [index + 1] : [],
  )
  return [next, ...commas]
}

function refuseIfNotExists({ words, next }: Place): void {
  const condition = words.slice(next, next + 3).join(' ')
  if (condition === 'IF NOT EXISTS') refuse('makes something only where it is not there')
}

function isSecurityDefiner({ tokens, words, next }: Place): boolean {
  const depths = depthsOf(tokens)
  return words.some(
    (word, index) => index >= next && word === 'SECURITY' && words[index + 1] === 'DEFINER' && depths[index] === 0,
  )
}

/** What the key words of CREATE call it. */
function wordOf(words: readonly (string | null)[]): string {
  const keys = words.filter((word) => word !== null && !MODIFIERS.includes(word))
  return keys.join(' ').toLowerCase()
}

const MODIFIERS: readonly string[] = ['CREATE', 'OR', 'REPLACE', 'IF', 'NOT', 'EXISTS', 'UNLOGGED']

function languageOf(token: Token | undefined): string {
  return identifierOf(token) ?? stringOf(token) ?? refuse('names no language')
}

/** A table or view whose rows would be those of a query that runs now. */
function checkRows(words: readonly (string | null)[], depths: readonly number[], next: number): void {
  const as = words.findIndex((word, index) => index >= next && word === 'AS' && depths[index] === 0)
  if (words.includes('TABLE') && words.indexOf('TABLE') < next && as >= 0) refuse('runs a query')
  if (words[1] === 'MATERIALIZED' && words.slice(-3).join(' ') !== 'WITH NO DATA') refuse('runs a query')
}
