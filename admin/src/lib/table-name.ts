interface TableName {
  readonly schema: string
  readonly name: string
}

/** A table as the API reads it: `orders` in public, `sales.orders`, with quotes round a part that needs them. */
export function formatTableName({ schema, name }: TableName): string {
  return schema === 'public' ? quoteName(name) : `${quoteName(schema)}.${quoteName(name)}`
}

/** A part of a name, with quotes where it needs them. */
export function quoteName(text: string): string {
  return /[.:=,*"]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
