import { Box } from '@mantine/core'
import { type ErrorComponentProps } from '@tanstack/react-router'
import { Empty } from '#ui/page.tsx'
import { Problem } from '#ui/problem.tsx'
import { ButtonLink } from '#ui/link.tsx'

export function NotFound() {
  return (
    <Box p="lg">
      <Empty title="There is no such page" action={<ButtonLink to="/">Go to the dashboard</ButtonLink>}>
        The address may be from an older version, or a part of it was lost on the way.
      </Empty>
    </Box>
  )
}

export function PageFailed({ error, reset }: ErrorComponentProps) {
  return (
    <Box p="lg">
      <Problem error={error instanceof Error ? error : new Error(String(error))} retry={reset} />
    </Box>
  )
}
