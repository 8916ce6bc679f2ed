import type { StagingKind } from '#model/change-set.ts'
import { AppError } from '#model/errors.ts'
import type { ChangeSetTools } from './change-set-tools.ts'
import type { Generation } from './chunk-store.ts'

/** Space is reserved in steps, so that not every chunk asks the store. */
const STEP_BYTES = 4 * 1024 * 1024

const SETTING: Readonly<Record<StagingKind, string>> = {
  embedded: 'STAGING_MAX_BYTES',
  redis: 'REDIS_STAGING_MAX_BYTES',
}

/**
 * Reserves space for a generation that is being computed; all change sets of the store share it. Returns how many bytes
 * it may have now. @throws AppError `staging_full`, `lease_lost` where another process has begun the change set anew
 */
export async function reserveSpace(
  { store, limits }: ChangeSetTools,
  { jobId, generation, staging }: Generation & { readonly staging: StagingKind },
  needed: number,
): Promise<number> {
  return store.exclusively('staging', async (tx) => {
    const others = await tx
      .selectFrom('change_set')
      .select((select) => select.fn.sum('held_bytes').as('bytes'))
      .where('staging', '=', staging)
      .where('job_id', '<>', jobId)
      .executeTakeFirst()
    const taken = Number(others?.bytes ?? 0)
    const free = limits[staging] - taken
    if (needed > free) throw stagingFull({ staging, needed, taken, limit: limits[staging] })
    const held = Math.min(needed + STEP_BYTES, free)
    const { numUpdatedRows } = await tx
      .updateTable('change_set')
      .set({ held_bytes: held })
      .where('job_id', '=', jobId)
      .where('generation', '=', generation)
      .where('state', '=', 'building')
      .executeTakeFirst()
    if (numUpdatedRows === 0n) throw begunAnew(jobId)
    return held
  })
}

export function begunAnew(jobId: string): AppError {
  return new AppError('lease_lost', `Another process computes the changes of the job ${jobId} anew.`)
}

function stagingFull(space: { staging: StagingKind; needed: number; taken: number; limit: number }): AppError {
  const { staging, needed, taken, limit } = space
  const name = SETTING[staging]
  const message = `The change set needs at least ${inMb(needed)}; other change sets hold ${inMb(taken)}, and all together may have ${inMb(limit)} (${name}).`
  return new AppError('staging_full', message, {
    hint: `Discard change sets that nobody needs any more, raise ${name} (${limit} bytes now), or sync fewer tables at once.`,
  })
}

function inMb(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(1)} MiB`
}
