import { Anchor, Button, Group, Select, Stack, Text } from '@mantine/core'
import { useSearch } from '@tanstack/react-router'
import { useState } from 'react'
import type { Schemas } from '#api/client.ts'
import { useMay } from '#app/session.ts'
import { tableWords } from '#features/jobs/job-words.ts'
import { useRejections, type Job, type RejectionFilters } from '#features/jobs/queries.ts'
import { RejectionDrawer } from '#features/jobs/rejection-drawer.tsx'
import { REJECTION_STATUS_WORDS, RejectionStatus } from '#features/jobs/rejection-status.tsx'
import { ReplayDialog } from '#features/jobs/replay-dialog.tsx'
import { given, useSetFilters } from '#lib/filters.ts'
import { formatCount, plural } from '#lib/format.ts'
import tables from '#ui/data-table.module.css'
import { DataTable, Shown, type DataColumn } from '#ui/data-table.tsx'
import { FilterBar } from '#ui/filter-bar.tsx'
import { Empty, Lines } from '#ui/page.tsx'
import { Problem } from '#ui/problem.tsx'
import { Time } from '#ui/time.tsx'
import classes from './jobs.module.css'

type Entry = Schemas['RejectionEntry']
type Cause = Schemas['RejectionPage']['groups'][number]

/** Rows that were set aside: why, and what is to become of them. */
export function RejectionsTab({ job }: { readonly job: Job }) {
  const { table, status, column, code } = useSearch({ from: '/shell/jobs/$id' })
  const filters: RejectionFilters = given({ table, status, column, code })
  const all = useRejections(job.id, {})
  const found = useRejections(job.id, filters)
  const [opened, setOpened] = useState<string | null>(null)
  const [ticked, setTicked] = useState<ReadonlySet<string>>(new Set())
  const [replaying, setReplaying] = useState(false)
  const may = useMay('operator')
  if (found.data === undefined || all.data === undefined) {
    const error = found.error ?? all.error
    return error === null ? <Lines count={6} /> : <Problem error={error} retry={() => void found.refetch()} />
  }
  const groups = all.data.pages[0]?.groups ?? []
  const rows = found.data.pages.flatMap(({ items }) => items)
  if (groups.length === 0) return <Empty title="No rejections">Every row could be carried as it is mapped.</Empty>
  const waiting = groups.reduce((sum, group) => sum + (REPLAYABLE.includes(group.status) ? group.rows : 0), 0)
  return (
    <Stack gap="md">
      <Causes groups={groups} />
      <Group justify="space-between" gap="xs">
        <RejectionFilterBar groups={groups} />
        {may && (ticked.size > 0 || waiting > 0) && (
          <Button onClick={() => setReplaying(true)}>
            Replay {plural(ticked.size > 0 ? ticked.size : waiting, 'row')}
          </Button>
        )}
      </Group>
      {rows.length === 0 ? (
        <Text size="sm">No row is like that.</Text>
      ) : (
        <DataTable
          name="rejections"
          label="Rejected rows"
          columns={COLUMNS}
          rows={rows}
          keyOf={({ id }) => id}
          onOpen={({ id }) => setOpened(id)}
          {...(may ? { selection: { keys: ticked, onChange: setTicked } } : {})}
          more={found}
        />
      )}
      <Shown count={rows.length} more={found.hasNextPage} />
      {opened !== null && <RejectionDrawer id={opened} job={job} onClose={() => setOpened(null)} />}
      {replaying && (
        <ReplayDialog
          job={job}
          ids={ticked.size > 0 ? [...ticked] : null}
          count={ticked.size > 0 ? ticked.size : waiting}
          onClose={() => setReplaying(false)}
        />
      )}
    </Stack>
  )
}

const REPLAYABLE: readonly string[] = ['open', 'edited']

/** The same cause once, however many rows it hit. */
function Causes({ groups }: { readonly groups: readonly Cause[] }) {
  const set = useSetFilters()
  return (
    <div className={classes['wide']}>
      <table className={tables['table']} aria-label="Rejections by cause">
        <thead>
          <tr>
            <th>Table</th>
            <th>Column</th>
            <th>Cause</th>
            <th>State</th>
            <th data-align="right">Rows</th>
          </tr>
        </thead>
        <tbody>
          {groups.map(({ target, column, code, reason, status, rows }) => {
            const table = `${target.schema}.${target.name}`
            return (
              <tr key={`${table} ${column} ${code} ${status}`}>
                <td className="mono">{tableWords(target)}</td>
                <td className="mono">{column ?? <span className="quiet">whole row</span>}</td>
                <td>
                  {reason} <span className="quiet mono">{code}</span>
                </td>
                <td>
                  <RejectionStatus status={status} />
                </td>
                <td data-align="right">
                  <Anchor
                    component="button"
                    type="button"
                    size="sm"
                    aria-label={`Show the ${plural(rows, 'row')} of ${tableWords(target)} with ${code}`}
                    onClick={() => set({ table, column, code, status })}
                  >
                    {formatCount(rows)}
                  </Anchor>
                </td>
              </tr>
            )
          })}
        </tbody>
      </table>
    </div>
  )
}

const COLUMNS: readonly DataColumn<Entry>[] = [
  {
    id: 'status',
    header: 'Status',
    cell: ({ status }) => <RejectionStatus status={status} />,
    value: (row) => row.status,
  },
  {
    id: 'table',
    header: 'Table',
    cell: ({ target }) => <span className="mono">{tableWords(target)}</span>,
    value: ({ target }) => tableWords(target),
  },
  {
    id: 'key',
    header: 'Key',
    cell: ({ key }) => <span className="mono">{keyText(key)}</span>,
    value: ({ key }) => keyText(key),
  },
  {
    id: 'column',
    header: 'Column',
    cell: ({ column }) => <span className="mono">{column ?? '–'}</span>,
    value: ({ column }) => column,
  },
  { id: 'reason', header: 'Reason', cell: ({ reason }) => reason, value: ({ reason }) => reason },
  {
    id: 'code',
    header: 'Rule or code',
    cell: ({ code }) => <span className="mono">{code}</span>,
    value: ({ code }) => code,
  },
  { id: 'last', header: 'Last seen', cell: ({ last_at: at }) => <Time at={at} />, value: ({ last_at: at }) => at },
]

function keyText(key: Entry['key']): string {
  return key.map((part) => part ?? 'NULL').join(', ')
}

function RejectionFilterBar({ groups }: { readonly groups: readonly Cause[] }) {
  const search = useSearch({ from: '/shell/jobs/$id' })
  const set = useSetFilters()
  const distinct = (of: (group: Cause) => string | null): string[] => [
    ...new Set(groups.flatMap((group) => of(group) ?? [])),
  ]
  const choice = (name: 'table' | 'status' | 'column' | 'code') => ({
    w: 170,
    size: 'xs',
    clearable: true,
    value: search[name] ?? null,
    onChange: (value: string | null) => set({ [name]: value }),
  })
  const isNarrowed = [search.table, search.status, search.column, search.code].some((one) => one !== undefined)
  return (
    <FilterBar label="Filters of rejections">
      <Select
        {...choice('table')}
        aria-label="Table"
        placeholder="Any table"
        data={distinct(({ target }) => `${target.schema}.${target.name}`)}
      />
      <Select
        {...choice('status')}
        aria-label="State"
        placeholder="Any state"
        data={REJECTION_STATUS_WORDS.map(([value, label]) => ({ value, label }))}
      />
      <Select
        {...choice('column')}
        aria-label="Column"
        placeholder="Any column"
        data={distinct(({ column }) => column)}
      />
      <Select {...choice('code')} aria-label="Code" placeholder="Any code" data={distinct(({ code }) => code)} />
      {isNarrowed && (
        <Button
          variant="subtle"
          color="gray"
          onClick={() => set({ table: null, status: null, column: null, code: null })}
        >
          Clear the filters
        </Button>
      )}
    </FilterBar>
  )
}
