/** What a dump may hold, as a table: every kind of statement that pg_dump writes and that runs nothing by itself. */

import type { ObjectClass } from './named-objects.ts'

export type Effect =
  /** Makes an object: it is replaced where it is there. */
  | 'create'
  /** Belongs to a table that the dump has made; the word is where its name stands. */
  | 'belongs'
  /** Changes an object that the dump has made, or says something of it. */
  | 'alter'
  | 'grant'
  /** Not run: what it does is done by the import itself, or is not wanted. */
  | 'skip'
  | 'set'
  | 'call'
  | 'insert'

export interface StatementKind {
  /** Key words; those in brackets may be left out. */
  readonly words: string
  readonly effect: Effect
  /** What the key words are followed by. */
  readonly object: ObjectClass
  /** The word before the name of the table that it belongs to. */
  readonly behind?: string
}

function kinds(effect: Effect, object: ObjectClass, words: readonly string[], behind?: string): StatementKind[] {
  return words.map((each) => ({ words: each, effect, object, ...(behind === undefined ? {} : { behind }) }))
}

export const STATEMENT_KINDS: readonly StatementKind[] = [
  ...kinds('create', 'schema', ['CREATE SCHEMA [IF NOT EXISTS]']),
  ...kinds('create', 'extension', ['CREATE EXTENSION [IF NOT EXISTS]']),
  ...kinds('create', 'conversion', ['CREATE [DEFAULT] CONVERSION']),
  ...kinds('create', 'collation', ['CREATE COLLATION']),
  ...kinds('create', 'text search configuration', ['CREATE TEXT SEARCH CONFIGURATION']),
  ...kinds('create', 'text search dictionary', ['CREATE TEXT SEARCH DICTIONARY']),
  ...kinds('create', 'operator class', ['CREATE OPERATOR CLASS']),
  ...kinds('create', 'operator family', ['CREATE OPERATOR FAMILY']),
  ...kinds('create', 'operator', ['CREATE OPERATOR']),
  ...kinds('create', 'cast', ['CREATE CAST']),
  ...kinds('create', 'publication', ['CREATE PUBLICATION']),
  ...kinds('create', 'relation', [
    'CREATE [UNLOGGED] TABLE',
    'CREATE [UNLOGGED] SEQUENCE',
    'CREATE [OR REPLACE] VIEW',
    'CREATE MATERIALIZED VIEW',
  ]),
  ...kinds('create', 'type', ['CREATE TYPE', 'CREATE DOMAIN']),
  ...kinds('create', 'routine', [
    'CREATE [OR REPLACE] FUNCTION',
    'CREATE [OR REPLACE] PROCEDURE',
    'CREATE [OR REPLACE] AGGREGATE',
  ]),
  ...kinds('belongs', 'relation', ['CREATE [UNIQUE] INDEX', 'CREATE [CONSTRAINT] TRIGGER', 'CREATE POLICY'], 'ON'),
  ...kinds('belongs', 'relation', ['CREATE [OR REPLACE] RULE'], 'TO'),
  ...kinds('belongs', 'relation', ['CREATE STATISTICS'], 'FROM'),
  ...kinds('alter', 'relation', [
    'ALTER TABLE [IF EXISTS] [ONLY]',
    'ALTER SEQUENCE [IF EXISTS]',
    'ALTER VIEW [IF EXISTS]',
    'ALTER MATERIALIZED VIEW [IF EXISTS]',
    'REFRESH MATERIALIZED VIEW [CONCURRENTLY]',
    'COMMENT ON TABLE',
    'COMMENT ON SEQUENCE',
    'COMMENT ON VIEW',
    'COMMENT ON MATERIALIZED VIEW',
    'COMMENT ON FOREIGN TABLE',
  ]),
  ...kinds('alter', 'type', ['ALTER TYPE', 'ALTER DOMAIN [IF EXISTS]', 'COMMENT ON TYPE', 'COMMENT ON DOMAIN']),
  ...kinds('alter', 'routine', [
    'ALTER FUNCTION',
    'ALTER PROCEDURE',
    'ALTER AGGREGATE',
    'ALTER ROUTINE',
    'COMMENT ON FUNCTION',
    'COMMENT ON PROCEDURE',
    'COMMENT ON AGGREGATE',
    'COMMENT ON ROUTINE',
  ]),
  ...kinds('alter', 'schema', ['ALTER SCHEMA', 'COMMENT ON SCHEMA']),
  ...kinds('alter', 'extension', ['COMMENT ON EXTENSION']),
  ...kinds('alter', 'index', ['ALTER INDEX [IF EXISTS]', 'COMMENT ON INDEX']),
  ...kinds('alter', 'column', ['COMMENT ON COLUMN']),
  ...kinds('alter', 'part', [
    'ALTER TRIGGER',
    'COMMENT ON TRIGGER',
    'COMMENT ON RULE',
    'COMMENT ON POLICY',
    'COMMENT ON CONSTRAINT',
  ]),
  ...kinds('alter', 'statistics', ['ALTER STATISTICS', 'COMMENT ON STATISTICS']),
  ...kinds('alter', 'operator class', ['ALTER OPERATOR CLASS', 'COMMENT ON OPERATOR CLASS']),
  ...kinds('alter', 'operator family', ['ALTER OPERATOR FAMILY', 'COMMENT ON OPERATOR FAMILY']),
  ...kinds('alter', 'operator', ['ALTER OPERATOR', 'COMMENT ON OPERATOR']),
  ...kinds('alter', 'cast', ['COMMENT ON CAST']),
  ...kinds('alter', 'collation', ['ALTER COLLATION', 'COMMENT ON COLLATION']),
  ...kinds('alter', 'conversion', ['ALTER CONVERSION', 'COMMENT ON CONVERSION']),
  ...kinds('alter', 'text search configuration', [
    'ALTER TEXT SEARCH CONFIGURATION',
    'COMMENT ON TEXT SEARCH CONFIGURATION',
  ]),
  ...kinds('alter', 'text search dictionary', ['ALTER TEXT SEARCH DICTIONARY', 'COMMENT ON TEXT SEARCH DICTIONARY']),
  ...kinds('alter', 'publication', ['ALTER PUBLICATION', 'COMMENT ON PUBLICATION']),
  ...kinds('alter', 'large object', ['ALTER LARGE OBJECT', 'COMMENT ON LARGE OBJECT']),
  ...kinds('grant', 'unnamed', ['GRANT', 'REVOKE', 'ALTER DEFAULT PRIVILEGES']),
  ...kinds('skip', 'unnamed', ['BEGIN', 'START TRANSACTION', 'COMMIT', 'END', 'DROP', 'SECURITY LABEL']),
  ...kinds('set', 'unnamed', ['SET', 'RESET']),
  ...kinds('call', 'unnamed', ['SELECT']),
  ...kinds('insert', 'relation', ['INSERT INTO']),
]

/** What reaches beyond the database, or runs by itself later: for files that somebody trusts as the login itself. */
const TRUSTED_KINDS: readonly StatementKind[] = [
  ...kinds('create', 'relation', ['CREATE FOREIGN TABLE']),
  ...kinds('alter', 'relation', ['ALTER FOREIGN TABLE [IF EXISTS] [ONLY]']),
  ...kinds('create', 'foreign data wrapper', ['CREATE FOREIGN DATA WRAPPER']),
  ...kinds('create', 'server', ['CREATE SERVER']),
  ...kinds('create', 'unnamed', ['CREATE USER MAPPING FOR', 'CREATE TRANSFORM FOR']),
  ...kinds('create', 'event trigger', ['CREATE EVENT TRIGGER']),
  ...kinds('create', 'access method', ['CREATE ACCESS METHOD']),
  ...kinds('create', 'text search parser', ['CREATE TEXT SEARCH PARSER']),
  ...kinds('create', 'text search template', ['CREATE TEXT SEARCH TEMPLATE']),
  ...kinds('create', 'language', ['CREATE [OR REPLACE] [TRUSTED] [PROCEDURAL] LANGUAGE']),
  ...kinds('alter', 'event trigger', ['ALTER EVENT TRIGGER', 'COMMENT ON EVENT TRIGGER']),
  ...kinds('alter', 'server', ['ALTER SERVER', 'COMMENT ON SERVER']),
  ...kinds('alter', 'foreign data wrapper', ['ALTER FOREIGN DATA WRAPPER', 'COMMENT ON FOREIGN DATA WRAPPER']),
  ...kinds('alter', 'access method', ['COMMENT ON ACCESS METHOD']),
  ...kinds('alter', 'text search parser', ['COMMENT ON TEXT SEARCH PARSER']),
  ...kinds('alter', 'text search template', ['COMMENT ON TEXT SEARCH TEMPLATE']),
  ...kinds('alter', 'language', ['ALTER [PROCEDURAL] LANGUAGE', 'COMMENT ON [PROCEDURAL] LANGUAGE']),
  ...kinds('alter', 'unnamed', ['COMMENT ON TRANSFORM FOR']),
]

/** What `SELECT` may call: each writes a value, and runs no code of anybody. */
export const CALLS: readonly string[] = ['setval', 'set_config', 'lo_create', 'lo_open', 'lowrite', 'lo_close']

/** What `SET` may set, and to what: nothing that changes who somebody is or what a name means to the server itself. */
export const SETTINGS: Readonly<Record<string, RegExp>> = {
  statement_timeout: /^'?\d+'?$/,
  lock_timeout: /^'?\d+'?$/,
  idle_in_transaction_session_timeout: /^'?\d+'?$/,
  transaction_timeout: /^'?\d+'?$/,
  client_encoding: /^.*$/,
  standard_conforming_strings: /^'?(on|off)'?$/i,
  check_function_bodies: /^'?(on|off|true|false)'?$/i,
  xmloption: /^'?(content|document)'?$/i,
  client_min_messages: /^'?\w+'?$/,
  row_security: /^'?(on|off)'?$/i,
  escape_string_warning: /^'?(on|off)'?$/i,
  default_tablespace: /^.*$/s,
  default_table_access_method: /^"?'?heap'?"?$/i,
  default_with_oids: /^'?(false|off)'?$/i,
  default_toast_compression: /^'?\w+'?$/,
  extra_float_digits: /^'?-?\d+'?$/,
  bytea_output: /^'?(hex|escape)'?$/i,
  datestyle: /^['\w ,]+$/,
  lc_monetary: /^'?"?[\w.@-]*"?'?$/,
  intervalstyle: /^'?\w+'?$/,
  search_path: /^.*$/s,
}

/** Languages that come with the server and reach nothing beyond the database. Others are asked of the server. */
export const OWN_LANGUAGES: readonly string[] = ['sql', 'plpgsql']

/** They bring functions that do on the machine whatever the server may. */
export const UNTRUSTED_LANGUAGES: readonly RegExp[] = [/^(c|internal)$/, /u$/, /^plsh$/]
export const REACHING_EXTENSIONS: readonly RegExp[] = [
  /^pl(python|perl|tcl|java)\w*u$/,
  /_plpython\w*u$/,
  /_plperlu$/,
  /^(plsh|file_fdw|adminpack|dblink|postgres_fdw|mysql_fdw|http|pg_net|pg_cron|lo_export)$/,
]

interface Matched {
  readonly kind: StatementKind
  /** Where the key words end. */
  readonly next: number
}

function patternsOf(all: readonly StatementKind[]): readonly { kind: StatementKind; groups: readonly Group[] }[] {
  return all.map((kind) => ({ kind, groups: groupsOf(kind.words) }))
}

const PATTERNS = patternsOf(STATEMENT_KINDS)
const ALL_PATTERNS = patternsOf([...TRUSTED_KINDS, ...STATEMENT_KINDS])

interface Group {
  readonly words: readonly string[]
  readonly optional: boolean
}

function groupsOf(words: string): readonly Group[] {
  return [...words.matchAll(/\[([^\]]+)\]|(\w+)/g)].map(([, optional, word]) =>
    optional === undefined ? { words: [word ?? ''], optional: false } : { words: optional.split(' '), optional: true },
  )
}

/** The first kind whose key words these begin with. `words` has the key words in capitals, and null for other tokens. */
export function matchKind(words: readonly (string | null)[], trusted: boolean): Matched | null {
  for (const { kind, groups } of trusted ? ALL_PATTERNS : PATTERNS) {
    let next = 0
    const fits = groups.every((group) => {
      const here = group.words.every((word, index) => words[next + index] === word)
      if (here) next += group.words.length
      return here || group.optional
    })
    if (fits) return { kind, next }
  }
  return null
}
