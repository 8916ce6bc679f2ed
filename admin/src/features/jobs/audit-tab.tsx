import { Anchor, Group, Stack, Text } from '@mantine/core'
import { useInfiniteQuery } from '@tanstack/react-query'
import { api, body, type Schemas } from '#api/client.ts'
import type { Job } from '#features/jobs/queries.ts'
import { DataTable, type DataColumn } from '#ui/data-table.tsx'
import { Empty, Lines } from '#ui/page.tsx'
import { Problem } from '#ui/problem.tsx'
import { Time } from '#ui/time.tsx'
import classes from './jobs.module.css'

type AuditEvent = Schemas['AuditEvent']

const REPORTS = [
  ['html', 'HTML'],
  ['json', 'JSON'],
  ['csv', 'CSV'],
] as const

/** Who did what with a job, and its report. */
export function AuditTab({ job }: { readonly job: Job }) {
  const events = useInfiniteQuery({
    queryKey: ['jobs', 'audit', job.id],
    queryFn: ({ pageParam }) => {
      const query = { job: job.id, limit: '100', ...(pageParam === null ? {} : { cursor: pageParam }) }
      return body(api.GET('/api/v1/audit', { params: { query } }))
    },
    initialPageParam: null as string | null,
    getNextPageParam: ({ next_cursor: next }) => next,
  })
  const rows = events.data?.pages.flatMap(({ items }) => items) ?? []
  return (
    <Stack gap="sm">
      <Group gap="xs">
        <Text size="sm">Report with every change that was written:</Text>
        {REPORTS.map(([format, word]) => (
          <Anchor
            key={format}
            size="sm"
            href={`/api/v1/sync/audit/${job.id}/report?format=${format}`}
            {...(format === 'html' ? { target: '_blank', rel: 'noopener' } : { download: true })}
          >
            {word}
          </Anchor>
        ))}
      </Group>
      {events.data === undefined ? (
        events.error === null ? (
          <Lines count={4} />
        ) : (
          <Problem error={events.error} retry={() => void events.refetch()} />
        )
      ) : rows.length === 0 ? (
        <Empty title="Nothing is known about it">Events that are older than the audit log keeps were removed.</Empty>
      ) : (
        <DataTable
          name="job-audit"
          label="Audit events of the job"
          columns={COLUMNS}
          rows={rows}
          keyOf={({ seq }) => String(seq)}
          more={events}
        />
      )}
    </Stack>
  )
}

const COLUMNS: readonly DataColumn<AuditEvent>[] = [
  { id: 'at', header: 'When', cell: ({ at }) => <Time at={at} />, value: ({ at }) => at },
  { id: 'by', header: 'Who', cell: ({ actor_name: name }) => name, value: ({ actor_name: name }) => name },
  {
    id: 'action',
    header: 'What',
    cell: ({ action }) => <span className="mono">{action}</span>,
    value: ({ action }) => action,
  },
  { id: 'subject', header: 'Of', cell: ({ subject }) => <span className="mono">{subject}</span>, hidden: true },
  {
    id: 'data',
    header: 'With',
    cell: ({ data }) => <span className={classes['facts-text']}>{factsOf(data)}</span>,
    value: ({ data }) => factsOf(data),
  },
]

/** Facts in one line: only those that say something. */
function factsOf(data: unknown): string {
  if (typeof data !== 'object' || data === null || Array.isArray(data)) return valueOf(data)
  const said = Object.entries(data).filter(([, value]) => Boolean(value))
  return said.map(([name, value]) => `${wordsOf(name)} ${valueOf(value)}`).join(', ')
}

function valueOf(value: unknown): string {
  if (Array.isArray(value)) return value.map(valueOf).join(' ')
  if (typeof value === 'object' && value !== null) return `(${factsOf(value)})`
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? String(value) : ''
}

/** `allowProtectedWrite` as `allow protected write`. */
function wordsOf(name: string): string {
  return name.replaceAll(/[_A-Z]/g, (letter) => (letter === '_' ? ' ' : ` ${letter.toLowerCase()}`))
}
