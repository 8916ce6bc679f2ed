import { Button, Code, Collapse, Group, Stack, Text } from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import { ApiProblem } from '#api/client.ts'
import { Mark } from '#ui/mark.tsx'

/** What went wrong: the cause, the next step, and folded below it what somebody who helps asks for. */
export function Problem({ error, retry }: { readonly error: Error; readonly retry?: () => void }) {
  const [open, { toggle }] = useDisclosure(false)
  const problem = error instanceof ApiProblem ? error : null
  return (
    <Stack gap="xs" role="alert" maw={720}>
      <Mark tone="failed">{error.message}</Mark>
      {problem !== null && problem.hint !== '' && <Text size="sm">{problem.hint}</Text>}
      {problem?.places.map(({ place, message }) => (
        <Text size="sm" key={place}>
          <Code>{place}</Code> {message}
        </Text>
      ))}
      <Group gap="xs">
        {retry !== undefined && (
          <Button variant="default" onClick={retry}>
            Try again
          </Button>
        )}
        {problem !== null && (
          <Button variant="subtle" color="gray" onClick={toggle} aria-expanded={open}>
            Details
          </Button>
        )}
      </Group>
      {problem !== null && (
        <Collapse expanded={open}>
          <Code block>
            {[`code: ${problem.code}`, `status: ${problem.status}`, `request: ${problem.requestId ?? 'none'}`].join(
              '\n',
            )}
          </Code>
        </Collapse>
      )}
    </Stack>
  )
}
