import { Button, Group, Select, Stack, Text } from '@mantine/core'
import { IconPlus } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { Link, useNavigate, useSearch } from '@tanstack/react-router'
import { useIsUnscoped, useMay } from '#app/session.ts'
import { DemoNote } from '#features/demo/demo-note.tsx'
import { DemoOffer, DemoOfferText } from '#features/demo/demo-offer.tsx'
import { Access, providerOf, serverOf } from '#features/datasources/facts.tsx'
import { datasourcesQuery, type Datasource } from '#features/datasources/queries.ts'
import { plural } from '#lib/format.ts'
import { given } from '#lib/search.ts'
import { Verdict } from '#ui/checks.tsx'
import { DataTable, Shown, type DataColumn } from '#ui/data-table.tsx'
import { Environment, Mark } from '#ui/mark.tsx'
import { Answer, Empty, Page } from '#ui/page.tsx'
import { SearchField } from '#ui/search-field.tsx'
import { Time } from '#ui/time.tsx'
import { ButtonLink } from '#ui/link.tsx'

const ENVIRONMENTS = ['production', 'staging', 'development', 'training', 'local']

export function DatasourceListPage() {
  const query = useQuery(datasourcesQuery)
  const isAdmin = useMay('admin')
  const isUnscoped = useIsUnscoped()
  const add = isAdmin && isUnscoped && (
    <ButtonLink to="/datasources/new" leftSection={<IconPlus size={14} aria-hidden />}>
      Add datasource
    </ButtonLink>
  )
  return (
    <Page
      title="Datasources"
      state={query.data === undefined ? 'The databases that syncs read and write.' : stateOf(query.data)}
      action={query.data?.length === 0 ? undefined : add}
    >
      <Answer query={query}>
        {(all) =>
          all.length === 0 ? (
            <Empty
              title="No database is known yet"
              action={
                <>
                  {add}
                  <DemoOffer />
                </>
              }
            >
              A datasource is a database that syncs read or write. Two of them make a sync: a source, which is only
              read, and a target that you mark as writable. Paste a connection URL to begin.
              <DemoOfferText />
            </Empty>
          ) : (
            <>
              <DemoNote />
              <List all={all} />
            </>
          )
        }
      </Answer>
    </Page>
  )
}

function stateOf(all: readonly Datasource[]): string {
  if (all.length === 0) return 'The databases that syncs read and write.'
  const writable = all.filter((one) => one.writable).length
  const failing = all.filter(({ last_test: test }) => test?.ok === false).length
  const tail = failing === 0 ? '' : `; the last test of ${failing} failed`
  return `${plural(all.length, 'database')}: ${writable} writable, ${all.length - writable} read only${tail}.`
}

function List({ all }: { readonly all: readonly Datasource[] }) {
  const navigate = useNavigate({ from: '/datasources' })
  const { search = '', environment = '', access = '' } = useSearch({ from: '/shell/datasources' })
  const change = (change: { search?: string; environment?: string; access?: string }): void =>
    void navigate({ search: given({ search, environment, access, ...change }), replace: true })
  const needle = search.toLowerCase()
  const rows = all.filter(
    (one) =>
      (needle === '' || `${one.name} ${one.host} ${one.database}`.toLowerCase().includes(needle)) &&
      (environment === '' || one.effective_environment === environment) &&
      (access === '' || one.writable === (access === 'writable')),
  )
  return (
    <Stack gap="sm">
      <Group gap="xs" align="center">
        <SearchField label="Search name, host, database" value={search} onChange={(text) => change({ search: text })} />
        <Select
          size="xs"
          w={160}
          aria-label="Environment"
          value={environment}
          data={[{ value: '', label: 'Any environment' }, ...ENVIRONMENTS]}
          onChange={(value) => change({ environment: value ?? '' })}
        />
        <Select
          size="xs"
          w={160}
          aria-label="Access"
          value={access}
          data={[
            { value: '', label: 'Any access' },
            { value: 'writable', label: 'Writable' },
            { value: 'read_only', label: 'Read only' },
          ]}
          onChange={(value) => change({ access: value ?? '' })}
        />
        <Shown count={rows.length} more={false} />
      </Group>
      {rows.length === 0 ? (
        <Text size="sm" className="quiet">
          No datasource fits these filters.{' '}
          <Button variant="subtle" onClick={() => change({ search: '', environment: '', access: '' })}>
            Clear the filters
          </Button>
        </Text>
      ) : (
        <DataTable
          name="datasources"
          label="Datasources"
          columns={COLUMNS}
          rows={rows}
          keyOf={({ id }) => id}
          onOpen={({ id }) => void navigate({ to: '/datasources/$id', params: { id } })}
        />
      )}
    </Stack>
  )
}

const COLUMNS: readonly DataColumn<Datasource>[] = [
  {
    id: 'name',
    header: 'Name',
    value: ({ name }) => name,
    cell: ({ id, name }) => (
      <Link to="/datasources/$id" params={{ id }} className="plain-link">
        {name}
      </Link>
    ),
  },
  {
    id: 'environment',
    header: 'Environment',
    value: (one) => one.effective_environment,
    cell: (one) => <Environment name={one.effective_environment} />,
  },
  { id: 'provider', header: 'Provider', value: providerOf, cell: providerOf },
  {
    id: 'server',
    header: 'Server',
    value: serverOf,
    cell: (one) => (
      <span className="mono cut" style={{ maxWidth: 320 }} title={serverOf(one)}>
        {serverOf(one)}
      </span>
    ),
  },
  {
    id: 'access',
    header: 'Access',
    value: ({ writable }) => (writable ? 'Writable' : 'Read only'),
    cell: (one) => <Access of={one} />,
  },
  {
    id: 'last_test',
    header: 'Last test',
    value: (one) => one.last_test?.at ?? null,
    cell: ({ last_test: test, writable }) =>
      test === null ? (
        <Mark tone="resting">Not tested</Mark>
      ) : (
        <Group gap="xs" wrap="nowrap">
          <Verdict test={test} readOnly={!writable} />
          <span className="quiet" style={{ whiteSpace: 'nowrap' }}>
            <Time at={test.at} />
          </span>
        </Group>
      ),
  },
]
