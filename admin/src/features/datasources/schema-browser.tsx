import { ActionIcon, Group, Stack, Text, Tooltip } from '@mantine/core'
import { IconRefresh } from '@tabler/icons-react'
import { useInfiniteQuery, useMutation, useQueryClient } from '@tanstack/react-query'
import { useNavigate, useSearch } from '@tanstack/react-router'
import { api, body } from '#api/client.ts'
import { schemaQuery, type Datasource, type TableDescription } from '#features/datasources/queries.ts'
import { TableDetails } from '#features/datasources/table-details.tsx'
import { formatCount, plural } from '#lib/format.ts'
import { given } from '#lib/search.ts'
import { formatTableName } from '#lib/table-name.ts'
import { DataTable, type DataColumn } from '#ui/data-table.tsx'
import { Lines } from '#ui/page.tsx'
import { Problem } from '#ui/problem.tsx'
import { SearchField } from '#ui/search-field.tsx'
import { Time } from '#ui/time.tsx'
import classes from './schema-browser.module.css'

/** Tables and views of a datasource, and beside them the one that was chosen. */
export function SchemaBrowser({ one }: { readonly one: Datasource }) {
  const navigate = useNavigate({ from: '/datasources/$id' })
  const { search = '', table = '', view = '' } = useSearch({ from: '/shell/datasources/$id' })
  const query = useInfiniteQuery(schemaQuery(one.id, search))
  const change = (change: { search?: string; table?: string; view?: string }): void =>
    void navigate({ search: given({ tab: 'tables', search, table, view, ...change }), replace: true })
  const pages = query.data?.pages ?? []
  const tables = pages.flatMap(({ items }) => items)
  const [first] = pages
  return (
    <div className={classes['split']}>
      <Stack gap="sm">
        <Group gap="xs" wrap="nowrap">
          <SearchField
            label="Search schema or table"
            value={search}
            width={240}
            onChange={(text) => change({ search: text })}
          />
          <ReadAnew id={one.id} />
        </Group>
        {first !== undefined && (
          <Text size="xs" className="quiet numbers" aria-live="polite">
            {search === '' ? plural(first.total, 'table') : `${plural(first.total, 'table')} with “${search}”`}, as of{' '}
            <Time at={first.at} />
          </Text>
        )}
        {query.isPending && <Lines count={12} />}
        {query.error !== null && <Problem error={query.error} retry={() => void query.refetch()} />}
        {first !== undefined && tables.length === 0 && (
          <Text size="sm" className="quiet">
            {search === ''
              ? 'This login sees no tables. Grant it USAGE on a schema and SELECT on its tables, then read the catalogue anew.'
              : 'No schema or table has that in its name.'}
          </Text>
        )}
        {tables.length > 0 && (
          <DataTable
            name="datasource-tables"
            label="Tables"
            columns={columnsOf(table)}
            rows={tables}
            keyOf={(each) => formatTableName(each.table)}
            onOpen={(each) => change({ table: formatTableName(each.table) })}
            more={query}
          />
        )}
      </Stack>
      <div className={classes['table']}>
        {table === '' ? (
          <Text size="sm" className="quiet">
            Choose a table to see its columns, keys and first rows.
          </Text>
        ) : (
          <TableDetails
            key={table}
            id={one.id}
            name={table}
            known={tables.find((each) => formatTableName(each.table) === table)}
            view={view === 'rows' ? 'rows' : 'columns'}
            onView={(next) => change({ view: next === 'rows' ? 'rows' : '' })}
            onTable={(next) => change({ table: next, view: '' })}
          />
        )}
      </div>
    </div>
  )
}

function columnsOf(chosen: string): readonly DataColumn<TableDescription>[] {
  return [
    {
      id: 'name',
      header: 'Table',
      value: ({ table }) => formatTableName(table),
      cell: ({ table, kind }) => (
        <span
          className="mono cut"
          title={formatTableName(table)}
          style={formatTableName(table) === chosen ? { fontWeight: 700 } : {}}
          aria-current={formatTableName(table) === chosen ? 'true' : undefined}
        >
          {formatTableName(table)}
          {kind !== 'table' && <span className="quiet"> {kind.replaceAll('_', ' ')}</span>}
        </span>
      ),
    },
    {
      id: 'rows',
      header: 'Rows, about',
      align: 'right',
      value: (each) => each.estimated_rows,
      cell: (each) =>
        each.estimated_rows === null ? (
          <span className="quiet" title="The server has no statistics of it yet: ANALYZE makes them.">
            unknown
          </span>
        ) : (
          formatCount(each.estimated_rows)
        ),
    },
  ]
}

/** What a server has is remembered for some minutes; this reads it at once. */
function ReadAnew({ id }: { readonly id: string }) {
  const client = useQueryClient()
  const read = useMutation({
    mutationFn: () =>
      body(
        api.GET('/api/v1/datasources/{id}/schema', {
          params: { path: { id }, query: { refresh: 'true', limit: '1' } },
        }),
      ),
    onSuccess: () =>
      Promise.all(
        ['schema', 'table', 'preview'].map((what) => client.invalidateQueries({ queryKey: ['datasources', what, id] })),
      ),
  })
  return (
    <Tooltip label="Read the catalogue anew">
      <ActionIcon
        variant="default"
        size={30}
        aria-label="Read the catalogue anew"
        loading={read.isPending}
        onClick={() => read.mutate()}
      >
        <IconRefresh size={14} />
      </ActionIcon>
    </Tooltip>
  )
}
