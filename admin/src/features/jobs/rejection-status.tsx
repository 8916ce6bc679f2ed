import type { Schemas } from '#api/client.ts'
import { Mark, type Tone } from '#ui/mark.tsx'

type Status = Schemas['RejectionEntry']['status']

const STATUSES: Readonly<Record<Status, readonly [Tone, string]>> = {
  open: ['person', 'Open'],
  edited: ['running', 'Edited'],
  replayed: ['done', 'Replayed'],
  dismissed: ['resting', 'Left as it is'],
  gone: ['done', 'Settled'],
}

export function RejectionStatus({ status }: { readonly status: Status }) {
  const [tone, word] = STATUSES[status]
  return <Mark tone={tone}>{word}</Mark>
}

/** The words of states, as a filter lists them. */
export const REJECTION_STATUS_WORDS = Object.entries(STATUSES).map(([status, [, word]]) => [status, word] as const)
