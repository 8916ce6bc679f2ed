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

test('what the driver says of a socket that closed is a lost connection', () => {
  expect(toAppError(new Error('Connection terminated unexpectedly'), 'writing').code).toBe('connection_lost')
})
