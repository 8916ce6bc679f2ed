/** A number of places; whoever finds none free waits in line. */
export class Slots {
  #free: number
  readonly #waiting: (() => void)[] = []

  constructor(places: number) {
    this.#free = places
  }

  async use<T>(body: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free -= 1
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
    try {
      return await body()
    } finally {
      const next = this.#waiting.shift()
      if (next) next()
      else this.#free += 1
    }
  }
}

/**
 * Runs work for every item, each after the items that it depends on. All are started at once and wait for their own;
 * dependencies on items that are not in the list are met. Rejects with the first failure, after everything has ended;
 * `stop` is aborted at the first failure, so that the others end soon.
 */
export async function runInOrder<T>(
  items: readonly T[],
  { after, stop }: { after: (item: T) => readonly T[]; stop: AbortController },
  work: (item: T) => Promise<void>,
): Promise<void> {
  const runs = new Map<T, Promise<void>>()
  const run = (item: T): Promise<void> => {
    const known = runs.get(item)
    if (known !== undefined) return known
    const needed = after(item).filter((other) => other !== item && items.includes(other))
    const promise = Promise.all(needed.map(run)).then(() => work(item))
    runs.set(item, promise)
    return promise
  }
  await allEnded(items.map(run), stop)
}

/** Waits until all have ended, then rejects with the failure that came first; `stop` is aborted as soon as that came. */
export async function allEnded(promises: readonly Promise<unknown>[], stop?: AbortController): Promise<void> {
  let failed = false
  let first: unknown
  const watched = promises.map((promise) =>
    promise.catch((error: unknown) => {
      if (failed) return
      failed = true
      first = error
      stop?.abort(error)
    }),
  )
  await Promise.all(watched)
  if (failed) throw first
}
