import { Button, Code, Collapse, Stack, Text } from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import { useQuery } from '@tanstack/react-query'
import { ApiProblem } from '#api/client.ts'
import { CopyReceiptView } from '#features/dumps/copy-receipt.tsx'
import { DrillReceiptView } from '#features/dumps/drill-receipt.tsx'
import { ExportReceiptView } from '#features/dumps/export-receipt.tsx'
import { ImportReceiptView } from '#features/dumps/import-receipt.tsx'
import { ComparisonView } from '#features/jobs/comparison-view.tsx'
import { CountsTable } from '#features/jobs/counts-table.tsx'
import { receiptQuery, type Job } from '#features/jobs/queries.ts'
import { readReceipt, type Found } from '#features/jobs/receipt.ts'
import { ReceiptView, Notes } from '#features/jobs/receipt-view.tsx'
import { ValidationView } from '#features/jobs/validation-view.tsx'
import { formatCount, plural } from '#lib/format.ts'
import { CopyButton } from '#ui/copy.tsx'
import { Empty, Lines } from '#ui/page.tsx'
import { Problem } from '#ui/problem.tsx'

/** What a job did and proved, in words and tables; and as it is kept, folded. */
export function ReceiptTab({ job }: { readonly job: Job }) {
  const receipt = useQuery({ ...receiptQuery(job.id), retry: false })
  const [open, { toggle }] = useDisclosure(false)
  if (receipt.data === undefined) {
    if (receipt.error === null) return <Lines count={6} />
    if (receipt.error instanceof ApiProblem && receipt.error.code === 'not_found') return <NoReceipt job={job} />
    return <Problem error={receipt.error} retry={() => void receipt.refetch()} />
  }
  const { counts, receipt: raw } = receipt.data
  const text = JSON.stringify(raw, null, 2)
  return (
    <Stack gap="lg">
      {counts !== null && <CountsTable counts={counts} complete={job.status === 'succeeded'} />}
      <View job={job} found={readReceipt(job, raw)} />
      <Undoing job={job} />
      <Stack gap="xs" align="flex-start">
        <Button variant="subtle" color="gray" onClick={toggle} aria-expanded={open}>
          {open ? 'Fold the receipt as JSON' : 'Show the receipt as JSON'}
        </Button>
        <Collapse expanded={open} w="100%">
          <CopyButton text={text}>Copy the JSON</CopyButton>
          {open && (
            <Code block mah={480} style={{ overflow: 'auto' }} tabIndex={0} aria-label="The receipt as JSON">
              {text}
            </Code>
          )}
        </Collapse>
      </Stack>
    </Stack>
  )
}

interface ViewProps {
  readonly job: Job
  readonly found: Found
}

function View({ job, found }: ViewProps) {
  switch (found.kind) {
    case 'receipt':
      return <ReceiptView receipt={found.receipt} />
    case 'comparison':
      return <ComparisonView comparison={found.comparison} />
    case 'validation':
      return <ValidationView validation={found.validation} />
    case 'preview': {
      const { tables, notes, stop } = found.preview
      const sum = (what: 'inserts' | 'updates' | 'deletes'): string =>
        formatCount(tables.reduce((total, table) => total + table[what], 0))
      return (
        <Stack gap="xs">
          <Text size="sm">
            Nothing was written. A run would insert {sum('inserts')}, update {sum('updates')} and delete{' '}
            {sum('deletes')} rows in {plural(tables.length, 'table')}; the rows are under Changes.
          </Text>
          {stop !== null && <Text size="sm">It would stop: {stop.message}</Text>}
          <Notes notes={notes} />
        </Stack>
      )
    }
    case 'export':
      return <ExportReceiptView exported={found.exported} />
    case 'import':
      return <ImportReceiptView job={job} imported={found.imported} />
    case 'copy':
      return <CopyReceiptView job={job} copied={found.copied} />
    case 'drill':
      return <DrillReceiptView drilled={found.drilled} />
    case 'unknown':
      return <Text size="sm">What it left is shown below as it is kept.</Text>
  }
}

function NoReceipt({ job }: { readonly job: Job }) {
  return (
    <Empty title="It has left no receipt">
      A job leaves one when it comes to its end. This one is {job.status}
      {job.counts !== null && job.counts.read > 0 && `; it is known to have written ${plural(job.counts.read, 'row')}`}.
    </Empty>
  )
}

/** Why it cannot be undone, where somebody might look for that. */
function Undoing({ job }: { readonly job: Job }) {
  const wrote =
    job.kind === 'sync' &&
    !job.dry_run &&
    (job.counts?.inserted ?? 0) + (job.counts?.updated ?? 0) + (job.counts?.deleted ?? 0) > 0
  if (!wrote || job.audit_level === 'detailed') return null
  return (
    <Text size="sm" className="quiet">
      It cannot be undone: at audit level {job.audit_level} rows are not kept as they were before. Set the sync config
      to detailed to be able to.
    </Text>
  )
}
