import type { ExitCode } from './exit.ts'

/** May the same call succeed if it is made again: never, later by itself, or after somebody mended something. */
export type Retry = 'never' | 'later' | 'after-fix'

export interface ErrorEntry {
  /** What has happened, for somebody who meets the code in the docs. */
  readonly cause: string
  /** The usual next step; a thrower may give a nearer one. */
  readonly hint: string
  readonly retry: Retry
  readonly exit: ExitCode
  /** The status of an HTTP answer, where it is not the one that goes with the exit code. */
  readonly status?: number
}
