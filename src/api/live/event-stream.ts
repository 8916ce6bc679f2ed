import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { principalOf, type Context } from '#api/context.ts'
import { followJob } from '#api/live/follow-job.ts'
import { presentEvent, presentProgress } from '#api/present.ts'
import { isStillGood } from '#api/security/principal.ts'
import type { Job } from '#control/jobs.ts'
import { isActive, type JobProgress } from '#model/job.ts'

/** A reader that takes nothing for this long is given up. */
const STUCK_MS = 60_000

/** How long a browser waits before it comes back. */
const RETRY_MS = 2_000

/**
 * Streams the events of a job as server-sent events, from after the number that the reader knows. Each carries its
 * number as id, so that a reader who comes back misses nothing and gets nothing twice. A reader who has everything of a
 * job that is over gets 204, by which a browser stops coming back.
 */
export async function streamEvents(
  context: Context,
  { request, reply }: { request: FastifyRequest; reply: FastifyReply },
  { job, after }: { job: Job; after: number },
): Promise<void> {
  if (!isActive(job.status) && after >= job.lastEvent) {
    await reply.code(204).send()
    return
  }
  const principal = principalOf(request)
  const leave = context.streams.take(principal.key.id)
  const gone = new AbortController()
  const { raw } = reply
  raw.once('close', () => gone.abort())
  reply.hijack()
  try {
    // What hooks have set on the reply so far goes along: a hijacked answer is sent past the framework.
    raw.writeHead(200, {
      ...headersOf(reply),
      'content-type': 'text/event-stream; charset=utf-8',
      'x-accel-buffering': 'no',
    })
    await write(raw, `retry: ${RETRY_MS}\n\n`)
    const signal = AbortSignal.any([gone.signal, context.closing])
    let quietSince = context.store.clock.elapsed()
    for await (const step of followJob(context, { jobId: job.id, after, signal }, () =>
      isStillGood(context, principal),
    )) {
      const now = context.store.clock.elapsed()
      if (step.kind === 'idle' && now - quietSince < context.config.limits.heartbeatMs) continue
      quietSince = now
      if (step.kind === 'idle') await write(raw, ': still here\n\n')
      else if (step.kind === 'progress') await write(raw, progressFrame(job.id, step.progress))
      else if (step.kind === 'end') await write(raw, `event: end\ndata: ${JSON.stringify({ reason: step.reason })}\n\n`)
      else for (const event of step.events) await write(raw, frame(event.seq, event.type, presentEvent(job.id, event)))
    }
  } catch (error) {
    if (!gone.signal.aborted) request.log.error({ err: error, job: job.id }, 'an event stream broke off')
  } finally {
    leave()
    raw.end()
  }
}

/** Without a number: whoever comes back needs the last one alone, and gets it. */
function progressFrame(jobId: string, progress: JobProgress): string {
  return `event: progress\ndata: ${JSON.stringify({ job_id: jobId, progress: presentProgress(progress) })}\n\n`
}

/** JSON has no line breaks of its own, so that an event cannot be made to look like two. */
function frame(id: number, event: string, data: unknown): string {
  return `id: ${id}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`
}

function headersOf(reply: FastifyReply): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = {}
  for (const [name, value] of Object.entries(reply.getHeaders())) {
    if (value !== undefined) headers[name] = Array.isArray(value) ? value : String(value)
  }
  return headers
}

/** Writes, and waits while the reader is behind. */
async function write(raw: ServerResponse, text: string): Promise<void> {
  if (raw.write(text)) return
  try {
    await once(raw, 'drain', { signal: AbortSignal.timeout(STUCK_MS) })
  } catch (error) {
    raw.destroy()
    throw error
  }
}
