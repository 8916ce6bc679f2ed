import { spawn } from 'node:child_process'
import { readFileSync, readdirSync } from 'node:fs'
import { setInterval } from 'node:timers'

/** A program and its arguments, with what is added to the environment. */
export interface Command {
  readonly argv: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

/** The two servers of a job, by their processes. */
export interface Measured {
  readonly source: { readonly pid: number | undefined }
  readonly target: { readonly pid: number | undefined }
}

/** What one run of a contestant cost. */
export interface Cost {
  /** Seconds from the start of the first process to the end of the last. */
  readonly wallS: number
  /** CPU seconds of the contestant's own processes. */
  readonly clientCpuS: number
  /** CPU seconds of both servers meanwhile. */
  readonly serverCpuS: number
  /** The sum of the peaks (VmHWM) of the contestant's processes, in MiB. */
  readonly peakMib: number
  /** CPU seconds of everything else on the machine meanwhile, per second of wall time: the noise. */
  readonly noise: number
}

const SAMPLE_MS = 40
const TICKS_PER_S = 100
const PAGE_FACTOR = 1024

/**
 * Runs commands one after the other as child processes, and measures them with all their descendants: memory by
 * sampling /proc, CPU time by the shell's `time`, which waits for them.
 * @throws Error with the end of the output if one fails
 */
export async function measure(commands: readonly Command[], servers: Measured): Promise<Cost & { stdout: string }> {
  const before = { machine: machineBusyS(), servers: serversCpuS(servers), at: performance.now() }
  let [clientCpuS, peakMib, stdout] = [0, 0, '']
  for (const command of commands) {
    const ran = await runOne(command)
    clientCpuS += ran.cpuS
    peakMib = Math.max(peakMib, ran.peakMib)
    stdout += ran.stdout
  }
  const wallS = (performance.now() - before.at) / 1000
  const serverCpuS = serversCpuS(servers) - before.servers
  const others = machineBusyS() - before.machine - serverCpuS - clientCpuS
  return { wallS, clientCpuS, serverCpuS, peakMib, noise: Math.max(0, others) / wallS, stdout }
}

const SHELL = `TIMEFORMAT='%U %S'; { time "$@" 2>&4; } 4>&2 2>&3`

async function runOne({ argv, env }: Command): Promise<{ cpuS: number; peakMib: number; stdout: string }> {
  const child = spawn('bash', ['-c', SHELL, 'bench', ...argv], {
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  })
  const output = { stdout: '', stderr: '', times: '' }
  child.stdout?.on('data', (data: Buffer) => (output.stdout += data.toString()))
  child.stderr?.on('data', (data: Buffer) => (output.stderr += data.toString()))
  child.stdio[3]?.on('data', (data: Buffer) => (output.times += data.toString()))
  const peaks = new Map<number, number>()
  const shell = child.pid ?? 0
  const timer = setInterval(() => {
    for (const pid of descendants(shell)) if (pid !== shell) peaks.set(pid, Math.max(peaks.get(pid) ?? 0, peakOf(pid)))
  }, SAMPLE_MS)
  const code = await new Promise((resolve) => child.once('close', resolve))
  clearInterval(timer)
  if (code !== 0)
    throw new Error(`${argv.join(' ')} ended with ${String(code)}: ${output.stdout}${output.stderr}`.slice(-4000))
  const [user = 0, system = 0] = output.times.trim().split(' ').map(Number)
  const peakKib = [...peaks.values()].reduce((sum, kib) => sum + kib, 0)
  return { cpuS: user + system, peakMib: peakKib / PAGE_FACTOR, stdout: output.stdout }
}

/** VmHWM in KiB; 0 for a process that has ended. */
function peakOf(pid: number): number {
  return Number(/VmHWM:\s+(\d+) kB/.exec(read(`/proc/${pid}/status`))?.[1] ?? 0)
}

function descendants(root: number): number[] {
  const children = new Map<number, number[]>()
  for (const pid of readdirSync('/proc').map(Number)) {
    if (!(pid > 0)) continue
    const parent = Number(statOf(pid)[1])
    children.set(parent, [...(children.get(parent) ?? []), pid])
  }
  const found: number[] = []
  for (const queue = [root]; queue.length > 0;) {
    const pid = queue.pop() ?? 0
    found.push(pid)
    queue.push(...(children.get(pid) ?? []))
  }
  return found
}

/** The fields of /proc/pid/stat from the state on: parent at 1, own CPU ticks at 11 and 12, of waited-for children at 13 and 14. */
function statOf(pid: number): string[] {
  const text = read(`/proc/${pid}/stat`)
  return text.slice(text.lastIndexOf(')') + 2).split(' ')
}

/** CPU of the postmasters, of the backends that have ended, and of those that live. */
function serversCpuS({ source, target }: Measured): number {
  return (ticksOf(source.pid ?? 0) + ticksOf(target.pid ?? 0)) / TICKS_PER_S
}

/** A backend that ends meanwhile moves from the living to the ended: then both are read again. */
function ticksOf(postmaster: number): number {
  for (;;) {
    const own = statOf(postmaster)
    const living = descendants(postmaster).filter((pid) => pid !== postmaster)
    const backends = living.reduce((sum, pid) => sum + sumOf(statOf(pid), [11, 12]), 0)
    const ended = [13, 14]
    if (sumOf(own, ended) === sumOf(statOf(postmaster), ended)) return sumOf(own, [11, 12, ...ended]) + backends
  }
}

function sumOf(fields: readonly string[], which: readonly number[]): number {
  return which.reduce((sum, field) => sum + Number(fields[field] ?? 0), 0)
}

/** CPU seconds of the whole machine: all but idle and waiting for disks. */
function machineBusyS(): number {
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = (
    read('/proc/stat').split('\n')[0] ?? ''
  )
    .split(/\s+/)
    .slice(1)
    .map(Number)
  return (user + nice + system + irq + softirq + steal) / TICKS_PER_S
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? (sorted[middle] ?? NaN) : ((sorted[middle - 1] ?? NaN) + (sorted[middle] ?? NaN)) / 2
}
