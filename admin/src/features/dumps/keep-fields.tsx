import { Switch } from '@mantine/core'
import { flips } from '#features/dumps/flips.ts'

interface Keeping {
  readonly replace: boolean
  readonly backup: boolean
}

interface KeepFieldsProps {
  /** `a copy`, `an import`. */
  readonly what: string
  readonly draft: Keeping
  readonly set: (change: Partial<Keeping>) => void
}

/** What becomes of what is there already. */
export function KeepFields({ what, draft, set }: KeepFieldsProps) {
  const flip = flips(draft, set)
  return (
    <>
      <Switch
        {...flip('replace')}
        label="Replace what is there already"
        description={`Otherwise ${what} that would replace anything is refused.`}
      />
      {draft.replace && (
        <Switch
          {...flip('backup')}
          label="Keep what is replaced as a backup"
          description="Before anything is written it is exported, read back and checked. Importing it brings everything back."
        />
      )}
    </>
  )
}
