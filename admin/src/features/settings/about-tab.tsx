import { Anchor, Stack, Title } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { statusQuery, storeQuery } from '#features/settings/queries.ts'
import { formatCount, plural } from '#lib/format.ts'
import { Fact, Facts } from '#ui/facts.tsx'
import { JOB_STATUS_WORDS, Mark } from '#ui/mark.tsx'
import { Answer, Lines } from '#ui/page.tsx'
import { Duration, Time } from '#ui/time.tsx'

/** What runs here, where it keeps its own things, and what it is doing. */
export function AboutTab() {
  const status = useQuery(statusQuery)
  const store = useQuery(storeQuery)
  return (
    <Stack gap="xl">
      <Answer query={status} skeleton={<Lines count={5} />}>
        {({ version, started_at: started, status: up, workers, datasources, sync_configs: configs, jobs }) => (
          <>
            <Stack gap="xs">
              <Title order={2}>Service</Title>
              <Facts>
                <Fact name="Version">
                  <span className="mono">{version}</span>
                </Fact>
                <Fact name="State">
                  {up === 'up' ? <Mark tone="done">Takes on work</Mark> : <Mark tone="failed">Takes on no work</Mark>}
                </Fact>
                <Fact name="Running for">
                  <Duration from={started} to={null} />, started <Time at={started} />
                </Fact>
                <Fact name="Job processes">{plural(workers, 'process', 'processes')} at this moment</Fact>
                <Fact name="Knows">
                  {plural(datasources, 'datasource')}, {plural(configs, 'sync config')}
                </Fact>
                <Fact name="Jobs">{jobsOf(jobs)}</Fact>
                <Fact name="API">
                  <Anchor href="/docs" size="sm">
                    Documentation
                  </Anchor>
                  ,{' '}
                  <Anchor href="/openapi.json" size="sm">
                    OpenAPI description
                  </Anchor>
                </Fact>
              </Facts>
            </Stack>
          </>
        )}
      </Answer>
      <Stack gap="xs">
        <Title order={2}>Control store</Title>
        <Answer query={store} skeleton={<Lines count={2} />}>
          {({ status: up, store: kind, store_version: version, latency_ms: ms }) => (
            <Facts>
              <Fact name="Kept in">
                {kind === 'sqlite' ? 'A SQLite file of the data directory' : 'A PostgreSQL database'}
              </Fact>
              <Fact name="State">
                {up === 'up' ? <Mark tone="done">Answers</Mark> : <Mark tone="failed">Does not answer</Mark>}
              </Fact>
              <Fact name="Schema">version {version}</Fact>
              <Fact name="Latency">{ms.toFixed(1)} ms</Fact>
            </Facts>
          )}
        </Answer>
      </Stack>
    </Stack>
  )
}

/** How many jobs there are in each status that any is in. */
function jobsOf(jobs: Readonly<Record<string, number>>): string {
  const counts = JOB_STATUS_WORDS.flatMap(([name, word]) => {
    const count = jobs[name] ?? 0
    return count === 0 ? [] : [`${formatCount(count)} ${word.toLowerCase()}`]
  })
  return counts.length === 0 ? 'None yet' : counts.join(', ')
}
