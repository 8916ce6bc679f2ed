import { describe, expect, test } from 'vitest'
import { locateDatabase, parseDatabaseUrl } from '#adapters/registry.ts'
import { AppError } from '#model/errors.ts'
import { parseMysqlEndpoint } from './endpoint.ts'

function parts(url: string): unknown[] {
  const { kind, connection, password } = parseDatabaseUrl(url)
  const { user, host, port, database } = connection
  return [kind, user, password?.reveal() ?? null, host, port, database]
}

describe('UX 1: a URL as it stands somewhere else is taken apart', () => {
  test.each([
    ['mysql://app:secret@db.example.com/shop', ['mysql', 'app', 'secret', 'db.example.com', 3306, 'shop']],
    ['mariadb://app@db.example.com:3307/shop', ['mysql', 'app', null, 'db.example.com', 3307, 'shop']],
    ['DATABASE_URL="mysql://app:p@ss/#1@h/shop"', ['mysql', 'app', 'p@ss/#1', 'h', 3306, 'shop']],
    ['mysql2://app:a%40b@[::1]/shop', ['mysql', 'app', 'a@b', '::1', 3306, 'shop']],
    ['mysql+pymysql://app:s@h/shop?charset=utf8mb4', ['mysql', 'app', 's', 'h', 3306, 'shop']],
    ['jdbc:mysql://h:3306/shop?user=app&password=s&useSSL=false', ['mysql', 'app', 's', 'h', 3306, 'shop']],
    ['jdbc:mariadb://h/shop?user=app', ['mysql', 'app', null, 'h', 3306, 'shop']],
  ])('%s', (url, expected) => {
    expect(parts(url)).toEqual(expected)
  })

  test.each([
    ['', null],
    ['?ssl-mode=REQUIRED', 'require'],
    ['?sslMode=VERIFY_IDENTITY', 'verify-full'],
    ['?sslmode=verify-ca', 'verify-ca'],
    ['?sslaccept=strict', 'verify-full'],
    ['?useSSL=false', 'disable'],
    ['?tls=skip-verify', 'require'],
    ['?ssl={"rejectUnauthorized":true}', null],
    ['?ssl={"rejectUnauthorized":false}', 'require'],
  ])('what %s says of encryption is %s', (options, ssl) => {
    expect(parseDatabaseUrl(`mysql://u:p@db.example.com/shop${options}`).connection.ssl).toBe(ssl)
  })

  test('encryption that verifies nobody is told, and a provider that signs its own certificates too', () => {
    const { notes } = parseDatabaseUrl('mysql://u:p@x.eu.rds.amazonaws.com/shop?ssl-mode=REQUIRED')
    expect(notes.map(({ step, state }) => [step, state])).toEqual([
      ['provider', 'warn'],
      ['encryption', 'warn'],
    ])
  })
})

describe('S34: what a URL may not ask', () => {
  test.each([
    ['mysql://u:geheim@h', /names no database/],
    ['mysql://:geheim@h/shop', /names no user/],
    ['mysql://u:geheim@h/shop?ssl-ca=/etc/passwd', /names a file/],
    ['mysql://u:geheim@h/shop?socket=/run/mysqld.sock', /socket of this machine/],
    ['mysql://u:geheim@h/shop?allowLoadLocalInfile=true', /not supported/],
    ['mysql://u:geheim@h:0/shop', /port/],
    ['mysql://u:geheim@a,b/shop', /several hosts/],
    ['mysql://u:geheim@h/shop?sslmode=perhaps', /sslmode/],
  ])('%s is refused without its password', (url, why) => {
    const error = refusal(url)
    expect(String(error)).toMatch(why)
    expect(String(error)).not.toContain('geheim')
  })
})

test('somebody at this machine may name a socket; elsewhere the certificate is verified by itself', () => {
  expect(parseMysqlEndpoint('mysql://u@localhost/shop?socket=/run/mysqld.sock')).toMatchObject({
    host: '/run/mysqld.sock',
    ssl: 'prefer',
  })
  expect(parseMysqlEndpoint('mysql://u@h/shop')).toMatchObject({ ssl: 'verify-full' })
  expect(locateDatabase('mysql://u:p@127.0.0.1/shop')).toEqual({ address: 'u@127.0.0.1:3306/shop', local: true })
})

function refusal(url: string): AppError {
  try {
    parseDatabaseUrl(url)
  } catch (error) {
    if (error instanceof AppError) return error
    throw error
  }
  throw new Error('not refused')
}
