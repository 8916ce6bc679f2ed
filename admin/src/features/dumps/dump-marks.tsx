import { IconDatabaseExport, IconRestore, IconUpload, type Icon } from '@tabler/icons-react'
import type { Dump } from '#features/dumps/queries.ts'
import { originWord } from '#features/dumps/words.ts'
import { Mark } from '#ui/mark.tsx'

const ORIGIN_ICONS: Readonly<Record<Dump['origin'], Icon>> = {
  export: IconDatabaseExport,
  backup: IconRestore,
  upload: IconUpload,
}

export function Origin({ dump: { origin } }: { readonly dump: Dump }) {
  return (
    <Mark tone="resting" icon={ORIGIN_ICONS[origin]}>
      {originWord(origin)}
    </Mark>
  )
}

/** Whether it was restored into a database of its own, and what came of that. */
export function Tried({ drill }: Pick<Dump, 'drill'>) {
  if (drill === null) return <span className="quiet">never tried</span>
  const about = drill.faults.join(' ')
  return drill.works ? (
    <Mark tone="done">Works</Mark>
  ) : (
    <Mark tone="failed" {...(about === '' ? {} : { about })}>
      Does not work
    </Mark>
  )
}

/** What the file does not say of itself. */
export function Said({ children }: { readonly children: string | null }) {
  return children === null ? (
    <span className="quiet">not known</span>
  ) : (
    <span style={{ whiteSpace: 'nowrap' }}>{children}</span>
  )
}
