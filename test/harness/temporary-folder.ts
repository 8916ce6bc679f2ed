import { readFileSync, statfsSync } from 'node:fs'

/** What the databases of a whole run take at most, with room for what else a machine has to do. */
const MEMORY_BYTES = 6 * 2 ** 30

function temporaryFolder(): string | undefined {
  if (process.env['TMPDIR']) return process.env['TMPDIR']
  try {
    const options = /^\S+ \/dev\/shm tmpfs (\S+)/m.exec(readFileSync('/proc/mounts', 'utf8'))?.[1]?.split(',')
    const { bavail, bsize } = statfsSync('/dev/shm')
    const room = Math.min(bavail * bsize, process.availableMemory())
    return options?.includes('rw') && !options.includes('noexec') && room >= MEMORY_BYTES ? '/dev/shm' : undefined
  } catch {
    return undefined
  }
}

/**
 * Temporary files, and with them the private servers, lie in memory where that has the room: most of what the tests ask of
 * a server is new databases, of 300 files each. TMPDIR says otherwise. Sets it for this process, and returns it for others.
 */
export function useTemporaryFolder(): { TMPDIR?: string } {
  const folder = temporaryFolder()
  if (folder === undefined) return {}
  process.env['TMPDIR'] = folder
  return { TMPDIR: folder }
}
