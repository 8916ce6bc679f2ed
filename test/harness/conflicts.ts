/** Where conflicts wait, in the memory of a test, and somebody who decides them. */
import type { FoundConflict, Resolution, ResolvedConflict, ResolvedOutcome } from '#model/conflict.ts'
import { tableId, type TableRef } from '#model/table.ts'
import type { Row } from '#model/value.ts'
import type { Conflicts } from '#sync/conflicts.ts'

interface Waiting extends FoundConflict {
  readonly id: string
  readonly status: 'open' | 'resolved' | 'applied' | 'closed'
  readonly decision: { readonly resolution: Resolution; readonly row: Row | null } | null
}

export class MemoryConflicts implements Conflicts {
  readonly all = new Map<string, Waiting>()
  readonly #told = new Set<string>()
  /** What is decided once for all conflicts of a sort. */
  rule: (found: FoundConflict) => Exclude<Resolution, 'row'> | null = () => null

  #id(target: TableRef, { key }: Pick<FoundConflict, 'key'>): string {
    return `${tableId(target)} ${JSON.stringify(key)}`
  }

  get open(): Waiting[] {
    return [...this.all.values()].filter(({ status }) => status === 'open')
  }

  resolve(
    resolution: Resolution,
    { row = null, which = () => true }: { row?: Row | null; which?: (one: Waiting) => boolean } = {},
  ): void {
    for (const one of this.all.values()) {
      // Somebody may think better of what was decided until a run carries it out.
      if (one.status !== 'closed' && which(one))
        this.all.set(one.id, { ...one, status: 'resolved', decision: { resolution, row } })
    }
  }

  async *resolved(target: TableRef): AsyncGenerator<ResolvedConflict[]> {
    this.#told.clear()
    const own = [...this.all.values()].filter(
      ({ id, status }) => status === 'resolved' && id.startsWith(`${tableId(target)} `),
    )
    yield own.flatMap(({ id, key, sourceFingerprint, targetFingerprint, holder, decision }) =>
      decision === null ? [] : [{ id, key, sourceFingerprint, targetFingerprint, holder, ...decision }],
    )
  }

  async park(
    table: { readonly target: TableRef },
    conflicts: readonly FoundConflict[],
  ): Promise<readonly ResolvedConflict[]> {
    const ruled: ResolvedConflict[] = []
    for (const found of conflicts) {
      const id = this.#id(table.target, found)
      this.#told.add(id)
      const before = this.all.get(id)
      const same =
        before?.sourceFingerprint === found.sourceFingerprint &&
        before.targetFingerprint === found.targetFingerprint &&
        JSON.stringify(before.holder) === JSON.stringify(found.holder)
      if (same && (before.status === 'open' || before.status === 'resolved')) continue
      const resolution = this.rule(found)
      const decision = resolution === null ? null : { resolution, row: null }
      this.all.set(id, { ...found, id, status: decision === null ? 'open' : 'resolved', decision })
      if (decision !== null) ruled.push({ ...found, id, ...decision })
    }
    return ruled
  }

  async settle(_: TableRef, outcomes: readonly ResolvedOutcome[]): Promise<void> {
    for (const { id, outcome, sourceFingerprint, targetFingerprint } of outcomes) {
      const before = this.all.get(id)
      if (before === undefined || before.status !== 'resolved') continue
      const status = outcome === 'applied' ? 'applied' : this.#told.has(id) ? 'open' : 'closed'
      this.all.set(id, { ...before, status, sourceFingerprint, targetFingerprint })
    }
  }

  async close(target: TableRef): Promise<void> {
    for (const one of this.all.values()) {
      const isHere = one.id.startsWith(`${tableId(target)} `)
      if (isHere && one.status === 'open' && !this.#told.has(one.id)) this.all.set(one.id, { ...one, status: 'closed' })
    }
  }
}
