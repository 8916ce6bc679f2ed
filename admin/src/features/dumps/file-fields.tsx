import { Select, Switch, TextInput } from '@mantine/core'
import type { ApiProblem } from '#api/client.ts'
import { useMay } from '#app/session.ts'
import type { FileDraft } from '#features/dumps/file-draft.ts'
import { flips } from '#features/dumps/flips.ts'
import type { Dump } from '#features/dumps/queries.ts'
import { lineOfDump } from '#features/dumps/words.ts'

interface DumpFieldProps {
  readonly dumps: readonly Dump[]
  readonly value: string | null
  readonly error: string | undefined
  readonly onChange: (id: string | null) => void
}

/** One of the dumps of the directory. */
export function DumpField({ dumps, ...field }: DumpFieldProps) {
  return (
    <Select
      {...field}
      label="Dump"
      description="Of the directory of the service, the newest first."
      placeholder="Choose a dump"
      searchable
      nothingFoundMessage="No dump has that in its name."
      data={dumps.map((dump) => ({ value: dump.id, label: lineOfDump(dump) }))}
    />
  )
}

interface FileFieldsProps {
  readonly draft: FileDraft
  readonly isSealed: boolean
  readonly set: (change: Partial<FileDraft>) => void
  readonly problem: ApiProblem | null
}

export function FileFields({ draft, isSealed, set, problem }: FileFieldsProps) {
  const isAdmin = useMay('admin')
  const flip = flips(draft, set)
  return (
    <>
      <Switch
        {...flip('owners')}
        label="With who owns what"
        description="As the dump has it; the roles must be there. Otherwise the login owns it."
      />
      <Switch {...flip('grants')} label="With who has been granted what" description="As the dump has it." />
      {isAdmin && (
        <Switch
          {...flip('trust')}
          label="Trust the file"
          description="It may do whatever the login may. Only a login that is a superuser needs it, or a dump with event triggers, foreign tables or untrusted languages."
        />
      )}
      {isSealed && (
        <TextInput
          label="Passphrase"
          description="The dump is sealed. Where the service finds its passphrase: env:NAME, file:PATH or vault:PATH#FIELD."
          placeholder="env:DUMP_PASSPHRASE"
          autoComplete="off"
          required
          value={draft.passphrase}
          error={problem?.of('passphrase_reference')}
          onChange={(event) => set({ passphrase: event.currentTarget.value.trim() })}
        />
      )}
    </>
  )
}
