import pg from 'pg'
import { expect, test } from 'vitest'

import { lockError } from './restore-clear.ts'

test('somebody else holds on to what is replaced: the table is named, and the next step', () => {
  const timeout = Object.assign(new pg.DatabaseError('canceling statement due to lock timeout', 10, 'error'), {
    code: '55P03',
  })
  const error = lockError(timeout, 'LOCK TABLE shop.bill IN EXCLUSIVE MODE')
  expect([error.retry, error.message]).toEqual([
    'later',
    expect.stringMatching(/holds on to .*shop\.bill.* \(SQLSTATE 55P03\)/),
  ])
  expect(error.hint).toMatch(/pg_locks.*nothing was written/)
})
