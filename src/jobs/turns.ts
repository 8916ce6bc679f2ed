import { toError } from '#lib/assert.ts'

export interface TurnsOptions {
  /** Between two turns, where nobody wakes them. */
  readonly pollMs: number
  /** Told once, until the store answers again. */
  readonly onStoreFailed: (reason: string) => void
}

/**
 * The turns of whoever works on the store until its signal is aborted: one follows another after a pause, or at once where
 * somebody wakes it. A store that does not answer ends nothing: it is asked again in the next turn.
 */
export class Turns {
  readonly #options: TurnsOptions
  #wake = (): void => undefined
  /** Woken during a turn: what it looked at may have been too early, and another follows at once. */
  #woken = false
  #failing = false

  constructor(options: TurnsOptions) {
    this.#options = options
  }

  /** Ends the pause that is, or else the next. */
  wake(): void {
    this.#woken = true
    this.#wake()
  }

  /** Takes turns until the signal is aborted. Never rejects. */
  async run(turn: () => Promise<unknown>, signal: AbortSignal): Promise<void> {
    const wake = (): void => this.wake()
    signal.addEventListener('abort', wake)
    while (!signal.aborted) {
      this.#woken = false
      await this.guarded(turn)
      if (!this.#woken) await this.#pause()
    }
    signal.removeEventListener('abort', wake)
  }

  /** What asks the store outside of a turn. Never rejects. */
  async guarded(body: () => Promise<unknown>): Promise<void> {
    try {
      await body()
      this.#failing = false
    } catch (error) {
      if (!this.#failing) this.#options.onStoreFailed(toError(error).message)
      this.#failing = true
    }
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#wake(), this.#options.pollMs)
      this.#wake = () => {
        clearTimeout(timer)
        this.#wake = () => undefined
        resolve()
      }
    })
  }
}
