import type { Claim, CommittedCounts, MappingIdentity, Scan } from '#adapters/adapter.ts'
import type { Key } from '#model/change.ts'
import { AppError } from '#model/errors.ts'
import { tableName } from '#model/table.ts'
import type { MappingState, ProjectFunctions } from './functions.ts'

/** Keys that are asked about at once. */
const KEYS_AT_ONCE = 2_000

/** What a project knows of its syncs; one that was never prepared knows nothing. */
export class ProjectState {
  readonly #functions: ProjectFunctions

  constructor(functions: ProjectFunctions) {
    this.#functions = functions
  }

  async known(mappingIds: readonly string[]): Promise<ReadonlySet<string>> {
    return new Set((await this.#ask({ mappings: mappingIds })).map(({ mapping }) => mapping))
  }

  /** What the last run of a mapping wrote down for the next one; null under another mapping. */
  async detection({
    mappingId,
    mappingHash,
  }: Pick<MappingIdentity, 'mappingId' | 'mappingHash'>): Promise<string | null> {
    const [state] = await this.#ask({ mappings: [mappingId] })
    return state?.hash === mappingHash ? state.detection : null
  }

  ofSources(sources: readonly string[]): Promise<readonly MappingState[]> {
    return this.#ask({ sources })
  }

  async committedBy(job: string): Promise<CommittedCounts | null> {
    const states = await this.#ask({ job })
    if (states.length === 0) return null
    const sum = (of: (state: MappingState) => number): number => states.reduce((all, state) => all + of(state), 0)
    return {
      inserted: sum(({ inserted }) => inserted),
      updated: sum(({ updated }) => updated),
      deleted: sum(({ deleted }) => deleted),
      batches: sum(({ batches }) => batches),
    }
  }

  async writtenBy(claim: Claim, { table, columns, keyLength }: Scan, keys: readonly Key[]): Promise<readonly Key[]> {
    const ours: Key[] = []
    for (let start = 0; start < keys.length; start += KEYS_AT_ONCE) {
      const some = keys.slice(start, start + KEYS_AT_ONCE)
      const request = {
        mapping: claim.mappingId,
        job: claim.jobId,
        schema: table.schema,
        table: table.name,
        columns: columns.slice(0, keyLength).map(({ name }) => ({ name })),
        keys: some,
      }
      const doing = `looking for rows of ours in ${tableName(table)}`
      const places = await this.#functions.call('written', request, { doing })
      if (!Array.isArray(places)) {
        throw new AppError('unexpected_answer', 'The function syncline_written does not answer as it was made to.')
      }
      for (const place of places) ours.push(some[Number(place)] ?? [])
    }
    return ours
  }

  async #ask(of: Parameters<ProjectFunctions['states']>[0]): Promise<readonly MappingState[]> {
    try {
      return await this.#functions.states(of)
    } catch (error) {
      if (error instanceof AppError && error.code === 'rest_not_prepared') return []
      throw error
    }
  }
}
