import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { AppError } from '#model/errors.ts'

/**
 * Keeps a second service off a data directory. The lock is the operating system's, taken by way of an empty SQLite file,
 * so that it ends with the process however that ends.
 */
export class ServeLock implements Disposable {
  readonly #db: DatabaseSync

  /** @throws AppError `already_serving` */
  constructor(dataDirectory: string) {
    this.#db = new DatabaseSync(join(dataDirectory, 'serve.lock'))
    try {
      this.#db.exec('BEGIN EXCLUSIVE')
    } catch (error) {
      this.#db.close()
      throw new AppError('already_serving', `Another service runs on ${dataDirectory}.`, { cause: error })
    }
  }

  [Symbol.dispose](): void {
    this.#db.close()
  }
}

/** Whether a service runs on a data directory. */
export function isServed(dataDirectory: string): boolean {
  try {
    new ServeLock(dataDirectory)[Symbol.dispose]()
    return false
  } catch (error) {
    if (error instanceof AppError) return true
    throw error
  }
}
