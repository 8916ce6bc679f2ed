import { Button } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useNavigate, useSearch } from '@tanstack/react-router'
import { copyDraftOf, EMPTY_COPY } from '#features/dumps/copy-draft.ts'
import { CopyForm } from '#features/dumps/copy-form.tsx'
import { CopyPlan } from '#features/dumps/copy-plan.tsx'
import { CopyReceiptView } from '#features/dumps/copy-receipt.tsx'
import { LiveJob } from '#features/dumps/live-job.tsx'
import { jobQuery } from '#features/jobs/queries.ts'
import { Answer, Page } from '#ui/page.tsx'

const TITLE = 'Copy a database'

/** From a database into another one: what and where, the plan, the consent, how far it is, and the receipt. Each is an address. */
export function CopyPage() {
  const { source = null, target = null, change, plan, job } = useSearch({ from: '/shell/dumps/copy' })
  const navigate = useNavigate({ from: '/dumps/copy' })
  const onPlanned = (id: string): void => void navigate({ search: { plan: id } })
  if (job !== undefined) {
    return (
      <Page
        title={TITLE}
        state="It goes on where nobody looks, in one transaction: the target is as it was, or has all of it."
        action={
          <Button variant="default" onClick={() => void navigate({ search: {} })}>
            Copy another one
          </Button>
        }
      >
        <LiveJob key={job} id={job}>
          {(of, found) => (found.kind === 'copy' ? <CopyReceiptView job={of} copied={found.copied} /> : null)}
        </LiveJob>
      </Page>
    )
  }
  if (plan !== undefined) {
    return (
      <CopyPlan
        key={plan}
        id={plan}
        onPlanned={onPlanned}
        onStarted={(id) => void navigate({ search: { job: id } })}
        onChange={() => void navigate({ search: { change: plan } })}
      />
    )
  }
  if (change !== undefined) return <Changed key={change} plan={change} onPlanned={onPlanned} />
  return <CopyForm key={`${source} ${target}`} first={{ ...EMPTY_COPY, source, target }} onPlanned={onPlanned} />
}

interface ChangedProps {
  readonly plan: string
  readonly onPlanned: (id: string) => void
}

/** The form as it was when something was planned. */
function Changed({ plan, onPlanned }: ChangedProps) {
  const query = useQuery(jobQuery(plan))
  if (query.data !== undefined) return <CopyForm first={copyDraftOf(query.data)} onPlanned={onPlanned} />
  return (
    <Page title={TITLE}>
      <Answer query={query}>{() => null}</Answer>
    </Page>
  )
}
