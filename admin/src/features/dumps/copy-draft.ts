import type { CopyRequest } from '#features/dumps/queries.ts'
import { FIRST_READING, readingDraftOf, readingRequest, type ReadingDraft } from '#features/dumps/reading-draft.ts'
import type { Job } from '#features/jobs/queries.ts'

export type Filter = NonNullable<CopyRequest['filters']>[number]
export type Mask = NonNullable<CopyRequest['masks']>[number]

/** What somebody wants to be copied, into what, and how. */
export interface CopyDraft extends ReadingDraft {
  /** Ids. */
  readonly source: string | null
  readonly target: string | null
  readonly filters: readonly Filter[]
  readonly masks: readonly Mask[]
  readonly replace: boolean
  readonly backup: boolean
  readonly trust: boolean
}

export const EMPTY_COPY: CopyDraft = {
  ...FIRST_READING,
  source: null,
  target: null,
  filters: [],
  masks: [],
  replace: false,
  backup: true,
  trust: false,
}

/** What a copy, or its plan, was asked for. */
export function copyDraftOf({ copy, source_datasource_id: source, target_datasource_id: target }: Job): CopyDraft {
  if (copy === null) return { ...EMPTY_COPY, source, target }
  const { filters, masks, replace, backup, trust_source: trust } = copy
  return { ...readingDraftOf(copy), source, target, filters, masks, replace, backup, trust }
}

/** A filter that says nothing yet keeps nobody from going on. */
function isWritten({ table, where }: Filter): boolean {
  return table.trim() !== '' || where.trim() !== ''
}

interface Names {
  readonly source: string
  readonly target: string
}

/** Only what is not as it would be anyway. */
export function copyRequestOf(draft: CopyDraft, { source, target }: Names): CopyRequest {
  const filters = draft.filters.filter(isWritten)
  return {
    source,
    target,
    ...readingRequest(draft),
    ...(filters.length === 0 ? {} : { filters }),
    ...(draft.masks.length === 0 ? {} : { masks: [...draft.masks] }),
    ...(draft.replace ? { replace: true } : {}),
    ...(draft.backup ? {} : { backup: false }),
    ...(draft.trust ? { trust_source: true } : {}),
  }
}

/** What was planned. Nothing but what the plan named is replaced: where it named nothing, that is not asked for. */
export function copyRequestAfter(
  job: Job,
  { replaces, ...names }: Names & { readonly replaces: boolean },
): CopyRequest {
  const draft = copyDraftOf(job)
  const schemas = job.copy?.tables === null ? null : (job.copy?.schemas ?? null)
  return {
    ...copyRequestOf({ ...draft, replace: draft.replace && replaces }, names),
    // The form has one of them; whoever asked otherwise may have both.
    ...(schemas === null ? {} : { schemas }),
  }
}
