import { describe, expect, test } from 'vitest'
import {
  connectionOf,
  EMPTY_DRAFT,
  passwordIn,
  requestOf,
  suggestName,
  urlOf,
  withParsed,
} from '#features/datasources/connection-draft.ts'

const DRAFT = { ...EMPTY_DRAFT, host: 'db.example.com', database: 'shop', user: 'app' }

test.each([
  ['postgres://app:secret@db.example.com:5432/shop', 'secret'],
  ['postgres://app:p@ss#w/rd?@db.example.com/shop?sslmode=require', 'p@ss#w/rd?'],
  ['postgresql://app:p%40ss@DB.example.com', 'p@ss'],
  [`DATABASE_URL="postgres://app:it's@db.example.com/shop"`, "it's"],
  [`psql 'postgres://app:a:b@db.example.com/shop'`, 'a:b'],
  ['postgres://app:100%@db.example.com/shop', '100%'],
  ['postgres://app@db.example.com/shop', null],
  ['postgres://db.example.com/shop?user=app&password=hidden', 'hidden'],
])('UX 1: the password of %s', (url, password) => {
  expect(passwordIn(url, 'db.example.com')).toBe(password)
})

test('the password before an address of version 6', () => {
  expect(passwordIn('postgres://app:secret@[::1]:5433/shop', '::1')).toBe('secret')
})

describe('UX 8: the form as a URL', () => {
  test('without the password, and with whatever a URL has to encode', () => {
    expect(urlOf({ ...DRAFT, password: 'secret' })).toBe('postgres://app@db.example.com:5432/shop')
    expect(urlOf({ ...DRAFT, user: 'a@b', database: 'a/b', ssl: 'require', port: '' })).toBe(
      'postgres://a%40b@db.example.com/a%2Fb?sslmode=require',
    )
    expect(urlOf({ ...DRAFT, host: '::1' })).toBe('postgres://app@[::1]:5432/shop')
    expect(urlOf(EMPTY_DRAFT)).toBe('')
  })
})

test('a password never goes to another place than the one that it was entered for', () => {
  const parsed = {
    ...DRAFT,
    kind: 'postgres',
    port: 5432,
    ssl: null,
    has_password: false,
    connect_timeout_ms: 1,
    notes: [],
  }
  const before = { ...DRAFT, password: 'secret' }
  expect(withParsed(before, 'postgres://app@db.example.com/shop', parsed).password).toBe('secret')
  expect(
    withParsed(before, 'postgres://app@other.example.com/shop', { ...parsed, host: 'other.example.com' }).password,
  ).toBe('')
})

describe('what is sent', () => {
  test('a password that was entered, one that stays, one that goes, and one that is looked up', () => {
    expect(connectionOf({ ...DRAFT, password: 'x' }, 'neon')).toMatchObject({ kind: 'neon', password: 'x' })
    expect(connectionOf({ ...DRAFT, secret: 'keep', password: 'x' }, undefined)).not.toHaveProperty('password')
    expect(connectionOf({ ...DRAFT, secret: 'none' }, undefined)).toMatchObject({ password: null })
    expect(connectionOf({ ...DRAFT, secret: 'reference', reference: ' env:PW ' }, undefined)).toMatchObject({
      password_reference: 'env:PW',
    })
  })

  test.each([true, false])(
    'a project has its address and its key, and is written where somebody says so: %j',
    (writable) => {
      const project = { ...DRAFT, way: 'project', projectUrl: 'https://abc.supabase.co', writable } as const
      expect(requestOf({ ...project, name: 'app', password: 'key' }, undefined)).toEqual({
        name: 'app',
        project_url: 'https://abc.supabase.co',
        service_role_key: 'key',
        schemas: null,
        environment: null,
        writable,
      })
    },
  )

  test('lists and numbers that were typed', () => {
    const draft = { ...DRAFT, name: ' shop ', schemas: 'sales, public,', poolSize: '4', timeoutSeconds: '2.5' }
    expect(requestOf(draft, 'postgres')).toMatchObject({
      name: 'shop',
      schemas: ['sales', 'public'],
      pool_size: 4,
      connect_timeout_ms: 2_500,
    })
  })
})

test.each([
  [{ database: 'shop' }, 'shop'],
  [{ database: 'taken' }, 'taken 2'],
  [{ database: 'postgres', host: 'db.abcdef.supabase.co' }, 'abcdef'],
  [{ database: 'postgres', user: 'postgres.abcdef', host: 'aws-0-eu.pooler.supabase.com' }, 'abcdef'],
  [{ database: 'neondb', host: 'ep-cool-sun-123.eu-central-1.aws.neon.tech' }, 'ep-cool-sun-123'],
  [{ database: '_my/shop_' }, 'my-shop'],
  [{ way: 'project', projectUrl: 'https://abcdef.supabase.co' }, 'abcdef'],
] as const)('a name for %j: %s', (changes, name) => {
  expect(suggestName({ ...DRAFT, ...changes }, ['taken'])).toBe(name)
})
