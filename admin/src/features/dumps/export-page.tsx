import { Button } from '@mantine/core'
import { useNavigate, useSearch } from '@tanstack/react-router'
import { ExportForm } from '#features/dumps/export-form.tsx'
import { ExportReceiptView } from '#features/dumps/export-receipt.tsx'
import { LiveJob } from '#features/dumps/live-job.tsx'
import { Page } from '#ui/page.tsx'

/** From a database to a file: what is exported, how far it is, and the file. */
export function ExportPage() {
  const { job, datasource } = useSearch({ from: '/shell/dumps/export' })
  const navigate = useNavigate({ from: '/dumps/export' })
  if (job === undefined) {
    return (
      <ExportForm
        key={datasource}
        first={datasource ?? null}
        onStarted={(id) => void navigate({ search: { job: id } })}
      />
    )
  }
  return (
    <Page
      title="Export a database"
      state="It goes on where nobody looks; the dump is in the list once it is whole."
      action={
        <Button variant="default" onClick={() => void navigate({ search: {} })}>
          Export another one
        </Button>
      }
    >
      <LiveJob key={job} id={job}>
        {(_job, found) => (found.kind === 'export' ? <ExportReceiptView exported={found.exported} /> : null)}
      </LiveJob>
    </Page>
  )
}
