import { expect, test } from 'vitest'
import { readAdvice } from '#lib/statements.ts'

test('UX 6: the statements that give a right are told apart from the words around them', () => {
  expect(readAdvice('To read them: GRANT SELECT ON a TO app; GRANT SELECT ON "b;c" TO "my app";')).toEqual({
    words: 'To read them.',
    sql: 'GRANT SELECT ON a TO app;\nGRANT SELECT ON "b;c" TO "my app";',
  })
  expect(readAdvice('Use the owner of the tables, or: ALTER ROLE app BYPASSRLS;').sql).toBe('ALTER ROLE app BYPASSRLS;')
  const around = 'Only for change capture: ALTER SYSTEM SET wal_level = logical; and restart the server.'
  expect(readAdvice(around)).toEqual({ words: around, sql: 'ALTER SYSTEM SET wal_level = logical;' })
  expect(readAdvice('Choose verify-full, and paste the CA.')).toEqual({
    words: 'Choose verify-full, and paste the CA.',
    sql: '',
  })
})
