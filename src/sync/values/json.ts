/**
 * JSON without loss: a number keeps its digits, an object the order of its keys and any key. Read with a bound on its
 * depth and without a stack as long as its texts; written as PostgreSQL writes jsonb, or as it came.
 */
export type Json = null | boolean | string | JsonNumber | readonly Json[] | JsonObject

export type JsonObject = ReadonlyMap<string, Json>

/** A number by its text, which JSON must allow. */
export class JsonNumber {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

/** What is wrong with JSON: no JSON at all, too deep, a key twice; a number or a text that jsonb cannot hold. */
export type JsonFault = 'broken' | 'deep' | 'repeated key' | 'number' | 'NUL' | 'half a character'

/** Throws the caller's own error. */
type Refuse = (fault: JsonFault) => never

export interface JsonRules {
  /** Levels that are read. */
  readonly deepest: number
  /** What becomes of a key that an object has twice: the last stands, as in jsonb, or it is refused, as a value is lost. */
  readonly repeatedKey: 'last' | 'refused'
  /** Whether what jsonb cannot hold is refused, also where a later value of the key takes its place. */
  readonly binary: boolean
  readonly refuse: Refuse
}

export function isObject(value: Json): value is JsonObject {
  return value instanceof Map
}

export function isArray(value: Json): value is readonly Json[] {
  return Array.isArray(value)
}

export function readJson(text: string, rules: JsonRules): Json {
  return new Reader(text, rules).whole()
}

// A piece of a string at a time: one pattern for all of it would need a stack as long as the string.
// oxlint-disable-next-line no-control-regex -- JSON forbids them inside strings
const PLAIN = /[^"\\\u0000-\u001f]{1,4096}/y
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y

class Reader {
  readonly #text: string
  readonly #rules: JsonRules
  #at = 0

  constructor(text: string, rules: JsonRules) {
    this.#text = text
    this.#rules = rules
  }

  whole(): Json {
    const value = this.#value(0)
    this.#space()
    return this.#at === this.#text.length ? value : this.#broken()
  }

  #value(depth: number): Json {
    if (depth > this.#rules.deepest) return this.#rules.refuse('deep')
    this.#space()
    switch (this.#text[this.#at]) {
      case '{':
        return this.#object(depth)
      case '[':
        return this.#array(depth)
      case '"':
        return this.#string()
      case 't':
        return this.#word('true', true)
      case 'f':
        return this.#word('false', false)
      case 'n':
        return this.#word('null', null)
      default:
        return this.#number()
    }
  }

  #object(depth: number): JsonObject {
    const members = new Map<string, Json>()
    this.#at += 1
    if (this.#takes('}')) return members
    do {
      this.#space()
      const key = this.#string()
      if (this.#rules.repeatedKey === 'refused' && members.has(key)) return this.#rules.refuse('repeated key')
      if (!this.#takes(':')) return this.#broken()
      members.set(key, this.#value(depth + 1))
    } while (this.#takes(','))
    return this.#takes('}') ? members : this.#broken()
  }

  #array(depth: number): Json[] {
    const elements: Json[] = []
    this.#at += 1
    if (this.#takes(']')) return elements
    do elements.push(this.#value(depth + 1))
    while (this.#takes(','))
    return this.#takes(']') ? elements : this.#broken()
  }

  #string(): string {
    const start = this.#at
    if (this.#text[start] !== '"') return this.#broken()
    this.#at += 1
    let escapes = false
    for (;;) {
      if (this.#passes(PLAIN)) continue
      if (!this.#passes(ESCAPE)) break
      escapes = true
    }
    if (this.#text[this.#at] !== '"') return this.#broken()
    this.#at += 1
    if (!escapes) return this.#checked(this.#text.slice(start + 1, this.#at - 1))
    return this.#checked(JSON.parse(this.#text.slice(start, this.#at)) as string)
  }

  #checked(text: string): string {
    if (this.#rules.binary) checkText(text, this.#rules.refuse)
    return text
  }

  #number(): JsonNumber {
    const start = this.#at
    if (this.#text[this.#at] === '-') this.#at += 1
    if (this.#text[this.#at] === '0') this.#at += 1
    else this.#digits()
    if (this.#text[this.#at] === '.') {
      this.#at += 1
      this.#digits()
    }
    if (this.#text[this.#at] === 'e' || this.#text[this.#at] === 'E') {
      this.#at += 1
      if (this.#text[this.#at] === '+' || this.#text[this.#at] === '-') this.#at += 1
      this.#digits()
    }
    const text = this.#text.slice(start, this.#at)
    return new JsonNumber(this.#rules.binary ? jsonbDigits(text, this.#rules.refuse) : text)
  }

  /** One digit or more. */
  #digits(): void {
    const start = this.#at
    while (isDigit(this.#text.charCodeAt(this.#at))) this.#at += 1
    if (this.#at === start) this.#broken()
  }

  #word(word: string, value: Json): Json {
    if (!this.#text.startsWith(word, this.#at)) return this.#broken()
    this.#at += word.length
    return value
  }

  #space(): void {
    while (isSpace(this.#text.charCodeAt(this.#at))) this.#at += 1
  }

  /** Whether the next sign is this one, which is then passed. */
  #takes(sign: string): boolean {
    this.#space()
    if (this.#text[this.#at] !== sign) return false
    this.#at += 1
    return true
  }

  #passes(pattern: RegExp): boolean {
    pattern.lastIndex = this.#at
    if (!pattern.test(this.#text)) return false
    this.#at = pattern.lastIndex
    return true
  }

  #broken(): never {
    return this.#rules.refuse('broken')
  }
}

function isDigit(unit: number): boolean {
  return unit >= 48 && unit <= 57
}

function isSpace(unit: number): boolean {
  return unit === 32 || unit === 10 || unit === 9 || unit === 13
}

/** JSON without spaces. */
export function compactJson(json: Json): string {
  if (json === null || typeof json === 'boolean') return String(json)
  if (typeof json === 'string') return JSON.stringify(json)
  if (json instanceof JsonNumber) return json.text
  if (isArray(json)) return `[${json.map(compactJson).join(',')}]`
  return `{${[...json].map(([key, value]) => `${JSON.stringify(key)}:${compactJson(value)}`).join(',')}}`
}

/** JSON with one space after `:` and `,`, keys and numbers as they came. */
export function spacedJson(json: Json): string {
  if (isArray(json)) return `[${json.map(spacedJson).join(', ')}]`
  if (!isObject(json)) return compactJson(json)
  return `{${[...json].map(([key, value]) => `${JSON.stringify(key)}: ${spacedJson(value)}`).join(', ')}}`
}

/** As jsonb writes it: keys by length and then by bytes, numbers in plain digits. */
export function jsonbJson(json: Json, refuse: Refuse): string {
  if (isArray(json)) return `[${json.map((element) => jsonbJson(element, refuse)).join(', ')}]`
  if (json instanceof JsonNumber) return jsonbDigits(json.text, refuse)
  if (typeof json === 'string') {
    checkText(json, refuse)
    return JSON.stringify(json)
  }
  if (!isObject(json)) return String(json)
  const members = [...json].map(([key, value]) => {
    checkText(key, refuse)
    return { bytes: Buffer.from(key), text: `${JSON.stringify(key)}: ${jsonbJson(value, refuse)}` }
  })
  members.sort((a, b) => a.bytes.length - b.bytes.length || Buffer.compare(a.bytes, b.bytes))
  return `{${members.map((member) => member.text).join(', ')}}`
}

function checkText(text: string, refuse: Refuse): void {
  if (text.includes('\0')) refuse('NUL')
  if (!text.isWellFormed()) refuse('half a character')
}

/** What numeric can hold: digits before the point, and after it. */
const MOST_DIGITS = 131_072
const MOST_PLACES = 16_383

/** A number of JSON as numeric writes it: no exponent; digits after the point are kept as they came. */
function jsonbDigits(number: string, refuse: Refuse): string {
  if (number.length < MOST_PLACES && /^(?:-?[1-9]\d*|0)$/.test(number)) return number
  const [mantissa = '', exponent] = number.toLowerCase().split('e')
  const isZero = !/[1-9]/.test(mantissa)
  const sign = mantissa.startsWith('-') && !isZero ? '-' : ''
  const [whole = '', fraction = ''] = mantissa.replace('-', '').split('.')
  const shift = Number(exponent ?? 0)
  const places = Math.max(0, fraction.length - shift)
  const digits = isZero ? '0' : whole + fraction
  const point = isZero ? 1 : whole.length + shift
  const leading = digits.search(/[1-9]/)
  if (places > MOST_PLACES || point - leading > MOST_DIGITS) return refuse('number')
  const before = (point <= 0 ? '' : digits.slice(0, point).padEnd(point, '0')).replace(/^0+(?=.)/, '')
  const after = (point < 0 ? '0'.repeat(-point) + digits : digits.slice(point)).padEnd(places, '0').slice(0, places)
  return `${sign}${before === '' ? '0' : before}${after === '' ? '' : `.${after}`}`
}
