import type { Job } from '#control/jobs.ts'
import { toConduct } from '#model/config-document.ts'
import { AppError } from '#model/errors.ts'
import { isActive } from '#model/job.ts'

/**
 * Refuses a job that left nothing behind that could be undone. What of it is kept row by row, its undoing finds out.
 * @throws AppError `not_revertible`, `wrong_state`
 */
export function refuseRevert({ id, kind, status, counts, request }: Job): void {
  if ((kind !== 'sync' && kind !== 'revert') || request.dryRun) {
    throw new AppError('not_revertible', `The job ${id} was to write nothing.`, {
      hint: 'Only a sync, or the undoing of one, can be undone.',
    })
  }
  if (isActive(status)) {
    throw new AppError('wrong_state', `The job ${id} is ${status}: it is not over yet.`, {
      hint: 'Wait until it ends, or cancel it.',
    })
  }
  const written = counts === null ? 0 : counts.inserted + counts.updated + counts.deleted
  if (written === 0) throw new AppError('not_revertible', `The job ${id} wrote nothing.`, { hint: NOTHING })
  const { auditLevel } = toConduct(request.policies)
  if (auditLevel !== 'detailed') {
    throw new AppError('not_revertible', `The job ${id} ran at audit_level ${auditLevel}: its rows were not kept.`)
  }
}

const NOTHING = 'There is nothing to undo.'
