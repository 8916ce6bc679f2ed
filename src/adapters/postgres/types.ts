import type { ColumnType } from '#model/column-type.ts'

/** A row of pg_type with what decides how values look, as `introspect.ts` reads it. */
export interface PgType {
  readonly oid: number
  readonly schema: string
  readonly name: string
  /** pg_type.typtype: b base, e enum, c composite, d domain, r range, m multirange, p pseudo. */
  readonly kind: string
  readonly elementOid: number
  readonly isArray: boolean
  readonly baseOid: number
  readonly baseModifier: number
  readonly subtypeOid: number
  readonly labels: readonly string[]
  readonly fields: readonly { readonly name: string; readonly oid: number; readonly modifier: number }[]
  /** The schema of the extension or user that owns the default `=` of the type, for comparing keys. */
  readonly equality: string | null
}

export type TypeCatalog = ReadonlyMap<number, PgType>

/** Depth at which a chain of types is held to be a mistake of ours: the catalogue cannot have cycles. */
const MAX_DEPTH = 50

/**
 * The engine-neutral type of a column. `native` is the server's spelling with the modifier, under an empty search path.
 * A domain is its base type; what only PostgreSQL has is `other` under a signature that spells out its structure, so
 * that equal signatures exchange texts as they are.
 */
export function columnType(catalog: TypeCatalog, oid: number, modifier: number, native: string): ColumnType {
  const type = catalog.get(oid)
  if (type === undefined) return { kind: 'other', native }
  if (type.kind === 'd') {
    const base = type.baseModifier === -1 ? modifier : type.baseModifier
    return columnType(catalog, type.baseOid, base, signature(catalog, type.baseOid, base, 0))
  }
  if (type.kind === 'e') return { kind: 'enum', labels: type.labels }
  if (type.isArray) {
    const element = signature(catalog, type.elementOid, modifier, 0)
    return { kind: 'array', of: columnType(catalog, type.elementOid, modifier, element) }
  }
  if (type.schema !== 'pg_catalog' || type.kind !== 'b') {
    return { kind: 'other', native: signature(catalog, oid, modifier, 0) }
  }
  return builtIn(type.name, modifier, native)
}

/** The enum types that values of a type hold, in any depth. */
export function enumsOf(catalog: TypeCatalog, oid: number): number[] {
  const type = catalog.get(oid)
  if (type === undefined) return []
  if (type.kind === 'e') return [oid]
  const parts = [type.elementOid, type.baseOid, type.subtypeOid, ...type.fields.map((field) => field.oid)]
  return parts.flatMap((part) => (part === 0 || part === oid ? [] : enumsOf(catalog, part)))
}

function builtIn(name: string, modifier: number, native: string): ColumnType {
  const digits = modifier < 0 ? 6 : modifier
  switch (name) {
    case 'int2':
      return { kind: 'integer', bits: 16 }
    case 'int4':
      return { kind: 'integer', bits: 32 }
    case 'int8':
      return { kind: 'integer', bits: 64 }
    case 'numeric':
      return { kind: 'decimal', ...numericModifier(modifier) }
    case 'float4':
      return { kind: 'float', bits: 32 }
    case 'float8':
      return { kind: 'float', bits: 64 }
    case 'text':
      return { kind: 'text', maxLength: null }
    case 'varchar':
      return { kind: 'text', maxLength: modifier < 0 ? null : modifier - 4 }
    case 'bpchar':
      return modifier < 0 ? { kind: 'other', native: 'bpchar' } : { kind: 'padded text', length: modifier - 4 }
    case 'bool':
      return { kind: 'boolean' }
    case 'timestamp':
    case 'timestamptz':
      return { kind: 'timestamp', zoned: name === 'timestamptz', digits }
    case 'time':
    case 'timetz':
      return { kind: 'time', zoned: name === 'timetz', digits }
    case 'date':
      return { kind: 'date' }
    case 'interval':
      return { kind: 'interval', native }
    case 'uuid':
      return { kind: 'uuid' }
    case 'bytea':
      return { kind: 'bytes' }
    case 'json':
    case 'jsonb':
      return { kind: 'json', binary: name === 'jsonb' }
    default:
      return { kind: 'other', native: modifier < 0 ? name : native }
  }
}

/** Source: numeric's typmod layout, `((precision << 16) | (scale & 0x7ff)) + 4`; the scale is signed from 15 on. */
function numericModifier(modifier: number): { precision: number | null; scale: number | null } {
  if (modifier < 4) return { precision: null, scale: null }
  const packed = modifier - 4
  return { precision: (packed >> 16) & 0xffff, scale: ((packed & 0x7ff) ^ 1024) - 1024 }
}

/** Spells out a type's structure, names of types left out: two types with equal signatures have equal texts. */
function signature(catalog: TypeCatalog, oid: number, modifier: number, depth: number): string {
  const type = catalog.get(oid)
  if (type === undefined || depth > MAX_DEPTH) return `oid ${oid}`
  const inner = (innerOid: number, innerModifier: number): string =>
    signature(catalog, innerOid, innerModifier, depth + 1)
  switch (type.kind) {
    case 'd':
      return inner(type.baseOid, type.baseModifier === -1 ? modifier : type.baseModifier)
    case 'e':
      return `enum ${JSON.stringify(type.labels)}`
    case 'c':
      return `row ${JSON.stringify(type.fields.map((field) => [field.name, inner(field.oid, field.modifier)]))}`
    case 'r':
      return `range of ${inner(type.subtypeOid, -1)}`
    case 'm':
      return `ranges of ${inner(type.subtypeOid, -1)}`
    default: {
      if (type.isArray) return `array of ${inner(type.elementOid, modifier)}`
      return modifier < 0 ? type.name : `${type.name}(${modifier})`
    }
  }
}

/**
 * Base types whose binary form is the same bytes on every server of one major version. Never oid and reg* types,
 * nor tsquery, whose input refuses the empty one that its output sends.
 */
const BINARY_SAFE = new Set(
  [
    'bool int2 int4 int8 float4 float8 numeric money text varchar bpchar name char bytea uuid json jsonb xml',
    'date time timetz timestamp timestamptz interval inet cidr macaddr macaddr8 bit varbit',
    'point line lseg box path polygon circle tsvector pg_lsn',
  ].flatMap((line) => line.split(' ')),
)

/** Types whose binary form says nothing of their name: a domain over one of them sends and takes the same bytes. */
const BINARY_NAMES: Readonly<Record<string, string>> = {
  bool: 'boolean',
  int2: 'smallint',
  int4: 'integer',
  int8: 'bigint',
  text: 'text',
  varchar: 'text',
  uuid: 'uuid',
  json: 'json',
  jsonb: 'jsonb',
}

/**
 * What a column travels as in binary COPY between two servers of major version `major`; null where it may not. The names of
 * `model/cell-rows.ts` where there is one, else `spelled`, the name of the type.
 */
export function binaryType(
  catalog: TypeCatalog,
  { oid, spelled }: { oid: number; spelled: string },
  major: number,
): string | null {
  if (!isBinarySafe(catalog, oid, major)) return null
  const base = baseOf(catalog, oid)
  const name = base?.kind === 'b' && base.schema === 'pg_catalog' ? base.name : ''
  return Object.hasOwn(BINARY_NAMES, name) ? (BINARY_NAMES[name] ?? null) : spelled
}

function baseOf(catalog: TypeCatalog, oid: number): PgType | undefined {
  const type = catalog.get(oid)
  return type?.kind === 'd' ? baseOf(catalog, type.baseOid) : type
}

/** Whether a column may travel as binary COPY between two servers of major version `major`. Checked recursively. */
function isBinarySafe(catalog: TypeCatalog, oid: number, major: number): boolean {
  const type = catalog.get(oid)
  if (type === undefined) return false
  switch (type.kind) {
    case 'e':
      return true
    case 'd':
      return isBinarySafe(catalog, type.baseOid, major)
    case 'r':
    case 'm':
      return isBinarySafe(catalog, type.subtypeOid, major)
    case 'b': {
      if (!type.isArray) return type.schema === 'pg_catalog' && BINARY_SAFE.has(type.name)
      // Before 14 an array's element type had to have the very same OID.
      const element = catalog.get(type.elementOid)
      const portable = element?.schema === 'pg_catalog' || major >= 14
      return portable && isBinarySafe(catalog, type.elementOid, major)
    }
    default:
      return false
  }
}
