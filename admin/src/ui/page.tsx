import { Box, Group, Skeleton, Stack, Text, Title } from '@mantine/core'
import { useDocumentTitle } from '@mantine/hooks'
import type { UseQueryResult } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { Problem } from '#ui/problem.tsx'

interface PageProps {
  readonly title: string
  /** One sentence that says how things stand. */
  readonly state?: ReactNode
  /** The one primary action, and what belongs beside it. */
  readonly action?: ReactNode
  readonly filters?: ReactNode
  readonly children: ReactNode
}

/** Title, one sentence of state, the action on the right, filters, then the content: every page alike. */
export function Page({ title, state, action, filters, children }: PageProps) {
  useDocumentTitle(`${title} · Syncline`)
  return (
    <Stack className="page" gap="md">
      <Group justify="space-between" align="flex-start" wrap="wrap" gap="sm">
        <Box flex="1 1 320px" miw={0}>
          <Title order={1}>{title}</Title>
          {state !== undefined && (
            <Text size="sm" className="quiet" component="div">
              {state}
            </Text>
          )}
        </Box>
        {action !== undefined && <Group gap="xs">{action}</Group>}
      </Group>
      {filters}
      {children}
    </Stack>
  )
}

interface AnswerProps<T> {
  readonly query: UseQueryResult<T>
  /** Of the same shape as what comes. */
  readonly skeleton?: ReactNode
  readonly children: (data: T) => ReactNode
}

/** What a query answers: a skeleton until it does, the cause and the next step where it fails. */
export function Answer<T>({ query, skeleton = <Lines count={6} />, children }: AnswerProps<T>) {
  if (query.data !== undefined) return children(query.data)
  if (query.error !== null) return <Problem error={query.error} retry={() => void query.refetch()} />
  return <Box aria-busy="true">{skeleton}</Box>
}

/** A skeleton of lines, as tall as rows of a table. */
export function Lines({ count }: { readonly count: number }) {
  return (
    <Stack gap={8}>
      {Array.from({ length: count }, (_, i) => (
        <Skeleton key={i} height={28} radius="sm" />
      ))}
    </Stack>
  )
}

interface EmptyProps {
  readonly title: string
  /** What this is for, in a sentence or two. */
  readonly children: ReactNode
  readonly action?: ReactNode
}

/** A list with nothing in it teaches what belongs there, and offers the first step. */
export function Empty({ title, children, action }: EmptyProps) {
  return (
    <Stack gap="xs" py="xl" maw={560}>
      <Title order={2}>{title}</Title>
      <Text size="sm" className="quiet" component="div">
        {children}
      </Text>
      {action !== undefined && <Group gap="xs">{action}</Group>}
    </Stack>
  )
}
