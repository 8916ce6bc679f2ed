import {
  IconArrowsLeftRight,
  IconArrowsSplit2,
  IconDatabase,
  IconFileDatabase,
  IconGauge,
  IconHistory,
  IconListDetails,
  IconSettings,
  type Icon,
} from '@tabler/icons-react'
import type { LinkProps } from '@tanstack/react-router'

interface Place {
  readonly to: NonNullable<LinkProps['to']>
  readonly word: string
  readonly icon: Icon
  /** Pressed after g. */
  readonly key: string
}

/** The pages that everybody goes to, in the order of the navigation. */
export const PLACES: readonly Place[] = [
  { to: '/', word: 'Dashboard', icon: IconGauge, key: 'd' },
  { to: '/datasources', word: 'Datasources', icon: IconDatabase, key: 's' },
  { to: '/sync-configs', word: 'Sync configs', icon: IconArrowsLeftRight, key: 'y' },
  { to: '/jobs', word: 'Jobs', icon: IconListDetails, key: 'j' },
  { to: '/conflicts', word: 'Conflicts', icon: IconArrowsSplit2, key: 'c' },
  { to: '/dumps', word: 'Dumps', icon: IconFileDatabase, key: 'u' },
  { to: '/audit', word: 'Audit', icon: IconHistory, key: 'a' },
  { to: '/settings', word: 'Settings', icon: IconSettings, key: 'e' },
]
