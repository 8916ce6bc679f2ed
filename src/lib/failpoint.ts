/**
 * Named places where a test can make the process die, stop or throw. Every boundary operation passes one. Unarmed, a
 * pass costs one comparison.
 *
 * A specification is `NAME:K:ACTION`: act on the K-th pass (1 = the first) of NAME, or of any failpoint where NAME is
 * `*`. Actions: `kill` (SIGKILL to ourselves), `stop` (SIGSTOP to ourselves, until somebody sends SIGCONT), `throw`.
 */
interface Armed {
  readonly name: string
  readonly pass: number
  readonly action: 'kill' | 'stop' | 'throw'
}

let armed: Armed | null = null
let passes = 0

export class FailpointError extends Error {
  override readonly name = 'FailpointError'
}

export function armFailpoint(specification: string): void {
  const [name, pass, action] = specification.split(':')
  if (!name || !pass || (action !== 'kill' && action !== 'stop' && action !== 'throw')) {
    throw new Error(`A failpoint is NAME:K:kill|stop|throw, not "${specification}".`)
  }
  armed = { name, pass: Number(pass), action }
  passes = 0
}

export function failpoint(name: string): void {
  if (armed === null || (armed.name !== name && armed.name !== '*')) return
  passes += 1
  if (passes !== armed.pass) return
  if (armed.action === 'throw') throw new FailpointError(`failpoint ${name}`)
  process.kill(process.pid, armed.action === 'kill' ? 'SIGKILL' : 'SIGSTOP')
}
