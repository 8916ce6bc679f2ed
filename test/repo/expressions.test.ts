import { expect, test } from 'vitest'

import { FUNCTIONS } from '#sync/expressions/calls.ts'
import { MAX_DEPTH, MAX_ELEMENTS, MAX_EXPRESSION, MAX_TEXT, MAX_WORK } from '#sync/expressions/failure.ts'
import { MACROS } from '#sync/expressions/macros.ts'

/** What a column is in an expression, in the order of the page. */
const TYPES = [
  ['int', 'integers of 16, 32 and 64 bits', '`42`, `-7`, `0xff`'],
  ['decimal', 'decimal and numeric', '`1.10`, `1e-3`'],
  ['double', 'floats of 32 and 64 bits', 'a constant number beside one'],
  ['text', 'texts, enums, UUIDs, and every type that has no other row here', '`"a"`, `\'a\'`, `r"\\d"`'],
  ['bool', 'booleans', '`true`, `false`'],
  ['bytes', 'bytes', '`b"\\x00"`'],
  ['timestamp', 'timestamps with a time zone', '`timestamp("2024-01-01T00:00:00Z")`'],
  ['datetime', 'timestamps without a time zone', '`datetime("2024-01-01 00:00")`'],
  ['date', 'dates', '`date("2024-01-01")`'],
  ['time', 'times of day without a time zone', '`time("12:00")`'],
  ['duration', 'differences of timestamps', '`duration("1h30m")`'],
  ['json', 'JSON', '`{"a": 1}`, `json("[1]")`'],
  ['list', 'arrays of one dimension', '`[1, 2]`'],
] as const

function expressionsPage(): string {
  const result = (gives: string | null): string => (gives === null ? 'null' : `\`${gives}\``)
  return [
    '# Expressions',
    '',
    'An expression computes a field, filters rows, or is a rule for data. It is written in the Common Expression Language',
    '(CEL) over the columns of one row: `price * 1.19`, `lower(trim(email))`, `status == "paid" && total > 0`. Its types are',
    'checked before anything runs. There is no clock, no chance and no way out: the same row gives the same result.',
    '',
    'This page is made from the tables in `src/sync/expressions`: `npx vitest run test/repo/expressions.test.ts -u` writes it',
    'anew, and every example on it is executed by the tests.',
    '',
    '## Columns',
    '',
    'A column is named as it is (`price`), or as `row["any name"]` where its name is not made of letters, digits and `_`.',
    '',
    '| type | columns | written |',
    '|---|---|---|',
    ...TYPES.map((row) => `| ${row.map(cell).join(' | ')} |`),
    '',
    'Values are exact. An `int` that does not fit 64 bits is a failure; a `decimal` keeps all its digits, up to 2,000 before',
    'and behind the point; a quotient of decimals that does not end has 38 digits. Integers become decimals beside decimals,',
    'and constants become doubles beside doubles; nothing else is converted by itself. In the order of numbers NaN equals',
    'itself and is greater than all, as in PostgreSQL. Texts are ordered by code point.',
    '',
    '## Operators',
    '',
    '`+ - * / %`, `== != < <= > >=`, `&& || !`, `in`, `condition ? a : b`, `data.name`, `data["name"]`, `list[0]`. `/` of two',
    'integers cuts the fraction off. `+` joins texts and lists. A duration is added to or taken from a timestamp or datetime,',
    'a number of days to or from a date; two of them differ by a duration, two dates by days.',
    '',
    '## Null',
    '',
    'An operator or function gives null where an operand is null. These do not:',
    '',
    '- `==`, `!=` and `in` take null for a value like any other: `x == null` is true or false, and never null.',
    '- `&&` is false where one side is false and `||` true where one side is true, whatever the other is, also where the',
    '  other fails.',
    '- `condition ? a : b` takes a null condition for false.',
    '- `coalesce`, `nullIf`, `least`, `greatest` and `has` look at nulls; `join` leaves them out.',
    '- A part of JSON that is not there is null, as is JSON’s own null; `has(data.name)` tells them apart.',
    '',
    'A filter takes a row where it is true. What fails sets the row aside with the reason: overflow, division by zero, a text',
    'that does not convert, an element of a list that is not there, and what grows beyond a bound.',
    '',
    '## Bounds',
    '',
    `An expression has at most ${MAX_EXPRESSION} characters and ${MAX_DEPTH} levels. What it makes has at most ${MAX_TEXT}`,
    `characters or ${MAX_ELEMENTS} elements, and one evaluation takes at most ${MAX_WORK} steps.`,
    '',
    '## Lists',
    '',
    '| form | what it gives | example | gives |',
    '|---|---|---|---|',
    ...MACROS.map(
      ({ form, about, example }) =>
        `| ${[`\`${form}\``, about, `\`${example.expression}\``, result(example.gives)].map(cell).join(' | ')} |`,
    ),
    '',
    '## Functions',
    '',
    'The first argument may also stand before a dot: `lower(name)` is `name.lower()`. `T` stands for one type that is the',
    'same everywhere, `any` for every type.',
    ...FUNCTIONS.flatMap(({ name, about, overloads, examples }) => [
      '',
      `### ${name}`,
      '',
      about,
      '',
      ...overloads.map(({ signature }) => `- \`${signature}\``),
      '',
      ...examples
        .map(({ expression, gives }) => `\`${expression}\` gives ${result(gives)}`)
        .join('  \n')
        .split('\n'),
    ]),
    '',
  ].join('\n')
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|')
}

test('docs/expressions.md says what the tables say', async () => {
  await expect(expressionsPage()).toMatchFileSnapshot('../../docs/expressions.md')
})
