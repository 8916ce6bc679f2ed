import { toError } from '#lib/assert.ts'
import { AppError } from '#model/errors.ts'

/** What the store answers. @throws AppError; a store that does not answer is `store_failed`, worth another try */
export async function fromStore<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer
  } catch (error) {
    if (error instanceof AppError) throw error
    const { message } = toError(error)
    throw new AppError('store_failed', `The control store does not answer: ${message}.`, {
      retry: 'later',
      cause: error,
    })
  }
}
