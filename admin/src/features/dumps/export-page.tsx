import { useNavigate, useSearch } from '@tanstack/react-router'
import { ExportForm } from '#features/dumps/export-form.tsx'
import { ExportReceiptView } from '#features/dumps/export-receipt.tsx'
import { JobPage } from '#features/dumps/job-page.tsx'

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
    <JobPage
      title="Export a database"
      state="It goes on where nobody looks; the dump is in the list once it is whole."
      again="Export another one"
      onAgain={() => void navigate({ search: {} })}
      job={job}
    >
      {(_job, found) => (found.kind === 'export' ? <ExportReceiptView exported={found.exported} /> : null)}
    </JobPage>
  )
}
