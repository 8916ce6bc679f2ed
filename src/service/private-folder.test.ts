import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'

import { expect, test } from 'vitest'

import { PrivateFolder } from './private-folder.ts'
import { markOf } from './process-mark.ts'

test('folders of processes that are gone are removed; all others stay', () => {
  using parent = temporary()
  using own = new PrivateFolder(parent.path, 'run')
  const name = basename(dirname(own.file('x')))
  const start = name.lastIndexOf(markOf(process.pid))
  const named = (mark: string): string => `${name.slice(0, start)}${mark}-abcdef`
  const gone = spawnSync('true').pid
  const abandoned = [named(`${gone}-12345`), named(`${process.pid}-1`)]
  for (const folder of abandoned) mkdirSync(join(parent.path, folder), { mode: 0o700 })
  const elsewhere = mkdtempSync(join(parent.path, 'precious-'))
  mkdirSync(join(elsewhere, 'file'))
  symlinkSync(elsewhere, join(parent.path, named(`${gone}-2`)))
  mkdirSync(join(parent.path, named(`${gone}-3`)), { mode: 0o755 })
  mkdirSync(join(parent.path, `syncline-run-1-${gone}-12345-abcdef`), { mode: 0o700 })
  mkdirSync(join(parent.path, `syncline-demo-${gone}`), { mode: 0o700 })
  const before = readdirSync(parent.path)

  using other = new PrivateFolder(parent.path, 'run')

  const now = basename(dirname(other.file('x')))
  expect(readdirSync(parent.path).toSorted()).toEqual(
    [...before.filter((each) => !abandoned.includes(each)), now].toSorted(),
  )
  expect(existsSync(join(elsewhere, 'file'))).toBe(true)
})

function temporary(): Disposable & { path: string } {
  const path = mkdtempSync(join(tmpdir(), 'syncline-test-'))
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) }
}
