import { FIRST_FILE, fileRequest, type FileDraft } from '#features/dumps/file-draft.ts'
import type { ImportRequest } from '#features/dumps/queries.ts'
import type { Job } from '#features/jobs/queries.ts'

/** What somebody wants to be imported, and how. */
export interface ImportDraft extends FileDraft {
  /** Ids. */
  readonly dump: string | null
  readonly datasource: string | null
  readonly replace: boolean
  readonly backup: boolean
  /** What is replaced can be read until the end. */
  readonly swap: boolean
}

export const EMPTY_IMPORT: ImportDraft = {
  ...FIRST_FILE,
  dump: null,
  datasource: null,
  replace: false,
  backup: true,
  swap: false,
}

/** What an import, or its plan, was asked for. */
export function draftOf({ import: asked, target_datasource_id: datasource }: Job): ImportDraft {
  if (asked === null) return { ...EMPTY_IMPORT, datasource }
  const { dump, replace, backup, swap, trust_file: trust, owners, grants, passphrase_reference: passphrase } = asked
  return { dump, datasource, replace, backup, swap, trust, owners, grants, passphrase: passphrase ?? '' }
}

/** Only what is not as it would be anyway. `datasource` is the name of the target. */
export function requestOf(draft: ImportDraft, dump: string, datasource: string): ImportRequest {
  return {
    datasource,
    dump,
    ...(draft.replace ? { replace: true } : {}),
    ...(draft.backup ? {} : { backup: false }),
    ...(draft.replace && draft.swap ? { swap: true } : {}),
    ...fileRequest(draft),
  }
}

/** Nothing but what the plan named is replaced: where it named nothing, replacing is not asked for. */
export function requestAfter(
  draft: ImportDraft,
  { dump, datasource, replaces }: { readonly dump: string; readonly datasource: string; readonly replaces: boolean },
): ImportRequest {
  return requestOf({ ...draft, replace: draft.replace && replaces }, dump, datasource)
}
