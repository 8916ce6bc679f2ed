/** The query grammar of the REST API of the tests: select with aliases and casts, order, limit, and trees of conditions. */
import { quote } from './database.ts'

export interface ApiError {
  readonly status: number
  readonly code: string
  readonly message: string
  readonly details: string | null
  readonly hint: string | null
}

export class BadQuery extends Error {
  readonly said: ApiError

  constructor(said: ApiError) {
    super(said.message)
    this.said = said
  }
}

export function apiError(status: number, code: string, message: string): BadQuery {
  return new BadQuery({ status, code, message, details: null, hint: null })
}

interface Selected {
  readonly name: string
  readonly alias: string | null
  readonly cast: string | null
}

type Condition =
  | { readonly op: 'and' | 'or'; readonly parts: readonly Condition[] }
  | { readonly op: 'eq' | 'neq' | 'gt' | 'gte' | 'lt' | 'lte' | 'is'; readonly name: string; readonly value: string }

export interface Query {
  readonly select: readonly Selected[]
  readonly order: readonly string[]
  readonly limit: number
  readonly conditions: readonly Condition[]
}

const OPERATORS: Readonly<Record<string, string>> = { eq: '=', neq: '<>', gt: '>', gte: '>=', lt: '<', lte: '<=' }

export function parseQuery(parameters: URLSearchParams): Query {
  const conditions: Condition[] = []
  let select: readonly Selected[] = []
  let order: readonly string[] = []
  let limit = Infinity
  for (const [name, value] of parameters) {
    const parser = new Parser(value)
    if (name === 'select') select = parser.list(() => parser.selected())
    else if (name === 'order') order = parser.list(() => parser.ordered())
    else if (name === 'limit') limit = Number(value)
    else if (name === 'and' || name === 'or') conditions.push(parser.tree(name))
    else throw failed(`unknown parameter ${name}`)
    if (name !== 'limit') parser.end()
  }
  return { select, order, limit, conditions }
}

/** The statements of a query: its page, and all rows that it counts. */
export function toSql(query: Query, from: string, maxRows: number): { rows: string; all: string; values: string[] } {
  const values: string[] = []
  const condition = (one: Condition): string => {
    if ('parts' in one) return `(${one.parts.map(condition).join(one.op === 'and' ? ' AND ' : ' OR ')})`
    if (one.op === 'is') {
      if (one.value !== 'null') throw failed(`is.${one.value}`)
      return `t.${quote(one.name)} IS NULL`
    }
    values.push(one.value)
    return `t.${quote(one.name)} ${OPERATORS[one.op]} $${values.length}`
  }
  const where = query.conditions.length === 0 ? '' : `WHERE ${query.conditions.map(condition).join(' AND ')}`
  const columns = query.select.map(({ name, alias, cast }) => {
    const column = `t.${quote(name)}`
    return `${cast === null ? column : `CAST(${column} AS ${cast})`} AS ${quote(alias ?? name)}`
  })
  const order =
    query.order.length === 0 ? '' : `ORDER BY ${query.order.map((name) => `t.${quote(name)} ASC`).join(', ')}`
  const limit = Math.min(query.limit, maxRows)
  const all = `SELECT 1 FROM ${from} t ${where}`
  return {
    all,
    rows: `SELECT ${columns.join(', ') || '*'} FROM ${from} t ${where} ${order} ${limit === Infinity ? '' : `LIMIT ${limit}`}`,
    values,
  }
}

class Parser {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  list<T>(item: () => T): T[] {
    const items = [item()]
    while (this.#take(',')) items.push(item())
    return items
  }

  selected(): Selected {
    const first = this.#name()
    const isAlias = this.#text[this.#at] === ':' && this.#text[this.#at + 1] !== ':'
    if (isAlias) this.#at += 1
    const name = isAlias ? this.#name() : first
    const cast = this.#take('::') ? this.#match(/[a-z0-9_ $]+/iy) : null
    return { name, alias: isAlias ? first : null, cast }
  }

  ordered(): string {
    const name = this.#name()
    this.#must('.asc')
    return name
  }

  tree(op: 'and' | 'or'): Condition {
    this.#must('(')
    const parts = this.list(() => this.#condition())
    this.#must(')')
    return { op, parts }
  }

  #condition(): Condition {
    if (this.#take('and(')) return this.#rest('and')
    if (this.#take('or(')) return this.#rest('or')
    const name = this.#name()
    this.#must('.')
    const op = this.#match(/[a-z]+/y)
    this.#must('.')
    if (op !== 'is' && !Object.hasOwn(OPERATORS, op)) throw failed(`unknown operator ${op}`)
    // Without quotes a value ends at the next comma or parenthesis.
    const value = this.#text[this.#at] === '"' ? this.#quoted() : this.#match(/[^,)]*/y)
    return { op: op as 'eq', name, value }
  }

  #rest(op: 'and' | 'or'): Condition {
    this.#at -= 1
    return this.tree(op)
  }

  #name(): string {
    return this.#text[this.#at] === '"' ? this.#quoted() : this.#match(/[\p{L}\p{N}_ $-]+/uy)
  }

  #quoted(): string {
    const all = this.#match(/"(?:[^"\\]|\\[^])*"/y)
    return all.slice(1, -1).replaceAll(/\\([^])/g, '$1')
  }

  #match(pattern: RegExp): string {
    pattern.lastIndex = this.#at
    const [found] = pattern.exec(this.#text) ?? []
    if (found === undefined) throw failed(`unexpected "${this.#text.slice(this.#at, this.#at + 10)}"`)
    this.#at += found.length
    return found
  }

  #take(word: string): boolean {
    if (!this.#text.startsWith(word, this.#at)) return false
    this.#at += word.length
    return true
  }

  #must(word: string): void {
    if (!this.#take(word)) throw failed(`"${word}" expected at ${this.#at}`)
  }

  end(): void {
    if (this.#at < this.#text.length) throw failed(`unexpected "${this.#text.slice(this.#at)}"`)
  }
}

function failed(details: string): BadQuery {
  return new BadQuery({ status: 400, code: 'PGRST100', message: 'failed to parse', details, hint: null })
}
