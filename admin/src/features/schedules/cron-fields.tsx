import { Select, SimpleGrid, TextInput } from '@mantine/core'
import type { Schemas } from '#api/client.ts'
import { VIEWER_ZONE, ZONES } from '#features/schedules/zones.ts'

type Schedule = Schemas['CronSchedule']

interface CronFieldsProps {
  readonly schedule: Schedule
  readonly errorAt: (place: 'schedule/cron' | 'schedule/time_zone') => string | undefined
  readonly onChange: (schedule: Schedule) => void
}

/** Times by a cron text, and whose clocks they are. */
export function CronFields({ schedule, errorAt, onChange }: CronFieldsProps) {
  return (
    <SimpleGrid cols={{ base: 1, sm: 2 }} spacing="md" maw={920}>
      <TextInput
        label="Times"
        description="Minute, hour, day of the month, month and day of the week, as cron has them."
        placeholder="*/15 8-18 * * MON-FRI"
        inputWrapperOrder={['label', 'input', 'description', 'error']}
        classNames={{ input: 'mono' }}
        autoComplete="off"
        spellCheck={false}
        value={schedule.cron}
        error={errorAt('schedule/cron')}
        onChange={(event) => onChange({ ...schedule, cron: event.currentTarget.value })}
      />
      <Select
        label="Time zone"
        description={`Whose clocks they are. Yours is ${VIEWER_ZONE}.`}
        inputWrapperOrder={['label', 'input', 'description', 'error']}
        searchable
        allowDeselect={false}
        limit={50}
        data={ZONES}
        value={schedule.time_zone ?? 'UTC'}
        error={errorAt('schedule/time_zone')}
        onChange={(next) => onChange({ ...schedule, time_zone: next ?? 'UTC' })}
      />
    </SimpleGrid>
  )
}
