/** Exit codes of the command line. */
export const EXIT = {
  done: 0,
  failed: 1,
  usage: 2,
  findings: 3,
  cannotConnect: 4,
  refused: 5,
  interrupted: 130,
} as const

export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

/** What each exit code says, for people. */
export const EXIT_MEANING: Readonly<Record<keyof typeof EXIT, string>> = {
  done: 'done; for `diff` and `verify`: equal',
  failed: 'failed; the message says whether the same command goes on where it stopped',
  usage: 'wrong usage, or a configuration that cannot work',
  findings: 'finished with findings: differences, open conflicts, rejected rows, rows that others changed meanwhile',
  cannotConnect: 'cannot connect',
  refused: 'refused by a safety guard; nothing was written',
  interrupted: 'interrupted by a signal',
}

/** The status of an HTTP answer by exit code. */
export const STATUS_OF_EXIT: Readonly<Record<ExitCode, number>> = {
  [EXIT.done]: 200,
  [EXIT.failed]: 500,
  [EXIT.usage]: 422,
  [EXIT.findings]: 200,
  [EXIT.cannotConnect]: 502,
  [EXIT.refused]: 409,
  [EXIT.interrupted]: 503,
}
