import type { Schemas } from '#api/client.ts'
import { Mark } from '#ui/mark.tsx'
import { Time } from '#ui/time.tsx'

/** When a config runs next by itself; its schedule in words on hover. Null: it does not run by itself. */
export function NextRun({ schedule }: { readonly schedule: Schemas['ScheduleSummary'] | null }) {
  if (schedule === null) return <span className="quiet">by hand</span>
  if (schedule.paused) return <Mark tone="resting">paused</Mark>
  return (
    <span title={schedule.words}>
      <Time at={schedule.next_run_at} />
    </span>
  )
}
