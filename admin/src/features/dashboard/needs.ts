import type { Schemas } from '#api/client.ts'
import { plural } from '#lib/format.ts'
import type { Tone } from '#ui/mark.tsx'

/** Something that goes on only once somebody looks at it. */
export interface Need {
  readonly key: string
  readonly tone: Tone
  readonly word: string
  readonly to: 'conflicts' | 'job' | 'config'
  /** Of the sync config whose conflicts wait or whose tables have changed, or of the job. */
  readonly id: string
  readonly name: string
  readonly about: string
}

type Waiting = Pick<Schemas['Job'], 'id' | 'status' | 'config_id'>
type State = Schemas['Overview']['configs'][number]

/** Approvals first, then decisions, then what failed and was not tried again, then rows that were set aside, then tables that have changed. */
export function needsOf(
  jobs: readonly Waiting[],
  states: readonly State[],
  configs: readonly Pick<Schemas['SyncConfig'], 'id' | 'name'>[],
): readonly Need[] {
  const nameOf = (id: string | null): string => configs.find((config) => config.id === id)?.name ?? 'a run by hand'
  const approvals = jobs
    .filter(({ status }) => status === 'awaiting_approval')
    .map((job) => ({
      ...PERSON,
      key: job.id,
      word: 'Approve',
      to: 'job' as const,
      id: job.id,
      name: nameOf(job.config_id),
      about: 'its changes are ready to be looked through',
    }))
  const decisions = jobs
    .filter(({ status }) => status === 'awaiting_resolution')
    .map((job) => ({
      ...PERSON,
      key: job.id,
      word: 'Decide',
      to: 'job' as const,
      id: job.id,
      name: nameOf(job.config_id),
      about: 'rows have moved, or both sides changed them',
    }))
  const conflicts = states
    .filter(({ open_conflicts: open }) => open > 0)
    .map((state) => ({
      ...PERSON,
      key: `conflicts ${state.config_id}`,
      word: 'Resolve',
      to: 'conflicts' as const,
      id: state.config_id,
      name: nameOf(state.config_id),
      about: `${plural(state.open_conflicts, 'conflict')}; other rows do not wait`,
    }))
  const failed = states.flatMap(({ config_id: config, last_job: job }) =>
    job?.status === 'failed'
      ? [
          {
            tone: 'failed' as const,
            key: job.id,
            word: 'Failed',
            to: 'job' as const,
            id: job.id,
            name: nameOf(config),
            about: 'its last job says why, and what to do next',
          },
        ]
      : [],
  )
  const rejected = states.flatMap(({ config_id: config, last_job: job, open_rejections: open }) =>
    job !== null && open > 0
      ? [
          {
            ...PERSON,
            key: `rejections ${config}`,
            word: 'Mend',
            to: 'job' as const,
            id: job.id,
            name: nameOf(config),
            about: `${plural(open, 'row')} could not be written`,
          },
        ]
      : [],
  )
  const drifted = states.flatMap(({ config_id: config, schema_drift: drift }) =>
    drift === null
      ? []
      : [
          {
            ...PERSON,
            key: `drift ${config}`,
            word: 'Look over',
            to: 'config' as const,
            id: config,
            name: nameOf(config),
            about: drift.changes === 1 ? drift.first : `${drift.first}, and ${drift.changes - 1} more in its tables`,
          },
        ],
  )
  return [...approvals, ...decisions, ...conflicts, ...failed, ...rejected, ...drifted]
}

const PERSON = { tone: 'person' } as const

/** How things stand, in a sentence. */
export function sentenceOf(running: number, needs: readonly Need[]): string {
  const runs = running === 0 ? 'Nothing runs' : `${plural(running, 'job')} ${running === 1 ? 'runs' : 'run'}`
  const wants =
    needs.length === 0
      ? 'nothing needs a person'
      : `${plural(needs.length, 'thing')} ${needs.length === 1 ? 'needs' : 'need'} a person`
  return `${runs}, ${wants}.`
}
