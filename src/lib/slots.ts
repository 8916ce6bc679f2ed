/** A number of places; whoever finds none free waits in line, the heaviest first. */
export class Slots {
  #free: number
  readonly #waiting: { readonly weight: number; readonly enter: () => void }[] = []

  constructor(places: number) {
    this.#free = places
  }

  async use<T>(body: () => Promise<T>, weight = 0): Promise<T> {
    if (this.#free > 0) this.#free -= 1
    else await this.#wait(weight)
    try {
      return await body()
    } finally {
      const next = this.#waiting.shift()
      if (next) next.enter()
      else this.#free += 1
    }
  }

  #wait(weight: number): Promise<void> {
    return new Promise((enter) => {
      const behind = this.#waiting.findIndex((other) => other.weight < weight)
      this.#waiting.splice(behind < 0 ? this.#waiting.length : behind, 0, { weight, enter })
    })
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

/**
 * Runs work for every item as soon as nothing that is under way holds one of the same names: whatever would wait for another's
 * lock waits here instead, where no lock time-out strikes. Ends as `allEnded` does.
 */
export async function runApart<T>(
  items: readonly T[],
  { holds, stop }: { holds: (item: T) => readonly string[]; stop: AbortController },
  work: (item: T) => Promise<void>,
): Promise<void> {
  const held = new Map<string, Promise<unknown>>()
  const runs = items.map((item) => {
    const names = holds(item)
    const before = names.flatMap((name) => held.get(name) ?? [])
    const run = Promise.allSettled(before).then(() => work(item))
    for (const name of names) held.set(name, run)
    return run
  })
  await allEnded(runs, stop)
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
