import { readFileSync } from 'node:fs'
import { AppError } from '#model/errors.ts'

const MIB = 1_048_576

/** How often the memory of each process is looked at. */
export const MEMORY_MS = 1_000

/** Whether the kernel tells what other processes have (Linux); elsewhere each must tell by itself. */
export function isTold(): boolean {
  return residentBytes(process.pid) !== null
}

/** Memory that a process has resident, as the kernel tells; null where it does not, or where the process is gone. */
export function residentBytes(pid: number): number | null {
  try {
    const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
    return kib === undefined ? null : Number(kib) * 1_024
  } catch {
    return null
  }
}

export function memoryExceeded(bytes: number, most: number): AppError {
  const had = Math.round(bytes / MIB)
  return new AppError(
    'memory_exceeded',
    `The process of the job had ${had} MiB of memory in use, and may have ${Math.round(most / MIB)} MiB.`,
  )
}
