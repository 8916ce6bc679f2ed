import fc from 'fast-check'
import { expect, test } from 'vitest'

import { splitScript } from './sql-statements.ts'

function statementsOf(text: string): string[] {
  return [...splitScript(text)].flatMap((item) => (item.kind === 'statement' ? [item.text] : []))
}

/** One statement each, which holds a `;` where none ends it. */
const STATEMENTS = [
  String.raw`SELECT 'a;b''c;', 'back\', "x;""y"`,
  String.raw`SELECT E'a\';b''', e'\\', B'1', U&'\0061;''', U&"d;"`,
  String.raw`SELECT E'a'
    -- between;
    '\';b'`,
  `SELECT 'a' -- no continuation;'
    , 'b\\'`,
  `SELECT $$;'$$, $a$;$$;$b$;$a$, a$b$c, $1, 1$$;$$`,
  `SELECT $ä$;$ä$, $Ä1_$;$ä$;$Ä1_$`,
  `SELECT 1 /* ; /* ; */ ; ' */ - 2 -- ; '
    , 3`,
  `SELECT 1 */* ; */ 2`,
  `CREATE RULE r AS ON UPDATE TO t DO ALSO (SELECT 1; SELECT 2)`,
  `CREATE FUNCTION f(begin int) RETURNS int LANGUAGE sql BEGIN ATOMIC
     SELECT CASE WHEN true THEN CASE 1 WHEN 1 THEN 2 END ELSE 3 END; SELECT (CASE WHEN true THEN 1 END); END`,
  `CREATE PROCEDURE p() begin atomic SELECT 1 AS "end"; SELECT 'END'; end`,
  `CREATE TABLE begin (atomic int, "END" int)`,
  `SELECT CASE WHEN true THEN 1 END`,
  `SELECT '
--
-- TOC entry 1 (class 1259 OID 5)
\\restrict x
'`,
  `SELECT "
\\unrestrict ;"`,
]

test.each(STATEMENTS)('no part of it ends a statement: %s', (statement) => {
  expect(statementsOf(`${statement};\nSELECT 1;`)).toEqual([statement, 'SELECT 1'])
})

test('statements stay whole in any order, with anything between', () => {
  const between = fc.constantFrom(
    '\n',
    ' ;; ',
    '\n-- it\'s; /* "\n',
    '/* a; /* " */ b */',
    '\n\n--\n',
    '\n\\restrict ;a"\n',
  )
  const script = fc.array(fc.tuple(fc.constantFrom(...STATEMENTS), between), { maxLength: 12 })
  fc.assert(
    fc.property(script, (parts) => {
      const text = parts.map(([statement, space]) => `${statement};${space}`).join('')
      expect(statementsOf(text)).toEqual(parts.map(([statement]) => statement))
    }),
    { verbose: true },
  )
})

test('any text survives as a literal, a name, a body or a comment', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary' }),
      fc.string({ unit: fc.constantFrom(...Array.from(`;'"$-*/\\ \n()ae`)) }),
      (any, nasty) => {
        for (const text of [any, nasty]) {
          const literal = `'${text.replaceAll("'", "''")}'`
          const escaped = `E'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
          const name = `"${text.replaceAll('"', '""')}"`
          const body = `$q$${text.replaceAll('$', '')}$q$`
          const comment = `/*${text.replaceAll(/[*/]/g, '')}*/`
          const statement = `SELECT ${literal}, ${comment} ${escaped}, ${name}, ${body}`
          expect(statementsOf(`${statement};${statement};`)).toEqual([statement, statement])
        }
      },
    ),
    { verbose: true },
  )
})

test('comments and backslash lines are items of their own', () => {
  expect(
    [...splitScript('-- a;\n\\restrict x;y\nSELECT 1 -- b\n; /* c */')].map(({ kind, text }) => [kind, text]),
  ).toEqual([
    ['comment', '-- a;'],
    ['backslash', '\\restrict x;y'],
    ['statement', 'SELECT 1 -- b\n'],
    ['comment', '/* c */'],
  ])
})

test.each([
  "SELECT 'a",
  'SELECT "a',
  'SELECT $$a',
  '/* /* */',
  'SELECT 1',
  'SELECT (1;',
  "SELECT E'\\'",
  "SELECT 'a''",
])('a cut script is refused: %s', (text) => {
  expect(() => statementsOf(text)).toThrow(expect.objectContaining({ code: 'internal' }))
})
