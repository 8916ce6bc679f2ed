import { AppError } from '#model/errors.ts'

/** Runs a write to a file of ours. @throws AppError `disk_full` where the disk refuses it */
export function guardDisk(write: () => void): void {
  try {
    write()
  } catch (error) {
    if (error instanceof Error && /full|I\/O/i.test(error.message)) {
      throw new AppError('disk_full', `The change set cannot be kept: ${error.message}.`, { cause: error })
    }
    throw error
  }
}
