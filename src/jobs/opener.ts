import type { Adapter } from '#adapters/adapter.ts'
import type { Datasource } from '#model/datasource.ts'
import type { WriteConsent } from '#model/write-protection.ts'

export interface OpenDatasourceOptions {
  /** Without it the adapter has no writer, and its sessions are read-only in the database itself. */
  readonly write: boolean
  /** What was agreed to for this job; looked at where `write` is asked for. */
  readonly consent: WriteConsent
  /** Ends every connection of the adapter. */
  readonly signal: AbortSignal
}

/**
 * Opens a datasource: finds its password, refuses a server that is not the pinned one, and refuses to open for writing
 * what may not be written.
 * @throws AppError
 */
export type OpenDatasource = (datasource: Datasource, options: OpenDatasourceOptions) => Promise<Adapter>
