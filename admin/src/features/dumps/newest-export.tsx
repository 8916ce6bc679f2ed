import { Group } from '@mantine/core'
import type { Schemas } from '#api/client.ts'
import { TextLink } from '#ui/link.tsx'
import { Mark } from '#ui/mark.tsx'
import { Time } from '#ui/time.tsx'

interface NewestExportProps {
  readonly schedule: Pick<Schemas['ExportScheduleSummary'], 'last_dump' | 'overdue_since'>
}

/** What a schedule has come to: its newest export, whether that works, and whether there ought to be a newer one. */
export function NewestExport({ schedule: { last_dump: newest, overdue_since: overdue } }: NewestExportProps) {
  return (
    <Group gap="xs" wrap="nowrap">
      {newest === null ? (
        <span className="quiet">none</span>
      ) : (
        <>
          <TextLink to="/dumps/$id" params={{ id: newest.id }}>
            <Time at={newest.created_at} />
          </TextLink>
          {newest.works !== null && (
            <Mark tone={newest.works ? 'done' : 'failed'}>{newest.works ? 'Works' : 'Does not work'}</Mark>
          )}
        </>
      )}
      {overdue !== null && (
        <Mark tone="failed" about="Two of its times have passed without a new export.">
          Overdue
        </Mark>
      )}
    </Group>
  )
}
