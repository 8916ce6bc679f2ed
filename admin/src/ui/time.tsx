import { formatAbsolute, formatDuration, formatRelative } from '#lib/format.ts'
import { useNow } from '#lib/now.ts'

/** When something was or will be, as people say it; the exact time on hover. */
export function Time({ at }: { readonly at: string | null }) {
  const now = useNow()
  if (at === null) return <span className="quiet">–</span>
  const ms = Date.parse(at)
  return (
    <time dateTime={at} style={{ whiteSpace: 'nowrap' }} title={formatAbsolute(ms)}>
      {formatRelative(ms, now)}
    </time>
  )
}

/** How long something took, or has been going on until now. */
export function Duration({ from, to }: { readonly from: string | null; readonly to: string | null }) {
  const now = useNow()
  if (from === null) return <span className="quiet">–</span>
  return <span className="numbers">{formatDuration((to === null ? now : Date.parse(to)) - Date.parse(from))}</span>
}
