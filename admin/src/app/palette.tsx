import { Spotlight, type SpotlightActionData } from '@mantine/spotlight'
import { IconSearch } from '@tabler/icons-react'
import { useNavigate } from '@tanstack/react-router'
import { PLACES } from '#app/navigation.ts'

/** Where one can go, by a few letters of its name. */
export function Palette() {
  const navigate = useNavigate()
  const actions: SpotlightActionData[] = PLACES.map(({ to, word, icon: Shape }) => ({
    id: to,
    label: word,
    leftSection: <Shape size={18} stroke={1.6} aria-hidden />,
    onClick: () => void navigate({ to }),
  }))
  return (
    <Spotlight
      actions={actions}
      shortcut={null}
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
