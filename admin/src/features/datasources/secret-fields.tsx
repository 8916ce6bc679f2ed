import { Button, Group, Input, PasswordInput, SegmentedControl, Stack, Text, TextInput } from '@mantine/core'
import { useId, useState } from 'react'
import type { DatasourceDraft } from '#features/datasources/connection-draft.ts'
import type { PartProps } from '#features/datasources/connection-form.tsx'

/** A password or key: entered, looked up at each connection, or none. One that is kept is replaced, never shown. */
export function SecretFields({ draft, set, problemOf }: PartProps) {
  const isKey = draft.way === 'project'
  const word = isKey ? 'Service role key' : 'Password'
  const field = isKey ? 'service_role_key' : 'password'
  const [wasKept] = useState(draft.secret === 'keep')
  const id = useId()
  if (draft.secret === 'keep') {
    return (
      <Stack gap={4}>
        <Input.Label labelElement="div">{word}</Input.Label>
        <Group gap="xs">
          <span className="mono">••••••••</span>
          <Text size="xs" className="quiet">
            Kept sealed; nobody can read it.
          </Text>
          <Button variant="default" onClick={() => set({ secret: 'enter' })}>
            Replace
          </Button>
        </Group>
        {problemOf(field) !== undefined && (
          <Text size="xs" c="red">
            {problemOf(field)}
          </Text>
        )}
      </Stack>
    )
  }
  return (
    <Stack gap={6}>
      <Group justify="space-between" gap="xs">
        <Input.Label htmlFor={id}>{draft.secret === 'reference' ? 'Reference' : word}</Input.Label>
        <SegmentedControl
          size="xs"
          aria-label={`Where the ${word.toLowerCase()} is`}
          value={draft.secret}
          onChange={(secret) => set({ secret: secret as DatasourceDraft['secret'] })}
          data={[
            ...(wasKept ? [{ value: 'keep', label: 'Leave' }] : []),
            { value: 'enter', label: 'Enter' },
            { value: 'reference', label: 'Refer to' },
            ...(isKey ? [] : [{ value: 'none', label: 'None' }]),
          ]}
        />
      </Group>
      {draft.secret === 'enter' && (
        <PasswordInput
          id={id}
          autoComplete="off"
          description="Kept sealed, and never shown again."
          value={draft.password}
          error={problemOf(field)}
          onChange={(event) => set({ password: event.currentTarget.value })}
        />
      )}
      {draft.secret === 'reference' && (
        <TextInput
          id={id}
          autoComplete="off"
          description="env:NAME, file:PATH or vault:PATH#FIELD, looked up at each connection."
          placeholder="env:SHOP_PASSWORD"
          value={draft.reference}
          error={problemOf(`${field}_reference`)}
          onChange={(event) => set({ reference: event.currentTarget.value })}
        />
      )}
    </Stack>
  )
}
