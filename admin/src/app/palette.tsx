import { Spotlight, type SpotlightActionData, type SpotlightActionGroupData } from '@mantine/spotlight'
import { IconDatabase, IconPlayerPlay, IconSearch, IconTransfer } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { useState } from 'react'
import { PLACES } from '#app/navigation.ts'
import { datasourcesQuery } from '#features/datasources/queries.ts'
import { configsQuery } from '#features/sync-configs/queries.ts'

const JOB_ID = /^job_[0-9a-z]{26}$/

/** Where one can go, by a few letters of its name: pages, sync configs, datasources, and a job by its id. */
export function Palette() {
  const navigate = useNavigate()
  const [opened, setOpened] = useState(false)
  const [query, setQuery] = useState('')
  const configs = useQuery({ ...configsQuery, enabled: opened })
  const datasources = useQuery({ ...datasourcesQuery, enabled: opened })
  const pages: SpotlightActionData[] = PLACES.map(({ to, word, icon: Shape }) => ({
    id: to,
    label: word,
    leftSection: <Shape size={18} stroke={1.6} aria-hidden />,
    onClick: () => void navigate({ to }),
  }))
  const jobs: SpotlightActionData[] = JOB_ID.test(query.trim())
    ? [
        {
          id: 'job',
          label: query.trim(),
          description: 'Open this job',
          leftSection: <IconPlayerPlay size={18} stroke={1.6} aria-hidden />,
          onClick: () => void navigate({ to: '/jobs/$id', params: { id: query.trim() } }),
        },
      ]
    : []
  const groups: SpotlightActionGroupData[] = [
    { group: 'Pages', actions: pages },
    {
      group: 'Sync configs',
      actions: (configs.data ?? []).map(({ id, name }) => ({
        id,
        label: name,
        leftSection: <IconTransfer size={18} stroke={1.6} aria-hidden />,
        onClick: () => void navigate({ to: '/sync-configs/$id', params: { id } }),
      })),
    },
    {
      group: 'Datasources',
      actions: (datasources.data ?? []).map(({ id, name }) => ({
        id,
        label: name,
        leftSection: <IconDatabase size={18} stroke={1.6} aria-hidden />,
        onClick: () => void navigate({ to: '/datasources/$id', params: { id } }),
      })),
    },
    { group: 'Jobs', actions: jobs },
  ]
  return (
    <Spotlight
      actions={groups.filter(({ actions }) => actions.length > 0)}
      query={query}
      onQueryChange={setQuery}
      onSpotlightOpen={() => setOpened(true)}
      shortcut={null}
      limit={20}
      nothingFound="Nothing has that in its name."
      highlightQuery
      scrollable
      searchProps={{
        leftSection: <IconSearch size={18} aria-hidden />,
        placeholder: 'Search or go to',
        'aria-label': 'Search or go to',
      }}
    />
  )
}
