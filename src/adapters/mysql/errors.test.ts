import { expect, test } from 'vitest'

import { toAppError } from './errors.ts'

function told(errno: number, message: string): ReturnType<typeof toAppError> {
  return toAppError(Object.assign(new Error(message), { errno, sqlState: 'HY000' }), 'writing')
}

test.each([
  [1040, 'Too many connections', 'server_unavailable'],
  [1047, 'WSREP has not yet prepared node for application use', 'server_unavailable'],
  [1053, 'Server shutdown in progress', 'connection_lost'],
  [1180, 'Got error 149 "Lock deadlock; Retry transaction" during COMMIT', 'database_error'],
  [1205, 'Lock wait timeout exceeded; try restarting transaction', 'database_error'],
  [1213, 'Deadlock found when trying to get lock; try restarting transaction', 'database_error'],
  [1226, "User 'a' has exceeded the 'max_user_connections' resource (current value: 1)", 'server_unavailable'],
  [1615, 'Prepared statement needs to be re-prepared', 'database_error'],
  [3101, 'Plugin instructed the server to rollback the current transaction.', 'database_error'],
])('%s, %s: worth another try, as %s', (errno, message, code) => {
  expect(told(errno, message)).toMatchObject({ code, retry: 'later' })
})

test.each([
  [1047, 'Unknown command', 'database_error'],
  [1290, 'The MySQL server is running with the --read-only option so it cannot execute this', 'read_only_server'],
  [1290, 'The MySQL server is running with the --super-read-only option so it cannot execute', 'read_only_server'],
  [1290, 'The MariaDB server is running with the --secure-file-priv option so it cannot execute', 'database_error'],
  [1290, 'The MySQL server is running with the --skip-grant-tables option so it cannot execute', 'database_error'],
  [1836, 'Running in read-only mode', 'read_only_server'],
])('%s, %s: worth none before something is done, as %s', (errno, message, code) => {
  const error = told(errno, message)
  expect(error).toMatchObject({ code })
  expect(error.retry).not.toBe('later')
})

test.each([
  [1153, "Got a packet bigger than 'max_allowed_packet' bytes", /max_allowed_packet/],
  [1665, 'Cannot execute statement: impossible to write to binary log', /binlog_format/],
  [1129, "Host 'a' is blocked because of many connection errors", /FLUSH HOSTS/],
])('%s, %s: the next step is named', (errno, message, step) => {
  expect(told(errno, message).hint).toMatch(step)
})
