import { lstatSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'

import { AppError } from '#model/errors.ts'

import { markedLives, markOf, processNamespace } from './process-mark.ts'

/**
 * A folder that only this user can enter, gone with its holder and at the latest with the process. Where the process
 * was killed, the next one that makes a folder for the same purpose removes it; the name tells whose it was:
 * `syncline-PURPOSE-NAMESPACE-PID-START-RANDOM`.
 */
export class PrivateFolder implements Disposable {
  readonly #path: string
  readonly #remove = (): void => rmSync(this.#path, { recursive: true, force: true })
  #files = 0

  /** @throws AppError `disk_full` */
  constructor(parent: string, purpose: string) {
    const prefix = `syncline-${purpose}-${processNamespace()}-`
    removeAbandoned(parent, prefix)
    this.#path = makeFolder(join(parent, `${prefix}${markOf(process.pid)}-`))
    process.on('exit', this.#remove)
  }

  /** Where a file of this name lies, or would lie. */
  file(name: string): string {
    return join(this.#path, name)
  }

  /** A place where no file lies yet. */
  newFile(name: string): string {
    this.#files += 1
    return this.file(`${this.#files}-${name}`)
  }

  [Symbol.dispose](): void {
    process.off('exit', this.#remove)
    this.#remove()
  }
}

function makeFolder(prefix: string): string {
  try {
    // Made with mode 0700.
    return mkdtempSync(prefix)
  } catch (error) {
    if (codeOf(error) !== 'ENOSPC' && codeOf(error) !== 'EDQUOT') throw error
    throw new AppError('disk_full', `No folder can be made for temporary files: ${String(error)}.`, { cause: error })
  }
}

/** Removes the folders of this user whose process is gone. Whatever cannot be looked at or removed is left alone. */
function removeAbandoned(parent: string, prefix: string): void {
  for (const name of namesIn(parent)) {
    const mark = name.startsWith(prefix) ? /^\d+-\d+(?=-[^-]+$)/.exec(name.slice(prefix.length))?.[0] : undefined
    if (mark === undefined || markedLives(mark)) continue
    try {
      const path = join(parent, name)
      const { mode, uid } = lstatSync(path)
      // A symbolic link or a folder that others may enter is none that was made here.
      const ours = (mode & 0o170777) === 0o040700 && uid === process.getuid?.()
      if (ours) rmSync(path, { recursive: true, force: true })
    } catch {
      // Another process removes it at the same time.
    }
  }
}

function namesIn(parent: string): readonly string[] {
  try {
    return readdirSync(parent)
  } catch {
    return []
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}
