import { Group, NumberInput, SegmentedControl, Select, SimpleGrid, Stack, Text, TextInput } from '@mantine/core'
import { useState } from 'react'
import type { ApiProblem } from '#api/client.ts'
import type { Document } from '#features/sync-configs/document.ts'
import { useDraft } from '#features/sync-configs/draft.tsx'
import { Fact } from '#features/sync-configs/fields.tsx'
import {
  intervalOf,
  kindOf,
  VIEWER_ZONE,
  withKind,
  ZONES,
  type IntervalUnit,
  type ScheduleKind,
} from '#features/sync-configs/schedule.ts'

const KINDS = [
  { value: 'none', label: 'When it is asked for' },
  { value: 'interval', label: 'Every so often' },
  { value: 'cron', label: 'At certain times' },
]

const UNITS = [
  { value: 'second', label: 'seconds' },
  { value: 'minute', label: 'minutes' },
  { value: 'hour', label: 'hours' },
  { value: 'day', label: 'days' },
]

interface FieldsProps {
  /** What the service says of the draft, where that cannot be a schedule. */
  readonly problem: ApiProblem | null
}

/** The part of the document that says when it runs. */
export function ScheduleFields({ problem }: FieldsProps) {
  const { document, change, mayEdit } = useDraft()
  const kind = kindOf(document)
  if (!mayEdit) return <Fact label="It runs" value={KINDS.find(({ value }) => value === kind)?.label ?? ''} />
  return (
    <Stack gap="md">
      <Stack gap={4}>
        <Text size="sm" id="schedule-kind">
          It runs
        </Text>
        <SegmentedControl
          aria-labelledby="schedule-kind"
          size="sm"
          w="fit-content"
          data={KINDS}
          value={kind}
          onChange={(next) => change((now) => withKind(now, next as ScheduleKind))}
        />
      </Stack>
      {kind === 'interval' && <Interval problem={problem} />}
      {kind === 'cron' && <CronFields problem={problem} />}
    </Stack>
  )
}

function Interval({ problem }: FieldsProps) {
  const { document, change, problemAt } = useDraft()
  const known = intervalOf(document.sync_interval ?? 0)
  // The unit that somebody chose stays, whatever the number comes to.
  const [unit, setUnit] = useState<IntervalUnit>(known.unit)
  const size = SECONDS[unit]
  const seconds = document.sync_interval ?? 0
  const set = (amount: number, by: number): void =>
    change((now) => ({ ...now, sync_interval: Math.round(amount * by) }))
  return (
    <Group align="flex-start" gap="xs">
      <NumberInput
        label="Every"
        w={120}
        value={seconds / size}
        min={1}
        allowNegative={false}
        allowDecimal={false}
        clampBehavior="none"
        hideControls
        error={problem?.of('sync_interval') ?? problemAt('sync_interval')}
        onChange={(next) => set(typeof next === 'number' ? next : 0, size)}
      />
      <Select
        label="Unit"
        w={140}
        data={UNITS}
        allowDeselect={false}
        value={unit}
        onChange={(next) => {
          const chosen = (next ?? 'minute') as IntervalUnit
          setUnit(chosen)
          set(seconds / size, SECONDS[chosen])
        }}
      />
    </Group>
  )
}

const SECONDS: Readonly<Record<IntervalUnit, number>> = { second: 1, minute: 60, hour: 3_600, day: 86_400 }

function CronFields({ problem }: FieldsProps) {
  const { document, change, problemAt } = useDraft()
  const { schedule } = document
  const set = (edit: Partial<NonNullable<Document['schedule']>>): void =>
    change((now) => ({ ...now, schedule: { cron: '', ...now.schedule, ...edit } }))
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
        value={schedule?.cron ?? ''}
        error={problem?.of('schedule/cron') ?? problemAt('schedule/cron')}
        onChange={(event) => set({ cron: event.currentTarget.value })}
      />
      <Select
        label="Time zone"
        description={`Whose clocks they are. Yours is ${VIEWER_ZONE}.`}
        inputWrapperOrder={['label', 'input', 'description', 'error']}
        searchable
        allowDeselect={false}
        limit={50}
        data={ZONES}
        value={schedule?.time_zone ?? 'UTC'}
        error={problem?.of('schedule/time_zone') ?? problemAt('schedule/time_zone')}
        onChange={(next) => set({ time_zone: next ?? 'UTC' })}
      />
    </SimpleGrid>
  )
}
