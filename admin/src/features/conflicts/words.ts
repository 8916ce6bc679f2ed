import type { Conflict, ConflictEntry, ConflictGroup, Resolution } from '#features/conflicts/queries.ts'
import { IconAlertTriangle, IconCircleCheck, IconCircleDashed, IconClock, type Icon } from '@tabler/icons-react'
import type { Tone } from '#ui/mark.tsx'

/** What conflicts are called, and what decisions about them do. */

type Kind = ConflictEntry['kind']
type Status = ConflictEntry['status']

export const KINDS: Readonly<Record<Kind, string>> = {
  update_update: 'Both sides changed',
  insert_insert: 'Both sides inserted',
  update_delete: 'Changed in the source, deleted in the target',
  delete_update: 'Deleted in the source, changed in the target',
  first_contact: 'Different from the start',
  unique_clash: 'A unique value is taken',
}

interface StatusWords {
  readonly tone: Tone
  readonly icon: Icon
  readonly word: string
  readonly about: string
}

export const STATUSES: Readonly<Record<Status, StatusWords>> = {
  open: { tone: 'person', icon: IconAlertTriangle, word: 'Open', about: 'It waits for somebody.' },
  resolved: { tone: 'running', icon: IconClock, word: 'Decided', about: 'The next run carries it out.' },
  applied: {
    tone: 'done',
    icon: IconCircleCheck,
    word: 'Carried out',
    about: 'The version that lost is kept, and can be taken after all.',
  },
  closed: {
    tone: 'resting',
    icon: IconCircleDashed,
    word: 'Went away',
    about: 'The sides came to agree, or one of them took its change back.',
  },
}

export const RESOLUTIONS: Readonly<Record<Resolution, string>> = {
  source: 'source',
  target: 'target',
  skip: 'leave both',
  row: 'own row',
}

/** The table as filters of the API and of the command line name it: the schema `public` goes without saying. */
export function tableName({ schema, name }: ConflictEntry['target']): string {
  const part = (text: string): string => (/[.:=,"]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text)
  return schema === 'public' ? part(name) : `${part(schema)}.${part(name)}`
}

export function keyText(key: ConflictEntry['key']): string {
  return key.map((part) => part ?? 'NULL').join(', ')
}

/** By what a conflict was caused: the columns, or the whole row. */
export function fieldsText(fields: ConflictGroup['fields']): string {
  return fields.length === 0 ? 'the whole row' : fields.join(', ')
}

/** Where another row is in the way that cannot give its value up, the side that is kept out cannot be taken. */
export function canTake({ holder }: Pick<Conflict, 'holder'>, take: 'source' | 'target'): boolean {
  return holder === null || holder.yields !== null || holder.side === take
}

export interface Ends {
  readonly sides: { readonly source: Side; readonly target: Side }
  readonly twoWay: boolean
}

type Side = 'kept' | 'none' | 'not_kept' | 'unknown'

/** What is written where a side is taken, in a few words. */
export function effectOf(take: 'source' | 'target', { sides, twoWay }: Ends): string {
  const other = take === 'source' ? 'target' : 'source'
  if (take === 'target' && !twoWay) return sides.target === 'none' ? 'stays without the row' : 'stays as it is'
  if (sides[take] === 'none') return `row deleted in the ${other}`
  return `${sides[other] === 'none' ? 'inserted into' : 'written to'} the ${other}`
}

/** What was decided, as a sentence says it. */
export function decidedText(resolution: Resolution | null, removes: boolean): string {
  if (resolution === 'source') return 'the row of the source'
  if (resolution === 'target') return 'the row of the target'
  if (resolution === 'skip') return 'both stay as they are'
  if (resolution === 'row') return removes ? 'no row' : 'a row that was built'
  return ''
}
