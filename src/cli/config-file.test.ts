import { expect, test } from 'vitest'
import { AppError } from '#model/errors.ts'
import { mustReadConfigFile, readConfigFile } from './config-file.ts'

/** Each problem as `line:column path message`. */
function problems(text: string): string[] {
  return readConfigFile(text).problems.map(({ line, column, path, message }) => `${line}:${column} ${path} ${message}`)
}

const GOOD = `
datasources:
  - name: shop
    url: postgres://app@db.example.org/shop
    password_reference: env:SHOP_PASSWORD
sync_configs:
  - name: shop copy
    master_datasource_id: shop
    slave_datasource_id: copy
    tables:
      - source: shop.orders
        rename: { total: amount }
`

test('a good file is read, and other names of fields are taken for the own ones', () => {
  const { file } = readConfigFile(GOOD)
  expect(file?.sync_configs).toEqual([
    {
      name: 'shop copy',
      source_datasource_id: 'shop',
      target_datasource_id: 'copy',
      tables: [{ source: 'shop.orders', rename: { total: 'amount' } }],
    },
  ])
  expect(readConfigFile(JSON.stringify(file)).file).toEqual(file)
  expect(readConfigFile('').file).toEqual({})
})

test('an unknown field is told with the line and column of its name', () => {
  expect(problems(`${GOOD}    detection: hash\n`)).toEqual([
    '13:5 sync_configs[0].detection There is no such field; the nearest is detection_strategy.',
  ])
  expect(problems('tables: []\n')).toEqual(['1:1 tables There is no such field.'])
})

test('a value that is not allowed is told where it stands, and all at once', () => {
  const found = problems(`sync_configs:
  - name: " x"
    source_datasource_id: a
    target_datasource_id: b
    batch_size: 0
    tables:
      - source: a.b.c
`)
  expect(found).toHaveLength(3)
  expect(found[0]).toMatch(/^2:5 sync_configs\[0\]\.name A name has/)
  expect(found[1]).toMatch(/^5:5 sync_configs\[0\]\.batch_size /)
  expect(found[2]).toMatch(/^7:9 sync_configs\[0\]\.tables\[0\]\.source This is no name of a table/)
})

test('a missing field is told where the thing stands that lacks it', () => {
  expect(problems('sync_configs:\n  - name: x\n    source_datasource_id: a\n')[0]).toMatch(
    /^2:5 sync_configs\[0\]\.target_datasource_id /,
  )
})

test('what is no YAML is told with its place', () => {
  expect(problems('a: [1, 2\nb: 3\n')[0]).toMatch(/^2:/)
  expect(problems('name: a\nname: b\n')[0]).toMatch(/^2:1  Map keys must be unique/)
})

test('a password has no place in a file', () => {
  expect(problems('datasources:\n  - name: a\n    password: secret\n')).toEqual([
    '3:5 datasources[0].password There is no such field; the nearest is password_reference.',
  ])
})

test('S26, S39: names of the language and files that blow up do no harm', () => {
  expect(problems('__proto__:\n  polluted: true\n')).toEqual(['1:1 __proto__ There is no such field.'])
  expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false)
  const bomb = [
    'a: &a [x, x, x, x, x, x, x, x, x]',
    ...'bcdefghi'.split('').map((name, i) => `${name}: &${name} [${`*${'abcdefgh'[i]}, `.repeat(9)}x]`),
  ]
  expect(() => readConfigFile(bomb.join('\n'))).toThrow(AppError)
})

test('a file that cannot be used is refused with every place in it', () => {
  expect(() => mustReadConfigFile('x: 1\ny: 2\n', 'my.yaml')).toThrow(
    /my\.yaml cannot be used\.\n {2}my\.yaml:1:1: x: .*\n {2}my\.yaml:2:1: y: /,
  )
})

test('a schedule that is none is told where its part stands', () => {
  const found = problems(`sync_configs:
  - name: nightly
    source_datasource_id: a
    target_datasource_id: b
    schedule:
      cron: 30 25 * * *
      time_zone: Europe/Berln
  - name: both
    source_datasource_id: a
    target_datasource_id: b
    sync_interval: 300
    schedule: { cron: 0 2 * * * }
`)
  expect(found).toEqual([
    '6:7 sync_configs[0].schedule.cron hour: 25 is not one of 0 to 23.',
    expect.stringMatching(/^7:7 sync_configs\[0\]\.schedule\.time_zone This is no time zone .* Europe\/Berlin\.$/),
    '12:5 sync_configs[1].schedule There is a sync_interval too: give one of them.',
  ])
})
