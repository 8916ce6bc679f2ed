/** One step of an examination, for people: what was looked at, what was found, and what to do where it is not well. */
export interface Check {
  readonly step: string
  readonly state: 'pass' | 'warn' | 'fail'
  readonly found: string
  /** The next step, or null where nothing is to be done. */
  readonly next: string | null
  readonly ms: number
}
