import type { Schemas } from '#api/client.ts'

interface Hearers {
  /** Where the job is by now. */
  readonly onProgress: (progress: Schemas['Progress']) => void
  /** Something happened to the job: its status, a phase of a table, a line of its log. */
  readonly onEvent: (type: string) => void
  /** Nothing more will come. */
  readonly onEnd: () => void
}

const EVENTS = ['status', 'phase', 'log'] as const

/** After a stream that was refused, for example by a proxy whose service is away. */
const AGAIN_MS = 2_000

/**
 * Follows the events of a job from after event `after`, over streams that break off. A browser comes back by itself after a
 * line that was cut, with the number that it saw last; one that was refused it gives up, so that we come back.
 * @returns what ends it
 */
export function followEvents(id: string, after: number, { onProgress, onEvent, onEnd }: Hearers): () => void {
  let last = String(after)
  let source: EventSource | null = null
  let timer: ReturnType<typeof setTimeout> | undefined
  const open = (): void => {
    const events = new EventSource(`/api/v1/jobs/${id}/events?after=${last}`)
    source = events
    for (const type of EVENTS) {
      events.addEventListener(type, ({ lastEventId }) => {
        if (lastEventId !== '') last = lastEventId
        onEvent(type)
      })
    }
    events.addEventListener('progress', ({ data }) => {
      const told = JSON.parse(String(data)) as { readonly progress: Schemas['Progress'] }
      onProgress(told.progress)
    })
    events.addEventListener('end', () => {
      events.close()
      onEnd()
    })
    events.addEventListener('error', () => {
      if (events.readyState === EventSource.CLOSED) timer = setTimeout(open, AGAIN_MS)
    })
  }
  open()
  return () => {
    clearTimeout(timer)
    source?.close()
  }
}
