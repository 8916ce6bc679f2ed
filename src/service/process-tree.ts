import { readFileSync } from 'node:fs'

/** Kills what a process has started, as far as the kernel tells (on Linux); the process itself is left. */
export function killChildren(pid: number | undefined): void {
  for (const child of childrenOf(pid)) {
    try {
      process.kill(child, 'SIGKILL')
    } catch (error) {
      // It may have ended since it was seen.
      if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error
    }
  }
}

function childrenOf(pid: number | undefined): number[] {
  if (pid === undefined) return []
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number)
  } catch {
    // Another system than Linux, or the process is gone.
    return []
  }
}
