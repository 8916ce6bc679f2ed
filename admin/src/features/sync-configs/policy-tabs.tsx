import { SimpleGrid, Stack, Text, Title } from '@mantine/core'
import type { ReactNode } from 'react'
import { useDraft } from '#features/sync-configs/draft.tsx'
import { ChoiceField, NumberField, TextField } from '#features/sync-configs/fields.tsx'
import {
  AUDIT_LEVELS,
  COMMIT_MODES,
  DELETES,
  DELETE_SCOPES,
  ON_REJECT,
  STAGING,
  VERIFY,
} from '#features/sync-configs/words.ts'
import { Mark } from '#ui/mark.tsx'

function Part({ title, children }: { readonly title: string; readonly children: ReactNode }) {
  return (
    <Stack gap="sm">
      <Title order={2}>{title}</Title>
      <SimpleGrid cols={{ base: 1, sm: 2 }} spacing="md" maw={920}>
        {children}
      </SimpleGrid>
    </Stack>
  )
}

/** What becomes of rows that the source has lost, and how much a run may take away without being asked. */
export function DeletesTab() {
  const { document } = useDraft()
  const deletes = document.delete_policy === 'delete'
  const isMirror = deletes && document.delete_scope === 'mirror'
  return (
    <Stack gap="lg">
      <Part title="Rows that the source no longer has">
        <ChoiceField name="delete_policy" label="In the target" choices={DELETES} />
        {deletes && <ChoiceField name="delete_scope" label="Which of them" choices={DELETE_SCOPES} />}
      </Part>
      {isMirror && (
        <Mark tone="person">
          Rows that came into the target by other ways are deleted too, if the source lacks them.
        </Mark>
      )}
      <Part title="Brakes">
        {deletes && (
          <NumberField
            name="max_delete_percent"
            label="Most deletes"
            about="Of a table, in one run. More stops the run before its first write, and asks for the very number."
            byDefault={10}
            max={100}
            suffix=" %"
          />
        )}
        <NumberField
          name="max_overwrite_percent"
          label="Most overwrites"
          about="Of a table, in one run. Where it is not set: 10 % when both sides meet for the first time, then no brake."
          byDefault={null}
          max={100}
          suffix=" %"
        />
      </Part>
      {!deletes && (
        <Text size="sm" className="quiet">
          Nothing is deleted: rows that leave the source stay in the target until somebody removes them there.
        </Text>
      )}
    </Stack>
  )
}

/** How changes reach the target, and what is kept of a run. */
export function WritingTab() {
  const { document } = useDraft()
  const waits = document.commit_mode === 'staged' || document.commit_mode === 'approval'
  return (
    <Stack gap="lg">
      <Part title="Commit">
        <ChoiceField name="commit_mode" label="Changes reach the target" choices={COMMIT_MODES} />
        {waits && <ChoiceField name="staging" label="Until then they are kept" choices={STAGING} />}
        {waits && (
          <NumberField
            name="approval_hours"
            label="Hours to wait"
            about="For decisions or an approval; then the job fails, and nothing is written."
            byDefault={72}
            min={1}
            max={720}
          />
        )}
      </Part>
      <Part title="Record and proof">
        <ChoiceField name="audit_level" label="What is kept of a run" choices={AUDIT_LEVEL_CHOICES} />
        <ChoiceField name="verify_after" label="What is proved after a run" choices={VERIFY} />
      </Part>
      <Part title="Rows that the target refuses">
        <ChoiceField name="on_reject" label="Such a row" choices={ON_REJECT} />
        {document.on_reject !== 'stop' && (
          <NumberField
            name="max_rejections"
            label="Most rows set aside"
            about="More stop the run."
            byDefault={1_000}
            max={1_000_000}
          />
        )}
        <TextField
          name="zero_dates"
          label="Dates such as 0000-00-00"
          about="Of MySQL and MariaDB: reject sets their rows aside, keep carries them to another MySQL or MariaDB, null or a day such as 1970-01-01 stands in their place."
          placeholder="reject"
        />
      </Part>
      <Part title="Pace">
        <NumberField
          name="batch_size"
          label="Rows in a batch"
          about="Of one transaction."
          byDefault={1_000}
          min={1}
          max={100_000}
        />
        <NumberField
          name="max_parallel_tables"
          label="Tables at once"
          about="Under way at the same time."
          byDefault={1}
          min={1}
          max={32}
        />
        <NumberField
          name="max_parallel_operations"
          label="Pieces of a table at once"
          about="Within the connections that the pools of both datasources allow."
          byDefault={5}
          min={1}
          max={32}
        />
      </Part>
    </Stack>
  )
}

/** The default first: it is what holds where the document says nothing. */
const AUDIT_LEVEL_CHOICES = AUDIT_LEVELS.toSorted(
  (a, b) => Number(b.value === 'standard') - Number(a.value === 'standard'),
)
