import { HttpError } from '#api/problem.ts'

/** How many streams each key holds open. */
export class StreamCount {
  readonly #most: number
  readonly #open = new Map<string, number>()

  constructor(most: number) {
    this.#most = most
  }

  /** Takes a place; the result gives it back. @throws HttpError 429 where there is none */
  take(keyId: string): () => void {
    const open = this.#open.get(keyId) ?? 0
    if (open >= this.#most) {
      throw new HttpError('rate_limited', `This key holds ${open} streams open already.`, {
        status: 429,
        headers: { 'retry-after': '10' },
        hint: 'Close a stream that is no longer looked at.',
      })
    }
    this.#open.set(keyId, open + 1)
    let taken = true
    return () => {
      if (!taken) return
      taken = false
      const left = (this.#open.get(keyId) ?? 1) - 1
      if (left === 0) this.#open.delete(keyId)
      else this.#open.set(keyId, left)
    }
  }
}
