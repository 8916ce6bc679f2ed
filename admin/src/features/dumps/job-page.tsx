import { Button } from '@mantine/core'
import { LiveJob, type LiveJobProps } from '#features/dumps/live-job.tsx'
import { Page } from '#ui/page.tsx'

interface JobPageProps extends Pick<LiveJobProps, 'children'> {
  readonly title: string
  readonly state: string
  /** What starting anew is called. */
  readonly again: string
  readonly onAgain: () => void
  readonly job: string
}

/** What was started from a form: how far it is, and what came of it. */
export function JobPage({ title, state, again, onAgain, job, children }: JobPageProps) {
  return (
    <Page
      title={title}
      state={state}
      action={
        <Button variant="default" onClick={onAgain}>
          {again}
        </Button>
      }
    >
      <LiveJob key={job} id={job}>
        {children}
      </LiveJob>
    </Page>
  )
}
