import type { Upkeep } from '#adapters/detection-facts.ts'

/**
 * Who gives a column its value, by the texts of its default and of the triggers of its table. Pure. A function that is one
 * assignment after another is read; of any other it is said that what it does cannot be told.
 */

/** A trigger that is fired before each row and is enabled. */
export interface RowTrigger {
  readonly name: string
  readonly insert: boolean
  readonly update: boolean
  /** The condition under which it is fired, as the server writes it; null: always. */
  readonly when: string | null
  /** Only updates that name certain columns fire it. */
  readonly ofColumns: boolean
  /** Fired whatever `session_replication_role` is. */
  readonly inReplication: boolean
  readonly language: string
  readonly body: string
  readonly args: readonly string[]
}

export interface KeptColumn {
  readonly name: string
  /** A time with a time zone; null: no time. */
  readonly zoned: boolean | null
  /** As the server writes it. */
  readonly default: string | null
  /** The sequence of an identity column. */
  readonly identity: string | null
}

/** What a value is made of, and the sequence that it comes from, as the text names it. */
interface Made {
  readonly value: Upkeep['value']
  readonly sequence: string | null
}

/** `Upkeep`, of a sequence by its name: null where the value comes of none. */
export interface KeptBy extends Omit<Upkeep, 'cached'> {
  readonly sequence: string | null
}

/** Triggers are fired in the order of their names, so that the last one that touches the column has its say. */
export function upkeepOf(
  column: KeptColumn,
  triggers: readonly RowTrigger[],
): { readonly onInsert: KeptBy | null; readonly onUpdate: KeptBy | null } {
  const inOrder = triggers.toSorted((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)))
  const after = (event: 'insert' | 'update', before: KeptBy | null): KeptBy | null =>
    inOrder
      .filter((trigger) => trigger[event])
      .reduce((kept, trigger) => byTrigger(trigger, event, column) ?? kept, before)
  return { onInsert: after('insert', byDefault(column)), onUpdate: after('update', null) }
}

function byDefault(column: KeptColumn): KeptBy | null {
  const omitted = { when: 'omitted', inReplication: true } as const
  if (column.identity !== null) {
    return { ...omitted, value: 'sequence', by: 'its identity', sequence: column.identity }
  }
  if (column.default === null) return null
  const made = readExpression(tokensOf(column.default), column)
  return made.value === 'other' ? null : { ...omitted, ...made, by: `default ${column.default}` }
}

/** An update that changes no value may leave the column as it is. */
const ROW_DIFFERS = /^\(*(?:old\.\* IS DISTINCT FROM new|new\.\* IS DISTINCT FROM old)\.\*\)*$/i

function byTrigger(trigger: RowTrigger, event: 'insert' | 'update', column: KeptColumn): KeptBy | null {
  const made = madeBy(trigger, column)
  if (made === null) return null
  const { when, ofColumns, inReplication } = trigger
  const by = { by: `trigger "${trigger.name}"`, inReplication }
  if (made === 'unclear') return { ...by, value: 'other', sequence: null, when: 'perhaps' }
  const narrowed = event === 'update' && ofColumns
  if (when === null && !narrowed) return { ...by, ...made, when: 'always' }
  if (event === 'update' && when !== null && ROW_DIFFERS.test(when) && !narrowed) {
    return { ...by, ...made, when: 'changed' }
  }
  return { ...by, ...made, when: 'perhaps' }
}

/** Null: it leaves the column alone. */
function madeBy({ language, body, args }: RowTrigger, column: KeptColumn): Made | 'unclear' | null {
  const { name, zoned } = column
  if (language === 'c' || language === 'internal') {
    if (!args.includes(name)) return null
    // Of the extension of the same name: it takes the time of the transaction.
    if (body === 'moddatetime' && zoned !== null) return { value: zoned ? 'clock' : 'local clock', sequence: null }
    return 'unclear'
  }
  if (language !== 'plpgsql') return body.includes(name) || args.includes(name) ? 'unclear' : null
  const tokens = tokensOf(body)
  const assigned = readAssignments(tokens)
  if (assigned !== null) {
    const expression = assigned.get(name)
    return expression === undefined ? null : readExpression(expression, column)
  }
  const touched = tokens.some((token, i) => {
    const next = tokens[i + 1]
    const isAssigned = next === ':=' || next === '='
    return (isAssigned && (nameOf(token) === name || token === 'new')) || (token === 'into' && tokens.includes(name))
  })
  return touched ? 'unclear' : null
}

const TOKEN =
  /'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|\/\*[\s\S]*?\*\/|\$\w*\$|[\p{L}_][\p{L}\p{N}_$]*|[\d.]*\d|:=|::|\s+|./gu

/** Words and signs; without comments, and names that need no quotes without them. */
function tokensOf(text: string): string[] {
  return (text.match(TOKEN) ?? []).flatMap((token) => {
    if (/^(?:\s|--|\/\*)/.test(token)) return []
    if (/^"[a-z_][a-z0-9_$]*"$/.test(token)) return [token.slice(1, -1)]
    return [/^["']/.test(token) ? token : token.toLowerCase()]
  })
}

function nameOf(token: string | undefined): string | null {
  if (token === undefined) return null
  return token.startsWith('"') ? token.slice(1, -1).replaceAll('""', '"') : token
}

/**
 * What a trigger's function assigns to the row that it returns, by column; null where the function is more than
 * assignments to the new row or to copies of it, one after the other.
 */
function readAssignments(tokens: readonly string[]): Map<string, string[]> | null {
  const begin = tokens.indexOf('begin')
  if (begin < 0) return null
  const rows = new Map([['new', new Map<string, string[]>()]])
  const statements = split(tokens.slice(begin + 1))
  for (const [i, statement] of statements.entries()) {
    const [first = '', second, third, fourth] = statement
    const row = rows.get(first)
    if (first === 'return') {
      const isLast = statements.slice(i + 1).every((left) => left.length === 0 || left[0] === 'end')
      return isLast && statement.length === 2 ? (rows.get(second ?? '') ?? null) : null
    }
    const isCopy = (second === ':=' || second === '=') && third === 'new' && statement.length === 3
    const column = nameOf(third)
    if (isCopy) rows.set(first, new Map(rows.get('new')))
    else if (row !== undefined && second === '.' && column !== null && (fourth === ':=' || fourth === '=')) {
      row.set(column, statement.slice(4))
    } else return null
  }
  return null
}

function split(tokens: readonly string[]): string[][] {
  const statements: string[][] = [[]]
  for (const token of tokens) {
    if (token === ';') statements.push([])
    else statements.at(-1)?.push(token)
  }
  return statements
}

const NOW = String.raw`(?:(?:now|transaction_timestamp|statement_timestamp|clock_timestamp) \( \)|current_timestamp(?: \( \d \))?)`
const ZONED = String.raw`(?: :: timestamp ?(?:tz|with time zone|\( \d \) with time zone)(?: \( \d \))?)?`
const UTC = String.raw`'(?:utc|gmt|etc/utc)'(?: :: text)?`
const LOCAL = String.raw`current_date|localtimestamp(?: \( \d \))?|${NOW} (?:::|at time zone) .*|timezone \( .* , ${NOW} \)`

const CLOCK_PATTERN = new RegExp(`^${NOW}${ZONED}$`)
const UTC_PATTERN = new RegExp(`^(?:${NOW} at time zone ${UTC}|timezone \\( ${UTC} , ${NOW} \\))$`, 'i')
const LOCAL_PATTERN = new RegExp(`^(?:${LOCAL})$`)
const NEXT_PATTERN = /^nextval \( '((?:[^']|'')*)'(?: :: (?:regclass|text))* \)$/
const TRANSACTION_PATTERN = /^(?:pg_current_xact_id|txid_current) \( \)(?: :: (?:text|int8|bigint|xid8))*$/

function readExpression(tokens: readonly string[], { name, zoned }: KeptColumn): Made {
  const plain = tokens.filter((token, i) => {
    const isOurs = token === 'pg_catalog' && tokens[i + 1] === '.'
    return !isOurs && !(token === '.' && tokens[i - 1] === 'pg_catalog')
  })
  const text = withoutBrackets(plain).join(' ')
  const made = (value: Upkeep['value'], sequence: string | null = null): Made => ({ value, sequence })
  const sequence = NEXT_PATTERN.exec(text)?.[1]
  if (sequence !== undefined) return made('sequence', sequence.replaceAll("''", "'"))
  if (TRANSACTION_PATTERN.test(text)) return made('transaction')
  const counts = plain.some((token, i) => {
    const isOwn = plain[i + 1] === '.' && nameOf(plain[i + 2]) === name
    return isOwn && (token === 'old' || token === 'new')
  })
  if (counts && plain.includes('+')) return made('row counter')
  if (zoned === null) return made('other')
  if (CLOCK_PATTERN.test(text)) return made(zoned ? 'clock' : 'local clock')
  // A time without a zone is the same in every session where its zone is written into it.
  if (UTC_PATTERN.test(text)) return made(zoned ? 'local clock' : 'clock')
  return made(LOCAL_PATTERN.test(text) ? 'local clock' : 'other')
}

function withoutBrackets(tokens: readonly string[]): readonly string[] {
  if (tokens[0] !== '(' || tokens.at(-1) !== ')') return tokens
  let depth = 0
  for (const [i, token] of tokens.entries()) {
    if (token === '(') depth += 1
    if (token === ')') depth -= 1
    if (depth === 0 && i < tokens.length - 1) return tokens
  }
  return withoutBrackets(tokens.slice(1, -1))
}
