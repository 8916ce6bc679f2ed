/** Programs of the machine that some tests need. On Debian as root their packages are installed where they are missing. */
import { execFile } from 'node:child_process'
import { userInfo } from 'node:os'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Another worker may be installing something at the same time. */
const PATIENCE = ['-o', 'DPkg::Lock::Timeout=240']

/** The path of a program, by any of these names or paths. @throws Error where it cannot be had, with what to install */
export async function needProgram(names: readonly string[], name: string): Promise<string> {
  const there = await find(names)
  if (there !== null) return there
  if (userInfo().uid === 0) {
    await run('apt-get', [...PATIENCE, 'update', '-q'], { timeout: 300_000 }).catch(() => undefined)
    // A service of the package's own stays down.
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' }
    const args = [...PATIENCE, 'install', '-y', '-q', '--no-install-recommends', name]
    await run('apt-get', args, { env, timeout: 600_000 })
    const installed = await find(names)
    if (installed !== null) return installed
  }
  throw new Error(`${names.join(' or ')} is not installed (Debian: apt-get install ${name}).`)
}

async function find(names: readonly string[]): Promise<string | null> {
  for (const name of names) {
    const found = await run('sh', ['-c', 'command -v "$0"', name]).catch(() => ({ stdout: '' }))
    if (found.stdout.trim() !== '') return found.stdout.trim()
  }
  return null
}
