import type { TableRef } from '#model/table.ts'

/** Names and texts in the SQL of a dump. */

export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

export function quoteRef({ schema, name }: TableRef): string {
  return `${quoteName(schema)}.${quoteName(name)}`
}
