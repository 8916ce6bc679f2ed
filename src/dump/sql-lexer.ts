/**
 * Cuts a plain dump into comments, backslash lines, statements and the data of COPY, byte by byte as psql does. Chunks may
 * end anywhere. What is kept is the item in hand, and of the data of COPY no more than the chunk that it came in.
 */
import { AppError } from '#model/errors.ts'
import type { DumpItem } from './dump-item.ts'
import { BYTE, CLASS, isNumber, KIND } from './sql-bytes.ts'

export const DEFAULT_STATEMENT_BYTES = 64 * 1024 * 1024

type State =
  | 'between'
  | 'code'
  | 'string'
  | 'escape string'
  | 'name'
  | 'dollar'
  | 'line comment'
  | 'block comment'
  | 'command'
  | 'before rows'
  | 'rows'

const SETS_STRINGS = /^SET\s+standard_conforming_strings\s*(?:=|\sTO\s)\s*'?(on|off)'?\s*$/i

/** What of a statement decides where it ends. */
interface Statement {
  readonly line: number
  parentheses: number
  blocks: number
  first: string
  previous: string
  copies: boolean
}

export class SqlLexer {
  readonly #maxBytes: number
  #items: DumpItem[] = []
  #chunk: Buffer = Buffer.alloc(0)
  #at = 0
  #final = false
  #state: State = 'between'
  /** Bytes of the item in hand: of earlier chunks, and from where on in this one. */
  #parts: Buffer[] = []
  #partBytes = 0
  #from = -1
  #line = 1
  /** Up to where lines of this chunk are counted. */
  #counted = 0
  #itemLine = 1
  #openLine = 1
  #statement: Statement | null = null
  #tag: Buffer = Buffer.alloc(0)
  #comments = 0
  /** Whether a backslash is just that in a plain string. */
  #standardStrings = true
  /** After an escape string: whether a string that follows would go on with it. */
  #goesOn: 'no' | 'after a line end' | 'yes' = 'no'
  #rows = 0
  #lineStart = true

  constructor(maxBytes = DEFAULT_STATEMENT_BYTES) {
    this.#maxBytes = maxBytes
  }

  /**
   * The items that these bytes complete.
   * @throws AppError `dump_damaged`, `dump_refused`, `dump_too_large`, with the line
   */
  push(bytes: Buffer): readonly DumpItem[] {
    const rest = this.#chunk.subarray(this.#at)
    this.#chunk = rest.length === 0 ? bytes : Buffer.concat([rest, bytes])
    this.#at = 0
    this.#counted = 0
    return this.#run()
  }

  /** The items that the end of the file completes. @throws AppError `dump_damaged` where it ends within something */
  end(): readonly DumpItem[] {
    this.#final = true
    const items = this.#run()
    if (this.#state !== 'between') {
      const line = this.#state === 'code' ? this.#itemLine : this.#openLine
      throw new AppError('dump_damaged', `The file ends within ${this.#what()} that begins on line ${line}.`)
    }
    return items
  }

  #run(): readonly DumpItem[] {
    this.#items = []
    while (this.#at < this.#chunk.length && this.#step()) {
      // Each step goes on from where the last one ended.
    }
    if (this.#final && (this.#state === 'line comment' || this.#state === 'command')) this.#endLine()
    this.#countTo(this.#at)
    if (this.#from >= 0) {
      this.#keep(this.#chunk.subarray(this.#from, this.#at))
      this.#from = 0
    }
    return this.#items
  }

  /** Takes a token or the rest of one; false where more bytes are needed to tell. */
  #step(): boolean {
    switch (this.#state) {
      case 'between':
        return this.#between()
      case 'code':
        return this.#code()
      case 'string':
        return this.#quoted(BYTE.QUOTE)
      case 'name':
        return this.#quoted(BYTE.QUOTE2)
      case 'escape string':
        return this.#escaped()
      case 'dollar':
        return this.#dollarQuoted()
      case 'line comment':
      case 'command':
        return this.#toLineEnd()
      case 'block comment':
        return this.#blockComment()
      case 'before rows':
        return this.#beforeRows()
      case 'rows':
        return this.#copyRows()
    }
  }

  #byte(offset = 0): number {
    return this.#chunk[this.#at + offset] ?? -1
  }

  /** Whether a byte that lies beyond this chunk has to be waited for. */
  #lacks(offset: number): boolean {
    return !this.#final && this.#at + offset >= this.#chunk.length
  }

  #between(): boolean {
    while (CLASS[this.#byte()] === KIND.SPACES) this.#at += 1
    const byte = this.#byte()
    if (byte < 0) return true
    if (byte === BYTE.SEMICOLON) {
      this.#at += 1
      return true
    }
    if ((byte === BYTE.DASH || byte === BYTE.SLASH) && this.#lacks(1)) return false
    this.#countTo(this.#at)
    this.#openLine = this.#line
    if (byte === BYTE.SLASH && this.#byte(1) === BYTE.STAR) return this.#beginBlockComment()
    this.#itemLine = this.#line
    this.#from = this.#at
    if (byte === BYTE.BACKSLASH) this.#state = 'command'
    else if (byte === BYTE.DASH && this.#byte(1) === BYTE.DASH) this.#state = 'line comment'
    else {
      this.#state = 'code'
      const line = this.#line
      this.#statement = { line, parentheses: 0, blocks: 0, first: '', previous: '', copies: false }
      this.#goesOn = 'no'
    }
    return true
  }

  #code(): boolean {
    const byte = this.#byte()
    const kind = CLASS[byte]
    if (kind === KIND.SPACES) return this.#spaces()
    if (byte !== BYTE.QUOTE && byte !== BYTE.DASH) this.#goesOn = 'no'
    if (kind === KIND.LETTER) return this.#word()
    if (kind === KIND.DIGIT) return this.#number()
    if (byte === BYTE.QUOTE) {
      return this.#open(this.#goesOn === 'yes' || !this.#standardStrings ? 'escape string' : 'string', 1)
    }
    if (byte === BYTE.QUOTE2) return this.#open('name', 1)
    if (byte === BYTE.DOLLAR) return this.#dollar()
    if ((byte === BYTE.DASH || byte === BYTE.SLASH) && this.#lacks(1)) return false
    if (byte === BYTE.DASH && this.#byte(1) === BYTE.DASH) return this.#open('line comment', 2)
    this.#goesOn = 'no'
    if (byte === BYTE.SLASH && this.#byte(1) === BYTE.STAR) return this.#beginBlockComment()
    return this.#symbol(byte)
  }

  #spaces(): boolean {
    for (let byte = this.#byte(); CLASS[byte] === KIND.SPACES; byte = this.#byte()) {
      if ((byte === BYTE.LF || byte === BYTE.CR) && this.#goesOn === 'after a line end') this.#goesOn = 'yes'
      this.#at += 1
    }
    return true
  }

  #symbol(byte: number): boolean {
    const statement = this.#inHand()
    if (byte === BYTE.BACKSLASH) this.#refuse('A command of psql stands within a statement')
    this.#at += 1
    if (byte === BYTE.OPEN) statement.parentheses += 1
    else if (byte === BYTE.CLOSE) statement.parentheses -= 1
    else if (byte === BYTE.SEMICOLON && statement.parentheses <= 0 && statement.blocks === 0)
      this.#endStatement(statement)
    statement.previous = ''
    return true
  }

  #word(): boolean {
    let end = this.#at + 1
    while (CLASS[this.#chunk[end] ?? -1] === KIND.LETTER || this.#isInWord(end)) end += 1
    if (end >= this.#chunk.length && !this.#final) return this.#waits(end)
    const word = end - this.#at > MAX_KEY_WORD ? '' : this.#chunk.toString('latin1', this.#at, end).toUpperCase()
    const next = this.#chunk[end] ?? -1
    if (word === 'U' && next === BYTE.AMPERSAND) {
      if (end + 1 >= this.#chunk.length && !this.#final) return false
      const quote = this.#chunk[end + 1]
      if (quote === BYTE.QUOTE) return this.#open('string', end + 2 - this.#at)
      if (quote === BYTE.QUOTE2) return this.#open('name', end + 2 - this.#at)
    }
    if (next === BYTE.QUOTE && word === 'E') return this.#open('escape string', end + 1 - this.#at)
    // Whatever the setting is, a backslash is just that in bits.
    if (next === BYTE.QUOTE && (word === 'B' || word === 'X')) return this.#open('string', end + 1 - this.#at)
    this.#at = end
    this.#noteWord(word)
    return true
  }

  #isInWord(at: number): boolean {
    const byte = this.#chunk[at] ?? -1
    return CLASS[byte] === KIND.DIGIT || byte === BYTE.DOLLAR
  }

  /** A word that is cut by the end of the chunk is read again from its beginning, unless it is longer than any of a dump. */
  #waits(end: number): boolean {
    if (end - this.#at > MAX_WORD) this.#refuse('A name or a number that no dump has stands')
    return false
  }

  #noteWord(word: string): void {
    const statement = this.#inHand()
    if (statement.first === '') statement.first = word
    if (statement.parentheses <= 0) {
      if (word === 'ATOMIC' && statement.previous === 'BEGIN') statement.blocks += 1
      else if (statement.blocks > 0 && word === 'CASE') statement.blocks += 1
      else if (statement.blocks > 0 && word === 'END') statement.blocks -= 1
      if (statement.first === 'COPY' && word === 'STDIN' && statement.previous === 'FROM') statement.copies = true
    }
    statement.previous = word
  }

  #number(): boolean {
    let end = this.#at + 1
    for (let byte = this.#chunk[end] ?? -1; ; byte = this.#chunk[++end] ?? -1) {
      if (CLASS[byte] !== KIND.LETTER && CLASS[byte] !== KIND.DIGIT && byte !== BYTE.DOT) break
    }
    if (end >= this.#chunk.length && !this.#final) return this.#waits(end)
    const text = this.#chunk.toString('latin1', this.#at, end)
    const next = this.#chunk[end] ?? -1
    if (!isNumber(text, next)) this.#refuse('A number with letters at its end stands')
    this.#at = end
    this.#inHand().previous = ''
    return true
  }

  #dollar(): boolean {
    let end = this.#at + 1
    // A parameter of a function.
    while (CLASS[this.#chunk[end] ?? -1] === KIND.DIGIT) end += 1
    if (end > this.#at + 1 && end < this.#chunk.length) {
      this.#at = end
      return true
    }
    if (CLASS[this.#chunk[end] ?? -1] === KIND.LETTER) {
      while (CLASS[this.#chunk[end] ?? -1] === KIND.LETTER || CLASS[this.#chunk[end] ?? -1] === KIND.DIGIT) end += 1
    }
    if (end >= this.#chunk.length && !this.#final) return this.#waits(end)
    if (this.#chunk[end] !== BYTE.DOLLAR) return this.#symbol(BYTE.DOLLAR)
    this.#tag = Buffer.from(this.#chunk.subarray(this.#at, end + 1))
    return this.#open('dollar', this.#tag.length)
  }

  #dollarQuoted(): boolean {
    const close = this.#chunk.indexOf(this.#tag, this.#at)
    if (close >= 0) {
      this.#at = close + this.#tag.length
      this.#state = 'code'
      return true
    }
    this.#at = Math.max(this.#at, this.#chunk.length - this.#tag.length + 1)
    return false
  }

  #open(state: State, bytes: number): boolean {
    this.#countTo(this.#at)
    this.#openLine = this.#line
    this.#at += bytes
    this.#state = state
    if (this.#statement !== null && state !== 'line comment') this.#statement.previous = ''
    return true
  }

  /** To the quote that is not doubled. */
  #quoted(quote: number): boolean {
    const end = this.#chunk.indexOf(quote, this.#at)
    if (end < 0) {
      this.#at = this.#chunk.length
      return false
    }
    this.#at = end
    if (this.#lacks(1)) return false
    if (this.#byte(1) === quote) this.#at += 2
    else {
      this.#at += 1
      this.#state = 'code'
      this.#goesOn = 'no'
    }
    return true
  }

  #escaped(): boolean {
    for (let byte = this.#byte(); byte >= 0; byte = this.#byte()) {
      if (byte === BYTE.BACKSLASH || byte === BYTE.QUOTE) {
        if (this.#lacks(1)) return false
        if (byte === BYTE.QUOTE && this.#byte(1) !== BYTE.QUOTE) {
          this.#at += 1
          this.#state = 'code'
          this.#goesOn = 'after a line end'
          return true
        }
        this.#at += 2
      } else this.#at += 1
    }
    return false
  }

  #beginBlockComment(): boolean {
    this.#comments = 1
    return this.#open('block comment', 2)
  }

  #blockComment(): boolean {
    for (let byte = this.#byte(); byte >= 0; byte = this.#byte()) {
      if (byte !== BYTE.SLASH && byte !== BYTE.STAR) {
        this.#at += 1
        continue
      }
      if (this.#lacks(1)) return false
      const next = this.#byte(1)
      if (byte === BYTE.SLASH && next === BYTE.STAR) this.#comments += 1
      else if (byte === BYTE.STAR && next === BYTE.SLASH) this.#comments -= 1
      else {
        this.#at += 1
        continue
      }
      this.#at += 2
      if (this.#comments > 0) continue
      this.#state = this.#statement === null ? 'between' : 'code'
      return true
    }
    return false
  }

  #toLineEnd(): boolean {
    while (this.#at < this.#chunk.length && this.#byte() !== BYTE.LF && this.#byte() !== BYTE.CR) this.#at += 1
    if (this.#at >= this.#chunk.length) return false
    this.#endLine()
    return true
  }

  #endLine(): void {
    if (this.#statement !== null) {
      this.#state = 'code'
      return
    }
    const kind = this.#state === 'command' ? 'command' : 'comment'
    this.#state = 'between'
    this.#items.push({ kind, text: this.#text(this.#at), line: this.#itemLine })
  }

  #endStatement({ line, copies, first }: Statement): void {
    const text = this.#text(this.#at - 1)
    this.#statement = null
    this.#state = copies ? 'before rows' : 'between'
    const setting = first === 'SET' ? SETS_STRINGS.exec(text)?.[1] : undefined
    if (setting !== undefined) this.#standardStrings = setting.toLowerCase() === 'on'
    this.#items.push({ kind: copies ? 'copy' : 'statement', text, line })
  }

  /** Rows begin on the line after their statement. */
  #beforeRows(): boolean {
    for (let byte = this.#byte(); byte >= 0; byte = this.#byte()) {
      this.#at += 1
      if (byte === BYTE.LF) {
        this.#state = 'rows'
        this.#rows = 0
        this.#lineStart = true
        this.#countTo(this.#at)
        this.#openLine = this.#line
        return true
      }
      if (CLASS[byte] !== KIND.SPACES) this.#refuse('Something else stands behind a COPY')
    }
    return false
  }

  #copyRows(): boolean {
    const start = this.#at
    while (this.#at < this.#chunk.length) {
      if (this.#lineStart && this.#byte() === BYTE.BACKSLASH) {
        const mark = this.#endMark()
        if (mark !== 0) {
          this.#give(start)
          return mark > 0 && this.#endRows(mark)
        }
      }
      const end = this.#chunk.indexOf(BYTE.LF, this.#at)
      this.#lineStart = end >= 0
      if (this.#lineStart) this.#rows += 1
      this.#at = this.#lineStart ? end + 1 : this.#chunk.length
    }
    this.#give(start)
    return false
  }

  /** How many bytes the line `\.` has that stands here; 0: it is another one; -1: more bytes have to tell. */
  #endMark(): number {
    for (const mark of END_MARKS) {
      const here = this.#chunk.subarray(this.#at, this.#at + mark.length)
      if (here.equals(mark)) return mark.length
      if (here.length < mark.length && !this.#final && here.equals(mark.subarray(0, here.length))) return -1
    }
    return 0
  }

  #give(start: number): void {
    if (this.#at > start) this.#items.push({ kind: 'rows', bytes: this.#chunk.subarray(start, this.#at) })
  }

  #endRows(bytes: number): boolean {
    this.#countTo(this.#at)
    this.#items.push({ kind: 'end of rows', rows: this.#rows, line: this.#line })
    this.#at += bytes
    this.#state = 'between'
    return true
  }

  #inHand(): Statement {
    if (this.#statement === null) throw new AppError('internal', 'Code was read outside of a statement.')
    return this.#statement
  }

  #keep(bytes: Buffer): void {
    if (bytes.length > 0) this.#parts.push(bytes)
    this.#partBytes += bytes.length
    if (this.#partBytes > this.#maxBytes) this.#tooLarge()
  }

  #tooLarge(): never {
    throw new AppError(
      'dump_too_large',
      `The statement on line ${this.#itemLine} has more than ${this.#maxBytes} bytes, which is as many as are read at once.`,
    )
  }

  /** The item up to here, which is no longer in hand. */
  #text(end: number): string {
    this.#keep(this.#chunk.subarray(this.#from, end))
    const text = Buffer.concat(this.#parts).toString('utf8')
    this.#parts = []
    this.#partBytes = 0
    this.#from = -1
    return text
  }

  #countTo(end: number): void {
    for (
      let at = this.#chunk.indexOf(BYTE.LF, this.#counted);
      at >= 0 && at < end;
      at = this.#chunk.indexOf(BYTE.LF, at + 1)
    ) {
      this.#line += 1
    }
    this.#counted = Math.max(this.#counted, end)
  }

  #refuse(what: string): never {
    this.#countTo(this.#at)
    throw new AppError('dump_refused', `${what} on line ${this.#line}.`)
  }

  #what(): string {
    if (this.#state === 'rows' || this.#state === 'before rows') return 'the rows of a COPY'
    return this.#state === 'code' ? 'a statement' : `a ${this.#state}`
  }
}

/** Longer than every key word that is looked for. */
const MAX_KEY_WORD = 16
/** A numeric has 147,456 digits at most. */
const MAX_WORD = 256 * 1024

const END_MARKS = [Buffer.from('\\.\n'), Buffer.from('\\.\r\n')]
