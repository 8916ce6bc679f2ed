/** Reads the labelled pairs of tables, and counts how well suggestions meet them. */
import { must } from '#lib/assert.ts'
import type { ColumnType } from '#model/column-type.ts'
import type { Column } from '#model/table.ts'
import { suggestFields, type SuggestSide, type SuggestTable } from '#sync/suggest-mapping.ts'

export interface Labelled {
  readonly source: SuggestTable
  readonly target: SuggestTable
  /** `source>target`. */
  readonly pairs: ReadonlySet<string>
}

const TEXT: ColumnType = { kind: 'text', maxLength: null }

const TYPES: Readonly<Record<string, ColumnType>> = {
  b: { kind: 'integer', bits: 64 },
  i: { kind: 'integer', bits: 32 },
  n: { kind: 'decimal', precision: 12, scale: 2 },
  f: { kind: 'float', bits: 64 },
  d: { kind: 'date' },
  ts: { kind: 'timestamp', zoned: false, digits: 6 },
  tz: { kind: 'timestamp', zoned: true, digits: 6 },
  time: { kind: 'time', zoned: false, digits: 6 },
  bo: { kind: 'boolean' },
  j: { kind: 'json', binary: true },
  u: { kind: 'uuid' },
  s: { kind: 'text', maxLength: 40 },
}

/** A table of a line: `name column:type! column`. */
export function readTable(line: string): SuggestTable {
  const [name = '', ...columns] = line.trim().split(/\s+/)
  const keys = columns.filter((each) => each.endsWith('!')).map((each) => must(each.split(/[:!]/)[0], 'a name'))
  return {
    ref: { schema: 'public', name },
    columns: columns.map(readColumn),
    primaryKey: keys.length === 0 ? null : { name: 'pk', columns: keys, notNull: true, immediate: true },
    uniqueKeys: [],
    foreignKeys: [],
  }
}

function readColumn(text: string, at: number): Column {
  const [name = '', type = ''] = text.replace('!', '').split(':')
  return {
    name,
    id: at + 1,
    type: type === '' ? TEXT : must(TYPES[type], `the type ${type}`),
    nativeType: type,
    nullable: !text.endsWith('!'),
    hasDefault: false,
    generated: null,
    expression: null,
    collation: null,
    identity: null,
    sequence: null,
  }
}

export function readLabelled(text: string): Labelled[] {
  return text
    .trim()
    .split(/\n\s*\n/)
    .map((block) => {
      const [source = '', target = '', pairs = ''] = block.split('\n')
      const tables = { source: readTable(source), target: readTable(target) }
      const wanted = pairs.trim() === '-' ? [] : pairs.trim().split(/\s+/)
      for (const pair of wanted) {
        const [from, to] = pair.split('>')
        must(
          tables.source.columns.find(({ name }) => name === from),
          `${from} of ${pair}`,
        )
        must(
          tables.target.columns.find(({ name }) => name === to),
          `${to} of ${pair}`,
        )
      }
      return { ...tables, pairs: new Set(wanted) }
    })
}

export interface Accuracy {
  readonly precision: number
  readonly recall: number
  /** What was wrong and what was missed, for whoever looks into it. */
  readonly misses: readonly string[]
}

export function measure(all: readonly Labelled[]): Accuracy {
  let [right, made, wanted] = [0, 0, 0]
  const misses: string[] = []
  for (const { source, target, pairs } of all) {
    const found = suggestFields(empty(source), empty(target)).fields.flatMap(({ from, target: to, score }) =>
      from.kind === 'columns' && from.columns.length === 1 ? [{ pair: `${from.columns[0]}>${to}`, score }] : [],
    )
    made += found.length
    wanted += pairs.size
    right += found.filter(({ pair }) => pairs.has(pair)).length
    const where = `${source.ref.name} → ${target.ref.name}`
    for (const { pair, score } of found) if (!pairs.has(pair)) misses.push(`${where}: wrong ${pair} (${score})`)
    for (const pair of pairs) if (!found.some((each) => each.pair === pair)) misses.push(`${where}: missed ${pair}`)
  }
  return { precision: right / made, recall: right / wanted, misses }
}

export function empty(schema: SuggestTable): SuggestSide {
  return { schema, rows: [] }
}
