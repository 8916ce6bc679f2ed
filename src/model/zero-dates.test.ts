import { expect, test } from 'vitest'
import { ConfigPolicies, toPolicies, toTableChoice } from './config-document.ts'
import { isZeroDate, readZeroDates } from './zero-dates.ts'

test.each(['0000-00-00', '2024-00-15', '2024-10-00', '0000-05-03', '0000-00-00 00:00:00+00', '2024-00-01 10:00:00.5'])(
  '%s is a day of zeros',
  (text) => {
    expect(isZeroDate(text)).toBe(true)
  },
)

test.each(['2024-02-29', '1000-10-10 00:00:00', '10000-01-01', '0001-01-01', 'infinity', '0044-03-15 BC'])(
  '%s is none',
  (text) => {
    expect(isZeroDate(text)).toBe(false)
  },
)

test.each([
  ['reject', 'reject'],
  ['keep', 'keep'],
  ['null', { as: null }],
  ['1970-01-01', { as: '1970-01-01' }],
  ['2024-02-30', null],
  ['0000-00-00', null],
  ['1970-01-01 00:00:00', null],
  ['NULL', null],
  ['', null],
])('%j says %j', (text, policy) => {
  expect(readZeroDates(text)).toEqual(policy)
})

test('a table says it for itself, and the config for the others', () => {
  const document = { tables: [{ source: 'a', zero_dates: 'keep' }, { source: 'b' }], zero_dates: 'null' }
  expect(toPolicies(ConfigPolicies.parse(document)).zeroDates).toEqual({ as: null })
  expect(toTableChoice(ConfigPolicies.parse(document)).options).toMatchObject([
    { table: { name: 'a' }, zeroDates: 'keep' },
  ])
  expect(toPolicies({}).zeroDates).toBe('reject')
})

test.each([{ zero_dates: 'epoch' }, { tables: [{ source: 'log_*', zero_dates: 'keep' }] }])(
  '%j is refused, with what it can be',
  (document) => {
    const { error } = ConfigPolicies.safeParse(document)
    expect(error?.issues.map(({ message }) => message).join()).toMatch(
      /reject, keep, null \(as a text\) or a day|the source is a pattern/,
    )
  },
)
