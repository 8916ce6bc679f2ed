import { describe, expect, test } from 'vitest'
import { AppError } from '#model/errors.ts'
import type { SslMode } from '#model/datasource.ts'
import { parseDatabaseUrl } from '#adapters/registry.ts'
import { parseEndpoint } from './endpoint.ts'

/** `kind way? user host port database password ssl`; a dash stands for none. */
function read(url: string): string {
  const { kind, connection, password } = parseDatabaseUrl(url)
  const { host, port, database, user, ssl } = connection
  return [kind, user, host, port, database, password?.reveal() ?? '-', ssl ?? '-'].join(' ')
}

const REF = 'abcdefghijklmnopqrst'

describe('S34: what a URL says', () => {
  test.each([
    ['postgres://u:p@db.example.com/shop', 'postgres u db.example.com 5432 shop p -'],
    ['postgresql://u:p@db.example.com:5433/shop', 'postgres u db.example.com 5433 shop p -'],
    ['POSTGRES://u:p@db.example.com/shop', 'postgres u db.example.com 5432 shop p -'],
    ['postgres://u@localhost/shop', 'postgres u localhost 5432 shop - -'],
    ['postgres://u@localhost', 'postgres u localhost 5432 u - -'],
    ['postgres://u:@localhost/', 'postgres u localhost 5432 u - -'],
    ['postgres://u:p@10.0.0.7:6000/shop', 'postgres u 10.0.0.7 6000 shop p -'],
    ['postgres://u:p@[2001:db8::7]:6000/shop', 'postgres u 2001:db8::7 6000 shop p -'],
    ['postgres://u:p@[::1]/shop', 'postgres u ::1 5432 shop p -'],
    ['postgres://localhost/shop?user=u&password=p', 'postgres u localhost 5432 shop p -'],
    ['postgres:///shop?host=db.example.com&port=77&user=u', 'postgres u db.example.com 77 shop - -'],
    ['postgres://u:p@h/shop?sslmode=verify-full', 'postgres u h 5432 shop p verify-full'],
    ['postgres://u:p@h/shop?sslmode=require', 'postgres u h 5432 shop p require'],
    ['postgres://u:p@h/shop?sslmode=no-verify', 'postgres u h 5432 shop p require'],
    ['postgres://u:p@h/shop?sslmode=disable', 'postgres u h 5432 shop p disable'],
    ['postgres://u:p@h/shop?ssl=true', 'postgres u h 5432 shop p -'],
    ['postgres://u:p@h/shop?ssl=false', 'postgres u h 5432 shop p disable'],
    ['postgres://u:p@h/shop?application_name=x&connect_timeout=3&pgbouncer=true', 'postgres u h 5432 shop p -'],
    ['postgres://u:p@h/shop?sslmode=verify-full&sslrootcert=system', 'postgres u h 5432 shop p verify-full'],
    ['postgres://u:p@h/shop?schema=public&connection_limit=5', 'postgres u h 5432 shop p -'],
    ['  postgres://u:p@h/shop \n', 'postgres u h 5432 shop p -'],
    ['"postgres://u:p@h/shop"', 'postgres u h 5432 shop p -'],
    [`psql 'postgres://u:p@h/shop'`, 'postgres u h 5432 shop p -'],
    ['DATABASE_URL="postgres://u:p@h/shop"', 'postgres u h 5432 shop p -'],
    ['postgres://us%40er:p%40ss%3A%2F%23%3F%25@h/my%20shop', 'postgres us@er h 5432 my shop p@ss:/#?% -'],
    ['postgres://u:päss☯@h/shop', 'postgres u h 5432 shop päss☯ -'],
    ['postgres://u:a:b:c@h/shop', 'postgres u h 5432 shop a:b:c -'],
    ['postgres://u:p@bücher.example/shop', 'postgres u bücher.example 5432 shop p -'],
  ])('%s', (url, expected) => {
    expect(read(url)).toBe(expected)
  })
})

describe('UX 1: a password that should have been percent-encoded', () => {
  test.each([
    ['postgres://u:p@ss@h/shop', 'p@ss'],
    ['postgres://u:p@ss@w@h:5432/shop', 'p@ss@w'],
    ['postgres://u:p/ss@h/shop', 'p/ss'],
    ['postgres://u:12/34@h/shop', '12/34'],
    ['postgres://u:p#ss@h/shop', 'p#ss'],
    ['postgres://u:p?ss@h/shop', 'p?ss'],
    ['postgres://u:p?a=b@h/shop', 'p?a=b'],
    ['postgres://u:/#?@h/shop?sslmode=require', '/#?'],
    ['postgres://u:p@ss/w#d@h/shop', 'p@ss/w#d'],
    ['postgres://u:p@h@db.example.com', 'p@h'],
    ['postgres://u:#@localhost:5432/shop', '#'],
  ])('%s is read in the one way that makes sense, with a word about it', (url, password) => {
    const parsed = parseDatabaseUrl(url)
    expect(parsed.password?.reveal()).toBe(password)
    expect(parsed.notes).toMatchObject([...(parsed.notes.length > 1 ? [{}] : []), {}])
    expect(parsed.notes[0]).toMatchObject({ step: 'password', state: 'warn', next: expect.stringContaining('%40') })
    expect(JSON.stringify(parsed.notes)).not.toContain(`"${password}"`)
  })

  test('where two readings make sense, neither is taken', () => {
    expect(refusal('postgres://u:a/b@h/c?d@i/e').message).toContain('several ways')
  })

  test('an @ in an option is no end of a password', () => {
    expect(read('postgres://u:p@h/shop?application_name=me@home')).toBe('postgres u h 5432 shop p -')
  })

  test("a dashboard's placeholder is no password", () => {
    const parsed = parseDatabaseUrl(`postgresql://postgres:[YOUR-PASSWORD]@db.${REF}.supabase.co:5432/postgres`)
    expect(parsed.password).toBeNull()
    expect(parsed.notes).toContainEqual(expect.objectContaining({ step: 'password', next: 'Enter the password.' }))
  })
})

describe('UX 4: providers', () => {
  const neon = 'eu-central-1.aws.neon.tech'
  test.each([
    [`postgresql://postgres:p@db.${REF}.supabase.co:5432/postgres`, 'supabase', 'Supabase, direct', null, /IPv6.*/],
    [`postgresql://postgres:p@db.${REF}.supabase.co:6543/postgres`, 'supabase', 'transaction pooler', null, /5432/],
    [
      `postgres://postgres.${REF}:p@aws-0-eu-west-1.pooler.supabase.com:5432/postgres`,
      'supabase',
      'session pooler',
      null,
      null,
    ],
    [
      `postgres://postgres.${REF}:p@aws-1-us-east-1.pooler.supabase.com:6543/postgres`,
      'supabase',
      'transaction pooler',
      null,
      /session pooler/,
    ],
    [
      'postgres://postgres:p@aws-0-eu-west-1.pooler.supabase.com:5432/postgres',
      'supabase',
      'session pooler',
      null,
      /postgres\.PROJECT/,
    ],
    [
      `postgres://postgres.${REF}:p@aws-0-eu-west-1.pooler.supabase.com:6543/postgres?pgbouncer=true`,
      'supabase',
      'transaction pooler',
      null,
      /session pooler/,
    ],
    [
      `postgres://u:p@ep-cool-sun-123456.${neon}/neondb?sslmode=require&channel_binding=require`,
      'neon',
      'Neon, direct',
      'verify-full',
      null,
    ],
    [
      `postgres://u:p@ep-cool-sun-123456-pooler.${neon}/neondb?sslmode=require`,
      'neon',
      'transaction pooler',
      'verify-full',
      /without -pooler/,
    ],
    [
      `postgres://u:p@ep-cool-sun-123456-pooler.c-2.${neon}/neondb`,
      'neon',
      'transaction pooler',
      null,
      /without -pooler/,
    ],
    [
      `postgres://u:p@ep-cool-sun-123456.${neon}/neondb?options=endpoint%3Dep-cool-sun-123456`,
      'neon',
      'Neon, direct',
      null,
      null,
    ],
    ['postgres://u:p@shop.abc123.eu-west-1.rds.amazonaws.com/shop', 'postgres', 'Amazon RDS', null, /bundle/],
    ['postgres://u:p@shop.postgres.database.azure.com/shop', 'postgres', 'Azure', null, null],
    ['postgres://u:p@x.horizon.psdb.cloud/shop', 'postgres', 'PlanetScale', null, null],
  ] satisfies [string, string, string, SslMode | null, RegExp | null][])('%s', (url, ...expected) => {
    const [kind, found, ssl, next] = expected
    const parsed = parseDatabaseUrl(url)
    expect(parsed.kind).toBe(kind)
    expect(parsed.connection.ssl).toBe(ssl)
    const provider = parsed.notes.find(({ step }) => step === 'provider')
    expect(provider?.found).toContain(found)
    expect(provider?.next ?? '').toMatch(next ?? /^$/)
  })

  test.each(['supabase.co.evil.example', 'notsupabase.com', 'neon.tech', 'db.x.supabase.co.example.com'])(
    '%s only looks like one',
    (host) => {
      expect(parseDatabaseUrl(`postgres://u:p@${host}/d`)).toMatchObject({ kind: 'postgres', notes: [] })
    },
  )
})

describe('S34: what a URL from elsewhere may not ask', () => {
  test.each([
    'sslrootcert=/etc/passwd',
    'sslcert=/etc/passwd',
    'sslkey=/etc/passwd',
    'sslcrl=/etc/passwd',
    'passfile=/etc/passwd',
    'service=prod',
    'servicefile=/etc/passwd',
    'sslpassword=x',
    'options=-c%20log_statement%3Dall',
    'replication=database',
    'host=/var/run/postgresql',
    'krbsrvname=x',
    'made_up=1',
  ])('%s', (option) => {
    const base = option.startsWith('host') ? 'postgres://u:geheim@/shop' : 'postgres://u:geheim@h/shop'
    const error = refusal(`${base}?${option}`)
    expect(error.code).toBe('invalid_url')
    expect(`${error.message} ${error.hint}`).not.toContain('geheim')
  })

  test.each([
    'postgres://u:geheim@%2Fvar%2Frun%2Fpostgresql/shop',
    'postgres://u:geheim@h1,h2/shop',
    'postgres://u:geheim@h:99999/shop',
    'postgres://u:geheim@h:0/shop',
    'postgres://u:geheim@h/shop?port=x',
    'postgres://u:geheim@h/shop?sslmode=allow',
    'postgres://u:geheim@h/shop?connect_timeout=-1',
    'postgres://u:geheim%zz@h/shop',
    'postgres://u:geheim@h/shop#fragment',
    'postgres://h/shop',
    'postgres://u:geheim@/shop',
    'oracle://u:geheim@h/shop',
    'https://u:geheim@h/shop',
    'u:geheim@h/shop',
    'postgres:u:geheim@h',
    'postgres://u:geheim@h ost/shop',
    '',
  ])('%s is refused without its password', (url) => {
    const error = refusal(url)
    expect(error.code).toBe('invalid_url')
    expect(`${error.message} ${error.hint}`).not.toContain('geheim')
  })
})

test('at this machine sslrootcert names a file, a host a socket, and nothing else changes', () => {
  const endpoint = parseEndpoint(`postgres://u:p@h/shop?sslmode=verify-full&sslrootcert=${import.meta.filename}`)
  expect(endpoint.ca).toContain('sslrootcert names a file')
  expect(parseEndpoint('postgres:///shop?host=/var/run/postgresql&user=u')).toMatchObject({
    host: '/var/run/postgresql',
    ssl: 'prefer',
  })
  expect(() => parseEndpoint('postgres://u@h/shop?sslrootcert=/nowhere')).toThrow('cannot be read: /nowhere')
  expect(parseEndpoint('postgres://u@h/shop')).toMatchObject({ ssl: 'verify-full' })
})

function refusal(url: string): AppError {
  try {
    parseDatabaseUrl(url)
  } catch (error) {
    if (error instanceof AppError) return error
    throw error
  }
  throw new Error(`not refused: ${url}`)
}
