import fc from 'fast-check'
import { loadModule, parseSync, scanSync } from 'libpg-query'
import { beforeAll, expect, test } from 'vitest'

import { AppError } from '#model/errors.ts'
import { printedSeed } from '#test/harness/seed.ts'
import type { DumpItem } from './dump-item.ts'
import { SqlLexer } from './sql-lexer.ts'

beforeAll(() => loadModule())

function lex(text: string | Buffer, cuts: readonly number[] = [], maxBytes?: number): DumpItem[] {
  const bytes = Buffer.from(text)
  const lexer = new SqlLexer(maxBytes)
  const items: DumpItem[] = []
  let at = 0
  for (const cut of cuts.toSorted((a, b) => a - b)) {
    const end = Math.min(bytes.length, Math.max(at, cut))
    items.push(...lexer.push(bytes.subarray(at, end)))
    at = end
  }
  items.push(...lexer.push(bytes.subarray(at)), ...lexer.end())
  return joinRows(items)
}

/** The data of a COPY in one piece, however they came. */
function joinRows(items: readonly DumpItem[]): DumpItem[] {
  const joined: DumpItem[] = []
  for (const item of items) {
    const last = joined.at(-1)
    if (item.kind === 'rows' && last?.kind === 'rows') {
      joined[joined.length - 1] = { kind: 'rows', bytes: Buffer.concat([last.bytes, item.bytes]) }
    } else joined.push(item)
  }
  return joined
}

const statements = (text: string): string[] =>
  lex(text).flatMap((item) => (item.kind === 'statement' || item.kind === 'copy' ? [item.text.trim()] : []))

const codeOf = (body: () => unknown): string => {
  try {
    body()
  } catch (error) {
    if (error instanceof AppError) return error.code
    throw error
  }
  return 'none'
}

test('statements, comments, commands and rows come in their order, with the lines that they begin on', () => {
  const text = [
    '-- first',
    '\\restrict abc',
    'SET a = 1;',
    '/* block /* nested ; */',
    "*/ CREATE TABLE t (a text DEFAULT 'x;''y'",
    ');',
    'COPY public.t (a) FROM stdin;',
    'DROP TABLE t;',
    '\\.x',
    'last;',
    '\\.',
    '-- end',
    '',
  ].join('\n')
  expect(lex(text)).toEqual([
    { kind: 'comment', text: '-- first', line: 1 },
    { kind: 'command', text: '\\restrict abc', line: 2 },
    { kind: 'statement', text: 'SET a = 1', line: 3 },
    { kind: 'statement', text: "CREATE TABLE t (a text DEFAULT 'x;''y'\n)", line: 5 },
    { kind: 'copy', text: 'COPY public.t (a) FROM stdin', line: 7 },
    { kind: 'rows', bytes: Buffer.from('DROP TABLE t;\n\\.x\nlast;\n') },
    { kind: 'end of rows', rows: 3, line: 11 },
    { kind: 'comment', text: '-- end', line: 12 },
  ])
})

test('a backslash ends no plain string, but every escape string and those that go on with one', () => {
  expect(statements(String.raw`SELECT '\'; SELECT 2;`)).toHaveLength(2)
  expect(statements(String.raw`SELECT E'\'; SELECT 2;';`)).toHaveLength(1)
  expect(statements("SELECT E'a' -- c\n 'b\\'; SELECT 2;';")).toHaveLength(1)
  expect(statements("SELECT E'a' /* c */\n 'b\\'; SELECT 2;")).toHaveLength(2)
  expect(statements("SELECT E'a' 'b\\'; SELECT 2;")).toHaveLength(2)
  expect(statements(String.raw`SELECT U&'\'; SELECT U&"\"; SELECT 3;`)).toHaveLength(3)
})

test('what a file says of standard_conforming_strings holds from there on', () => {
  const off = String.raw`SET standard_conforming_strings = off; SELECT '\'; SELECT 2;';`
  expect(statements(off)).toHaveLength(2)
  expect(statements(`${off} SET standard_conforming_strings TO 'on'; SELECT '\\'; SELECT 2;`)).toHaveLength(5)
})

test('bodies of functions are no statements, in dollars or between BEGIN ATOMIC and END', () => {
  expect(statements('CREATE FUNCTION f() AS $a$ ; $b$ ; $$ ; $a$; SELECT 1;')).toHaveLength(2)
  const atomic = 'CREATE FUNCTION f() BEGIN ATOMIC SELECT CASE WHEN $1.a THEN 1 END; SELECT 2; END; SELECT 3;'
  expect(statements(atomic)).toHaveLength(2)
})

test('T6: data of a COPY are never SQL, whatever is wrong with its statement', () => {
  const items = lex(
    'COPY t (a FROM stdin;\n1\n\\.\nCOPY nope (x) FROM stdin WITH (FORMAT csv);\nDROP TABLE t;\n\\.\n'.replace(
      '(a FROM',
      '(a) FROM',
    ),
  )
  expect(items.map(({ kind }) => kind)).toEqual(['copy', 'rows', 'end of rows', 'copy', 'rows', 'end of rows'])
})

test.for([
  ['a statement', 'SELECT 1'],
  ['a string', "SELECT 'a"],
  ['a name', 'SELECT "a'],
  ['a dollar quote', 'SELECT $a$ b $b$'],
  ['a block comment', 'SELECT 1; /* /* */'],
  ['rows', 'COPY t FROM stdin;\n1\n2\n'],
  ['rows whose end mark is cut', 'COPY t FROM stdin;\n1\n\\.'],
  ['what goes before rows', 'COPY t FROM stdin;'],
] as const)('D14: a file that ends within %s is damaged', ([, text]) => {
  expect(codeOf(() => lex(text))).toBe('dump_damaged')
})

test('D13: commands of psql within a statement, code behind COPY and numbers that older servers read apart are refused', () => {
  expect(codeOf(() => lex('SELECT 1 \\! ls\n;'))).toBe('dump_refused')
  expect(codeOf(() => lex('COPY t FROM stdin; DROP TABLE t;\n\\.\n'))).toBe('dump_refused')
  expect(codeOf(() => lex(String.raw`INSERT INTO t VALUES (1E'\', 'x');`))).toBe('dump_refused')
  expect(codeOf(() => lex("INSERT INTO t VALUES (1'x');"))).toBe('dump_refused')
})

test('a statement beyond the limit is refused while it is read', () => {
  expect(codeOf(() => lex(`SELECT '${'x'.repeat(2_000)}';`, [500, 900], 1_000))).toBe('dump_too_large')
  const rows = `COPY t FROM stdin;\n${'x'.repeat(5_000)}\n\\.\n`
  expect(codeOf(() => lex(rows, [500, 900], 1_000))).toBe('none')
})

test('S42: a word that never ends is refused, and not read again and again from its beginning', () => {
  const cuts = Array.from({ length: 4_096 }, (_, n) => n * 4_096)
  for (const begin of ['', '1', '$', 'SELECT "a" ']) {
    expect(codeOf(() => lex(`${begin}${'a'.repeat(16 * 1024 * 1024)}`, cuts))).toBe('dump_refused')
  }
  expect(codeOf(() => lex(`SELECT ${'9'.repeat(147_456)};`, cuts))).toBe('none')
})

/** Pieces of SQL that are hard to tell apart, each of which may stand next to each. */
const PIECES = [
  "'a'",
  "''",
  "'it''s'",
  "'\\'",
  "E'\\''",
  "e'a\\\\'",
  "E'x'",
  "U&'\\0061'",
  'U&"a"',
  "B'01'",
  "X'1f'",
  "N'n'",
  '"a""b"',
  '"',
  "'",
  '$$',
  '$a$',
  '$b$',
  '$1',
  '$$;$$',
  '$a$;$b$;$a$',
  ';',
  ';',
  ';',
  '(',
  ')',
  '--',
  '-- c\n',
  '/*',
  '*/',
  '/* ; */',
  '/* /* ; */ ; */',
  '\n',
  ' ',
  '\t',
  '\r',
  'SELECT',
  'a$b',
  'é',
  '日本',
  '1',
  '1.5',
  '2e3',
  '2e+3',
  '.5',
  '+',
  '-',
  '*',
  '/',
  '<',
  '>=',
  '::',
  ':',
  ',',
  '.',
  '[',
  ']',
  '=',
  '@',
  'e',
  'E',
  'u&',
  'U',
  'n',
  'x',
  '_',
  '|',
  '&',
  '#',
  '%',
  '^',
  '!',
]

/** The statements that the server's own scanner sees, from their first token to `;`; null where it refuses the text. */
function statementsByScanner(text: string): string[] | null {
  const bytes = Buffer.from(text)
  try {
    let [depth, from] = [0, -1]
    const found: string[] = []
    for (const { start, end, tokenName } of scanSync(text).tokens) {
      const token = bytes.toString('utf8', start, end)
      if (token === '(') depth += 1
      if (token === ')') depth -= 1
      if (token === ';' && depth <= 0) {
        // What is empty but for comments is no statement.
        if (from >= 0) found.push(bytes.toString('utf8', from, start))
        depth = 0
        from = -1
      } else if (from < 0 && !/COMMENT/.test(tokenName)) from = start
    }
    return found
  } catch {
    return null
  }
}

function statementsByLexer(text: string, cuts: readonly number[]): string[] | null {
  try {
    return lex(text, cuts).flatMap((item) => (item.kind === 'statement' ? [item.text] : []))
  } catch (error) {
    if (error instanceof AppError) return null
    throw error
  }
}

const soup = fc.array(fc.constantFrom(...PIECES), { maxLength: 40 }).map((pieces) => `SELECT ${pieces.join('')} ;`)
const cutsOf = fc.array(fc.nat(120), { maxLength: 6 })

test("random soup has the statements that the server's scanner sees, however it is cut into chunks", () => {
  let compared = 0
  fc.assert(
    fc.property(soup, cutsOf, (text, cuts) => {
      const mine = statementsByLexer(text, cuts)
      // The same bytes at once are the same items.
      expect(mine).toEqual(statementsByLexer(text, []))
      const scanned = statementsByScanner(text)
      if (mine === null || scanned === null) return
      compared += 1
      expect(mine).toEqual(scanned)
    }),
    { seed: printedSeed(), numRuns: 20_000 },
  )
  expect(compared).toBeGreaterThan(1_000)
})

const expression = fc.constantFrom(
  '1',
  "'a;b'",
  "E'\\';'",
  "'\\'",
  '$$;$$',
  '$q$ ; $$ ; $q$',
  '"c;d"',
  "U&'\\0061;'",
  "B'01'",
  '(SELECT 2)',
  '1 /* ; */',
  '1 -- ;\n',
  "E'a'\n'b\\';'",
  'CASE WHEN true THEN 1 END',
  '1.5e3',
  "x'1F'",
  'a.b',
  "'it''s;'",
  '-1',
  '@ 3',
  '/* /* ; */ */ 4',
)
const list = fc.array(expression, { minLength: 1, maxLength: 5 }).map((all) => all.join(', '))
const statement = fc.oneof(
  list.map((all) => `SELECT ${all}`),
  list.map((all) => `INSERT INTO public."t;t" (a, "b") VALUES (${all})`),
  list.map(
    (all) =>
      `CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT ${all}; SELECT CASE WHEN true THEN 1 END; END`,
  ),
  list.map((all) => `CREATE FUNCTION f() RETURNS int LANGUAGE sql RETURN (${all})`),
  list.map((all) => `CREATE RULE r AS ON INSERT TO t DO ALSO (SELECT ${all}; DELETE FROM t)`),
  list.map((all) => `CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $_$ BEGIN RETURN ${all}; END; $_$`),
)

test("random scripts have the statements that the server's parser sees", () => {
  fc.assert(
    fc.property(fc.array(statement, { minLength: 1, maxLength: 6 }), cutsOf, (script, cuts) => {
      const text = `${script.join(';\n')};\n`
      const bytes = Buffer.from(text)
      const parsed = (parseSync(text).stmts ?? []).map(({ stmt_location: from = 0, stmt_len: length }) =>
        bytes
          .subarray(from, length === undefined ? bytes.length : from + length)
          .toString()
          .trim(),
      )
      const read = lex(text, cuts).flatMap((item) => (item.kind === 'statement' ? [item.text.trim()] : []))
      expect(read).toEqual(parsed)
    }),
    { seed: printedSeed(), numRuns: 3_000 },
  )
})
