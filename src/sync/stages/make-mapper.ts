import { pipeline } from 'node:stream/promises'
import { TEXT_ROWS, type Scan, type Snapshot } from '#adapters/adapter.ts'
import { watch } from '#adapters/watchdog.ts'
import { assert, must } from '#lib/assert.ts'
import { AppError } from '#model/errors.ts'
import { decodeCell, LineReader, splitCells } from '#model/row-text.ts'
import { parseTableName } from '#model/table-pattern.ts'
import { atHome } from '#model/table.ts'
import type { Value } from '#model/value.ts'
import type { MappedField, MappedRows } from '#sync/plan.ts'
import { compileRules, referenceNeed, type RuleSources } from '#sync/rules/rules.ts'
import { joinCode } from '#sync/sandbox/code-text.ts'
import { openCode } from '#sync/sandbox/code.ts'
import type { CodeColumn } from '#sync/sandbox/outputs.ts'
import type { Context, LookupNeed } from '#sync/transforms/transform.ts'
import { Mapper, type BoundField, type MapperParts } from './map.ts'

/** Characters of all keys and values that one table's lookups may hold in memory. */
const MOST_CHARACTERS = 32 * 1024 * 1024
const PIECE_BYTES = 8 * 1024 * 1024

type Found = ReadonlyMap<string, Value>

/** Whether several rows of the source have a value in a field: see the rule `unique`. */
export type Repeated = (field: string, value: string) => boolean

/**
 * Makes the mapper of a table, with what it looks up read from the snapshot, and its code in a process of its own.
 * @throws AppError `lookup_too_large`, `mask_key_missing`, `sandbox_failed`
 */
export async function makeMapper(
  mapped: MappedRows,
  { snapshot, maskKey, repeated }: { snapshot: Snapshot; maskKey: Uint8Array | null; repeated: Repeated },
): Promise<Mapper> {
  const loaded = await load(mapped.needs, { snapshot, homeSchema: mapped.homeSchema })
  const context = contextOf(loaded, maskKey)
  const coded = mapped.fields.filter(({ code }) => code !== null)
  const fields = mapped.fields.map((field): BoundField => ({
    name: field.name,
    inputs: field.inputs,
    compute: field.bind?.(context) ?? null,
    code: field.code === null ? null : coded.indexOf(field),
  }))
  const rules = bindRules(mapped, {
    repeated,
    keysOf: (reference) => new Set(foundIn(loaded, referenceNeed(reference)).keys()),
  })
  return new Mapper({ fields, filter: mapped.filter, rules, code: await openCodes(coded) })
}

/** Where values are looked up: a table that is named without a schema is in that one. */
export interface LookupPlace {
  readonly snapshot: Snapshot
  readonly homeSchema: string
}

/** What computations need besides a row, read from the snapshot. @throws AppError `lookup_too_large` */
export async function loadContext(
  needs: readonly LookupNeed[],
  { maskKey, ...from }: LookupPlace & { maskKey: Uint8Array | null },
): Promise<Context> {
  return contextOf(await load(needs, from), maskKey)
}

/** What computations need that look nothing up. */
export function plainContext(maskKey: Uint8Array | null): Context {
  return contextOf(new Map(), maskKey)
}

function contextOf(loaded: ReadonlyMap<string, Found>, maskKey: Uint8Array | null): Context {
  return {
    lookup: (need) => {
      const values = foundIn(loaded, need)
      return (key) => (typeof key === 'string' ? values.get(key) : undefined)
    },
    get maskKey() {
      if (maskKey === null) throw new AppError('mask_key_missing', 'A field is masked, and there is no key for that.')
      return maskKey
    },
  }
}

function foundIn(loaded: ReadonlyMap<string, Found>, need: LookupNeed): Found {
  return must(loaded.get(idOf(need)), 'a lookup that was announced')
}

/** The rules over those fields alone that they look at: a condition may look at any of them. */
function bindRules({ rules, types }: MappedRows, sources: RuleSources): MapperParts['rules'] {
  if (rules.length === 0) return null
  const all = rules.some((rule) => 'expression' in rule)
  const seen = types.filter(({ name }) => all || rules.some(({ field }) => field === name))
  const compiled = compileRules(rules, seen, sources)
  assert('check' in compiled, 'the rules were compiled when the table was planned')
  return { check: compiled.check, fields: seen.map((field) => types.indexOf(field)) }
}

/** One process for all fields of a table that are code. */
async function openCodes(fields: readonly MappedField[]): Promise<MapperParts['code']> {
  if (fields.length === 0) return null
  const codes = fields.map(({ code }) => must(code, 'a field of code'))
  const places = new Map<number, CodeColumn>()
  for (const { inputs, code } of fields) {
    for (const [i, place] of inputs.entries()) places.set(place, must(code?.columns[i], 'a column of the code'))
  }
  const outputs = codes.map(({ output }) => output)
  const text = joinCode(codes.map(({ text: body, output }) => ({ name: output.name, text: body })))
  return { runner: await openCode(text, { columns: [...places.values()], outputs }), inputs: [...places.keys()] }
}

async function load(needs: readonly LookupNeed[], from: LookupPlace): Promise<ReadonlyMap<string, Found>> {
  const loaded = new Map<string, Found>()
  let left = MOST_CHARACTERS
  for (const need of needs) {
    const id = idOf(need)
    if (loaded.has(id)) continue
    const found = new Map<string, Value>()
    await readPairs(from, need, (key, value) => {
      left -= key.length + (value?.length ?? 0)
      if (left < 0) throw new AppError('lookup_too_large', `${need.table} is too large to look values up in.`)
      found.set(key, value)
    })
    loaded.set(id, found)
  }
  return loaded
}

function idOf({ table, keyColumn, valueColumn }: LookupNeed): string {
  return JSON.stringify([table, keyColumn, valueColumn])
}

/** Rows whose key is NULL are nobody's. */
async function readPairs(
  { snapshot, homeSchema }: LookupPlace,
  { table, keyColumn, valueColumn }: LookupNeed,
  take: (key: string, value: Value) => void,
): Promise<void> {
  const scan: Scan = {
    table: atHome(parseTableName(table), { homeSchema }),
    columns: [keyColumn, valueColumn].map((name) => ({ name, form: 'text', hash: 'text' })),
    keyLength: 1,
    algorithm: 'md5',
    filter: null,
  }
  for (const piece of await snapshot.pieces(scan, PIECE_BYTES)) {
    await using rows = await snapshot.copyOut(scan, piece, TEXT_ROWS)
    const reader = new LineReader()
    const consume = async (chunks: AsyncIterable<Buffer>): Promise<void> => {
      for await (const chunk of chunks) {
        for (const line of reader.push(chunk)) {
          const [key = '', value = ''] = splitCells(line)
          const decoded = decodeCell(key)
          if (decoded !== null) take(decoded, decodeCell(value))
        }
      }
    }
    await watch([rows.connection], pipeline(rows.stream, consume))
  }
}
