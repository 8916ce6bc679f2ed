import { Code, Group, Stack } from '@mantine/core'
import { useInfiniteQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { summaryOf, wordsOf } from '#features/audit/actions.ts'
import type { TabProps } from '#features/audit/audit-page.tsx'
import { eventsQuery, type AuditEvent } from '#features/audit/queries.ts'
import { Subject } from '#features/audit/subject.tsx'
import { formatAbsolute } from '#lib/format.ts'
import { CopyButton } from '#ui/copy.tsx'
import { DataTable, type DataColumn } from '#ui/data-table.tsx'
import { Dialog } from '#ui/dialog.tsx'
import { Fact, Facts } from '#ui/facts.tsx'
import { Empty, Lines } from '#ui/page.tsx'
import { Problem } from '#ui/problem.tsx'
import { Time } from '#ui/time.tsx'

/** Events, the newest first; one that is opened shows all that is kept of it. */
export function EventLog({ search }: TabProps) {
  const query = useInfiniteQuery(eventsQuery(search))
  const [opened, setOpened] = useState<AuditEvent | null>(null)
  const events = query.data?.pages.flatMap(({ items }) => items)
  if (query.error !== null) return <Problem error={query.error} retry={() => void query.refetch()} />
  if (events === undefined) return <Lines count={12} />
  if (events.length === 0) {
    return (
      <Empty title="No event fits these filters">
        Each deed is an event here: who signed in, what was changed, which jobs were started and how they ended. Take a
        filter away to see more of them.
      </Empty>
    )
  }
  return (
    <>
      <DataTable
        name="audit"
        label="Events"
        columns={COLUMNS}
        rows={events}
        keyOf={({ seq }) => String(seq)}
        onOpen={setOpened}
        more={query}
      />
      {opened !== null && <Details event={opened} onClose={() => setOpened(null)} />}
    </>
  )
}

const COLUMNS: readonly DataColumn<AuditEvent>[] = [
  { id: 'seq', header: 'No.', align: 'right', value: ({ seq }) => seq, cell: ({ seq }) => seq },
  {
    id: 'at',
    header: 'When',
    value: ({ at }) => at,
    cell: ({ at }) => (
      <span style={{ whiteSpace: 'nowrap' }}>
        <Time at={at} />
      </span>
    ),
  },
  { id: 'actor', header: 'Who', value: (event) => event.actor_name, cell: (event) => event.actor_name },
  {
    id: 'action',
    header: 'Did what',
    value: ({ action }) => action,
    cell: ({ action }) => <span title={action}>{wordsOf(action)}</span>,
  },
  {
    id: 'subject',
    header: 'To what',
    value: ({ subject }) => subject,
    cell: ({ subject }) => <Subject id={subject} />,
  },
  {
    id: 'data',
    header: 'Details',
    value: ({ data }) => JSON.stringify(data),
    cell: ({ data }) => (
      <span className="cut quiet" style={{ maxWidth: 320 }}>
        {summaryOf(data)}
      </span>
    ),
  },
  {
    id: 'address',
    header: 'From',
    hidden: true,
    value: ({ address }) => address,
    cell: ({ address }) => address ?? '–',
  },
]

function Details({ event, onClose }: { readonly event: AuditEvent; readonly onClose: () => void }) {
  const data = JSON.stringify(event.data, null, 2)
  return (
    <Dialog onClose={onClose} title={`Event ${event.seq}`} size="lg">
      <Stack gap="md">
        <Facts>
          <Fact name="When">{formatAbsolute(Date.parse(event.at))}</Fact>
          <Fact name="Who">
            {event.actor_name} <span className="mono quiet">{event.actor}</span>
          </Fact>
          {event.address !== null && <Fact name="From">{event.address}</Fact>}
          <Fact name="Did what">
            {wordsOf(event.action)} <span className="mono quiet">{event.action}</span>
          </Fact>
          <Fact name="To what">
            <Subject id={event.subject} /> <span className="mono quiet">{event.subject}</span>
          </Fact>
          <Fact name="Hash">
            <span className="mono">{event.hash}</span>
          </Fact>
          <Fact name="Before it">
            <span className="mono">{event.previous_hash}</span>
          </Fact>
        </Facts>
        <Code block>{data}</Code>
        <Group justify="flex-end">
          <CopyButton text={JSON.stringify(event, null, 2)}>Copy as JSON</CopyButton>
        </Group>
      </Stack>
    </Dialog>
  )
}
