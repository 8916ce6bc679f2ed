import { createHash } from 'node:crypto'

import { expect, test } from 'vitest'

import { canonicalRow, hashRow } from './fingerprint.ts'
import type { Row } from './value.ts'

test('a large row is hashed as a small one is: by its canonical form', () => {
  const rows: Row[] = [
    ['1', null, '', 'é☯😀'],
    ['1', null, 'é☯😀\\'.repeat(200_000), '', new Uint8Array(1_500_000).fill(0xff), 'x'.repeat(64 * 1024)],
    [`x${'😀'.repeat(400_000)}`],
  ]
  for (const row of rows) expect(hashRow(row)).toEqual(createHash('md5').update(canonicalRow(row)).digest())
})
