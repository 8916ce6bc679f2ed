import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'

/** A folder that only this user can enter, gone with its holder and at the latest with the process. */
export class PrivateFolder implements Disposable {
  readonly #path: string
  readonly #remove = (): void => rmSync(this.#path, { recursive: true, force: true })
  #files = 0

  constructor(parent: string, purpose: string) {
    // mkdtemp makes it with mode 0700.
    this.#path = mkdtempSync(join(parent, `syncline-${purpose}-${process.pid}-`))
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
