import { useLocation } from '@tanstack/react-router'
import { useDraft } from '#features/sync-configs/draft.tsx'
import { plural } from '#lib/format.ts'
import { Unsaved } from '#ui/unsaved.tsx'

/** Asks before a page is left with changes that are not saved; its tabs are the same page. */
export function LeaveGuard() {
  const { base, changes, unread } = useDraft()
  const { pathname } = useLocation()
  return (
    <Unsaved unsaved={changes > 0 || unread !== null} stays={(next) => next.pathname === pathname}>
      {unread === null
        ? `${plural(changes, 'change')} of ${base.name} ${changes === 1 ? 'is' : 'are'} not saved. This tab keeps ${changes === 1 ? 'it' : 'them'}, and offers ${changes === 1 ? 'it' : 'them'} again here.`
        : `The text of ${base.name} on the tab YAML cannot be read yet, and is not saved.`}
    </Unsaved>
  )
}
