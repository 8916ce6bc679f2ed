import { IconPencil, IconPlus } from '@tabler/icons-react'
import type { MappingPreview } from '#features/sync-configs/queries.ts'
import { Mark } from '#ui/mark.tsx'

type Row = MappingPreview['rows'][number]

/** What would become of a row. */
export function RowState({ row }: { readonly row: Row }) {
  if (row.fault !== null) {
    const { column, reason } = row.fault
    return <Mark tone="failed">{column === null ? reason : `${column}: ${reason}`}</Mark>
  }
  if (row.filtered) return <Mark tone="resting">left out by the filter</Mark>
  if (row.warnings.length > 0) return <Mark tone="person">{row.warnings.join('; ')}</Mark>
  if (row.before === null)
    return (
      <Mark tone="done" icon={IconPlus}>
        insert
      </Mark>
    )
  return isUnchanged(row) ? (
    <Mark tone="resting">unchanged</Mark>
  ) : (
    <Mark tone="running" icon={IconPencil}>
      update
    </Mark>
  )
}

function isUnchanged({ before, after }: Row): boolean {
  return before !== null && after !== null && before.every((cell, i) => cell === after[i])
}
