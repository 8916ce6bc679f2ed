/** Names of processes that hold beyond their end, so that what a dead one left behind can be told from what is in use. */
import { readFileSync, readlinkSync } from 'node:fs'

/** Process id and start of a running process: `PID-TICKS`; 0 ticks where the system does not tell. */
export function markOf(pid: number): string {
  return `${pid}-${startOf(pid)}`
}

/** Whether the process that a mark was made of runs still. */
export function markedLives(mark: string): boolean {
  const [pid, started] = mark.split('-')
  return isAlive(Number(pid)) && startOf(Number(pid)) === started
}

/**
 * Number of the namespace in which this process's id counts; 0 where there are none. Containers that share a folder
 * cannot see one another's processes.
 */
export function processNamespace(): string {
  try {
    return /\d+/.exec(readlinkSync('/proc/self/ns/pid'))?.[0] ?? '0'
  } catch {
    return '0'
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}

/** When a process started, in ticks since the boot: tells it from a later one of the same id. 0 if unknown or ended. */
function startOf(pid: number): string {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The second field is a name in parentheses that may hold anything; the start is field 22.
    const [state, ...rest] = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return (state === 'Z' ? undefined : rest[18]) ?? '0'
  } catch {
    return '0'
  }
}
