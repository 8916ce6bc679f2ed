import type { Schemas } from '#api/client.ts'
import type { ExportRequest } from '#features/dumps/queries.ts'
import { FIRST_READING, readingDraftOf, readingRequest, type ReadingDraft } from '#features/dumps/reading-draft.ts'

/** What is exported, and what its file is like, as somebody puts it together. */
export interface ExportDraft extends ReadingDraft {
  readonly style: NonNullable<ExportRequest['style']>
  readonly compression: NonNullable<ExportRequest['compression']>
  /** Where the passphrase is found that seals the file; empty: it is not sealed. */
  readonly passphrase: string
}

export const FIRST_EXPORT: ExportDraft = { ...FIRST_READING, style: 'copy', compression: 'zstd', passphrase: '' }

/** Only what is not as it would be anyway. */
export function exportRequest(draft: ExportDraft): Omit<ExportRequest, 'datasource'> {
  const { style, compression, passphrase } = draft
  return {
    ...readingRequest(draft),
    ...(style === FIRST_EXPORT.style ? {} : { style }),
    ...(compression === FIRST_EXPORT.compression ? {} : { compression }),
    ...(passphrase === '' ? {} : { passphrase_reference: passphrase }),
  }
}

/** What was asked for. */
export function exportDraftOf(asked: Schemas['ExportAsked']): ExportDraft {
  const { style, compression, passphrase_reference: passphrase } = asked
  return { ...readingDraftOf(asked), style, compression, passphrase: passphrase ?? '' }
}
