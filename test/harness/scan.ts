import type { Adapter, Scan } from '#adapters/adapter.ts'
import type { Form } from '#model/column-type.ts'
import type { TableRef, TableSchema } from '#model/table.ts'

export interface ScanOptions {
  readonly form?: Form
  /** The primary key where not given. */
  readonly key?: readonly string[]
}

/** All columns of a table in a form, the key first. */
export async function scanOf(
  adapter: Pick<Adapter, 'describe'>,
  table: TableRef,
  { form = 'own', key }: ScanOptions = {},
): Promise<{ readonly schema: TableSchema; readonly scan: Scan }> {
  const [schema] = await adapter.describe([table])
  if (schema === undefined) throw new Error(`no table ${table.name}`)
  const keys = key ?? schema.primaryKey?.columns ?? []
  const names = [...keys, ...schema.columns.map(({ name }) => name).filter((name) => !keys.includes(name))]
  const scan: Scan = {
    table: schema.ref,
    columns: names.map((name) => ({ name, form, hash: 'text' })),
    keyLength: keys.length,
    algorithm: 'md5',
    filter: null,
  }
  return { schema, scan }
}
