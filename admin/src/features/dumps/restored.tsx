import { Button, Group, Stack, Text, Title } from '@mantine/core'
import { IconRestore } from '@tabler/icons-react'
import { useState, type ReactNode } from 'react'
import { useMay } from '#app/session.ts'
import { RestoreBackup } from '#features/dumps/restore-backup.tsx'
import { MadeList, ReplacedList, RowsByTable } from '#features/dumps/plan-tables.tsx'
import { countsOf } from '#features/dumps/words.ts'
import type { Job } from '#features/jobs/queries.ts'
import type { RestoreReceipt } from '#features/jobs/receipt.ts'
import { Notes } from '#features/jobs/receipt-view.tsx'
import { plural } from '#lib/format.ts'
import { TextLink } from '#ui/link.tsx'
import { Mark } from '#ui/mark.tsx'
import { Notice } from '#ui/notice.tsx'

/** `3 rows of 2 tables`, as far as anybody knows. */
export function amountOf({ rows, tables, estimated }: RestoreReceipt): string {
  const count = plural(tables.length, 'table')
  if (rows === null) return `the rows of ${count}`
  return `${estimated === true ? 'about ' : ''}${plural(rows, 'row')} of ${count}`
}

/** Whether it would be done, and why not. */
export function PlanHead({ restored: { refusals } }: { readonly restored: RestoreReceipt }) {
  if (refusals.length === 0) {
    return <Mark tone="done">Nothing is written yet, and nothing stands against it</Mark>
  }
  return (
    <Notice tone="failed" title="Nothing is written, and it would be refused">
      {refusals.map(({ code, message, hint }) => (
        <div key={code + message}>
          <Text size="sm">{message}</Text>
          <Text size="sm" className="quiet">
            {hint}
          </Text>
        </div>
      ))}
    </Notice>
  )
}

interface DetailsProps {
  readonly restored: RestoreReceipt
  readonly isPlan: boolean
}

/** What is replaced, what is taken back, what needs that, what is made, and what to know. */
export function Details({ restored, isPlan }: DetailsProps) {
  const { replaced, takes_back: back = [], dependents, makes, tables, notes, estimated = false } = restored
  return (
    <Stack gap="lg">
      <Part title={isPlan ? 'What it would replace' : 'What it replaced'}>
        {replaced === null ? (
          <Text size="sm">Nobody knows any more: the process that did it died after its commit.</Text>
        ) : replaced.length === 0 ? (
          <Text size="sm">{isPlan ? 'Nothing: none of it is there yet.' : 'Nothing: none of it was there.'}</Text>
        ) : (
          <>
            <Text size="sm">{countsOf(replaced)}.</Text>
            <ReplacedList label={isPlan ? 'What would be replaced' : 'What was replaced'} replaced={replaced} />
          </>
        )}
      </Part>
      {back.length > 0 && (
        <Part title={isPlan ? 'What it would take back' : 'What it took back'}>
          <Text size="sm">{countsOf(back)}: made by the restore before which this backup was kept.</Text>
          <ReplacedList label={isPlan ? 'What would be taken back' : 'What was taken back'} replaced={back} />
        </Part>
      )}
      {dependents.length > 0 && (
        <Part title="What needs what would be replaced">
          <Text size="sm">It is not among it, so that it would be lost. Drop it, or bring it along.</Text>
          <ul className="plain-list">
            {dependents.map((each) => (
              <li key={each} className="mono">
                {each}
              </li>
            ))}
          </ul>
        </Part>
      )}
      <Part title={isPlan ? 'What it would make' : 'What it made'}>
        <Text size="sm">{makes.length === 0 ? 'No definitions: rows alone.' : `${countsOf(makes)}.`}</Text>
        {makes.length > 0 && <MadeList label={isPlan ? 'What would be made' : 'What was made'} makes={makes} />}
      </Part>
      {tables.length > 0 && (
        <Part title="Rows">
          <RowsByTable label="Rows by table" tables={tables} isEstimated={estimated} />
        </Part>
      )}
      {notes.length > 0 && (
        <Part title="What to know of it">
          <Notes notes={notes} />
        </Part>
      )}
    </Stack>
  )
}

function Part({ title, children }: { readonly title: string; readonly children: ReactNode }) {
  return (
    <Stack gap="xs" component="section" aria-label={title}>
      <Title order={2}>{title}</Title>
      {children}
    </Stack>
  )
}

/** In one step back to what was there before. */
export function WayBack({ job, backup }: { readonly job: Job; readonly backup: string }) {
  const mayAct = useMay('operator')
  const [asking, setAsking] = useState(false)
  return (
    <Notice tone="resting" title="What it replaced is kept">
      <Text size="sm">
        It was read back and checked:{' '}
        <TextLink to="/dumps/$id" params={{ id: backup }} underline="always">
          the backup
        </TextLink>{' '}
        stays for at least seven days, unless somebody deletes it.
      </Text>
      {mayAct && (
        <Group>
          <Button variant="default" leftSection={<IconRestore size={14} aria-hidden />} onClick={() => setAsking(true)}>
            Restore the backup
          </Button>
        </Group>
      )}
      {asking && <RestoreBackup job={job} backup={backup} onClose={() => setAsking(false)} />}
    </Notice>
  )
}
