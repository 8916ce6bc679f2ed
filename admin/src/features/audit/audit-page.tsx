import { Tabs } from '@mantine/core'
import { useNavigate, useSearch } from '@tanstack/react-router'
import { useIsUnscoped } from '#app/session.ts'
import { AuditStatistics } from '#features/audit/audit-statistics.tsx'
import { EventFilters } from '#features/audit/event-filters.tsx'
import { EventLog } from '#features/audit/event-log.tsx'
import { JobWrites } from '#features/audit/job-writes.tsx'
import type { AuditSearch } from '#features/audit/queries.ts'
import { RowHistory } from '#features/audit/row-history.tsx'
import { VerifyLog } from '#features/audit/verify-log.tsx'
import { given } from '#lib/search.ts'
import { Page } from '#ui/page.tsx'

export interface TabProps {
  readonly search: AuditSearch
  readonly change: (change: AuditSearch) => void
}

export function AuditPage() {
  const navigate = useNavigate({ from: '/audit' })
  const search = useSearch({ from: '/shell/audit' })
  const isUnscoped = useIsUnscoped()
  const { tab = 'log' } = search
  const change = (changed: AuditSearch): void =>
    void navigate({ search: given({ ...search, ...changed }), replace: true })
  const props = { search, change }
  return (
    <Page
      title="Audit"
      state="Who did what, what jobs wrote, and whether the log is still what was written."
      action={isUnscoped && <VerifyLog />}
    >
      <Tabs
        value={tab}
        keepMounted={false}
        onChange={(next) => void navigate({ search: given({ ...search, tab: next === 'log' ? '' : next }) })}
      >
        <Tabs.List mb="md">
          <Tabs.Tab value="log">Log</Tabs.Tab>
          <Tabs.Tab value="statistics">Statistics</Tabs.Tab>
          <Tabs.Tab value="job">What a job wrote</Tabs.Tab>
          <Tabs.Tab value="row">Why a row is as it is</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="log">
          <EventFilters {...props} />
          <EventLog {...props} />
        </Tabs.Panel>
        <Tabs.Panel value="statistics">
          <EventFilters {...props} />
          <AuditStatistics search={search} />
        </Tabs.Panel>
        <Tabs.Panel value="job">
          <JobWrites {...props} />
        </Tabs.Panel>
        <Tabs.Panel value="row">
          <RowHistory {...props} />
        </Tabs.Panel>
      </Tabs>
    </Page>
  )
}
