import { Button, Group, Select, Stack, Text, TextInput } from '@mantine/core'
import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import type { Schemas } from '#api/client.ts'
import type { TabProps } from '#features/audit/audit-page.tsx'
import { ChangesList } from '#features/audit/changes-list.tsx'
import { ValuesHidden } from '#features/audit/job-writes.tsx'
import { rowQuery } from '#features/audit/queries.ts'
import { JobLink } from '#features/audit/subject.tsx'
import { datasourcesQuery } from '#features/datasources/queries.ts'
import { configsQuery } from '#features/sync-configs/queries.ts'
import { plural } from '#lib/format.ts'
import { CopyAs, curlOf, quote } from '#ui/copy.tsx'
import { ShowMore } from '#ui/data-table.tsx'
import { Empty, Lines } from '#ui/page.tsx'
import { Problem } from '#ui/problem.tsx'
import { JobStatus } from '#ui/mark.tsx'
import { Time } from '#ui/time.tsx'

/** Every change of one row by any job: why it is as it is. */
export function RowHistory({ search, change }: TabProps) {
  const { data: configs = [] } = useQuery(configsQuery)
  const { data: datasources = [] } = useQuery(datasourcesQuery)
  const { table = '', key = '' } = search
  // A config comes before a datasource, where an address names both.
  const config = search.config ?? ''
  const datasource = config === '' ? (search.datasource ?? '') : ''
  const [typedTable, setTable] = useState(table)
  const [typedKey, setKey] = useState(key)
  const place = config === '' ? `d${datasource}` : `c${config}`
  const isAsked = table !== '' && key !== '' && place !== 'd'
  return (
    <Stack gap="md">
      <form
        onSubmit={(event) => {
          event.preventDefault()
          change({ table: typedTable.trim(), key: typedKey.trim() })
        }}
      >
        <Group gap="xs" align="flex-end">
          <Select
            size="xs"
            w={260}
            label="Written by"
            placeholder="Choose a sync config or a target"
            searchable
            value={place === 'd' ? null : place}
            data={[
              { group: 'A sync config', items: configs.map(({ id, name }) => ({ value: `c${id}`, label: name })) },
              {
                group: 'All that write to',
                items: datasources
                  .filter((one) => one.writable)
                  .map(({ id, name }) => ({ value: `d${id}`, label: name })),
              },
            ]}
            onChange={(next) =>
              change(
                next?.startsWith('c') === true
                  ? { config: next.slice(1), datasource: '' }
                  : { config: '', datasource: next?.slice(1) ?? '' },
              )
            }
          />
          <TextInput
            size="xs"
            w={200}
            label="Table of the target"
            placeholder="orders, sales.orders"
            value={typedTable}
            onChange={(event) => setTable(event.currentTarget.value)}
          />
          <TextInput
            size="xs"
            w={200}
            label="Key of the row"
            placeholder={'42, or ["a","b"]'}
            title="The key of a row; of several columns a JSON list of texts."
            value={typedKey}
            onChange={(event) => setKey(event.currentTarget.value)}
          />
          <Button type="submit" disabled={place === 'd' || typedTable.trim() === '' || typedKey.trim() === ''}>
            Show its history
          </Button>
        </Group>
      </form>
      {isAsked ? (
        <History place={{ config, datasource, table, key }} />
      ) : (
        <Empty title="Which row">
          Name the sync config or the target, the table, and the key of the row. What is shown is each change of that
          row by any job, the newest first, with who started the job.
        </Empty>
      )}
    </Stack>
  )
}

function History({ place }: { readonly place: Parameters<typeof rowQuery>[0] }) {
  const query = useInfiniteQuery(rowQuery(place))
  if (query.error !== null) return <Problem error={query.error} retry={() => void query.refetch()} />
  if (query.data === undefined) return <Lines count={6} />
  const [first] = query.data.pages
  const items = query.data.pages.flatMap((page) => page.items)
  const loads = first?.loads ?? []
  const { table, key, config, datasource } = place
  const side = config === '' ? `--datasource ${datasource}` : `--config ${config}`
  const asked = new URLSearchParams({ ...(config === '' ? { datasource } : { config }), table, key })
  return (
    <Stack gap="sm">
      <Group justify="space-between">
        <Text size="sm">
          {items.length === 0 && loads.length === 0
            ? `No job is known to have written the row ${key} of ${table}, as far as the history is kept.`
            : `What is known of the row ${key} of ${table}, the newest first.`}
        </Text>
        <CopyAs
          curl={curlOf('GET', `/api/v1/history?${asked.toString()}`)}
          cli={`syncline audit history ${side} --table ${quote(table)} --key ${quote(key)}`}
        />
      </Group>
      {first?.values_shown === false && <ValuesHidden />}
      <ChangesList
        label={`History of the row ${key}`}
        isOneRow
        changes={items.map((change, i) => ({ id: String(i), change, beside: <ByJob of={change} /> }))}
      />
      <ShowMore of={query} />
      {loads.length > 0 && (
        <Stack gap={4}>
          <Text size="sm">It may have come by a load of the whole table, of which single rows are not told:</Text>
          <ul className="plain-list">
            {loads.map((load) => (
              <li key={`${load.job_id} ${load.at}`}>
                <Group gap="md">
                  <span className="numbers">{plural(load.rows, 'row')}</span>
                  <span className="quiet">
                    <Time at={load.at} />
                  </span>
                  <ByJob of={load} />
                </Group>
              </li>
            ))}
          </ul>
        </Stack>
      )}
    </Stack>
  )
}

function ByJob({
  of,
}: {
  readonly of: Pick<Schemas['KeyHistory']['items'][number], 'job_id' | 'job_status' | 'started_by'>
}) {
  return (
    <Group gap="md">
      <JobLink id={of.job_id} />
      {of.job_status !== null && <JobStatus status={of.job_status} />}
      {of.started_by !== null && <span className="quiet">started by {of.started_by}</span>}
    </Group>
  )
}
