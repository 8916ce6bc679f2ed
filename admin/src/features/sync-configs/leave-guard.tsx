import { Button, Group, Modal, Stack, Text } from '@mantine/core'
import { useBlocker } from '@tanstack/react-router'
import { useDraft } from '#features/sync-configs/draft.tsx'
import { plural } from '#lib/format.ts'

/** Asks before a page is left with changes that are not saved; its tabs are the same page. */
export function LeaveGuard() {
  const { base, changes, unread } = useDraft()
  const isDirty = changes > 0 || unread !== null
  const blocker = useBlocker({
    shouldBlockFn: ({ current, next }) => isDirty && current.pathname !== next.pathname,
    enableBeforeUnload: isDirty,
    withResolver: true,
  })
  if (blocker.status !== 'blocked') return null
  return (
    <Modal opened onClose={blocker.reset} title={`Leave ${base.name} without saving?`}>
      <Stack gap="md">
        <Text size="sm">
          {unread === null
            ? `${plural(changes, 'change')} of this sync config ${changes === 1 ? 'is' : 'are'} not saved.`
            : 'The text on the tab YAML cannot be read yet, and is not saved.'}
        </Text>
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={blocker.proceed}>
            Leave and drop the changes
          </Button>
          <Button onClick={blocker.reset} data-autofocus>
            Stay
          </Button>
        </Group>
      </Stack>
    </Modal>
  )
}
