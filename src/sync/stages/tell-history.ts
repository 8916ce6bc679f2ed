import type { BatchKind, Claim, Scan, Telling } from '#adapters/adapter.ts'
import type { History } from '#sync/history.ts'
import type { TablePlan } from '#sync/plan.ts'

/** All columns of the target's table, the key first: what an image of a row holds. */
export function imageScan({ target, write }: TablePlan): Scan {
  const key = write.scan.columns.slice(0, write.scan.keyLength)
  const others = target.columns.filter(({ name }) => !key.some((column) => column.name === name))
  const columns = [...key.map(({ name }) => name), ...others.map(({ name }) => name)]
  return {
    table: target.ref,
    columns: columns.map((name) => ({ name, form: 'own', hash: 'output' })),
    keyLength: write.scan.keyLength,
    algorithm: 'md5',
    filter: null,
  }
}

/** Tells the history of what the batches of one table write. */
export function tellHistory(
  history: History,
  { plan, claim }: { plan: TablePlan; claim: Claim },
): (kind: BatchKind) => Telling {
  const scan = imageScan(plan)
  const names = scan.columns.map(({ name }) => name)
  const images = history.level === 'images' ? scan : null
  return (kind) => ({
    images,
    tell: ({ batch, rows }) =>
      history.keep({
        mappingId: claim.mappingId,
        mappingHash: claim.mappingHash,
        target: plan.target.ref,
        key: names.slice(0, scan.keyLength),
        columns: images === null ? [] : names,
        batch,
        kind: kind === 'patch' ? 'patch' : 'apply',
        changes: rows,
      }),
  })
}
