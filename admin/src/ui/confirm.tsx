import { Button, Group, Stack, Text, TextInput } from '@mantine/core'
import { useState, type ReactNode } from 'react'
import { Dialog } from '#ui/dialog.tsx'
import { Problem } from '#ui/problem.tsx'

interface ConfirmProps {
  readonly title: string
  /** The name that is to be typed out first, where that is asked for. */
  readonly typedName?: string
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

/** Asks before something that cannot be taken back, and where it matters most for the name of what it is done to. */
export function Confirm({
  title,
  typedName,
  verb,
  children,
  pending,
  error,
  beside,
  onConfirm,
  onClose,
}: ConfirmProps) {
  const [typed, setTyped] = useState('')
  const isSure = typedName === undefined || typed === typedName
  return (
    <Dialog onClose={onClose} title={title}>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          // The dialog stands in a form of its page, as React sees it: that is not what is sent.
          event.stopPropagation()
          if (isSure) onConfirm()
        }}
      >
        <Stack gap="sm">
          <Text size="sm" component="div">
            {children}
          </Text>
          {typedName !== undefined && (
            <TextInput
              data-autofocus
              autoComplete="off"
              label={
                <>
                  Type <b>{typedName}</b> to confirm
                </>
              }
              value={typed}
              onChange={(event) => setTyped(event.currentTarget.value)}
            />
          )}
          {error !== null && <Problem error={error} />}
          <Group justify="space-between" gap="xs">
            {beside ?? <span />}
            <Group gap="xs">
              <Button variant="default" onClick={onClose}>
                Cancel
              </Button>
              <Button type="submit" color="red" loading={pending} disabled={!isSure}>
                {verb}
              </Button>
            </Group>
          </Group>
        </Stack>
      </form>
    </Dialog>
  )
}
