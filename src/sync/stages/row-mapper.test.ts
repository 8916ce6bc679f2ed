import { pipeline, Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import fc from 'fast-check'
import { expect, test } from 'vitest'

import { CELLS_HEAD, CELLS_TAIL, cellType } from '#model/cell-rows.ts'
import { copyLine } from '#model/row-text.ts'
import { ValueRefused, type Row, type Value } from '#model/value.ts'

import { printedSeed } from '#test/harness/seed.ts'

import { Mapper, type BoundField } from './map.ts'
import { CellLayout, TextLayout, type RowLayout } from './row-layout.ts'
import { cellsToldApart, partsOf, RowMapper, type MapListener, type Part } from './row-mapper.ts'

/** How rows are written by somebody else, and the layout in which the mapper finds them. */
interface Wire {
  readonly write: (rows: readonly Row[]) => Buffer
  readonly layout: (columns: number, parts: readonly Part[], fields: readonly BoundField[]) => RowLayout
}

const TEXT = cellType('text')

const lines: Wire = {
  write: (rows) => Buffer.from(rows.map(copyLine).join('')),
  layout: (columns, parts, fields) => {
    const lookedAt = fields.flatMap(({ inputs, compute }) => (compute ? inputs : []))
    return new TextLayout(columns, cellsToldApart(columns, parts, [0, ...lookedAt]))
  },
}

const cells: Wire = {
  write: (rows) => Buffer.concat([CELLS_HEAD, ...rows.flatMap(cellsOf), CELLS_TAIL]),
  layout: (columns, _, fields) => new CellLayout(Array(columns).fill(TEXT), Array(fields.length).fill(TEXT)),
}

function cellsOf(row: Row): Buffer[] {
  const count = Buffer.alloc(2)
  count.writeInt16BE(row.length)
  return [
    count,
    ...row.flatMap((value) => {
      const length = Buffer.alloc(4)
      const bytes = value === null ? null : Buffer.from(value)
      length.writeInt32BE(bytes?.length ?? -1)
      return [length, bytes ?? Buffer.alloc(0)]
    }),
  ]
}

const carried = (input: number): BoundField => ({ name: `c${input}`, inputs: [input], compute: null, code: null })

/** What a computed field makes of its inputs. */
function join(values: readonly Value[]): Value {
  if (values.some((value) => value === 'refused')) throw new ValueRefused('is refused')
  return values.every((value) => value === null) ? null : values.map((value) => value ?? '∅').join('')
}

const computed = (inputs: readonly number[], name = 'computed'): BoundField => ({
  name,
  inputs,
  compute: join,
  code: null,
})

interface Case {
  readonly fields: readonly BoundField[]
  readonly rows: readonly Row[]
  /** Bytes that come at once. */
  readonly size: number
}

function mapperOf(
  wire: Wire,
  columns: number,
  of: { fields: readonly BoundField[]; listener: MapListener },
): RowMapper {
  const { fields, listener } = of
  const parts = partsOf(
    fields.map(({ inputs, compute }) => ({ inputs, carried: compute === null })),
    fields.map((_, place) => place),
  )
  const mapper = new Mapper({ fields, filter: null, rules: null, code: null })
  return new RowMapper(mapper, wire.layout(columns, parts, fields), { parts, listener })
}

async function map(
  wire: Wire,
  { fields, rows, size }: Case,
): Promise<{ bytes: Buffer; refused: Value[]; counts: number[] }> {
  const refused: Value[] = []
  const mapper = mapperOf(wire, rows[0]?.length ?? 1, {
    fields,
    listener: { reject: (raw) => refused.push(raw.value(0)), warn: () => expect.unreachable('no rule') },
  })
  const bytes = wire.write(rows)
  const bytesOut = await buffer(Readable.from(chunksOf(bytes, size)).pipe(mapper))
  return { bytes: bytesOut, refused, counts: [mapper.taken, mapper.given] }
}

function* chunksOf(bytes: Buffer, size: number): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield Buffer.from(bytes.subarray(at, at + size))
}

function expected({ fields, rows }: Case): { rows: Row[]; refused: Value[] } {
  const good = rows.filter(
    (row) => !fields.some(({ inputs, compute }) => compute && inputs.some((i) => row[i] === 'refused')),
  )
  return {
    rows: good.map((row) =>
      fields.map(({ inputs, compute }) =>
        compute ? join(inputs.map((i) => row[i] ?? null)) : (row[inputs[0] ?? 0] ?? null),
      ),
    ),
    refused: rows.filter((row) => !good.includes(row)).map((row) => row[0] ?? null),
  }
}

const AWKWARD = [
  '',
  '\\',
  '\\.',
  '\\N',
  '\\\\.',
  'a\tb',
  'new\nline',
  '\r',
  'é😀',
  '\u{10ffff}x',
  'refused',
  '\b\f\v',
  '\\n',
  ' ',
]
const value = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(null, ...AWKWARD) },
  fc.string({ unit: 'binary' }).map((text) => text.replaceAll('\0', '')),
)

const anyCase: fc.Arbitrary<Case> = fc.integer({ min: 1, max: 6 }).chain((columns) => {
  const place = fc.nat(columns - 1)
  return fc.record({
    fields: fc.array(
      fc.oneof(
        place.map(carried),
        fc.array(place, { minLength: 1, maxLength: 3 }).map((inputs) => computed(inputs)),
      ),
      {
        minLength: 1,
        maxLength: 8,
      },
    ),
    rows: fc.array(fc.array(value, { minLength: columns, maxLength: columns }), { minLength: 1, maxLength: 30 }),
    size: fc.oneof(fc.integer({ min: 1, max: 12 }), fc.constant(200), fc.constant(1_000_000)),
  })
})

test.each([
  ['lines', lines],
  ['cells', cells],
])('rows are mapped wherever the stream is cut, and what is not looked at stays as it is: %s', async (_, wire) => {
  const property = fc.asyncProperty(anyCase, async (each) => {
    const made = await map(wire, each)
    const wanted = expected(each)
    expect(made.bytes.equals(wire.write(wanted.rows))).toBe(true)
    expect(made.refused).toEqual(wanted.refused)
    expect(made.counts).toEqual([each.rows.length, wanted.rows.length])
  })
  await fc.assert(property, { seed: printedSeed(), numRuns: 500 })
})

test.each([
  ['lines', lines],
  ['cells', cells],
])('a table of 300 columns, with the first and the last one computed: %s', async (_, wire) => {
  const fields = [computed([0, 299]), ...Array.from({ length: 298 }, (__, i) => carried(i + 1)), computed([299])]
  const rows = Array.from({ length: 400 }, (__, n) =>
    Array.from({ length: 300 }, (___, i) => AWKWARD[(n * 5 + i) % AWKWARD.length] ?? null),
  )
  for (const size of [997, 65_536]) {
    const each = { fields, rows, size }
    const { bytes, refused } = await map(wire, each)
    const wanted = expected(each)
    expect(refused.length).toBeGreaterThan(0)
    expect(bytes.equals(wire.write(wanted.rows))).toBe(true)
  }
})

test.each([
  ['lines', lines],
  ['cells', cells],
])('rows of all sizes around what is gathered at once, up to those that go in parts: %s', async (_, wire) => {
  const sizes = [1, 1_000, 43_000, 65_000, 131_050, 131_072, 140_000, 300_000, 3, 280_000, 5]
  const rows = sizes.map((size, i): Row => [`${i}`, 'é\t'.repeat(size / 2), null, '\\😀'.repeat(size / 5)])
  const fields = [carried(0), carried(1), computed([1, 0]), carried(3), carried(2), computed([3])]
  for (const size of [50_000, 65_536]) {
    const each = { fields, rows, size }
    const { bytes } = await map(wire, each)
    expect(bytes.equals(wire.write(expected(each).rows))).toBe(true)
  }
})

test.each([
  ['a line without its newline', lines, 1],
  ['cells without what ends them', cells, 2],
  ['cells in the middle of a row', cells, 5],
])('a stream that ends early is told: %s', async (_, wire, missing) => {
  const bytes = wire.write([
    ['one', 'two'],
    ['three', 'four'],
  ])
  const fields = [carried(0), computed([1])]
  const mapper = mapperOf(wire, 2, {
    fields,
    listener: { reject: () => expect.unreachable(), warn: () => expect.unreachable() },
  })
  const ended = new Promise((resolve) => {
    pipeline(Readable.from([bytes.subarray(0, -missing)]), mapper.resume(), resolve)
  })
  expect(await ended).toMatchObject({ code: 'connection_lost' })
})

test('cells of the types that are read here say what the server says, and are written as it writes them', async () => {
  const texts: Readonly<Record<string, readonly string[]>> = {
    smallint: ['0', '-1', '32767', '-32768'],
    integer: ['0', '-1', '2147483647', '-2147483648'],
    bigint: ['0', '-1', '4294967295', '4294967296', '9223372036854775807', '-9223372036854775808', '-4294967296'],
    boolean: ['t', 'f'],
    uuid: ['00000000-0000-0000-0000-000000000000', 'f81d4fae-7dec-11d0-a765-00a0c91e6bf6'],
    text: AWKWARD,
    json: ['{"a": [1e2, "ü"]}', 'null'],
    jsonb: ['{"a": [100, "ü"]}', '"😀"'],
  }
  for (const [name, values] of Object.entries(texts)) {
    const type = cellType(name)
    expect(type, name).not.toBeNull()
    for (const text of values) {
      const bytes = Buffer.alloc(3 * text.length + 8, 0xee)
      const end = type?.write(bytes, 0, text) ?? 0
      expect(type?.read(bytes, 0, end), name).toBe(text)
    }
  }
  expect(cellType('numeric')).toBeNull()
})
