/** The description that the REST API of the tests gives at its root: OpenAPI 2.0, from the catalogue, as PostgREST makes it. */
import type pg from 'pg'

interface ColumnRow {
  readonly tab: string
  readonly col: string
  readonly format: string
  readonly max_length: number | null
  readonly required: boolean
  readonly has_default: boolean
  readonly labels: readonly string[] | null
  readonly is_key: boolean
  readonly parent: string | null
  readonly parent_column: string | null
  readonly writable: boolean
}

/** Types of the server come without their modifier, domains over them as their base; arrays and others as they are. */
const COLUMNS = `
  SELECT c.relname AS tab, a.attname AS col,
         CASE WHEN t.typtype = 'd' AND bn.nspname = 'pg_catalog' THEN format_type(t.typbasetype, NULL)
              WHEN t.typtype <> 'd' AND tn.nspname = 'pg_catalog' THEN format_type(a.atttypid, NULL)
              ELSE format_type(a.atttypid, a.atttypmod) END AS format,
         information_schema._pg_char_max_length(
           information_schema._pg_truetypid(a, t), information_schema._pg_truetypmod(a, t)) AS max_length,
         a.attnotnull OR (t.typtype = 'd' AND t.typnotnull) AS required,
         a.attgenerated = '' AND (a.atthasdef OR a.attidentity <> '') AS has_default,
         CASE WHEN t.typtype = 'e' THEN
           (SELECT json_agg(enumlabel ORDER BY enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid) END AS labels,
         EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary AND a.attnum = ANY (i.indkey)) AS is_key,
         p.relname AS parent, pa.attname AS parent_column,
         pg_relation_is_updatable(c.oid, false) <> 0 AS writable
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  JOIN pg_type t ON t.oid = a.atttypid JOIN pg_namespace tn ON tn.oid = t.typnamespace
  LEFT JOIN pg_type b ON b.oid = t.typbasetype LEFT JOIN pg_namespace bn ON bn.oid = b.typnamespace
  LEFT JOIN LATERAL (SELECT * FROM pg_constraint f WHERE f.conrelid = c.oid AND f.contype = 'f' AND f.conkey = ARRAY[a.attnum]
                     LIMIT 1) f ON true
  LEFT JOIN pg_class p ON p.oid = f.confrelid
  LEFT JOIN pg_attribute pa ON pa.attrelid = f.confrelid AND pa.attnum = f.confkey[1]
  WHERE n.nspname = $1 AND c.relkind IN ('r', 'v', 'm', 'f', 'p') AND NOT c.relispartition
    AND has_table_privilege(c.oid, 'SELECT, INSERT, UPDATE, DELETE') AND has_schema_privilege(n.oid, 'USAGE')
  ORDER BY c.relname, a.attnum`

export async function readDescriptionOf(client: pg.ClientBase, schema: string): Promise<unknown> {
  const { rows } = await client.query<ColumnRow>(COLUMNS, [schema])
  const tables = Map.groupBy(rows, ({ tab }) => tab)
  const definitions = [...tables].map(([name, columns]) => [
    name,
    {
      type: 'object',
      required: columns.filter(({ required }) => required).map(({ col }) => col),
      properties: Object.fromEntries(columns.map((column) => [column.col, toProperty(column)])),
    },
  ])
  const paths = [...tables].map(([name, columns]) => {
    const get = { tags: [name] }
    return [`/${name}`, columns[0]?.writable ? { get, post: get, patch: get, delete: get } : { get }]
  })
  return {
    swagger: '2.0',
    info: { title: 'standard public schema', description: '', version: '12.2.3 (of the tests)' },
    basePath: '/',
    paths: Object.fromEntries([['/', { get: { summary: 'OpenAPI description (this document)' } }], ...paths]),
    definitions: Object.fromEntries(definitions),
  }
}

function toProperty(column: ColumnRow): Record<string, unknown> {
  const notes = [
    ...(column.is_key ? ['This is a Primary Key.<pk/>'] : []),
    ...(column.parent === null
      ? []
      : [
          `This is a Foreign Key to \`${column.parent}.${column.parent_column}\`.<fk table='${column.parent}' column='${column.parent_column}'/>`,
        ]),
  ]
  return {
    ...(column.has_default ? { default: 'something' } : {}),
    ...(notes.length === 0 ? {} : { description: ['Note:', ...notes].join('\n') }),
    ...(column.labels === null ? {} : { enum: column.labels }),
    format: column.format,
    ...(column.max_length === null ? {} : { maxLength: column.max_length }),
    type: 'string',
  }
}
