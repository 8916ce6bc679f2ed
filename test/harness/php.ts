/** PHP of the machine, as an oracle for its own formats. On Debian as root it is installed where it is missing. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'

import { needProgram } from './debian.ts'

/** What a script writes, given its input. */
export async function runPhp(script: string, input: string): Promise<string> {
  const child = spawn(await findPhp(), [
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

let found: Promise<string> | null = null

function findPhp(): Promise<string> {
  return (found ??= needProgram(['php'], 'php-cli'))
}
