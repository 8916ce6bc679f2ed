import type { Judged } from '#features/sync-configs/mapped-table.tsx'
import { Mark, type Tone } from '#ui/mark.tsx'

const VERDICTS: Readonly<Record<Judged['verdict'], readonly [Tone, string]>> = {
  lossless: ['done', 'lossless'],
  checked: ['person', 'value by value'],
  impossible: ['failed', 'cannot be carried'],
}

export function toneOf(judged: Judged | undefined): Tone {
  return judged === undefined ? 'resting' : VERDICTS[judged.verdict][0]
}

/** What becomes of the values of a field by their types; why on hover, and in the editor of the field. */
export function Verdict({ judged }: { readonly judged: Judged | undefined }) {
  if (judged === undefined) return <span className="quiet">–</span>
  const [tone, word] = VERDICTS[judged.verdict]
  const about = [judged.reason, judged.next_step].filter((text) => text !== null).join(' ')
  return (
    <Mark tone={tone} {...(about === '' ? {} : { about })}>
      {word}
    </Mark>
  )
}
