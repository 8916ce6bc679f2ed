import { Select, Stack, Switch, TextInput } from '@mantine/core'
import type { DatasourceDraft } from '#features/datasources/connection-draft.ts'
import type { PartProps } from '#features/datasources/connection-form.tsx'

const ENVIRONMENTS = [
  { value: '', label: 'By the address: local here, else production' },
  { value: 'production', label: 'Production' },
  { value: 'staging', label: 'Staging' },
  { value: 'development', label: 'Development' },
  { value: 'training', label: 'Training' },
  { value: 'local', label: 'Local' },
]

interface PurposeProps extends PartProps {
  /** Stands in the field of the name as long as nobody typed one. */
  readonly suggested: string
}

/** What a datasource is to people: its name, its environment, and whether syncs may write to it. */
export function PurposeFields({ draft, set, problemOf, suggested }: PurposeProps) {
  return (
    <Stack gap="sm">
      <TextInput
        label="Name"
        autoComplete="off"
        description={draft.name === '' && suggested !== '' ? `Left empty, it is called ${suggested}.` : undefined}
        placeholder={suggested}
        value={draft.name}
        error={problemOf('name')}
        onChange={(event) => set({ name: event.currentTarget.value })}
      />
      <Select
        label="Environment"
        description="A write to production or staging needs the name of the datasource, typed out."
        data={ENVIRONMENTS}
        value={draft.environment}
        error={problemOf('environment')}
        onChange={(value) => set({ environment: (value ?? '') as DatasourceDraft['environment'] })}
      />
      <Switch
        label="Syncs may write to it"
        description={
          draft.way === 'database'
            ? 'Off, it is a source: every session is opened read-only in the database itself, so that nothing can be written.'
            : 'Off, it is a source. To be written by REST, the project runs once what syncline datasources prepare prints.'
        }
        checked={draft.writable}
        onChange={(event) => set({ writable: event.currentTarget.checked })}
      />
    </Stack>
  )
}
