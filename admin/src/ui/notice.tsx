import { Stack } from '@mantine/core'
import type { ReactNode } from 'react'
import { Mark, type Tone } from '#ui/mark.tsx'
import classes from './notice.module.css'

interface NoticeProps {
  readonly tone: Tone
  readonly title: string
  readonly children?: ReactNode
}

/** What somebody should know before anything else on the page. */
export function Notice({ tone, title, children }: NoticeProps) {
  return (
    <Stack
      gap={4}
      maw={900}
      className={classes['notice']}
      data-tone={tone}
      role={tone === 'failed' ? 'alert' : undefined}
    >
      <Mark tone={tone}>{title}</Mark>
      {children}
    </Stack>
  )
}
