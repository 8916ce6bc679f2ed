import { IconArrowsLeftRight, IconGauge, type Icon } from '@tabler/icons-react'
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
  { to: '/sync-configs', word: 'Sync configs', icon: IconArrowsLeftRight, key: 'y' },
]
