const GIB = 1_073_741_824

/** What is kept for a time only, and for how many days. */
export const RETAINED = ['jobs', 'history', 'audit', 'dumps'] as const

export type Retained = (typeof RETAINED)[number]

/** Room on a disk that is bounded: what all dumps may take up together, and what they leave free. */
export const SPACES = ['dumps', 'free'] as const

export type Space = (typeof SPACES)[number]

export interface Retention {
  /** Days of each. */
  readonly days: Readonly<Record<Retained, number>>
  /** Bytes of each. */
  readonly bytes: Readonly<Record<Space, number>>
}

/** What somebody has set; what is not there has its default. */
export interface RetentionChoice {
  readonly days: Partial<Retention['days']>
  readonly bytes: Partial<Retention['bytes']>
}

/** Values of rows go after a month, unless somebody wants them for longer (S62). */
export const DEFAULT_RETENTION: Retention = {
  days: { jobs: 90, history: 30, audit: 365, dumps: 90 },
  bytes: { dumps: 100 * GIB, free: GIB },
}

/** What may be set over the API: who holds a key is not to make the log forget what was done with it. */
export const LEAST_RETENTION: Retention = {
  days: { jobs: 1, history: 1, audit: 30, dumps: 1 },
  bytes: { dumps: 1, free: 0 },
}

export const MOST_DAYS = 36_500

/** A backup is the way back from an import: it stays for this long, whatever room there is (promise P8). */
export const BACKUP_DAYS = 7
