import { queryOptions, useQuery, useQueryClient, type UseQueryResult } from '@tanstack/react-query'
import { useEffect } from 'react'
import { api, body, type Schemas } from '#api/client.ts'

export type Job = Schemas['Job']

const ACTIVE: readonly Job['status'][] = ['queued', 'running', 'awaiting_resolution', 'awaiting_approval', 'stopping']

export function isActive({ status }: Pick<Job, 'status'>): boolean {
  return ACTIVE.includes(status)
}

export function jobQuery(id: string) {
  return queryOptions({
    queryKey: ['jobs', 'one', id],
    queryFn: () => body(api.GET('/api/v1/jobs/{id}', { params: { path: { id } } })),
  })
}

/** While events come, the job is asked for this often at the most. */
const PAUSE_MS = 400

/** Where no stream gets through, a job that runs is asked for this often. */
const POLL_MS = 3_000

/**
 * A job as it is at this moment: asked for again whenever its stream of events says that something happened. The browser comes
 * back by itself with the number of the last event where the stream breaks off.
 */
export function useLiveJob(id: string): UseQueryResult<Job> {
  const client = useQueryClient()
  const job = useQuery({
    ...jobQuery(id),
    refetchInterval: ({ state }) => (state.data !== undefined && isActive(state.data) ? POLL_MS : false),
  })
  const follows = job.data !== undefined && isActive(job.data)
  const from = job.data?.last_event ?? 0
  useEffect(() => {
    if (!follows) return undefined
    let timer: ReturnType<typeof setTimeout> | undefined
    const look = (): void => {
      timer ??= setTimeout(() => {
        timer = undefined
        void client.invalidateQueries({ queryKey: ['jobs'] })
      }, PAUSE_MS)
    }
    const events = new EventSource(`/api/v1/jobs/${id}/events?after=${from}`)
    for (const type of ['status', 'phase', 'progress', 'log', 'note', 'end']) events.addEventListener(type, look)
    events.addEventListener('end', () => events.close())
    return () => {
      events.close()
      clearTimeout(timer)
    }
    // The stream goes on from where it began: a later number does not open another one.
    // oxlint-disable-next-line react/exhaustive-deps
  }, [id, follows, client])
  return job
}
