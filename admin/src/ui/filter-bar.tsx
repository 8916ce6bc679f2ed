import { Group } from '@mantine/core'
import type { ReactNode } from 'react'

/** What a list is narrowed by, in one line above it. */
export function FilterBar({ label, children }: { readonly label: string; readonly children: ReactNode }) {
  return (
    <search aria-label={label}>
      <Group gap="xs">{children}</Group>
    </search>
  )
}
