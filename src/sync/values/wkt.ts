/**
 * Shapes as well-known text, `SRID=4326;POINT(10 59.9)`: written as MySQL and MariaDB write them, so that both sides are
 * compared as texts. Whether rings close and points are where there are any is for the server to say.
 */
export interface Shape {
  /** Null where the text names none. */
  readonly srid: number | null
  readonly wkt: string
}

const SHAPES: ReadonlySet<string> = new Set([
  'POINT',
  'LINESTRING',
  'POLYGON',
  'MULTIPOINT',
  'MULTILINESTRING',
  'MULTIPOLYGON',
  'GEOMETRYCOLLECTION',
])

const TOKEN = /\s*([A-Za-z]+|[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|[(),])/y

/** Reads a shape of two dimensions, with or without its SRID; null where the text is none. */
export function readShape(text: string): Shape | null {
  const [, srid, rest = text] = /^\s*SRID=(\d{1,10});(.*)$/is.exec(text) ?? []
  const wkt = writeTokens(rest)
  return wkt === null ? null : { srid: srid === undefined ? null : Number(srid), wkt }
}

export function writeShape({ srid, wkt }: Shape): string {
  return srid === null ? wkt : `SRID=${srid};${wkt}`
}

function tokensOf(text: string): string[] | null {
  const tokens: string[] = []
  const trimmed = text.trimEnd()
  TOKEN.lastIndex = 0
  while (TOKEN.lastIndex < trimmed.length) {
    const [, token] = TOKEN.exec(trimmed) ?? []
    if (token === undefined) return null
    tokens.push(token)
  }
  return tokens
}

/** One pass with the brackets that are open; the points of a MULTIPOINT have none of their own. */
function writeTokens(text: string): string | null {
  const open: { readonly shape: string; readonly isWritten: boolean }[] = []
  let out = ''
  let shape = ''
  let coordinates = 0
  const isPoint = (): boolean => coordinates === 0 || coordinates === 2
  for (const token of tokensOf(text) ?? []) {
    if (token === '(') {
      const inner = shape === '' ? (open.at(-1)?.shape ?? '') : shape
      if (inner === '' || coordinates > 0) return null
      const isWritten = inner !== 'MULTIPOINT' || shape !== ''
      open.push({ shape: inner, isWritten })
      if (isWritten) out += token
      shape = ''
    } else if (token === ')') {
      const closed = open.pop()
      if (closed === undefined || !isPoint()) return null
      coordinates = 0
      if (closed.isWritten) out += token
    } else if (token === ',') {
      if (open.length === 0 || !isPoint()) return null
      coordinates = 0
      out += token
    } else if (/^[A-Za-z]/.test(token)) {
      const word = token.toUpperCase()
      if (word === 'EMPTY' && shape !== '') {
        out += ' EMPTY'
        shape = ''
        continue
      }
      const mayStand = open.length === 0 ? out === '' : open.at(-1)?.shape === 'GEOMETRYCOLLECTION'
      if (!SHAPES.has(word) || !mayStand || shape !== '') return null
      out += word
      shape = word
    } else {
      const number = coordinateText(Number(token))
      if (number === null || open.length === 0 || coordinates >= 2) return null
      coordinates += 1
      out += coordinates === 2 ? ` ${number}` : number
    }
  }
  return out === '' || open.length > 0 || shape !== '' ? null : out
}

/** The shortest digits in plain notation; null beyond where the servers write powers of ten. */
function coordinateText(value: number): string | null {
  if (value === 0) return '0'
  const [mantissa = '', exponent = '0'] = value.toExponential().split('e')
  const power = Number(exponent)
  if (power < -14 || power > 14) return null
  const sign = value < 0 ? '-' : ''
  const digits = mantissa.replace(/[-.]/g, '')
  if (power < 0) return `${sign}0.${'0'.repeat(-power - 1)}${digits}`
  const fraction = digits.slice(power + 1)
  return `${sign}${digits.slice(0, power + 1).padEnd(power + 1, '0')}${fraction === '' ? '' : `.${fraction}`}`
}
