import { toError } from '#lib/assert.ts'

interface Opened {
  readonly rows: AsyncDisposable
}

/**
 * Opens several things at once and gives them in order: whoever takes one disposes of it; what nobody took is disposed of
 * where the taking ends early.
 */
export async function* readAhead<T, O extends Opened>(
  items: Iterable<T>,
  atOnce: number,
  open: (item: T) => Promise<O>,
): AsyncGenerator<O> {
  const waiting: Promise<O>[] = []
  const iterator = items[Symbol.iterator]()
  const more = (): void => {
    const { done = false, value } = iterator.next()
    if (done) return
    const opening = open(value)
    // It is told when its turn comes.
    opening.catch(() => undefined)
    waiting.push(opening)
  }
  try {
    for (let i = 0; i < atOnce; i++) more()
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      yield await next
      more()
    }
  } finally {
    for (const each of waiting) {
      await each.then(
        ({ rows }) => rows[Symbol.asyncDispose](),
        (error: unknown) => toError(error),
      )
    }
  }
}
