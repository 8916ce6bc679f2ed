interface TableName {
  readonly schema: string
  readonly name: string
}

/** A table as the API reads it: `orders` in public, `sales.orders`, with quotes round a part that needs them. */
export function formatTableName({ schema, name }: TableName): string {
  return schema === 'public' ? part(name) : `${part(schema)}.${part(name)}`
}

function part(text: string): string {
  return /[.:=,*"]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
