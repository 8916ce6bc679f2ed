import { Group, Skeleton, Stack, Tabs } from '@mantine/core'
import { IconDatabaseExport } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { useNavigate, useParams, useSearch } from '@tanstack/react-router'
import { useMay } from '#app/session.ts'
import { Access, serverOf } from '#features/datasources/facts.tsx'
import { DatasourceOverview, TestButton } from '#features/datasources/datasource-overview.tsx'
import { DatasourceSettings } from '#features/datasources/datasource-settings.tsx'
import { datasourceQuery, useTest, type Datasource } from '#features/datasources/queries.ts'
import { SchemaBrowser } from '#features/datasources/schema-browser.tsx'
import { hasDumps } from '#features/dumps/queries.ts'
import { given } from '#lib/search.ts'
import { Environment } from '#ui/mark.tsx'
import { ButtonLink } from '#ui/link.tsx'
import { Lines, Page } from '#ui/page.tsx'
import { Problem } from '#ui/problem.tsx'

export function DatasourcePage() {
  const { id } = useParams({ from: '/shell/datasources/$id' })
  const { data, error, refetch } = useQuery(datasourceQuery(id))
  if (data !== undefined) return <Known key={id} one={data} />
  return (
    <Page title="Datasource" state={error === null ? <Skeleton height={20} width={320} /> : undefined}>
      {error === null ? <Lines count={8} /> : <Problem error={error} retry={() => void refetch()} />}
    </Page>
  )
}

function Known({ one }: { readonly one: Datasource }) {
  const navigate = useNavigate({ from: '/datasources/$id' })
  const { tab = 'overview' } = useSearch({ from: '/shell/datasources/$id' })
  const mayAct = useMay('operator')
  const mayChange = useMay('admin') && one.origin === 'stored'
  const test = useTest(one.id)
  return (
    <Page
      title={one.name}
      state={
        <Group gap="sm" component="span">
          <Environment name={one.effective_environment} />
          <Access of={one} />
          <span className="mono">{serverOf(one)}</span>
        </Group>
      }
      action={
        <>
          {mayAct && hasDumps(one) && (
            <ButtonLink
              to="/dumps/export"
              search={{ datasource: one.id }}
              variant="default"
              leftSection={<IconDatabaseExport size={14} aria-hidden />}
            >
              Export
            </ButtonLink>
          )}
          <TestButton test={test} />
        </>
      }
    >
      <Tabs
        value={tab}
        keepMounted={false}
        onChange={(next) => void navigate({ search: given({ tab: next === 'overview' ? '' : next }) })}
      >
        <Tabs.List mb="md">
          <Tabs.Tab value="overview">Overview</Tabs.Tab>
          <Tabs.Tab value="tables">Tables</Tabs.Tab>
          {mayChange && <Tabs.Tab value="settings">Settings</Tabs.Tab>}
        </Tabs.List>
        <Tabs.Panel value="overview">
          <DatasourceOverview one={one} test={test} />
        </Tabs.Panel>
        <Tabs.Panel value="tables">
          <SchemaBrowser one={one} />
        </Tabs.Panel>
        {mayChange && (
          <Tabs.Panel value="settings">
            <Stack>
              <DatasourceSettings key={one.version} one={one} />
            </Stack>
          </Tabs.Panel>
        )}
      </Tabs>
    </Page>
  )
}
