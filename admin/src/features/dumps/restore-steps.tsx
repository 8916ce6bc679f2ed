import { Button } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { JobPage } from '#features/dumps/job-page.tsx'
import { LiveJob, type LiveJobProps } from '#features/dumps/live-job.tsx'
import { isActive, jobQuery, useLiveJob, type Job } from '#features/jobs/queries.ts'
import { Answer, Page } from '#ui/page.tsx'

/** Where somebody is in a restore, by the id of a job; nowhere: at the empty form. */
interface Step {
  /** The form, as it was when this was planned. */
  readonly change?: string
  readonly plan?: string
  readonly job?: string
}

/** Where a plan leads to, by the id of a job. */
export interface Onward {
  readonly onPlanned: (job: string) => void
  readonly onStarted: (job: string) => void
}

interface RestoreStepsProps {
  readonly title: string
  /** What starting anew is called. */
  readonly again: string
  readonly at: Step
  readonly go: (to: Step) => void
  /** `asked` is the job that was asked for by it before, if there is one. */
  readonly form: (asked: Job | null, onPlanned: Onward['onPlanned']) => ReactNode
  readonly plan: PlanPageProps['words'] & {
    readonly view: (...came: [...Parameters<LiveJobProps['children']>, Onward]) => ReactNode
  }
  readonly receipt: LiveJobProps['children']
}

/** From a file or a database into a database: what and where, the plan, the consent, how far it is, and the receipt. */
export function RestoreSteps({ title, again, at, go, form, plan, receipt }: RestoreStepsProps) {
  const onward: Onward = { onPlanned: (id) => go({ plan: id }), onStarted: (id) => go({ job: id }) }
  if (at.job !== undefined) {
    return (
      <JobPage
        title={title}
        state="It goes on where nobody looks, in one transaction: the target is as it was, or has all of it."
        again={again}
        onAgain={() => go({})}
        job={at.job}
      >
        {receipt}
      </JobPage>
    )
  }
  if (at.plan !== undefined) {
    const planned = at.plan
    return (
      <PlanPage key={planned} id={planned} words={plan} onChange={() => go({ change: planned })}>
        {(job, found) => plan.view(job, found, onward)}
      </PlanPage>
    )
  }
  if (at.change === undefined) return form(null, onward.onPlanned)
  return (
    <Changed key={at.change} title={title} plan={at.change}>
      {(asked) => form(asked, onward.onPlanned)}
    </Changed>
  )
}

interface PlanPageProps extends Pick<LiveJobProps, 'children'> {
  /** The job that plans. */
  readonly id: string
  readonly words: { readonly title: string; readonly state: string; readonly change: string }
  /** Back to the form, as it was. */
  readonly onChange: () => void
}

/** What would be done, before anybody agrees to it. */
function PlanPage({ id, words: { title, state, change }, onChange, children }: PlanPageProps) {
  const { data: job } = useLiveJob(id)
  return (
    <Page
      title={title}
      state={state}
      action={
        job !== undefined &&
        !isActive(job) && (
          <Button variant="default" onClick={onChange}>
            {change}
          </Button>
        )
      }
    >
      <LiveJob id={id}>{children}</LiveJob>
    </Page>
  )
}

interface ChangedProps {
  readonly title: string
  readonly plan: string
  readonly children: (asked: Job) => ReactNode
}

/** The form as it was when something was planned. */
function Changed({ title, plan, children }: ChangedProps) {
  const query = useQuery(jobQuery(plan))
  if (query.data !== undefined) return children(query.data)
  return (
    <Page title={title}>
      <Answer query={query}>{() => null}</Answer>
    </Page>
  )
}
