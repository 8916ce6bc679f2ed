import { Group, NumberInput, SegmentedControl, Select, Stack, Text } from '@mantine/core'
import { useState } from 'react'
import type { ApiProblem } from '#api/client.ts'
import { CronFields } from '#features/schedules/cron-fields.tsx'
import { useDraft } from '#features/sync-configs/draft.tsx'
import { Fact } from '#features/sync-configs/fields.tsx'
import { intervalOf, kindOf, withKind, type IntervalUnit, type ScheduleKind } from '#features/sync-configs/schedule.ts'

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
      {kind === 'cron' && <Cron problem={problem} />}
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

function Cron({ problem }: FieldsProps) {
  const { document, change, problemAt } = useDraft()
  return (
    <CronFields
      schedule={{ cron: '', ...document.schedule }}
      errorAt={(place) => problem?.of(place) ?? problemAt(place)}
      onChange={(schedule) => change((now) => ({ ...now, schedule }))}
    />
  )
}
