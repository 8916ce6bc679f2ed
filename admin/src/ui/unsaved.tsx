import { Button, Group, Modal, Stack, Text } from '@mantine/core'
import { useBlocker } from '@tanstack/react-router'

interface UnsavedProps {
  readonly unsaved: boolean
  /** What would be lost, in a sentence. */
  readonly children: string
  /** Places within the page at which nothing is lost. */
  readonly stays?: (next: { readonly pathname: string; readonly search: object }) => boolean
}

/** Asks before a page with changes that were not saved is left. */
export function Unsaved({ unsaved, children, stays = () => false }: UnsavedProps) {
  const { status, proceed, reset } = useBlocker({
    shouldBlockFn: ({ next }) => unsaved && !stays(next),
    enableBeforeUnload: () => unsaved,
    withResolver: true,
  })
  return (
    <Modal opened={status === 'blocked'} onClose={() => reset?.()} title="Leave without saving">
      <Stack gap="sm">
        <Text size="sm">{children}</Text>
        <Group justify="flex-end" gap="xs">
          <Button variant="default" data-autofocus onClick={() => reset?.()}>
            Stay here
          </Button>
          <Button color="red" onClick={() => proceed?.()}>
            Leave without saving
          </Button>
        </Group>
      </Stack>
    </Modal>
  )
}
