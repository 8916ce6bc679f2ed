import type { BatchRow } from '#adapters/adapter.ts'
import { must } from '#lib/assert.ts'
import { LARGE_ROW_BYTES } from '#model/value.ts'
import { applyOnce, byKey, readSent, withoutPatchColumns, type ApplyContext } from './apply.ts'

/** Deletes that wait for one another in a ring: their circular foreign keys are made NULL, so that they can go. */
export async function untie(context: ApplyContext): Promise<void> {
  const { plan, outcome, target, signal, bounds } = context
  const keys = outcome.later.filter(({ op }) => op === 'delete').map(({ key }) => key)
  if (plan.patch.length === 0) return
  for (let start = 0; start < keys.length; start += bounds.rows) {
    const some = keys.slice(start, start + bounds.rows)
    await using now = await target.snapshot(1, signal)
    const fingerprints = await now.fingerprints(plan.write.scan, some)
    // A row that is too large for memory cannot be put back as it was: it stays.
    const found = byKey(fingerprints.filter(({ bytes }) => bytes < LARGE_ROW_BYTES))
    const there = await readSent(now, plan.write.scan, [...found.values()])
    const rows = [...there].map(([id, row]): BatchRow => {
      const { key, fingerprint: expect } = must(found.get(id), 'the fingerprint of a row')
      return { op: 'update', key, expect, row: withoutPatchColumns(plan, row) }
    })
    await applyOnce(context, rows, 'patch')
    for (const [id, row] of there) outcome.untied.set(id, row)
    const untied = new Set(some.map((key) => JSON.stringify(key)))
    for (const each of outcome.later) if (untied.has(JSON.stringify(each.key))) delete each.expect
  }
}

/** Rows that could not go though they were untied get back what was taken from them. */
export async function restoreUntied(context: ApplyContext): Promise<void> {
  const { plan, outcome, target, signal, bounds } = context
  const staying = outcome.later.flatMap(({ op, key }) => (op === 'delete' ? [key] : []))
  const keys = staying.filter((key) => outcome.untied.has(JSON.stringify(key)))
  for (let start = 0; start < keys.length; start += bounds.rows) {
    await using now = await target.snapshot(1, signal)
    const found = await now.fingerprints(plan.write.scan, keys.slice(start, start + bounds.rows))
    const rows = found.map(({ key, fingerprint: expect }): BatchRow => {
      const row = must(outcome.untied.get(JSON.stringify(key)), 'a row as it was')
      return { op: 'update', key, expect, row }
    })
    await applyOnce(context, rows, 'patch')
  }
}
