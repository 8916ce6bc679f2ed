import { Stack, Text } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { ApiProblem } from '#api/client.ts'
import { LastTicks } from '#features/schedules/last-ticks.tsx'
import { Runs } from '#features/schedules/runs.tsx'
import { usePreview } from '#features/schedules/use-preview.ts'
import { isSame } from '#features/sync-configs/document.ts'
import { useDraft } from '#features/sync-configs/draft.tsx'
import { scheduleQuery } from '#features/sync-configs/queries.ts'
import { kindOf } from '#features/sync-configs/schedule.ts'
import { ScheduleFields } from '#features/sync-configs/schedule-fields.tsx'
import { ScheduleActions, ScheduleNotices } from '#features/sync-configs/schedule-state.tsx'
import { Answer, Lines } from '#ui/page.tsx'
import { Problem } from '#ui/problem.tsx'

/** When the config runs by itself: the document's part, what that comes to, and what became of the last times. */
export function ScheduleTab() {
  const { base, document } = useDraft()
  const saved = { sync_interval: base.sync_interval, schedule: base.schedule }
  const fields = { sync_interval: document.sync_interval, schedule: document.schedule }
  const isSaved = isSame(saved, fields)
  const preview = usePreview(fields, kindOf(document) !== 'none' && !isSaved)
  const state = useQuery(scheduleQuery(base.id))
  const problem = preview.error instanceof ApiProblem && !isSaved ? preview.error : null
  return (
    <Stack gap="lg">
      {isSaved && state.data !== undefined && state.data.words !== null && <ScheduleNotices state={state.data} />}
      <ScheduleFields problem={problem} />
      {kindOf(document) === 'none' ? (
        <Text size="sm" className="quiet">
          Nothing runs by itself: somebody runs it here, on the command line, or by the API.
        </Text>
      ) : isSaved ? (
        <Answer query={state} skeleton={<Lines count={6} />}>
          {(known) => <Runs schedule={known} />}
        </Answer>
      ) : problem === null ? (
        preview.data === undefined ? (
          <Lines count={6} />
        ) : (
          <Runs schedule={preview.data} />
        )
      ) : problem.places.length === 0 ? (
        <Problem error={problem} />
      ) : (
        <Text size="sm" className="quiet">
          Its next runs are told once this can be read.
        </Text>
      )}
      {kindOf(document) !== 'none' && (
        <Text size="sm" className="quiet" maw={720}>
          A run whose time comes while a job of the config is still open is left out, and that is told. What was missed
          while no service was there runs once.
        </Text>
      )}
      {isSaved && state.data !== undefined && state.data.words !== null && <ScheduleActions state={state.data} />}
      {isSaved && state.data !== undefined && <LastTicks of={base.name} ticks={state.data.ticks} />}
    </Stack>
  )
}
