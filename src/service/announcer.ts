import type { LiveEvents } from '#api/tools.ts'

/** Tells those who follow a job that there may be news of it. */
export class Announcer implements LiveEvents {
  readonly #listeners = new Map<string, Set<() => void>>()

  subscribe(jobId: string, heard: () => void): () => void {
    const listeners = this.#listeners.get(jobId) ?? new Set()
    this.#listeners.set(jobId, listeners.add(heard))
    return () => {
      listeners.delete(heard)
      if (listeners.size === 0) this.#listeners.delete(jobId)
    }
  }

  announce(jobId: string): void {
    for (const heard of this.#listeners.get(jobId) ?? []) heard()
  }
}
