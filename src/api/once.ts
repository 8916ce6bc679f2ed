import type { FastifyReply, FastifyRequest } from 'fastify'
import { newId, principalOf, type Context } from '#api/context.ts'
import { HttpError } from '#api/problem.ts'
import { keepAnswer, release, reserve, type OnceKey } from '#control/idempotency.ts'
import { delay } from '#lib/clock.ts'
import type { IdKind } from '#model/id.ts'

/** What a route answers with. */
export interface Answer<Status extends number, Body> {
  readonly status: Status
  readonly body: Body
  readonly headers: Readonly<Record<string, string>>
}

/** How long a second request of the same key waits for the answer of the first one. */
const PATIENCE_MS = 10_000
const LOOK_MS = 50

/**
 * Does what a request asks for once, however often it is sent with the same `Idempotency-Key`, and gives every sender
 * the same answer. What is made carries the id that `work` is given: where a process ended between the deed and its
 * answer, `find` finds it by that.
 */
export async function answerOnce<Status extends number, Body>(
  { store, box }: Context,
  { request, reply, kind }: { request: FastifyRequest; reply: FastifyReply; kind: IdKind },
  work: (id: string) => Promise<Answer<Status, Body>>,
  find: (id: string) => Promise<Answer<Status, Body> | null>,
): Promise<Answer<Status, Body>> {
  const given = request.headers['idempotency-key']
  if (typeof given !== 'string') return work(newId(kind))
  const once: OnceKey = { actor: principalOf(request).actor.id, key: given }
  const text = describe(request)
  const mac = box.mac(text)
  const matches = (other: string): boolean => box.isMacOf(other, text)
  for (let waited = 0; ; waited += LOOK_MS) {
    const found = await reserve(store, once, { mac, matches, id: newId(kind) })
    if (found.state === 'answered') {
      void reply.header('idempotent-replayed', 'true')
      return JSON.parse(found.body) as Answer<Status, Body>
    }
    if (found.state === 'mine') {
      try {
        const before = found.again ? await find(found.id) : null
        const answer = before ?? (await work(found.id))
        await keepAnswer(store, once, { status: answer.status, body: JSON.stringify(answer) })
        return answer
      } catch (error) {
        await release(store, once)
        throw error
      }
    }
    if (waited >= PATIENCE_MS) {
      throw new HttpError('request_under_way', `The request with the Idempotency-Key ${given} is still under way.`, {
        status: 409,
        headers: { 'retry-after': '5' },
      })
    }
    await delay(LOOK_MS)
  }
}

/** What makes two requests the same, by either of the paths. */
function describe({ method, routeOptions, params, query, body }: FastifyRequest): string {
  const route = routeOptions.url?.replace(/^\/api(\/v1)?/, '')
  return JSON.stringify([method, route, params, query, body ?? null])
}
