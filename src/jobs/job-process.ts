import type { FromJobProcess, ToJobProcess } from './messages.ts'
import { isTold, MEMORY_MS } from './memory.ts'
import { runJob, type JobTools } from './run-job.ts'

/**
 * The process of one job, forked by a supervisor: waits to be told which, runs it, and ends. It ends in order where it is
 * told to, and where its supervisor is gone.
 * @param opened what the job needs; it may be in the making while the first message comes
 */
export async function serveJob(opened: Promise<JobTools>, signal: AbortSignal): Promise<void> {
  const shutdown = new AbortController()
  const end = (): void => shutdown.abort()
  const { promise: told, resolve } = Promise.withResolvers<Extract<ToJobProcess, { type: 'run' }> | null>()
  let look = (): void => undefined
  signal.addEventListener('abort', end, { once: true })
  process.on('disconnect', end)
  shutdown.signal.addEventListener('abort', () => resolve(null))
  process.on('message', (message: ToJobProcess) => {
    if (message.type === 'run') resolve(message)
    else if (message.type === 'look') look()
    else end()
  })
  if (signal.aborted || !process.connected) end()
  const tellMemory = (): void => send({ type: 'memory', bytes: process.memoryUsage.rss() })
  const telling = isTold() ? undefined : setInterval(tellMemory, MEMORY_MS)
  try {
    const tools = await opened
    const run = await told
    if (run === null) return
    const { hold, leaseMs } = run
    await runJob(
      {
        hold,
        leaseMs,
        shutdown: shutdown.signal,
        onProgress: (progress) => send({ type: 'progress', progress }),
        onStart: (lookNow) => {
          look = lookNow
          send({ type: 'took' })
        },
      },
      tools,
    )
  } finally {
    clearInterval(telling)
    process.removeAllListeners('message').removeAllListeners('disconnect')
    // An open channel keeps a process alive.
    if (process.connected) process.disconnect()
  }
}

/** A supervisor that is gone or slow is not waited for. */
function send(message: FromJobProcess): void {
  if (process.connected) process.send?.(message, undefined, {}, () => undefined)
}
