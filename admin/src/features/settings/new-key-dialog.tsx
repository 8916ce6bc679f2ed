import { Button, Code, Group, MultiSelect, Select, Stack, Text, TextInput } from '@mantine/core'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { api, ApiProblem, body, type Schemas } from '#api/client.ts'
import { useFreshKey } from '#app/fresh-key.tsx'
import { datasourcesQuery } from '#features/datasources/queries.ts'
import { expiryOf, LIFETIMES, type Lifetime } from '#features/settings/lifetime.ts'
import { keysQuery } from '#features/settings/queries.ts'
import { useNow } from '#lib/now.ts'
import { formatAbsolute } from '#lib/format.ts'
import { CopyAs, CopyButton, curlOf, quote } from '#ui/copy.tsx'
import { Dialog } from '#ui/dialog.tsx'
import { Mark } from '#ui/mark.tsx'
import { Problem } from '#ui/problem.tsx'

const ROLES = [
  { value: 'viewer', label: 'Viewer: sees everything but values of rows' },
  { value: 'operator', label: 'Operator: also runs jobs, and decides conflicts' },
  { value: 'admin', label: 'Admin: also changes datasources, configs and keys' },
]

type KeyRequest = Schemas['ApiKeyRequest']

/** Makes a key; it is shown once, here. */
export function NewKeyDialog({ onClose }: { readonly onClose: () => void }) {
  const client = useQueryClient()
  const withFreshKey = useFreshKey()
  const make = useMutation({
    meta: { shown: true },
    mutationFn: (request: KeyRequest) => withFreshKey(() => body(api.POST('/api/v1/keys', { body: request }))),
    onSuccess: () => client.invalidateQueries({ queryKey: keysQuery.queryKey }),
  })
  const made = make.data
  return (
    <Dialog
      onClose={onClose}
      title={made === undefined ? 'Make a key' : `The key ${made.name}`}
      // A key that is shown once is not lost by a click beside it.
      closeOnClickOutside={made === undefined}
      closeOnEscape={made === undefined}
    >
      {made === undefined ? (
        <KeyForm error={make.error} pending={make.isPending} onMake={make.mutate} onClose={onClose} />
      ) : (
        <Stack gap="sm">
          <Mark tone="person">It is shown this once</Mark>
          <Text size="sm">Keep it where you keep passwords. Whoever has it may do what the role {made.role} may.</Text>
          <Code block style={{ whiteSpace: 'pre-wrap', overflowWrap: 'anywhere' }}>
            {made.key}
          </Code>
          <Group justify="space-between" gap="xs">
            <CopyButton text={made.key}>Copy the key</CopyButton>
            <Button onClick={onClose}>I have kept it</Button>
          </Group>
        </Stack>
      )}
    </Dialog>
  )
}

interface KeyFormProps {
  readonly error: Error | null
  readonly pending: boolean
  readonly onMake: (request: KeyRequest) => void
  readonly onClose: () => void
}

function KeyForm({ error, pending, onMake, onClose }: KeyFormProps) {
  const { data: datasources = [] } = useQuery(datasourcesQuery)
  const now = useNow()
  const [name, setName] = useState('')
  const [role, setRole] = useState<KeyRequest['role']>('viewer')
  const [scope, setScope] = useState<string[]>([])
  const [lifetime, setLifetime] = useState<Lifetime>('90')
  const expires = expiryOf(lifetime, now)
  const request: KeyRequest = {
    name: name.trim(),
    role,
    datasources: scope.length === 0 ? null : scope,
    expires_at: expires,
  }
  const problemOf = (field: string): string | undefined => (error instanceof ApiProblem ? error.of(field) : undefined)
  // The command line makes keys for all datasources only.
  const cli = `syncline keys create ${quote(request.name)} --role ${role}${expires === null ? '' : ` --expires ${expires}`}`
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault()
        if (request.name !== '') onMake(request)
      }}
    >
      <Stack gap="sm">
        <TextInput
          data-autofocus
          label="Name"
          description="Who or what will use it: it stands in the audit log."
          autoComplete="off"
          value={name}
          error={problemOf('name')}
          onChange={(event) => setName(event.currentTarget.value)}
        />
        <Select
          label="Role"
          data={ROLES}
          value={role}
          error={problemOf('role')}
          onChange={(value) => setRole((value ?? 'viewer') as KeyRequest['role'])}
        />
        <MultiSelect
          size="sm"
          label="Datasources"
          description="The only ones that it may see and use, with what is between them. Empty: all."
          placeholder={scope.length === 0 ? 'All' : ''}
          data={datasources.map(({ id, name: label }) => ({ value: id, label }))}
          value={scope}
          error={problemOf('datasources')}
          onChange={setScope}
        />
        <Select
          label="Ends"
          description={expires === null ? 'It is good until it is revoked.' : formatAbsolute(Date.parse(expires))}
          data={LIFETIMES}
          value={lifetime}
          error={problemOf('expires_at')}
          onChange={(value) => setLifetime((value ?? '90') as Lifetime)}
        />
        {error !== null && <Problem error={error} />}
        <Group justify="space-between" gap="xs">
          {request.name === '' ? (
            <span />
          ) : (
            <CopyAs curl={curlOf('POST', '/api/v1/keys', request)} {...(scope.length === 0 ? { cli } : {})} />
          )}
          <Group gap="xs">
            <Button variant="default" onClick={onClose}>
              Cancel
            </Button>
            <Button type="submit" loading={pending} disabled={request.name === ''}>
              Make the key
            </Button>
          </Group>
        </Group>
      </Stack>
    </form>
  )
}
