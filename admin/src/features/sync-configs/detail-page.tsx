import { Button, Group, Tabs, Text } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useParams } from '@tanstack/react-router'
import { lazy, Suspense, type ComponentType } from 'react'
import { useMay } from '#app/session.ts'
import { DraftProvider, useDraft } from '#features/sync-configs/draft.tsx'
import { DriftBanner } from '#features/sync-configs/drift-banner.tsx'
import { Ends } from '#features/sync-configs/ends.tsx'
import { LeaveGuard } from '#features/sync-configs/leave-guard.tsx'
import { configQuery, jobsOfQuery, type SyncConfig } from '#features/sync-configs/queries.ts'
import { OfferedDraft } from '#features/sync-configs/offered-draft.tsx'
import { RunDialog } from '#features/sync-configs/run-dialog.tsx'
import { SaveBar } from '#features/sync-configs/save-bar.tsx'
import { tabOfPlace, type TabName } from '#features/sync-configs/places.ts'
import { useShow, useShown } from '#features/sync-configs/use-shown.ts'
import { Mark } from '#ui/mark.tsx'
import { Answer, Lines, Page } from '#ui/page.tsx'

const TABS: readonly { readonly name: TabName; readonly word: string; readonly content: ComponentType }[] = [
  {
    name: 'overview',
    word: 'Overview',
    content: lazyTab(async () => (await import('#features/sync-configs/overview-tab.tsx')).OverviewTab),
  },
  {
    name: 'tables',
    word: 'Tables',
    content: lazyTab(async () => (await import('#features/sync-configs/tables-tab.tsx')).TablesTab),
  },
  {
    name: 'mapping',
    word: 'Mapping',
    content: lazyTab(async () => (await import('#features/sync-configs/mapping-tab.tsx')).MappingTab),
  },
  {
    name: 'conflicts',
    word: 'Conflicts',
    content: lazyTab(async () => (await import('#features/sync-configs/conflicts-tab.tsx')).ConflictsTab),
  },
  {
    name: 'deletes',
    word: 'Deletes',
    content: lazyTab(async () => (await import('#features/sync-configs/policy-tabs.tsx')).DeletesTab),
  },
  {
    name: 'writing',
    word: 'Writing',
    content: lazyTab(async () => (await import('#features/sync-configs/policy-tabs.tsx')).WritingTab),
  },
  {
    name: 'detection',
    word: 'Detection',
    content: lazyTab(async () => (await import('#features/sync-configs/detection-tab.tsx')).DetectionTab),
  },
  {
    name: 'schedule',
    word: 'Schedule',
    content: lazyTab(async () => (await import('#features/sync-configs/schedule-tab.tsx')).ScheduleTab),
  },
  {
    name: 'versions',
    word: 'Versions',
    content: lazyTab(async () => (await import('#features/sync-configs/versions-tab.tsx')).VersionsTab),
  },
  {
    name: 'yaml',
    word: 'YAML',
    content: lazyTab(async () => (await import('#features/sync-configs/yaml-tab.tsx')).YamlTab),
  },
]

function lazyTab(load: () => Promise<ComponentType>): ComponentType {
  return lazy(async () => ({ default: await load() }))
}

export function DetailPage() {
  const { id } = useParams({ from: '/shell/sync-configs/$id' })
  const config = useQuery(configQuery(id))
  return config.data === undefined ? (
    <Page title="Sync config">
      <Answer query={config}>{() => null}</Answer>
    </Page>
  ) : (
    // The address may hold the name; what is edited belongs to the id.
    <DraftProvider key={config.data.id} config={config.data}>
      <Detail newest={config.data} />
    </DraftProvider>
  )
}

function Detail({ newest }: { readonly newest: SyncConfig }) {
  const { tab = 'overview', run } = useShown()
  const show = useShow()
  const { save, unread } = useDraft()
  const mayRun = useMay('operator')
  const shown = TABS.find(({ name }) => name === tab) ?? TABS[0]
  const wrong = new Set(placesOf(save.error).map(tabOfPlace))
  if (unread !== null) wrong.add('yaml')
  const openRun = (value: string | undefined): void => show({ run: value })
  return (
    <Page title={newest.name} state={<State />} action={<Actions onRun={openRun} />}>
      <LeaveGuard />
      <OfferedDraft />
      <DriftBanner />
      <SaveBar newest={newest} />
      <Tabs value={shown?.name ?? 'overview'} onChange={(name) => show({ tab: name ?? undefined })} keepMounted={false}>
        <Tabs.List mb="md">
          {TABS.map(({ name, word }) => (
            <Tabs.Tab
              key={name}
              value={name}
              rightSection={wrong.has(name) ? <Mark tone="failed">not right</Mark> : null}
            >
              {word}
            </Tabs.Tab>
          ))}
        </Tabs.List>
        {TABS.map(({ name, content: Content }) => (
          <Tabs.Panel key={name} value={name}>
            <Suspense fallback={<Lines count={8} />}>
              <Content />
            </Suspense>
          </Tabs.Panel>
        ))}
      </Tabs>
      {mayRun && isRun(run) && <RunDialog config={newest} kind={run} onClose={() => openRun(undefined)} />}
    </Page>
  )
}

function State() {
  const { base, changes } = useDraft()
  return (
    <Group gap="xs" mt={4}>
      <Ends {...base} />
      <Text component="span" size="sm" className="quiet numbers">
        version {base.version}
      </Text>
      {changes > 0 && <Mark tone="person">{`${changes} unsaved`}</Mark>}
    </Group>
  )
}

/** A config that never ran is looked at first: its dry run is the one that is offered. */
function Actions({ onRun }: { readonly onRun: (kind: string) => void }) {
  const { base, changes } = useDraft()
  const mayRun = useMay('operator')
  const { data: jobs } = useQuery(jobsOfQuery(base.id, 10))
  if (!mayRun || changes > 0) return null
  const ran = jobs?.some(({ kind, status }) => kind === 'sync' && status === 'succeeded') ?? true
  return (
    <>
      <Button variant={ran ? 'default' : 'filled'} onClick={() => onRun('dry')}>
        Dry run
      </Button>
      <Button variant={ran ? 'filled' : 'default'} onClick={() => onRun('sync')}>
        Run sync
      </Button>
    </>
  )
}

function isRun(value: string | undefined): value is 'dry' | 'sync' | 'verify' {
  return value === 'dry' || value === 'sync' || value === 'verify'
}

function placesOf(error: unknown): readonly string[] {
  return error !== null && typeof error === 'object' && 'places' in error && Array.isArray(error.places)
    ? error.places.map(({ place }: { readonly place: string }) => place)
    : []
}
