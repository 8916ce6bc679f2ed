/** What a SELECT and its columns are, taken for a table: nothing that can be written, or that anybody promises anything of. */

export const QUERY_COLUMN = {
  nullable: true,
  hasDefault: false,
  generated: null,
  expression: null,
  collation: null,
  identity: null,
  sequence: null,
} as const

export const QUERY_SCHEMA = {
  storage: '',
  kind: 'query',
  primaryKey: null,
  uniqueKeys: [],
  foreignKeys: [],
  referenced: false,
  triggers: [],
  rowSecurity: false,
  rights: { use: true, select: true, insert: false, update: false, delete: false },
  partitions: [],
  rowEstimate: null,
  bytes: 0,
} as const
