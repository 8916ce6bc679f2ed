import { Button, Stack } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState, type ReactNode } from 'react'
import { ApiProblem, type Schemas } from '#api/client.ts'
import { CopyAs, type OtherMeans } from '#ui/copy.tsx'
import { Page } from '#ui/page.tsx'
import { Problem } from '#ui/problem.tsx'

interface Asking<Draft, Request> {
  readonly draft: Draft
  /** A change takes the last answer away. */
  readonly set: (change: Partial<Draft>) => void
  readonly ask: (request: Request) => void
  readonly isPending: boolean
  readonly error: Error | null
  /** The same where the service named the fields that are at fault. */
  readonly problem: ApiProblem | null
}

/** What somebody puts together until a job is started from it. */
export function useAsking<Draft, Request>(
  first: Draft,
  start: (request: Request, once: string) => Promise<Schemas['StartedJob']>,
  onStarted: (job: string) => void,
): Asking<Draft, Request> {
  const client = useQueryClient()
  const [draft, setDraft] = useState(first)
  const { mutate, reset, isPending, error } = useMutation({
    meta: { shown: true },
    mutationFn: (request: Request) => start(request, crypto.randomUUID()),
    onSuccess: async ({ job_id: job }) => {
      await client.invalidateQueries({ queryKey: ['jobs'] })
      onStarted(job)
    },
  })
  const set = (change: Partial<Draft>): void => {
    reset()
    setDraft((old) => ({ ...old, ...change }))
  }
  return { draft, set, ask: mutate, isPending, error, problem: error instanceof ApiProblem ? error : null }
}

interface JobFormProps<Request> {
  readonly title: string
  readonly state: string
  readonly verb: string
  readonly asking: Pick<Asking<unknown, Request>, 'ask' | 'isPending' | 'error'>
  /** Null as long as something is missing. */
  readonly request: Request | null
  readonly means: (request: Request) => OtherMeans
  readonly children: ReactNode
}

/** A page with the form of one job: what it asks for, by other means too, and why it was refused. */
export function JobForm<Request>({ title, state, verb, asking, request, means, children }: JobFormProps<Request>) {
  const { ask, isPending, error } = asking
  return (
    <Page
      title={title}
      state={state}
      action={
        <>
          {request !== null && <CopyAs {...means(request)} />}
          <Button type="submit" form="job" disabled={request === null} loading={isPending}>
            {verb}
          </Button>
        </>
      }
    >
      <form
        id="job"
        onSubmit={(event) => {
          event.preventDefault()
          if (request !== null) ask(request)
        }}
      >
        <Stack gap="lg">
          {error !== null && <Problem error={error} />}
          {children}
        </Stack>
      </form>
    </Page>
  )
}
