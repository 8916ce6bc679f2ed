import { IconMinus, IconPencil, IconPlus, type Icon } from '@tabler/icons-react'
import type { Change } from '#features/jobs/queries.ts'
import { Mark, type Tone } from '#ui/mark.tsx'

export const OPS = [
  ['insert', 'Insert'],
  ['update', 'Update'],
  ['delete', 'Delete'],
] as const

const OP_MARKS: Readonly<Record<Change['op'], readonly [Tone, string, Icon]>> = {
  insert: ['done', 'Insert', IconPlus],
  update: ['running', 'Update', IconPencil],
  delete: ['failed', 'Delete', IconMinus],
}

export function OpMark({ op }: { readonly op: Change['op'] }) {
  const [tone, word, icon] = OP_MARKS[op]
  return (
    <Mark tone={tone} icon={icon}>
      {word}
    </Mark>
  )
}

const CHANGE_MARKS: Readonly<Record<Change['mark'], readonly [Tone, string, string]>> = {
  planned: ['running', 'To be applied', 'It is applied once the changes are approved.'],
  left: ['resting', 'Left out', 'Somebody wants it not to be applied.'],
  moved: ['person', 'Moved', 'Its row was another one when it was to be applied: somebody decides.'],
  again: ['running', 'To be applied anew', 'It is applied to the row as it is now.'],
  refused: ['failed', 'Refused', 'The target refused it.'],
  in_step: ['done', 'In step', 'The target had it already.'],
  written: ['done', 'Written', 'The job has written it.'],
}

/** The words of marks, as a filter lists them. */
export const MARKS = Object.entries(CHANGE_MARKS).map(([mark, [, word]]) => [mark, word] as const)

export function ChangeMark({ change: { mark, reason, decided } }: { readonly change: Change }) {
  const [tone, word, about] = CHANGE_MARKS[mark]
  const by = decided === null ? '' : ` Decided by ${decided.by}.`
  return (
    <Mark tone={tone} about={`${reason ?? about}${by}`}>
      {word}
    </Mark>
  )
}
