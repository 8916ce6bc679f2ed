import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { expect, test } from 'vitest'

import { DumpDirectory, UNBOUNDED } from './directory.ts'

test('a file that is under way, or was left so by a process that was killed, is named and stays', async () => {
  const path = mkdtempSync(join(tmpdir(), 'syncline-dumps-'))
  try {
    const directory = new DumpDirectory(path)
    writeFileSync(join(path, 'shop.sql.part'), 'half')
    await expect(directory.create('shop.sql', UNBOUNDED)).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringContaining('shop.sql.part is there already') as unknown,
    })
    expect(readdirSync(path)).toEqual(['shop.sql.part'])
  } finally {
    rmSync(path, { recursive: true, force: true })
  }
})

test('a file of somebody else’s that lies where the digest would is neither overwritten nor taken away', async () => {
  const path = mkdtempSync(join(tmpdir(), 'syncline-dumps-'))
  try {
    const directory = new DumpDirectory(path)
    writeFileSync(join(path, 'shop.sql.sha256'), 'notes')
    await expect(directory.create('shop.sql', UNBOUNDED)).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringContaining('shop.sql.sha256 is there already') as unknown,
    })
    rmSync(join(path, 'shop.sql.sha256'))
    {
      // It comes while the dump is written, which is given up.
      await using _given = await directory.create('shop.sql', UNBOUNDED)
      writeFileSync(join(path, 'shop.sql.sha256'), 'notes')
    }
    expect(readFileSync(join(path, 'shop.sql.sha256'), 'utf8')).toBe('notes')
    expect(readdirSync(path)).toEqual(['shop.sql.sha256'])
  } finally {
    rmSync(path, { recursive: true, force: true })
  }
})
