/**
 * The bytes of PHP's serialize() as a tree, and back, byte for byte. Lengths are of bytes; text is whatever bytes it
 * was. Objects are only named, never made (hazard C18).
 */
import { fail } from '#sync/transforms/transform.ts'

export type Php =
  | { readonly is: 'null' }
  | { readonly is: 'boolean'; readonly value: boolean }
  /** `text` is the number as it was written: 64 bits, INF, -0 and 0.1 stay what they are. */
  | { readonly is: 'integer' | 'float'; readonly text: string }
  /** Bytes as Latin 1, one unit each. */
  | { readonly is: 'string'; readonly bytes: string }
  | { readonly is: 'array'; readonly of: readonly (readonly [key: Php, value: Php])[] }
  | { readonly is: 'object'; readonly name: string; readonly of: readonly (readonly [key: Php, value: Php])[] }
  /** An object that writes itself: `C:` with bytes of its own. */
  | { readonly is: 'custom'; readonly name: string; readonly bytes: string }
  | { readonly is: 'enum'; readonly name: string }
  /** R is the same variable as an earlier one, r the same object; numbered from 1 as PHP does. */
  | { readonly is: 'reference'; readonly kind: 'R' | 'r'; readonly to: string }

const MAX_DEPTH = 400

/** Reads all of the bytes, given as Latin 1. */
export function readPhp(bytes: string): Php {
  const reader = new Reader(bytes)
  const made = reader.value(0)
  return reader.at === bytes.length ? made : fail('there is more behind the serialized value')
}

class Reader {
  at = 0
  readonly #bytes: string

  constructor(bytes: string) {
    this.#bytes = bytes
  }

  value(depth: number): Php {
    if (depth > MAX_DEPTH) return fail(`the serialized value is nested more than ${MAX_DEPTH} deep`)
    const kind = this.#bytes[this.at]
    if (kind === 'N') {
      this.#expect('N;')
      return { is: 'null' }
    }
    this.at += 1
    this.#expect(':')
    switch (kind) {
      case 'b':
        return { is: 'boolean', value: this.#until(';', /^[01]$/) === '1' }
      case 'i':
        return { is: 'integer', text: this.#until(';', /^(?:0|-?[1-9]\d{0,18})$/) }
      case 'd':
        return { is: 'float', text: this.#until(';', /^(?:-?(?:\d+\.?\d*|\.\d+)(?:E[+-]?\d+)?|-?INF|NAN)$/i) }
      case 's':
        return this.#string(';')
      case 'a':
        return { is: 'array', of: this.#members(depth) }
      case 'O':
        return { is: 'object', name: this.#string(':').bytes, of: this.#members(depth) }
      case 'C':
        return this.#custom()
      case 'E':
        return { is: 'enum', name: this.#string(';').bytes }
      case 'R':
      case 'r':
        return { is: 'reference', kind, to: this.#until(';', /^[1-9]\d{0,9}$/) }
      default:
        return broken()
    }
  }

  #expect(text: string): void {
    if (!this.#bytes.startsWith(text, this.at)) broken()
    this.at += text.length
  }

  #until(end: string, shape: RegExp): string {
    const to = this.#bytes.indexOf(end, this.at)
    // No number is longer than this.
    if (to === -1 || to - this.at > 400) return broken()
    const found = this.#bytes.slice(this.at, to)
    this.at = to + 1
    return shape.test(found) ? found : broken()
  }

  #length(): number {
    return Number(this.#until(':', /^(?:0|[1-9]\d{0,9})$/))
  }

  #string(end: string): { readonly is: 'string'; readonly bytes: string } {
    const length = this.#length()
    this.#expect('"')
    const bytes = this.#bytes.slice(this.at, this.at + length)
    if (bytes.length !== length) return broken()
    this.at += length
    this.#expect(`"${end}`)
    return { is: 'string', bytes }
  }

  #members(depth: number): [Php, Php][] {
    const count = this.#length()
    this.#expect('{')
    const of: [Php, Php][] = []
    for (let i = 0; i < count; i += 1) {
      const key = this.value(depth + 1)
      if (key.is !== 'integer' && key.is !== 'string') return broken()
      of.push([key, this.value(depth + 1)])
    }
    this.#expect('}')
    return of
  }

  #custom(): Php {
    const { bytes: name } = this.#string(':')
    const length = this.#length()
    this.#expect('{')
    const bytes = this.#bytes.slice(this.at, this.at + length)
    this.at += length
    this.#expect('}')
    return { is: 'custom', name, bytes }
  }
}

function broken(): never {
  return fail('the text is no serialized PHP value')
}

/** The bytes, as Latin 1. */
export function writePhp(php: Php): string {
  switch (php.is) {
    case 'null':
      return 'N;'
    case 'boolean':
      return `b:${php.value ? 1 : 0};`
    case 'integer':
      return `i:${php.text};`
    case 'float':
      return `d:${php.text};`
    case 'string':
      return `s:${php.bytes.length}:"${php.bytes}";`
    case 'array':
      return `a:${php.of.length}:{${writeMembers(php.of)}}`
    case 'object':
      return `O:${php.name.length}:"${php.name}":${php.of.length}:{${writeMembers(php.of)}}`
    case 'custom':
      return `C:${php.name.length}:"${php.name}":${php.bytes.length}:{${php.bytes}}`
    case 'enum':
      return `E:${php.name.length}:"${php.name}";`
    case 'reference':
      return `${php.kind}:${php.to};`
  }
}

function writeMembers(of: readonly (readonly [Php, Php])[]): string {
  return of.map(([key, value]) => writePhp(key) + writePhp(value)).join('')
}
