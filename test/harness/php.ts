/** PHP of the machine, as an oracle for its own formats. On Debian as root it is installed where it is missing. */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { userInfo } from 'node:os'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'

const run = promisify(execFile)
const PROGRAM = '/usr/bin/php'

/** What a script writes, given its input. */
export async function runPhp(script: string, input: string): Promise<string> {
  await findPhp()
  const child = spawn(PROGRAM, [
    '-d',
    'memory_limit=1G',
    '-d',
    'serialize_precision=-1',
    '-d',
    'precision=17',
    '-r',
    script,
  ])
  const exit = once(child, 'exit')
  child.stdin.end(input)
  const [output, errors] = await Promise.all([text(child.stdout), text(child.stderr)])
  const [code] = await exit
  if (code !== 0) throw new Error(`PHP ended with ${code}: ${errors}${output}`)
  return output
}

let found: Promise<void> | null = null

function findPhp(): Promise<void> {
  return (found ??= install())
}

async function install(): Promise<void> {
  const there = (): Promise<boolean> =>
    run(PROGRAM, ['-v']).then(
      () => true,
      () => false,
    )
  if (await there()) return
  if (userInfo().uid === 0) {
    await run('apt-get', ['update', '-q'], { timeout: 60_000 }).catch(() => undefined)
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
    await run('apt-get', ['install', '-y', '-q', '--no-install-recommends', 'php-cli'], { env, timeout: 90_000 })
    if (await there()) return
  }
  throw new Error('PHP is not installed (Debian: apt-get install php-cli).')
}
