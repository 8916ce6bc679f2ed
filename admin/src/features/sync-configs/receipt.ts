import { formatTableName } from '#lib/table-name.ts'

export interface WouldDo {
  readonly name: string
  readonly inserts: number
  readonly updates: number
  readonly deletes: number
}

/** What the receipt of a dry run says of each table; null where it says nothing of the kind. */
export function dryRunOf(receipt: unknown): readonly WouldDo[] | null {
  const tables = fieldOf(receipt, 'tables')
  if (!Array.isArray(tables)) return null
  return tables.map((table: unknown) => ({
    name: formatTableName({ schema: textOf(table, 'schema'), name: textOf(table, 'name') }),
    inserts: countOf(table, 'inserts'),
    updates: countOf(table, 'updates'),
    deletes: countOf(table, 'deletes'),
  }))
}

/** How many statements would make or alter tables of the target. */
export function ddlCountOf(receipt: unknown): number {
  const ddl = fieldOf(receipt, 'ddl')
  return Array.isArray(ddl) ? ddl.length : 0
}

/** At which brake a run would stop, in words; null where it would not. */
export function stopOf(receipt: unknown): string | null {
  const message = fieldOf(fieldOf(receipt, 'stop'), 'message')
  return typeof message === 'string' ? message : null
}

function textOf(table: unknown, name: 'schema' | 'name'): string {
  const target = fieldOf(table, 'target')
  const value = fieldOf(target, name)
  return typeof value === 'string' ? value : ''
}

function countOf(table: unknown, name: string): number {
  const value = fieldOf(table, name)
  return typeof value === 'number' ? value : 0
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>)[name] : undefined
}
