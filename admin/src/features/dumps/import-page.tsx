import { Button } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useNavigate, useSearch } from '@tanstack/react-router'
import { draftOf, EMPTY_IMPORT } from '#features/dumps/import-draft.ts'
import { ImportForm } from '#features/dumps/import-form.tsx'
import { ImportPlan } from '#features/dumps/import-plan.tsx'
import { ImportReceiptView } from '#features/dumps/import-receipt.tsx'
import { LiveJob } from '#features/dumps/live-job.tsx'
import { jobQuery } from '#features/jobs/queries.ts'
import { Answer, Page } from '#ui/page.tsx'

const TITLE = 'Import a dump'

/** From a file into a database: what and where, the plan, the consent, how far it is, and the receipt. Each is an address. */
export function ImportPage() {
  const { dump = null, datasource = null, change, plan, job } = useSearch({ from: '/shell/dumps/import' })
  const navigate = useNavigate({ from: '/dumps/import' })
  const onPlanned = (id: string): void => void navigate({ search: { plan: id } })
  if (job !== undefined) {
    return (
      <Page
        title={TITLE}
        state="It goes on where nobody looks, in one transaction: the target is as it was, or has all of it."
        action={
          <Button variant="default" onClick={() => void navigate({ search: {} })}>
            Import another one
          </Button>
        }
      >
        <LiveJob key={job} id={job}>
          {(of, found) => (found.kind === 'import' ? <ImportReceiptView job={of} imported={found.imported} /> : null)}
        </LiveJob>
      </Page>
    )
  }
  if (plan !== undefined) {
    return (
      <ImportPlan
        key={plan}
        id={plan}
        onPlanned={onPlanned}
        onStarted={(id) => void navigate({ search: { job: id } })}
        onChange={() => void navigate({ search: { change: plan } })}
      />
    )
  }
  if (change !== undefined) return <Changed key={change} plan={change} onPlanned={onPlanned} />
  return (
    <ImportForm key={`${dump} ${datasource}`} first={{ ...EMPTY_IMPORT, dump, datasource }} onPlanned={onPlanned} />
  )
}

interface ChangedProps {
  readonly plan: string
  readonly onPlanned: (id: string) => void
}

/** The form as it was when something was planned. */
function Changed({ plan, onPlanned }: ChangedProps) {
  const query = useQuery(jobQuery(plan))
  if (query.data !== undefined) return <ImportForm first={draftOf(query.data)} onPlanned={onPlanned} />
  return (
    <Page title={TITLE}>
      <Answer query={query}>{() => null}</Answer>
    </Page>
  )
}
