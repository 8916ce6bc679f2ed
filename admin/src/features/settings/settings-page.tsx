import { Tabs } from '@mantine/core'
import { useNavigate, useSearch } from '@tanstack/react-router'
import { useIsUnscoped, useMay } from '#app/session.ts'
import { AboutTab } from '#features/settings/about-tab.tsx'
import { AiTab } from '#features/settings/ai-tab.tsx'
import { KeysTab, MakeKeyButton } from '#features/settings/keys-tab.tsx'
import { RedisTab } from '#features/settings/redis-tab.tsx'
import { RetentionTab } from '#features/settings/retention-tab.tsx'
import { SessionsTab } from '#features/settings/sessions-tab.tsx'
import { given } from '#lib/search.ts'
import { Page } from '#ui/page.tsx'

const STATES: Readonly<Record<string, string>> = {
  keys: 'Keys are how people and programs enter. Each has a role, and may be for certain datasources.',
  sessions: 'Who is signed in with a browser.',
  redis: 'Change sets that wait for somebody may be kept in a Redis, in place of the disk of the service.',
  ai: 'A model may refine suggestions for mappings. Nothing that it says is applied by itself.',
  retention: 'What is kept for a time or in a room only, and for how long.',
  about: 'What runs here.',
}

export function SettingsPage() {
  const navigate = useNavigate({ from: '/settings' })
  const isAdmin = useMay('admin')
  const isUnscoped = useIsUnscoped()
  const mayAll = isAdmin && isUnscoped
  const first = mayAll ? 'keys' : 'sessions'
  const { tab: asked = first } = useSearch({ from: '/shell/settings' })
  const tab = mayAll || asked === 'about' ? asked : 'sessions'
  return (
    <Page title="Settings" state={STATES[tab]} action={tab === 'keys' && <MakeKeyButton />}>
      <Tabs
        value={tab}
        keepMounted={false}
        onChange={(next) => void navigate({ search: given({ tab: next === first ? '' : next }) })}
      >
        <Tabs.List mb="md">
          {mayAll && <Tabs.Tab value="keys">API keys</Tabs.Tab>}
          <Tabs.Tab value="sessions">Sessions</Tabs.Tab>
          {mayAll && <Tabs.Tab value="redis">Redis</Tabs.Tab>}
          {mayAll && <Tabs.Tab value="ai">AI endpoint</Tabs.Tab>}
          {mayAll && <Tabs.Tab value="retention">Retention</Tabs.Tab>}
          <Tabs.Tab value="about">About</Tabs.Tab>
        </Tabs.List>
        {mayAll && (
          <Tabs.Panel value="keys">
            <KeysTab />
          </Tabs.Panel>
        )}
        <Tabs.Panel value="sessions">
          <SessionsTab />
        </Tabs.Panel>
        {mayAll && (
          <Tabs.Panel value="redis">
            <RedisTab />
          </Tabs.Panel>
        )}
        {mayAll && (
          <Tabs.Panel value="ai">
            <AiTab />
          </Tabs.Panel>
        )}
        {mayAll && (
          <Tabs.Panel value="retention">
            <RetentionTab />
          </Tabs.Panel>
        )}
        <Tabs.Panel value="about">
          <AboutTab />
        </Tabs.Panel>
      </Tabs>
    </Page>
  )
}
