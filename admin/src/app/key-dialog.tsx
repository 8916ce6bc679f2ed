import { Button, Group, PasswordInput, Stack, Text } from '@mantine/core'
import { useMutation } from '@tanstack/react-query'
import { useState } from 'react'
import { api, body } from '#api/client.ts'
import { queryClient } from '#app/query-client.ts'
import { sessionQuery } from '#app/session.ts'
import { Dialog } from '#ui/dialog.tsx'

interface KeyDialogProps {
  readonly onEnter: () => void
  readonly onClose: () => void
}

/** Asks for the key, and makes the session fresh by it. */
export function KeyDialog({ onEnter, onClose }: KeyDialogProps) {
  const [key, setKey] = useState('')
  const enter = useMutation({
    meta: { shown: true },
    mutationFn: () => body(api.POST('/api/v1/session', { body: { key } })),
    onSuccess: (session) => {
      queryClient.setQueryData(sessionQuery.queryKey, session)
      onEnter()
    },
  })
  return (
    <Dialog onClose={onClose} title="Enter your key again">
      <form
        onSubmit={(event) => {
          event.preventDefault()
          enter.mutate()
        }}
      >
        <Stack gap="sm">
          <Text size="sm">This cannot be taken back, and the key was entered more than ten minutes ago.</Text>
          <PasswordInput
            data-autofocus
            label="API key"
            autoComplete="current-password"
            value={key}
            onChange={(event) => setKey(event.currentTarget.value)}
            error={enter.error?.message}
          />
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={onClose}>
              Cancel
            </Button>
            <Button type="submit" loading={enter.isPending} disabled={key === ''}>
              Continue
            </Button>
          </Group>
        </Stack>
      </form>
    </Dialog>
  )
}
