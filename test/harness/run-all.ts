/**
 * All tests. Where SYNCLINE_TEST_MINUTES says how long that may take, the end-to-end suites come last, in small groups and in
 * another order each time: once the time is over no further group is begun, and those that were not run are named. Machines
 * that run the same tests differ by a factor of two. Whoever names files or flags gets these, without a limit.
 */
import { spawnSync } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { globSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const VITEST = join(dirname(createRequire(import.meta.url).resolve('vitest/package.json')), 'vitest.mjs')

/** Of much the same size, so that the workers end at much the same time. */
const GROUP = 6

function run(...args: readonly string[]): boolean {
  return spawnSync(process.execPath, [VITEST, 'run', ...args], { cwd: ROOT, stdio: 'inherit' }).status === 0
}

function runWithin(minutes: number): boolean {
  const ends = performance.now() + minutes * 60_000
  let passed = run('--project', 'unit', '--project', 'db')
  const waiting = groupsOf(globSync('{src,test}/**/*.e2e.test.ts', { cwd: ROOT }))
  while (waiting.length > 0 && performance.now() < ends) {
    const [group = []] = waiting.splice(randomInt(waiting.length), 1)
    passed = run('--project', 'e2e', ...group) && passed
  }
  if (waiting.length > 0) console.log(`Not run, because the time was over:\n  ${waiting.flat().join('\n  ')}`)
  return passed
}

function groupsOf(files: readonly string[]): string[][] {
  const sizeOf = (file: string): number => statSync(join(ROOT, file)).size
  const sorted = files.toSorted((a, b) => sizeOf(b) - sizeOf(a))
  return Array.from({ length: Math.ceil(files.length / GROUP) }, (_, i) => sorted.slice(i * GROUP, (i + 1) * GROUP))
}

const args = process.argv.slice(2)
const minutes = Number(process.env['SYNCLINE_TEST_MINUTES'] ?? 0)
const passed = args.length > 0 || !(minutes > 0) ? run(...args) : runWithin(minutes)
process.exitCode = passed ? 0 : 1
