import { Box, Button } from '@mantine/core'
import { Link, type ErrorComponentProps } from '@tanstack/react-router'
import { Empty } from '#ui/page.tsx'
import { Problem } from '#ui/problem.tsx'

export function NotFound() {
  return (
    <Box p="lg">
      <Empty
        title="There is no such page"
        action={
          <Button component={Link} to="/">
            Go to the dashboard
          </Button>
        }
      >
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
