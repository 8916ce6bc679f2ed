import { expect, test } from 'vitest'

import { readArguments } from './routine-arguments.ts'
import { readTokens } from './sql-tokens.ts'

const own = (name: string, array = false): unknown => ({ schema: null, name, array })

const named = (name: string, array = false): unknown => ({ schema: 'pg_catalog', name, array })

test.for([
  [
    '"a" "text"[], "b" double precision, pg_catalog.int4',
    [named('text', true), own('double precision'), named('int4')],
  ],
  ['', []],
  ['*', []],
  ['integer, text', [own('integer'), own('text')]],
  ['a integer, "b c" text[]', [own('integer'), own('text', true)]],
  ['double precision, double double precision', [own('double precision'), own('double precision')]],
  [
    'at timestamp with time zone, time without time zone',
    [own('timestamp with time zone'), own('time without time zone')],
  ],
  ['character varying, x character varying[]', [own('character varying'), own('character varying', true)]],
  ['"char", c "char", VARIADIC "any"', [named('char'), named('char'), named('any')]],
  [`IN a integer DEFAULT 1, INOUT b text DEFAULT 'x,y'::text, OUT c text`, [own('integer'), own('text')]],
  [
    'a text = lower(\'A, B\'), VARIADIC app."Odd One"[]',
    [own('text'), { schema: 'app', name: 'Odd One', array: true }],
  ],
  [
    'app.mood, m "A".mood',
    [
      { schema: 'app', name: 'mood', array: false },
      { schema: 'A', name: 'mood', array: false },
    ],
  ],
  // What pg_dump does not write so, nobody but the server reads.
  ['numeric(10, 2)', null],
  ['a b.c%TYPE', null],
  ['double precision ORDER BY anyelement', null],
  ['a.b.c', null],
] as const)('the arguments of f(%s)', ([text, types]) => {
  expect(readArguments(readTokens(text, true))).toEqual(types)
})
