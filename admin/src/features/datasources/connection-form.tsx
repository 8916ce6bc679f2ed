import { Anchor, Collapse, Group, SegmentedControl, Select, Stack, Textarea, TextInput } from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import type { Dispatch, SetStateAction } from 'react'
import { reachedBy, type DatasourceDraft } from '#features/datasources/connection-draft.ts'
import { SecretFields } from '#features/datasources/secret-fields.tsx'

export interface FormProps {
  readonly draft: DatasourceDraft
  readonly onChange: Dispatch<SetStateAction<DatasourceDraft>>
  /** What the service says of a field of the request. */
  readonly problemOf: (field: string) => string | undefined
}

/** How a datasource is reached: its address, its login, its encryption. */
export function ConnectionForm({ draft, onChange, problemOf }: FormProps) {
  const set = (change: Partial<DatasourceDraft>): void => onChange((old) => ({ ...old, ...change }))
  return (
    <Stack gap="sm">
      <SegmentedControl
        size="xs"
        aria-label="How it is reached"
        value={draft.way === 'database' && draft.kind === 'mysql' ? 'mysql' : draft.way}
        onChange={(way) => set(reachedBy(draft, way))}
        data={[
          { value: 'database', label: 'PostgreSQL' },
          { value: 'mysql', label: 'MySQL or MariaDB' },
          { value: 'project', label: 'Supabase project, by REST' },
        ]}
      />
      {draft.way === 'database' ? (
        <AddressFields draft={draft} set={set} problemOf={problemOf} />
      ) : (
        <TextInput
          label="Project URL"
          description="Read and written over the REST API of the project; for a network in which no database port can be reached."
          placeholder="https://abcdefghijklmnop.supabase.co"
          value={draft.projectUrl}
          error={problemOf('project_url')}
          onChange={(event) => set({ projectUrl: event.currentTarget.value })}
        />
      )}
      <SecretFields draft={draft} set={set} problemOf={problemOf} />
      <More draft={draft} set={set} problemOf={problemOf} />
    </Stack>
  )
}

export interface PartProps {
  readonly draft: DatasourceDraft
  readonly set: (change: Partial<DatasourceDraft>) => void
  readonly problemOf: FormProps['problemOf']
}

function AddressFields({ draft, set, problemOf }: PartProps) {
  return (
    <>
      <Group gap="sm" align="flex-start" wrap="nowrap">
        <TextInput
          style={{ flex: 1 }}
          label="Host"
          placeholder="db.example.com"
          autoComplete="off"
          value={draft.host}
          error={problemOf('host')}
          onChange={(event) => set({ host: event.currentTarget.value })}
        />
        <TextInput
          w={96}
          label="Port"
          inputMode="numeric"
          value={draft.port}
          error={problemOf('port')}
          onChange={(event) => set({ port: event.currentTarget.value.replaceAll(/\D/g, '') })}
        />
      </Group>
      <Group gap="sm" align="flex-start" grow>
        <TextInput
          label="Database"
          autoComplete="off"
          value={draft.database}
          error={problemOf('database')}
          onChange={(event) => set({ database: event.currentTarget.value })}
        />
        <TextInput
          label="User"
          autoComplete="off"
          value={draft.user}
          error={problemOf('user')}
          onChange={(event) => set({ user: event.currentTarget.value })}
        />
      </Group>
    </>
  )
}

const SSL_CHOICES = [
  { value: '', label: 'Safest for the address' },
  { value: 'verify-full', label: 'verify-full: encrypted, server and name verified' },
  { value: 'verify-ca', label: 'verify-ca: encrypted, certificate verified' },
  { value: 'require', label: 'require: encrypted, server not verified' },
  { value: 'prefer', label: 'prefer: encrypted where the server offers it' },
  { value: 'disable', label: 'disable: never encrypted' },
]

const KIND_CHOICES = [
  { value: '', label: 'What the address says' },
  { value: 'postgres', label: 'PostgreSQL' },
  { value: 'supabase', label: 'Supabase' },
  { value: 'neon', label: 'Neon' },
]

/** What most people leave as it is; open at once where something of it was said. */
function More({ draft, set, problemOf }: PartProps) {
  const isSaid = draft.ssl !== '' || draft.ca !== '' || draft.schemas !== ''
  const [open, { toggle }] = useDisclosure(isSaid)
  return (
    <Stack gap="xs">
      <Anchor component="button" type="button" size="sm" ta="left" onClick={toggle} aria-expanded={open}>
        {open ? 'Fewer settings' : 'Encryption, schemas and limits'}
      </Anchor>
      <Collapse expanded={open}>
        <Stack gap="sm">
          {draft.way === 'database' && (
            <Group gap="sm" align="flex-start" grow>
              <Select
                label="Encryption"
                description="By itself: verify-full, and prefer on this machine."
                data={SSL_CHOICES}
                value={draft.ssl}
                error={problemOf('ssl')}
                onChange={(value) => set({ ssl: (value ?? '') as DatasourceDraft['ssl'] })}
              />
              {draft.kind !== 'mysql' && (
                <Select
                  label="Kind"
                  description="Supabase and Neon have poolers and schemas of their own."
                  data={KIND_CHOICES}
                  value={draft.kind}
                  error={problemOf('kind')}
                  onChange={(value) => set({ kind: (value ?? '') as DatasourceDraft['kind'] })}
                />
              )}
            </Group>
          )}
          <Textarea
            label="CA certificates"
            description="PEM, pasted; only where the certificate of the server is not signed by a public CA."
            placeholder="-----BEGIN CERTIFICATE-----"
            autosize
            minRows={2}
            maxRows={6}
            value={draft.ca}
            error={problemOf('ca')}
            onChange={(event) => set({ ca: event.currentTarget.value })}
          />
          <TextInput
            label="Schemas"
            description="The only ones that are offered, with commas between. Empty: all but those of the provider."
            value={draft.schemas}
            error={problemOf('schemas')}
            onChange={(event) => set({ schemas: event.currentTarget.value })}
          />
          <Group gap="sm" align="flex-start" grow>
            <TextInput
              label="Connections at most"
              description="Of all jobs together. By itself 12."
              inputMode="numeric"
              value={draft.poolSize}
              error={problemOf('pool_size')}
              onChange={(event) => set({ poolSize: event.currentTarget.value.replaceAll(/\D/g, '') })}
            />
            <TextInput
              label="Seconds to connect"
              description="By itself 10."
              inputMode="decimal"
              value={draft.timeoutSeconds}
              error={problemOf('connect_timeout_ms')}
              onChange={(event) => set({ timeoutSeconds: event.currentTarget.value.replaceAll(/[^\d.]/g, '') })}
            />
          </Group>
        </Stack>
      </Collapse>
    </Stack>
  )
}
