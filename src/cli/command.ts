import type { Command } from 'commander'
import type { ExitCode } from '#model/errors.ts'
import type { Output } from './output.ts'

/** What a command is given. */
export interface Context {
  readonly output: Output
  readonly signal: AbortSignal
  /** The command line as it was given. */
  readonly argv: readonly string[]
  /** Said when the command is interrupted or can be called again: how to go on. */
  onInterrupt(line: string): void
}

/** What a command that ran to its end has to say. */
export interface Outcome {
  readonly exit: ExitCode
  /** One line. */
  readonly summary: string
  /** For programs. */
  readonly result: unknown
  /** For people; the summary is its last line. */
  readonly lines: readonly string[]
}

/** Runs a command's work between options that every command has and the one way out. */
export type Runner = (command: Command, work: (context: Context) => Promise<Outcome>) => Promise<void>

/** Options of every command. */
export interface CommonFlags {
  readonly json?: boolean
  readonly quiet?: boolean
  readonly debug?: boolean
}

export function addCommonFlags(command: Command): Command {
  return command
    .option('--json', 'print one JSON document and nothing else to stdout')
    .option('--quiet', 'no progress and no notes')
    .option('--debug', 'on an error, print where it came from')
}
