import pg from 'pg'
import { expect, test } from 'vitest'

import { toAppError } from './errors.ts'

test.each([
  ['57P01', 'terminating connection due to administrator command', 'connection_lost'],
  ['57P01', 'terminating connection due to unexpected postmaster exit', 'connection_lost'],
  ['57P02', 'terminating connection because of crash of another server process', 'connection_lost'],
  ['57P03', 'the database system is starting up', 'server_unavailable'],
  ['57P03', 'the database system is shutting down', 'server_unavailable'],
  ['57P03', 'the database system is in recovery mode', 'server_unavailable'],
  ['08006', 'connection failure', 'connection_lost'],
])('%s, %s: worth another try, as %s', (state, message, code) => {
  const error = Object.assign(new pg.DatabaseError(message, message.length, 'error'), { code: state })
  expect(toAppError(error, 'writing')).toMatchObject({ code, retry: 'later' })
})

test.each([
  ['ECONNREFUSED', 'connection_refused'],
  ['ECONNRESET', 'connection_lost'],
  ['EPIPE', 'connection_lost'],
  ['ETIMEDOUT', 'connection_timeout'],
  ['ENOENT', 'connection_refused'],
  ['ERR_STREAM_PREMATURE_CLOSE', 'connection_lost'],
])('%s of the system: worth another try, as %s', (system, code) => {
  const error = Object.assign(new Error('it broke'), { code: system })
  expect(toAppError(error, 'writing')).toMatchObject({ code, retry: 'later' })
  expect(toAppError(new AggregateError([error]), 'connecting')).toMatchObject({ code, retry: 'later' })
})

/** As Node makes them. */
const failing = (code: string, facts: object = {}): Error =>
  Object.assign(new Error(`connect ${code} 127.0.0.1:5999`), { code, ...facts })

test.each([
  [
    failing('ECONNREFUSED', { address: '127.0.0.1', port: 5999 }),
    'connection_refused',
    'Nothing listens on 127.0.0.1:5999 (',
  ],
  [failing('ECONNREFUSED', { address: '::1', port: 5999 }), 'connection_refused', 'Nothing listens on [::1]:5999 ('],
  [
    new AggregateError([
      failing('ECONNREFUSED', { address: '::1', port: 5999 }),
      failing('ECONNREFUSED', { address: '127.0.0.1', port: 5999 }),
    ]),
    'connection_refused',
    'Nothing listens on [::1]:5999 or 127.0.0.1:5999 (',
  ],
  [
    failing('ENOENT', { address: '/run/x/.s.PGSQL.5432' }),
    'connection_refused',
    "There is no server's socket /run/x/.s.PGSQL.5432 (",
  ],
  [
    failing('EACCES', { address: '/run/x/.s.PGSQL.5432' }),
    'connection_refused',
    'This user may not use the socket /run/x/.s.PGSQL.5432 (',
  ],
  [failing('EHOSTUNREACH', { address: '10.0.0.1', port: 1 }), 'connection_refused', 'There is no way to 10.0.0.1:1 ('],
  [
    failing('ENETUNREACH', { address: '10.0.0.1', port: 1 }),
    'connection_refused',
    'There is no network to 10.0.0.1:1 (',
  ],
  [failing('ENOTFOUND', { hostname: 'db.exmaple.org' }), 'host_not_found', 'There is no host db.exmaple.org ('],
  [
    failing('EAI_AGAIN', { hostname: 'db.example.org' }),
    'host_not_found',
    'The host db.example.org could not be looked up',
  ],
  [
    failing('ETIMEDOUT', { address: '10.0.0.1', port: 5432 }),
    'connection_timeout',
    '10.0.0.1:5432 did not answer in time (',
  ],
  [failing('ECONNRESET'), 'connection_lost', 'The server cut the connection ('],
  [failing('EPIPE'), 'connection_lost', 'The connection was closed by the other side ('],
  [failing('DEPTH_ZERO_SELF_SIGNED_CERT'), 'tls_failed', "The server's certificate is self-signed"],
  [failing('SELF_SIGNED_CERT_IN_CHAIN'), 'tls_failed', "The server's certificate was issued by a CA that this machine"],
  [
    failing('UNABLE_TO_VERIFY_LEAF_SIGNATURE'),
    'tls_failed',
    "The server's certificate was issued by a CA that this machine",
  ],
  [
    failing('ERR_TLS_CERT_ALTNAME_INVALID', { host: 'db.example.org' }),
    'tls_failed',
    "The server's certificate is not for the name db.example.org (",
  ],
  [failing('CERT_HAS_EXPIRED'), 'tls_failed', "The server's certificate has expired ("],
  [failing('CERT_NOT_YET_VALID'), 'tls_failed', "The server's certificate is not valid yet ("],
  [failing('EPROTO'), 'tls_failed', 'TLS could not be agreed on: '],
])('%o begins with plain words', (error, code, words) => {
  const { code: told, message, hint } = toAppError(error, 'connecting to u@db:5432/d')
  expect(told).toBe(code)
  expect(message.startsWith(words), message).toBe(true)
  expect(message).toMatch(/ \([A-Z_]+, while connecting to u@db:5432\/d\)\.$/)
  expect(hint).not.toBe('')
})

test.each([
  ['DEPTH_ZERO_SELF_SIGNED_CERT', /sslrootcert=FILE/],
  ['ERR_TLS_CERT_ALTNAME_INVALID', /a name that its certificate has/],
  ['CERT_HAS_EXPIRED', /Renew it/],
])('%s has a next step of its own', (code, hint) => {
  expect(toAppError(failing(code), 'connecting').hint).toMatch(hint)
})

test('what the driver says of a socket that closed is a lost connection', () => {
  expect(toAppError(new Error('Connection terminated unexpectedly'), 'writing').code).toBe('connection_lost')
})
