import type { FastifyReply, FastifyRequest } from 'fastify'
import { principalOf, type Context } from '#api/context.ts'
import { answerOnce } from '#api/once.ts'
import { presentNamedJob } from '#api/present-jobs.ts'
import { visibleJob } from '#api/visible.ts'
import { applyJobEvent } from '#control/jobs.ts'

type Exchange = { readonly request: FastifyRequest; readonly reply: FastifyReply }

/** What people let happen to a job. Whoever runs it hears of it from the store. */
export type JobAct = 'stop' | 'cancel' | 'resume'

/** @throws AppError `not_found`, `wrong_state`, `already_running` */
export async function actOnJob(context: Context, exchange: Exchange, { id, act }: { id: string; act: JobAct }) {
  const { store } = context
  const { actor } = principalOf(exchange.request)
  const { body } = await answerOnce(
    context,
    { ...exchange, kind: 'job' },
    async () => {
      await visibleJob(store, actor, id)
      const deed = { actor, entry: { action: `job.${act}`, subject: id, data: {} } }
      const job = await applyJobEvent(store, { id, event: act }, {}, deed)
      return { status: 202 as const, body: await presentNamedJob(store, job), headers: {} }
    },
    () => Promise.resolve(null),
  )
  return body
}
