import { z } from 'zod'
import { principalOf, type Api, type Context } from '#api/context.ts'
import { idPath } from '#api/contract/ids.ts'
import { EventsHeaders, EventsQuery } from '#api/contract/jobs.ts'
import { streamEvents } from '#api/live/event-stream.ts'
import { serveSocket } from '#api/live/socket.ts'
import { answerError, HttpError } from '#api/problem.ts'
import { visibleJob } from '#api/visible.ts'

/** What happens, as it happens: server-sent events, and a socket. */
export function liveRoutes(api: Api, context: Context): void {
  api.route({
    method: 'GET',
    url: '/jobs/:id/events',
    config: { access: 'viewer' },
    schema: {
      tags: ['jobs'],
      summary: 'Follow a job: its events from the first one, or from after Last-Event-ID, as they happen',
      description:
        'Server-sent events, each with its number as id; and without one, progress: where the job is by now. The last one is end. A job that is over and wholly known is answered with 204.',
      params: idPath('job'),
      querystring: EventsQuery,
      headers: EventsHeaders,
      response: {
        200: { description: 'The events.', content: { 'text/event-stream': { schema: z.string() } } },
        204: z.undefined(),
      },
    },
    handler: async (request, reply) => {
      const job = await visibleJob(context.store, principalOf(request).actor, request.params.id)
      const after = Number(request.headers['last-event-id'] ?? request.query.after ?? 0)
      await streamEvents(context, { request, reply }, { job, after })
    },
  })
  api.route({
    method: 'GET',
    url: '/ws',
    config: { access: 'viewer' },
    schema: { tags: ['jobs'], summary: 'Follow several jobs over a WebSocket', response: { 101: z.undefined() } },
    handler: (request, reply) =>
      answerError(
        new HttpError('invalid_request', 'This path is for WebSockets.', {
          status: 426,
          headers: { upgrade: 'websocket', connection: 'upgrade' },
        }),
        request,
        reply,
      ),
    wsHandler: (socket, request) => serveSocket(context, socket, request),
  })
}
