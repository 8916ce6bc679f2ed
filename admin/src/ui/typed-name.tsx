import { Button, Group, Modal, Stack, Text, TextInput } from '@mantine/core'
import { useState, type ReactNode } from 'react'
import { Problem } from '#ui/problem.tsx'

interface TypedNameProps {
  readonly title: string
  /** The name that is to be typed out. */
  readonly name: string
  /** What will be, and what will not. */
  readonly children: ReactNode
  /** The verb on the button. */
  readonly verb: string
  readonly pending: boolean
  readonly error: Error | null
  /** Beside the button: the same by other means. */
  readonly beside?: ReactNode
  readonly onConfirm: () => void
  readonly onClose: () => void
}

/** Asks for the name of what something is done to that cannot be taken back. */
export function TypedName({ title, name, verb, children, pending, error, beside, onConfirm, onClose }: TypedNameProps) {
  const [typed, setTyped] = useState('')
  return (
    <Modal opened onClose={onClose} title={title}>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          if (typed === name) onConfirm()
        }}
      >
        <Stack gap="sm">
          <Text size="sm" component="div">
            {children}
          </Text>
          <TextInput
            data-autofocus
            autoComplete="off"
            label={
              <>
                Type <b>{name}</b> to confirm
              </>
            }
            value={typed}
            onChange={(event) => setTyped(event.currentTarget.value)}
          />
          {error !== null && <Problem error={error} />}
          <Group justify="space-between" gap="xs">
            {beside ?? <span />}
            <Group gap="xs">
              <Button variant="default" onClick={onClose}>
                Cancel
              </Button>
              <Button type="submit" color="red" loading={pending} disabled={typed !== name}>
                {verb}
              </Button>
            </Group>
          </Group>
        </Stack>
      </form>
    </Modal>
  )
}
