import { Button, Stack, Text, Title } from '@mantine/core'
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useNavigate, useSearch } from '@tanstack/react-router'
import { useState } from 'react'
import { useDatasource } from '#features/datasources/queries.ts'
import { ChooseDatasource } from '#features/dumps/choose-datasource.tsx'
import { DrillReceiptView } from '#features/dumps/drill-receipt.tsx'
import { FIRST_FILE, fileRequest, type FileDraft } from '#features/dumps/file-draft.ts'
import { DumpField, FileFields } from '#features/dumps/file-fields.tsx'
import { JobPage } from '#features/dumps/job-page.tsx'
import { drillMeans } from '#features/dumps/means.ts'
import { choiceQuery, startDrill } from '#features/dumps/queries.ts'
import { ConsentDialog } from '#features/jobs/consent-dialog.tsx'
import { CopyAs } from '#ui/copy.tsx'
import { Environment, Mark } from '#ui/mark.tsx'
import { Page } from '#ui/page.tsx'
import classes from './dumps.module.css'

const TITLE = 'Try a restore'

/** Whether a dump works: where it is tried, how far that is, and what came of it. Each is an address. */
export function DrillPage() {
  const { dump = null, job } = useSearch({ from: '/shell/dumps/drill' })
  const navigate = useNavigate({ from: '/dumps/drill' })
  if (job === undefined) {
    return <DrillForm key={dump} first={dump} onStarted={(id) => void navigate({ search: { job: id } })} />
  }
  return (
    <JobPage
      title={TITLE}
      state="It goes on where nobody looks. The database that is made for it is dropped at its end."
      again="Try another one"
      onAgain={() => void navigate({ search: {} })}
      job={job}
    >
      {(_job, found) => (found.kind === 'drill' ? <DrillReceiptView drilled={found.drilled} /> : null)}
    </JobPage>
  )
}

interface Draft extends FileDraft {
  readonly dump: string | null
  readonly into: string | null
}

interface DrillFormProps {
  /** The dump that is chosen at first. */
  readonly first: string | null
  readonly onStarted: (job: string) => void
}

function DrillForm({ first, onStarted }: DrillFormProps) {
  const client = useQueryClient()
  const [draft, setDraft] = useState<Draft>({ ...FIRST_FILE, dump: first, into: null })
  const [once, setOnce] = useState<string | null>(null)
  const { data: dumps = [], error: unread } = useQuery(choiceQuery)
  const dump = dumps.find(({ id }) => id === draft.dump)
  const into = useDatasource(draft.into)
  const needsPassphrase = dump?.sealed === true && draft.passphrase === ''
  const mayGo = dump !== undefined && into !== undefined && into.writable && !needsPassphrase
  const request = { into: into?.name ?? '', ...fileRequest(draft) }
  const set = (change: Partial<Draft>): void => setDraft((old) => ({ ...old, ...change }))
  return (
    <Page
      title={TITLE}
      state="The dump is restored into a database of its own, which is read back, compared with the dump, and dropped."
      action={
        <>
          {mayGo && <CopyAs {...drillMeans(dump.id, request)} />}
          <Button type="submit" form="drill" disabled={!mayGo}>
            Try it
          </Button>
        </>
      }
    >
      <form
        id="drill"
        onSubmit={(event) => {
          event.preventDefault()
          if (mayGo) setOnce(crypto.randomUUID())
        }}
      >
        <div className={classes['split']}>
          <Stack gap="lg">
            <DumpField dumps={dumps} value={draft.dump} error={unread?.message} onChange={(id) => set({ dump: id })} />
            <ChooseDatasource
              label="On the server of"
              description="A database is made beside it. The datasource itself stays as it is; its login must be allowed to make databases."
              value={draft.into}
              error={undefined}
              onChange={(id) => set({ into: id })}
            />
            {into !== undefined && (
              <div className={classes['facts']}>
                <Environment name={into.effective_environment} />
                {!into.writable && <Mark tone="person">Read-only: choose one that is writable</Mark>}
              </div>
            )}
          </Stack>
          <Stack gap="md">
            <Title order={2}>How</Title>
            <FileFields draft={draft} isSealed={dump?.sealed === true} set={set} problem={null} />
          </Stack>
        </div>
      </form>
      {once !== null && mayGo && (
        <ConsentDialog
          title={`Try a restore on the server of ${into.name}`}
          verb="Try it"
          target={into}
          does="It makes a database on the server of"
          means={(consent) => drillMeans(dump.id, { ...request, ...consent })}
          onClose={() => setOnce(null)}
          act={async (consent) => {
            const { job_id: job } = await startDrill(dump.id, { ...request, ...consent }, once)
            await client.invalidateQueries({ queryKey: ['jobs'] })
            onStarted(job)
          }}
        >
          <Text size="sm">
            A database is made on its server and dropped again at the end, also where the trial fails or is cancelled.
            What a process leaves that is killed goes when the job goes on, or with the next trial on that server. What
            is in {into.name} stays as it is.
          </Text>
        </ConsentDialog>
      )}
    </Page>
  )
}
